/**
 * The way to ask the assistant again: under its last answer, and nowhere else.
 * @module
 */
import { fill, h, icon } from "../dom.js";
import { focusOn } from "./message.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */

export class Retry {
  #options;
  /** @type {HTMLElement | null} */
  #button = null;

  /** @param {import("./thread.js").ThreadOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** Something was said since. */
  forget() {
    const entry = this.#button?.closest("article");
    const held = this.#button?.contains(document.activeElement);
    this.#button?.remove();
    this.#button = null;
    if (held && entry) focusOn(entry);
  }

  /** The case has changed: what is not possible any more is not offered any more. */
  review() {
    if (this.#options.canRetry?.() === false) this.forget();
  }

  /**
   * Make the button for an answer that did not come to its end.
   * @param {HubEvent} event
   * @returns {Node[]}
   */
  offer(event) {
    this.forget();
    const { t, onRetry, canRetry } = this.#options;
    const { state, run } = event.data;
    if (!onRetry || run === undefined || (state !== "failed" && state !== "interrupted")) return [];
    if (canRetry && !canRetry()) return [];
    const words = t(state === "failed" ? "lost" : "try_again");
    const button = h("button", { type: "button", class: "again" }, icon("retry"), h("span", {}, words));
    button.addEventListener("click", async () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      button.setAttribute("aria-disabled", "true");
      fill(button, t("asking_again"));
      try {
        await onRetry(event);
      } catch {
        button.removeAttribute("aria-disabled");
        fill(button, icon("retry"), h("span", {}, words));
      }
    });
    this.#button = button;
    return [button];
  }
}
