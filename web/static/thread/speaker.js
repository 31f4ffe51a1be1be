/**
 * Tells screen readers what is new, a whole thought at a time.
 * @module
 */
import { fill, h } from "../dom.js";

const GATHER_MS = 150;

export class Speaker {
  #region = h("div", { class: "spoken", "aria-live": "polite" });
  #timer = 0;
  /** @type {string[]} */
  #saying = [];

  constructor() {
    document.body.append(this.#region);
  }

  /** @param {string} text */
  say(text) {
    this.#saying.push(text);
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      fill(this.#region, this.#saying.map((part) => h("p", {}, part)));
      this.#saying = [];
    }, GATHER_MS);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#region.remove();
  }
}
