/**
 * Who is typing; forgotten by itself if nobody says so again.
 * @module
 */
import { fill, h } from "../dom.js";
import { initials } from "../initials.js";
import { dots } from "./answer.js";

const HOLDS_MS = 6_500;

export class Typing {
  element = h("div", { class: "typing", hidden: true });
  #t;
  #timer = 0;

  /** @param {import("../text.js").Translate} t */
  constructor(t) {
    this.#t = t;
  }

  /** @param {{ type: string, name: string } | null} who */
  show(who) {
    clearTimeout(this.#timer);
    this.element.hidden = who === null;
    if (!who) return;
    const kind = who.type === "coordinator" ? "staff" : who.type;
    fill(
      this.element,
      h("span", { class: `avatar ${kind}`, "aria-hidden": "true" }, initials(who.name)),
      h("span", { class: "typing-words" }, this.#t("typing", { name: who.name })),
      dots(),
    );
    this.#timer = window.setTimeout(() => this.show(null), HOLDS_MS);
  }
}
