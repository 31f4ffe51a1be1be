/**
 * What the pages say, in the language of the reader, and how numbers and times are written there.
 * @module
 */
import { en } from "./text/en.js";

/** @typedef {keyof typeof en} Key */
/** @typedef {(key: Key, vars?: Record<string, string | number>) => string} Translate */

const LANGUAGES = /** @type {const} */ (["en", "es", "pt", "fr", "de", "ar", "hi"]);

let words = /** @type {Partial<Record<Key, string>>} */ (en);
let locale = "en";

/**
 * Choose the first language that both sides know.
 * @param {readonly string[]} wanted such as `navigator.languages`
 * @returns {{ language: (typeof LANGUAGES)[number], locale: string }}
 */
export function choose(wanted) {
  for (const tag of wanted) {
    const language = LANGUAGES.find((known) => known === tag.toLowerCase().split("-")[0]);
    if (language) return { language, locale: tag };
  }
  return { language: "en", locale: "en" };
}

/**
 * Load the words of the reader's language, and tell the document its language and direction.
 * @param {readonly string[]} [wanted]
 */
export async function speak(wanted = asked()) {
  const chosen = choose(wanted);
  try {
    if (chosen.language !== "en") words = (await import(`./text/${chosen.language}.js`)).default;
    locale = Intl.getCanonicalLocales(chosen.locale)[0] ?? "en";
  } catch {
    // Without its words a page still works, in English.
    locale = "en";
    words = en;
  }
  document.documentElement.lang = words === en ? "en" : chosen.language;
  document.documentElement.dir = words !== en && chosen.language === "ar" ? "rtl" : "ltr";
}

function asked() {
  const named = new URLSearchParams(location.search).get("lang");
  return [...(named && /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i.test(named) ? [named] : []), ...navigator.languages];
}

/** @type {Translate} */
export function t(key, vars = {}) {
  const text = words[key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in vars ? isolated(String(vars[name])) : whole));
}

/**
 * Tell how many characters there are, as the hub counts them.
 * @param {string} text
 */
export function characters(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Signs that turn the direction of what follows, also of words that are not the name's own. */
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Give a name that leaves the words around it alone.
 * @param {string} name
 */
export function tame(name) {
  return name.replace(TURNS, "");
}

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/**
 * Keep a name of the other direction from turning round the words beside it.
 * @param {string} part
 */
function isolated(part) {
  part = tame(part);
  return document.documentElement.dir === "rtl" || RIGHT_TO_LEFT.test(part) ? `\u2068${part}\u2069` : part;
}

/** @param {number} value */
export function number(value) {
  return new Intl.NumberFormat(locale).format(value);
}

/** @param {number} share from 0 to 1 */
export function percent(share) {
  return new Intl.NumberFormat(locale, { style: "percent" }).format(share);
}

/**
 * @param {number} value
 * @param {"second" | "minute"} unit
 */
export function duration(value, unit) {
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short" }).format(value);
}

/** @param {number} count bytes */
export function bytes(count) {
  const [value, unit] = count < 1e3 ? [count, "byte"] : count < 1e6 ? [count / 1e3, "kilobyte"] : [count / 1e6, "megabyte"];
  const digits = value < 10 && unit === "megabyte" ? 1 : 0;
  const how = /** @type {const} */ ({ style: "unit", unitDisplay: "short", maximumFractionDigits: digits });
  return new Intl.NumberFormat(locale, { ...how, unit }).format(value);
}

/** @param {Date} at */
export function clock(at) {
  return new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" }).format(at);
}

/** @param {Date} at */
export function whole(at) {
  return new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" }).format(at);
}

/**
 * Name a day as people do: today, yesterday, Monday 3 March.
 * @param {Date} at
 * @param {Date} [now]
 */
export function day(at, now = new Date()) {
  const ago = Math.round((midnight(now) - midnight(at)) / 86_400_000);
  if (ago === 0 || ago === 1) {
    const near = new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-ago, "day");
    return near.charAt(0).toLocaleUpperCase(locale) + near.slice(1);
  }
  const year = at.getFullYear() === now.getFullYear() ? undefined : /** @type {const} */ ("numeric");
  return new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", year }).format(at);
}

/** @param {Date} at */
function midnight(at) {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();
}
