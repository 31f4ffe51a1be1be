/**
 * Knows what others wrote since a reply was begun.
 *
 * A reply is begun with its first character, or where its author says that they have read on. What
 * came after that is missed, even if it stands on the screen: whoever types looks at the keyboard.
 * @module
 */

import { messagesOfOthers } from "./missed_messages.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */

export class ReplyWatch {
  /** The newest event that was applied. */
  #seq = 0;
  /** Where the log stood when the reply was begun; null: nothing is written. @type {number | null} */
  #begun;
  /** @type {Set<number>} by `seq` */
  #missed = new Set();

  /** @param {number | null} begun as it was kept with the draft */
  constructor(begun) {
    this.#begun = begun;
  }

  /** @returns {number | null} */
  get begun() {
    return this.#begun;
  }

  /** What the command tells the hub: the last event that its author had before them. @returns {number} */
  get seen() {
    return this.#begun ?? this.#seq;
  }

  /** How many messages of others came since. @returns {number} */
  get missed() {
    return this.#missed.size;
  }

  /**
   * Learn of the next event.
   * @param {HubEvent} event
   * @param {string | null} me
   * @returns {boolean} whether it is one more that is missed
   */
  apply(event, me) {
    this.#seq = Math.max(this.#seq, event.seq);
    if (this.#begun === null || event.seq <= this.#begun) return false;
    return this.#miss([event], me);
  }

  /**
   * The reply has this text now.
   * @param {string} text
   */
  write(text) {
    if (text === "") this.sent();
    else this.#begun ??= this.#seq;
  }

  /** Its author has read everything; from here on only what is newer is missed. */
  readOn() {
    this.#begun = this.#seq;
    this.#missed.clear();
  }

  /** It is not in the field any more. */
  sent() {
    this.#begun = null;
    this.#missed.clear();
  }

  /**
   * The hub has held it.
   * @param {number} seen what its author had before them
   * @param {HubEvent[]} events that came after that
   * @param {string | null} me
   */
  held(seen, events, me) {
    this.#begun = seen;
    this.#miss(events, me);
  }

  /**
   * The log begins anew, and numbers from before mean nothing.
   * @param {string} text of the reply
   */
  reset(text) {
    this.#seq = 0;
    this.#begun = text === "" ? null : 0;
    this.#missed.clear();
  }

  /**
   * @param {HubEvent[]} events
   * @param {string | null} me
   * @returns {boolean}
   */
  #miss(events, me) {
    const before = this.#missed.size;
    for (const event of messagesOfOthers(events, me)) this.#missed.add(event.seq);
    return this.#missed.size > before;
  }
}
