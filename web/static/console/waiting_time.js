/**
 * How long somebody has waited, for the eye and for the ear.
 * @module
 */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * Give the time since `since`, never below 0: clocks differ.
 * @param {string} since
 * @param {number} now
 * @returns {number}
 */
export function elapsed(since, now) {
  return Math.max(0, now - Date.parse(since));
}

/**
 * Write a wait: seconds count as long as each of them matters.
 * @param {number} ms
 * @returns {string}
 */
export function writeWait(ms) {
  if (ms < 10 * MINUTE) {
    const seconds = Math.floor(ms / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) {
    const minutes = Math.floor((ms % HOUR) / MINUTE);
    return `${Math.floor(ms / HOUR)} h ${String(minutes).padStart(2, "0")}`;
  }
  return plural(Math.floor(ms / DAY), "day");
}

/**
 * Say a wait, in words that need no change each second.
 * @param {number} ms
 * @returns {string}
 */
export function sayWait(ms) {
  if (ms < MINUTE) return "less than a minute";
  if (ms < HOUR) return plural(Math.floor(ms / MINUTE), "minute");
  if (ms < DAY) return plural(Math.floor(ms / HOUR), "hour");
  return plural(Math.floor(ms / DAY), "day");
}

/**
 * @param {number} count
 * @param {string} word
 * @returns {string}
 */
export function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
