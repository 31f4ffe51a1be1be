/**
 * The bar above the composer: what stands between a reply and the patient.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { sayMissed } from "./missed_messages.js";

/** @typedef {"missed" | "note"} Held why a reply is held */

export class Guard {
  #sign = h("span", { "aria-hidden": "true" });
  #words = h("p", { class: "guard-words" });
  #actions = h("div", { class: "guard-actions" });
  #state = /** @type {"hidden" | "tells" | "holds"} */ ("hidden");
  /** @type {Held} */
  #why = "missed";
  #onSendAnyway;
  #onKeep;

  /** @param {{ onSendAnyway: (held: Held) => void, onKeep: (held: Held) => void }} options */
  constructor({ onSendAnyway, onKeep }) {
    this.#onSendAnyway = onSendAnyway;
    this.#onKeep = onKeep;
    // One element that stays: a live region tells of what changes inside of it.
    this.element = h(
      "div",
      { class: "guard", role: "status", hidden: true },
      this.#sign,
      this.#words,
      this.#actions,
    );
  }

  /** Whether there is something to see. */
  get shows() {
    return this.#state !== "hidden";
  }

  /** Whether a reply is held until its author decides. */
  get holds() {
    return this.#state === "holds";
  }

  /**
   * Tell of new messages while a reply is being written; nothing is held yet.
   * @param {number} count
   * @param {string} patient
   */
  tell(count, patient) {
    this.#show("tells", h("strong", {}, `${sayMissed(count)}.`), ` Read on before you answer ${patient}.`);
    fill(this.#actions, action(count === 1 ? "I have read it" : "I have read them", "button quiet", () => this.#onKeep("missed")));
  }

  /**
   * The hub has held the reply.
   * @param {number} count
   * @param {string} patient
   */
  hold(count, patient) {
    this.#why = "missed";
    this.#show("holds", h("strong", {}, `${sayMissed(count)}.`), ` Your reply to ${patient} was not sent.`);
    this.#choices();
  }

  /**
   * The reply says what a note says.
   * @param {string} line of the note
   * @param {string} patient
   */
  holdNote(line, patient) {
    this.#why = "note";
    const start = line.length > 60 ? `${line.slice(0, 60)}…` : line;
    this.#show(
      "holds",
      h("strong", {}, "This is in an internal note: "),
      h("q", { dir: "auto" }, start),
      ` ${patient} would read it.`,
    );
    this.#choices();
  }

  hide() {
    this.#state = "hidden";
    this.element.hidden = true;
    fill(this.#words);
    fill(this.#actions);
  }

  /** Go to what loses nothing. */
  focus() {
    const first = this.#actions.querySelector("button");
    if (first instanceof HTMLElement) first.focus();
  }

  #choices() {
    fill(
      this.#actions,
      action("Keep editing", "button", () => this.#onKeep(this.#why)),
      action("Send anyway", "button danger", () => this.#onSendAnyway(this.#why)),
    );
  }

  /**
   * @param {"tells" | "holds"} state
   * @param {...(Node | string)} words
   */
  #show(state, ...words) {
    this.#state = state;
    this.element.hidden = false;
    this.element.dataset.state = state;
    fill(this.#sign, icon(state === "holds" ? "alert" : "chat"));
    fill(this.#words, ...words);
  }
}

/**
 * @param {string} label
 * @param {string} kind
 * @param {() => void} onclick
 * @returns {HTMLElement}
 */
function action(label, kind, onclick) {
  return h("button", { class: kind, type: "button", onclick }, label);
}
