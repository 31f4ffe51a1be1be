/**
 * What one member of the team has chosen, remembered on this device.
 * @module
 */

const ITEM = "curaway.console";

/** Each with what holds until it is chosen. */
const DEFAULTS = {
  /** A soft sound when a case begins to wait. */
  sound: true,
  /** Shortcuts of a single character. */
  keys: true,
  /** Enter sends a reply; a note is saved by Ctrl+Enter alone. */
  enterSends: false,
  /** The summary stands beside the conversation. */
  summary: true,
};

/** @typedef {keyof typeof DEFAULTS} Preference */

export class Preferences {
  /** @type {Pick<Storage, "getItem" | "setItem"> | null} */
  #storage;
  /** @type {typeof DEFAULTS} */
  #chosen;
  /** @type {Set<(name: Preference) => void>} */
  #listeners = new Set();

  /** @param {Pick<Storage, "getItem" | "setItem"> | null} storage */
  constructor(storage) {
    this.#storage = storage;
    this.#chosen = { ...DEFAULTS };
    try {
      const found = JSON.parse(storage?.getItem(ITEM) ?? "{}");
      for (const name of /** @type {Preference[]} */ (Object.keys(DEFAULTS))) {
        if (typeof found?.[name] === "boolean") this.#chosen[name] = found[name];
      }
    } catch {
      // What cannot be read was not chosen.
    }
  }

  /**
   * @param {Preference} name
   * @returns {boolean}
   */
  get(name) {
    return this.#chosen[name];
  }

  /**
   * @param {Preference} name
   * @param {boolean} value
   */
  set(name, value) {
    this.#chosen[name] = value;
    try {
      this.#storage?.setItem(ITEM, JSON.stringify(this.#chosen));
    } catch {
      // Then it holds until the page is left.
    }
    for (const listener of this.#listeners) listener(name);
  }

  /** @param {(name: Preference) => void} listener */
  onChange(listener) {
    this.#listeners.add(listener);
  }
}
