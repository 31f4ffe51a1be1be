/** How long to wait before the next try, so that many clients do not come back at once. */

export const FIRST_MS = 500;
export const MOST_MS = 20_000;

/**
 * The wait before a try, with full jitter: anything from 0 to a limit that doubles with each
 * failure, from 0.5 s to 20 s.
 *
 * @param {number} failures how many tries have failed in a row
 * @param {() => number} random a number in [0, 1)
 * @returns {number} milliseconds
 */
export function backoff(failures, random) {
  const limit = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(failures, 30));
  return Math.floor(random() * limit);
}
