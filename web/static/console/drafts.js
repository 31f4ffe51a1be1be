/**
 * What is being written in each case, kept until it is sent.
 *
 * A reply and a note of one case are two drafts, and nothing here moves text from one to the other.
 * Drafts live as long as the tab: they are about people's health, and so stay out of what outlives it.
 * They are one person's: whoever is next in this tab finds none of them.
 * @module
 */

import { forgetOthers } from "../storage.js";

/** @typedef {"reply" | "note"} Mode */
/** @typedef {{ mode: Mode, reply: string, note: string, seen: number | null }} Draft */

const ITEMS = "curaway.drafts/";
const NOTHING = /** @type {Draft} */ ({ mode: "reply", reply: "", note: "", seen: null });

/**
 * In which mode a case opens: for a reply, unless a note was left unfinished there. Whoever comes
 * back to half a note goes on typing, and must not do so in a field that the patient would read.
 * @param {Draft} draft
 * @returns {Mode}
 */
export function openingMode(draft) {
  return draft.mode === "note" && draft.note.trim() !== "" ? "note" : "reply";
}

export class Drafts {
  /** @type {Map<string, Draft>} */
  #drafts;
  #item;
  #storage;

  /**
   * @param {Storage | null} storage
   * @param {string} user whose they are
   */
  constructor(storage, user) {
    this.#storage = storage;
    this.#item = `${ITEMS}${user}/`;
    forgetOthers(storage, ITEMS, this.#item);
    this.#drafts = new Map(read(storage, this.#item));
  }

  /**
   * @param {string} id of the case
   * @returns {Draft}
   */
  of(id) {
    return this.#drafts.get(id) ?? NOTHING;
  }

  /**
   * @param {string} id
   * @param {Partial<Draft>} change
   */
  keep(id, change) {
    const draft = { ...this.of(id), ...change };
    if (draft.reply === "" && draft.note === "") this.#drafts.delete(id);
    else this.#drafts.set(id, draft);
    try {
      if (this.#drafts.size === 0) this.#storage?.removeItem(this.#item);
      else this.#storage?.setItem(this.#item, JSON.stringify([...this.#drafts]));
    } catch {
      // Without storage drafts are kept until the page is left.
    }
  }
}

/**
 * @param {Storage | null} storage
 * @param {string} item
 * @returns {[string, Draft][]}
 */
function read(storage, item) {
  try {
    const found = JSON.parse(storage?.getItem(item) ?? "[]");
    return Array.isArray(found) ? found.map(([id, draft]) => [id, { ...NOTHING, ...draft }]) : [];
  } catch {
    return [];
  }
}
