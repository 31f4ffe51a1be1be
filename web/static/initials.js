/**
 * The first letters of a name, for a small round picture.
 * @module
 */

/**
 * Give them as whole characters of every script.
 * @param {string} name
 * @returns {string}
 */
export function initials(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const chosen = words.length > 1 ? [words[0], words.at(-1) ?? ""] : words;
  return chosen.map((word) => [...word][0] ?? "").join("").toLocaleUpperCase();
}
