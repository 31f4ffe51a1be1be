/**
 * The head of the page: who leads, how the connection is, and the way to a person.
 * @module
 */
import { fill, h, icon } from "../dom.js";
import { initials } from "../initials.js";
import { t } from "../text.js";
import { leader, wish } from "./leader.js";

/** So long a connection may be away before the page speaks of it in a whole sentence. */
const PATIENCE_MS = 4_000;

export class Header {
  #title = h("h1", { class: "lead" });
  #more = h("span", { class: "lead-more" });
  #dot = h("span", { class: "dot", role: "status", dataset: { state: "reconnecting" } });
  #mark = h("span", { class: "mark", "aria-hidden": "true" });
  #talk;
  #strip = h("div", { class: "strip", role: "status", hidden: true });
  #offline;
  #timer = 0;

  /** @param {{ talk: () => void, reconnect: () => void }} actions */
  constructor({ talk, reconnect }) {
    this.#talk = h("button", { type: "button", class: "button talk", onclick: talk });
    this.#offline = h(
      "div",
      { class: "notice offline", hidden: true },
      h("p", {}, t("offline_note")),
      h("button", { type: "button", class: "button", onclick: reconnect }, icon("retry"), t("try_now")),
    );
    this.element = h(
      "header",
      { class: "head" },
      h(
        "div",
        { class: "head-row" },
        this.#mark,
        h("div", { class: "head-text" }, this.#title, h("p", { class: "head-more" }, this.#dot, this.#more)),
        this.#talk,
      ),
      this.#offline,
      this.#strip,
    );
    this.connection("reconnecting");
  }

  element;

  /** @param {"connected" | "reconnecting" | "disconnected"} state */
  connection(state) {
    clearTimeout(this.#timer);
    if (this.#dot.dataset.state !== state || !this.#dot.textContent) fill(this.#dot, t(state));
    this.#dot.dataset.state = state;
    this.#offline.hidden = state === "connected" || (state === "reconnecting" && this.#offline.hidden);
    if (state === "reconnecting") this.#timer = window.setTimeout(() => (this.#offline.hidden = false), PATIENCE_MS);
    if (state === "disconnected") this.#offline.hidden = false;
  }

  /**
   * @param {import("./leader.js").Known} known
   * @param {boolean} online
   * @param {boolean} open whether the case still takes messages
   */
  lead(known, online, open) {
    const { title, more, strip } = leader(known, online, t);
    const state = wish(known);
    if (this.#title.textContent !== title) fill(this.#title, title);
    // Nobody is with anybody in a conversation that is over.
    fill(this.#more, open ? more : "");
    this.#more.dataset.online = String(state === "with" && online);
    this.element.dataset.control = known.control;
    const person = state === "with";
    this.#mark.className = person ? "avatar staff" : "mark";
    fill(this.#mark, person ? initials(known.coordinator ?? "") : icon("heart"));
    this.#talk.hidden = !open || person || state === "asked";
    this.#talk.dataset.state = state;
    this.#talk.setAttribute("aria-disabled", String(state === "asking"));
    fill(this.#talk, icon("person"), h("span", {}, t(state === "asking" ? "talk_asking" : "talk")));
    this.#strip.dataset.state = state;
    this.#strip.hidden = strip === "" || !open;
    if (this.#strip.textContent !== strip) fill(this.#strip, strip && icon(state === "refused" ? "alert" : "clock"), strip && h("p", {}, strip));
  }
}
