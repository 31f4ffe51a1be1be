/**
 * Times as people read them, in English and in the zone of this device.
 * @module
 */

const DAY = 24 * 60 * 60_000;
/** The English of this device, or of most of the world: what the words around it are written in. */
export const LOCALE = globalThis.navigator?.languages?.find((tag) => /^en\b/i.test(tag)) ?? "en-GB";
const CLOCK = new Intl.DateTimeFormat(LOCALE, { hour: "numeric", minute: "2-digit" });
const WEEKDAY = new Intl.DateTimeFormat(LOCALE, { weekday: "short" });
const DATE = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric" });
const FULL = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });

/**
 * Write when something was, as short as it is clear: "09:41", "Tue", "3 Nov", "3 Nov 2025".
 * @param {string} at
 * @param {number} now
 * @returns {string}
 */
export function writeWhen(at, now) {
  const then = new Date(at);
  const today = new Date(now);
  if (then.toDateString() === today.toDateString()) return CLOCK.format(then);
  const days = (startOf(today) - startOf(then)) / DAY;
  if (days > 0 && days < 6.5) return WEEKDAY.format(then);
  return (then.getFullYear() === today.getFullYear() ? DATE : YEAR).format(then);
}

/**
 * Write when something was, to the minute: "09:41", "3 Nov, 09:41", "3 Nov 2025, 09:41".
 * @param {string} at
 * @param {number} now
 * @returns {string}
 */
export function writeMoment(at, now) {
  const then = new Date(at);
  const today = new Date(now);
  const clock = CLOCK.format(then);
  if (then.toDateString() === today.toDateString()) return clock;
  return `${(then.getFullYear() === today.getFullYear() ? DATE : YEAR).format(then)}, ${clock}`;
}

/**
 * @param {string} at
 * @returns {string}
 */
export function writeClock(at) {
  return CLOCK.format(new Date(at));
}

/**
 * @param {string} at
 * @returns {string}
 */
export function writeFull(at) {
  return FULL.format(new Date(at));
}

/**
 * @param {number} seconds
 * @returns {string}
 */
export function writeDuration(seconds) {
  return seconds < 60 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/**
 * @param {Date} date
 * @returns {number}
 */
function startOf(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}
