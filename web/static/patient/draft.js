/**
 * What was typed and not sent, kept in this tab for one person and one case.
 * @module
 */
import { forgetOthers } from "../storage.js";

const DRAFTS = "curaway.draft/";

export class Draft {
  /** Whose it is, and of which case. */
  key;
  #storage;

  /**
   * @param {string} user
   * @param {string} room the case
   * @param {Storage | null} storage
   */
  constructor(user, room, storage) {
    this.key = `${DRAFTS}${user}/${room}`;
    this.#storage = storage;
    forgetOthers(storage, DRAFTS, `${DRAFTS}${user}/`);
  }

  get text() {
    try {
      return this.#storage?.getItem(this.key) ?? "";
    } catch {
      return "";
    }
  }

  set text(text) {
    try {
      if (text === "") this.#storage?.removeItem(this.key);
      else this.#storage?.setItem(this.key, text);
    } catch {
      // A browser that keeps nothing: the text is still in the box.
    }
  }
}
