/**
 * The dot that says how the connection stands: colour, shape and words.
 * @module
 */

import { fill, h } from "../dom.js";

/** @typedef {import("../hub-client.js").Status} Status */

/** @type {Record<Status["state"], string>} */
const WORDS = { connected: "Connected", reconnecting: "Reconnecting…", disconnected: "Disconnected" };

/** @type {Status["state"][]} from good to bad */
const RANK = ["connected", "reconnecting", "disconnected"];

export class ConnectionDot {
  #words = h("span", {});
  #retry;

  /** @param {() => void} onRetry */
  constructor(onRetry) {
    this.#retry = h("button", { class: "link", type: "button", hidden: true, onclick: onRetry }, "Try now");
    this.#dot = h("span", { class: "dot", "data-state": "reconnecting" }, this.#words);
    this.element = h("div", { class: "connection", role: "status" }, this.#dot, this.#retry);
    this.#words.textContent = "Connecting…";
  }

  #dot;

  /**
   * Show the worst of several connections.
   * @param {(Status | null)[]} all null: there is none
   */
  update(all) {
    const known = all.filter((status) => status !== null);
    const worst = known.sort((a, b) => RANK.indexOf(b.state) - RANK.indexOf(a.state))[0];
    if (worst === undefined) return;
    const { state, reason } = worst;
    const words = reason === "starting" && state === "reconnecting" ? "Connecting…" : WORDS[state];
    this.#dot.dataset.state = state;
    if (this.#words.textContent !== words) fill(this.#words, words);
    this.#retry.hidden = state === "connected" || reason === "starting";
  }
}
