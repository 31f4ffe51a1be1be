/**
 * What the hub would not take, found before a file is sent over a slow network for nothing.
 * @module
 */

/**
 * Say why, in the words of the hub's errors; null: it may be taken.
 * @param {{ size: number }} file
 * @param {number} limit the most bytes
 * @returns {{ code: "too_large" | "empty", limit: number } | null}
 */
export function refusalOf({ size }, limit) {
  if (size === 0) return { code: "empty", limit };
  return size > limit ? { code: "too_large", limit } : null;
}
