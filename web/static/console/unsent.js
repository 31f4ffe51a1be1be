/**
 * Replies and notes that were written in a case which is not open any more, and that the hub does
 * not have yet. They are sent all the same, and the desk shows where something is not sent.
 * @module
 */

import { casesOf } from "../hub-client.js";

/** @typedef {Pick<import("../hub-client.js").HubClient, "start" | "stop" | "on" | "outbox">} Sender */

export class Unsent {
  /** @type {Map<string, Sender>} by case */
  #senders = new Map();
  #storage;
  #make;
  #changed;

  /**
   * @param {object} options
   * @param {Storage | null} options.storage
   * @param {(id: string) => Sender} options.make a client of a case
   * @param {() => void} options.onChange
   */
  constructor({ storage, make, onChange }) {
    this.#storage = storage;
    this.#make = make;
    this.#changed = onChange;
  }

  /** The cases in which something is not sent, the open one aside. @returns {ReadonlySet<string>} */
  get cases() {
    return new Set(this.#senders.keys());
  }

  /**
   * Look what waits, and send it; in the case that is open, its own client does.
   * @param {string} user
   * @param {string | null} open
   */
  look(user, open) {
    if (open !== null) this.#forget(open);
    for (const id of this.#storage === null ? [] : casesOf(this.#storage, user)) {
      if (id === open || this.#senders.has(id)) continue;
      const sender = this.#make(id);
      this.#senders.set(id, sender);
      // Not at once: it is in the middle of telling so.
      sender.on("outbox", () => setTimeout(() => this.#settle(id, sender)));
      sender.start();
    }
    this.#changed();
  }

  stop() {
    for (const sender of this.#senders.values()) sender.stop();
    this.#senders.clear();
  }

  /**
   * @param {string} id
   * @param {Sender} sender
   */
  #settle(id, sender) {
    if (this.#senders.get(id) !== sender) return;
    const { outbox } = sender;
    // What was refused waits for its author, who decides where they see why.
    if (outbox.some(({ state }) => state !== "refused")) return;
    if (outbox.length > 0) sender.stop();
    else this.#forget(id);
    this.#changed();
  }

  /** @param {string} id */
  #forget(id) {
    this.#senders.get(id)?.stop();
    this.#senders.delete(id);
  }
}
