/**
 * What a key does, outside of fields and inside of them.
 * @module
 */

/**
 * @typedef {object} Shortcut
 * @property {string} keys what to press: `j`, `g d` (one after the other), `mod+Enter` (Ctrl, or ⌘)
 * @property {string} does in words, for the list of keys
 * @property {string} group in the list of keys
 * @property {() => boolean | void} run false: it does not apply now, and the key goes its way
 * @property {boolean} [shown] false: another line of the list tells of it
 */

/**
 * @typedef {object} Press
 * @property {string} key
 * @property {boolean} ctrlKey
 * @property {boolean} metaKey
 * @property {boolean} altKey
 * @property {string} [code] where the key is, whatever is printed on it
 */

/** How long after the first key of two the second may come. */
const TOGETHER_MS = 1_200;

/**
 * Write a press as in `Shortcut.keys`, or null if it is none. Shift is a part of the character, and
 * so is Alt where a keyboard needs it for a bracket.
 * @param {Press} press
 * @returns {string | null}
 */
export function nameOf({ key, ctrlKey, metaKey, altKey, code = "" }) {
  // A keyboard of another script has no `a`; what counts is the place of its key.
  if (/^[^\p{ASCII}]$/u.test(key) && /^Key[A-Z]$/.test(code)) key = code.slice(3).toLowerCase();
  if (altKey) return /^[^\p{L}\p{N}]$/u.test(key) ? key : null;
  return ctrlKey || metaKey ? `mod+${key}` : key;
}

/**
 * Whether a press is a single character, or one after another: what a person who speaks to their
 * computer may cause by chance, and can therefore turn off.
 * @param {string} name
 * @returns {boolean}
 */
export function isSingle(name) {
  return [...name].length === 1;
}

export class Shortcuts {
  /** @type {Map<string, Shortcut>} */
  #shortcuts = new Map();
  /** @type {() => boolean} */
  #singles;
  /** @type {{ name: string, at: number } | null} */
  #first = null;

  /** @param {() => boolean} singles whether single characters do something now */
  constructor(singles) {
    this.#singles = singles;
  }

  /** @param {Shortcut} shortcut */
  add(shortcut) {
    this.#shortcuts.set(shortcut.keys, shortcut);
  }

  /** @returns {Shortcut[]} */
  get list() {
    return [...this.#shortcuts.values()].filter((one) => one.shown !== false);
  }

  /**
   * Do what a press stands for.
   * @param {Press} press
   * @param {{ typing: boolean, now: number }} where `typing`: a field has the focus
   * @returns {boolean} whether it did something, and is used up
   */
  press(press, { typing, now }) {
    const name = nameOf(press);
    if (name === null || press.key === "Shift") return false;
    if (isSingle(name) && (typing || !this.#singles())) return false;
    const first = this.#first;
    this.#first = null;
    if (first !== null && now - first.at <= TOGETHER_MS) {
      const second = this.#shortcuts.get(`${first.name} ${name}`);
      if (second !== undefined) return second.run() !== false;
    }
    const shortcut = this.#shortcuts.get(name);
    if (shortcut !== undefined) return shortcut.run() !== false;
    if (isSingle(name) && this.#begins(name)) {
      this.#first = { name, at: now };
      return true;
    }
    return false;
  }

  /**
   * @param {string} name
   * @returns {boolean}
   */
  #begins(name) {
    return [...this.#shortcuts.keys()].some((keys) => keys.startsWith(`${name} `));
  }
}

/**
 * Whether an element takes characters.
 * @param {EventTarget | null} target
 * @returns {boolean}
 */
export function takesText(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches("textarea, select")) return true;
  return target.matches(
    "input:not([type=button], [type=checkbox], [type=radio], [type=submit], [type=file])",
  );
}
