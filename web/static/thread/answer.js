/**
 * An answer while it comes: thinking, growing smoothly, and honest about how long it takes.
 * @module
 */
import { fill, h } from "../dom.js";
import { duration } from "../text.js";
import { Message } from "./message.js";
import { Prose } from "./prose.js";

/** @typedef {import("../client/answer.js").Answer} Answer */

const TELL_TIME_S = 5;
const STILL_WORKING_S = 10;

/**
 * Say how much of a text is shown next, so that it comes evenly and never cuts a character in two.
 * @param {string} text
 * @param {number} shown
 */
export function nextCut(text, shown) {
  const cut = Math.min(text.length, shown + Math.max(1, Math.ceil((text.length - shown) / 6)));
  const code = text.charCodeAt(cut);
  return code >= 0xdc00 && code <= 0xdfff ? cut + 1 : cut;
}

export class RunningAnswer {
  run;
  message;
  #t;
  #options;
  #prose = new Prose();
  #dots;
  #status = h("div", { class: "working" });
  #text = "";
  #shown = 0;
  #frame = 0;
  #began = performance.now();
  #timer;
  #told = 0;
  #lost = false;
  #over = false;

  /**
   * @param {string} run
   * @param {import("./message.js").Audience} audience
   * @param {{ t: import("../text.js").Translate, reconnect?: () => void, say: (text: string) => void }} options
   */
  constructor(run, audience, options) {
    this.run = run;
    this.#options = options;
    this.#t = options.t;
    this.message = new Message(audience, "ai", options.t);
    this.message.by("ai", undefined, false);
    this.message.element.dataset.run = run;
    this.message.element.dataset.state = "thinking";
    this.message.element.classList.add("running");
    this.#dots = h("p", { class: "thinking" }, dots(), h("span", {}, options.t("thinking")));
    this.message.hold(this.#dots);
    this.message.element.querySelector(".said")?.append(this.#status);
    this.#timer = setInterval(() => this.#tick(), 1_000);
    options.say(options.t("assistant_thinking"));
  }

  /** @param {Answer} answer */
  update(answer) {
    const { element } = this.message;
    if (answer.state === "thinking" || (answer.state === "writing" && answer.text === "")) return;
    if (element.dataset.state === "thinking" && answer.text !== "") {
      this.message.hold(this.#prose.element);
      this.#prose.element.classList.add("first");
    }
    element.dataset.state = answer.state;
    this.#text = answer.text || this.#text;
    if (answer.state !== "writing") this.#end();
    else this.#grow();
  }

  #grow() {
    if (document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) this.#show(this.#text.length);
    else if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#step());
  }

  #step() {
    this.#frame = 0;
    this.#show(nextCut(this.#text, this.#shown));
    if (this.#shown < this.#text.length) this.#grow();
  }

  /** @param {number} cut */
  #show(cut) {
    this.#shown = cut;
    this.#prose.show(this.#text.slice(0, cut));
  }

  #end() {
    this.#over = true;
    this.#show(this.#text.length);
    this.stop();
  }

  #tick() {
    const seconds = Math.floor((performance.now() - this.#began) / 1_000);
    if (seconds < TELL_TIME_S || this.#lost || this.#over) return;
    const long = seconds >= STILL_WORKING_S;
    if (long && this.#told < STILL_WORKING_S) this.#options.say(this.#t("still_working"));
    this.#told = seconds;
    fill(
      this.#status,
      long && h("span", { class: "still" }, this.#t("still_working")),
      h("span", { class: "elapsed", role: "timer" }, duration(seconds, "second")),
    );
  }

  /**
   * Say that what is shown goes on only when there is a connection again.
   * @param {boolean} lost
   */
  lost(lost) {
    if (lost === this.#lost || this.#over) return;
    this.#lost = lost;
    this.message.element.classList.toggle("lost", lost);
    const reconnect = this.#options.reconnect;
    const button = h("button", { type: "button", class: "again", onclick: () => reconnect?.() }, this.#t("lost"));
    fill(this.#status, lost && button);
    if (lost) this.#options.say(this.#t("lost"));
  }

  /** It is over, or has become a message: nothing moves any more. */
  stop() {
    clearInterval(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#over = true;
    this.#status.remove();
    this.message.element.classList.remove("running", "lost");
  }
}

/** Three dots that breathe one after the other. */
export function dots() {
  return h("span", { class: "dots", "aria-hidden": "true" }, h("span"), h("span"), h("span"));
}
