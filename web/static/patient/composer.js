/**
 * The box in which one writes.
 * @module
 */
import { fill, h, icon } from "../dom.js";
import { characters, number, t } from "../text.js";

const MOST = 10_000;
const TELL_FROM = 9_500;
const TYPING_EVERY_MS = 3_000;

export class Composer {
  #actions;
  #box = /** @type {HTMLTextAreaElement} */ (
    h("textarea", { id: "composer", class: "box", rows: 1, dir: "auto", "aria-label": t("composer"), placeholder: t("placeholder"), "aria-describedby": "composer-count", enterkeyhint: "enter", autocomplete: "off" })
  );
  #send;
  #stop;
  #count = h("p", { class: "count-left", id: "composer-count", "aria-live": "polite" });
  /** @type {import("./draft.js").Draft | null} */
  #draft = null;
  #typing = 0;
  #running = false;

  /**
   * @param {{ send: (text: string) => void, stop: () => void, typing: (on: boolean) => void, files: (files: File[]) => void }} actions
   * @param {Element} attach what adds files
   */
  constructor(actions, attach) {
    this.#actions = actions;
    this.#send = h("button", { type: "submit", class: "button primary icon-only send", "aria-label": t("send"), title: t("send") }, icon("send"));
    this.#stop = h("button", { type: "button", class: "button icon-only stop", "aria-label": t("stop"), title: t("stop"), hidden: true, onclick: () => actions.stop() }, icon("stop"));
    this.element = h("form", { class: "composer", novalidate: true }, attach, this.#box, this.#stop, this.#send, this.#count);
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#box.addEventListener("input", () => this.#typed());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("blur", () => this.#quiet());
    this.#box.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      // What is copied from a text program is its words, and a picture of them.
      if (files.length === 0 || event.clipboardData?.types.includes("text/plain")) return;
      event.preventDefault();
      actions.files(files);
    });
    if (fine()) this.#box.enterKeyHint = "send";
    this.#fit();
  }

  element;

  /** @param {import("./draft.js").Draft} draft of the person who is here */
  keep(draft) {
    const former = this.#draft?.key;
    if (former === draft.key) return;
    this.#draft = draft;
    // What somebody else has typed here is not for this person.
    if (this.#box.value === "" || former !== undefined) this.#box.value = draft.text;
    else draft.text = this.#box.value;
    this.#fit();
  }

  /** @param {boolean} running whether there is an answer to stop */
  running(running) {
    if (running === this.#running) return;
    this.#running = running;
    const held = !running && document.activeElement === this.#stop;
    this.#fit();
    if (held) this.#box.focus();
  }

  focus() {
    this.#box.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // 229: an input method that is not done, in a browser that does not say so.
    if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
    if (event.shiftKey || event.altKey || (!fine() && !event.ctrlKey && !event.metaKey)) return;
    event.preventDefault();
    this.#submit();
  }

  #typed() {
    this.#fit();
    if (this.#draft) this.#draft.text = this.#box.value;
    if (this.#box.value.trim() === "") this.#quiet();
    else if (performance.now() - this.#typing > TYPING_EVERY_MS || this.#typing === 0) {
      this.#typing = performance.now();
      this.#actions.typing(true);
    }
  }

  #quiet() {
    if (this.#typing === 0) return;
    this.#typing = 0;
    this.#actions.typing(false);
  }

  #submit() {
    const text = this.#box.value.trim();
    if (text === "" || characters(text) > MOST) {
      this.#box.focus();
      return;
    }
    this.#actions.send(text);
    this.#box.value = "";
    if (this.#draft) this.#draft.text = "";
    this.#quiet();
    this.#fit();
    this.#box.focus();
  }

  #fit() {
    const text = this.#box.value;
    this.#box.style.setProperty("block-size", "auto");
    // An empty box is as high as its placeholder would be if it were broken into lines.
    if (text !== "") this.#box.style.setProperty("block-size", `${this.#box.scrollHeight}px`);
    const empty = text.trim() === "";
    const left = text.length < TELL_FROM ? MOST : MOST - characters(text.trim());
    fill(this.#count, left < MOST - TELL_FROM && t(left < 0 ? "too_long" : "characters_left", { count: number(Math.abs(left)) }));
    this.#count.dataset.over = String(left < 0);
    this.#box.setAttribute("aria-invalid", String(left < 0));
    this.#stop.hidden = !this.#running;
    this.#send.hidden = this.#running && empty;
    this.#send.setAttribute("aria-disabled", String(empty || left < 0));
  }
}

function fine() {
  return matchMedia("(hover: hover) and (pointer: fine)").matches;
}
