/**
 * The head of a case: whose it is, who leads it, and what can be done next.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { STATUSES, sayStatus, sayTrigger } from "./case_words.js";
import { initials } from "../initials.js";
import { ChoiceMenu } from "./menu.js";
import { elapsed, writeWait } from "./waiting_time.js";

/** @typedef {import("./lead.js").Lead} Lead */
/** @typedef {"conversation" | "timeline"} View */

/**
 * @typedef {object} HeaderState
 * @property {boolean} known whether anything is known of the case yet
 * @property {string} patient
 * @property {boolean | null} online null: not known
 * @property {string} status
 * @property {Lead} lead
 * @property {string | null} waitingSince
 * @property {string | null} escalation
 * @property {boolean} writing whether the assistant is answering now
 * @property {boolean} busy whether a takeover or release is on its way
 */

export class CaseHeader {
  #avatar = h("span", { class: "avatar patient", "aria-hidden": "true" });
  #name = h("bdi", {});
  #title = h("h1", { tabindex: -1 }, this.#name);
  #online = h("span", { class: "presence" });
  #lead = h("p", { class: "lead-words" });
  #since = h("span", { class: "lead-since" });
  #state = /** @type {HeaderState | null} */ (null);
  #options;

  /**
   * @param {object} options
   * @param {HTMLElement} options.viewers
   * @param {() => number} options.now
   * @param {() => void} options.onBack
   * @param {() => void} options.onAccept
   * @param {() => void} options.onRelease
   * @param {() => void} options.onStop
   * @param {(status: string) => void} options.onStatus
   * @param {(view: View) => void} options.onView
   * @param {() => void} options.onSummary
   */
  constructor(options) {
    this.#options = options;
    this.#accept = h(
      "button",
      { class: "button primary", type: "button", "aria-keyshortcuts": "a", onclick: options.onAccept },
      "Accept",
      h("kbd", { "aria-hidden": "true" }, "a"),
    );
    this.#release = h("button", { class: "button", type: "button", onclick: options.onRelease }, "Release…");
    this.#stop = h(
      "button",
      { class: "button", type: "button", "aria-keyshortcuts": "x", onclick: options.onStop },
      icon("stop"),
      "Stop the answer",
    );
    this.#status = new ChoiceMenu({
      name: "Status",
      choices: STATUSES.map(([id, label]) => ({ id, label })),
      onChoose: options.onStatus,
    });
    this.#views = {
      conversation: this.#view("conversation", "Conversation"),
      timeline: this.#view("timeline", "Timeline"),
    };
    this.#summary = h(
      "button",
      {
        class: "button quiet icon-only",
        type: "button",
        "aria-label": "Summary",
        "aria-controls": "summary",
        title: "Summary (i)",
        onclick: options.onSummary,
      },
      icon("panel"),
    );
    this.element = h(
      "header",
      { class: "case-head" },
      h(
        "div",
        { class: "case-bar" },
        h(
          "button",
          { class: "button quiet icon-only back", type: "button", "aria-label": "Back to the desk", onclick: options.onBack },
          icon("back"),
        ),
        this.#avatar,
        h("div", { class: "who" }, this.#title, h("div", { class: "who-more" }, this.#online, this.#status.element)),
        options.viewers,
        h(
          "div",
          {
            class: "tabs views",
            role: "tablist",
            "aria-label": "View",
            onkeydown: (/** @type {KeyboardEvent} */ event) => this.#onViewKey(event),
          },
          this.#views.conversation,
          this.#views.timeline,
        ),
        this.#summary,
      ),
      this.#strip,
    );
    fill(
      this.#strip,
      this.#sign,
      h("div", { class: "lead-text" }, this.#lead, this.#since),
      h("div", { class: "lead-actions" }, this.#stop, this.#accept, this.#release),
    );
  }

  #accept;
  #release;
  #stop;
  #status;
  #views;
  #summary;
  #sign = h("span", { class: "lead-sign", "aria-hidden": "true" });
  #strip = h("section", { class: "lead", "aria-label": "Who leads this case" });

  /** @param {HeaderState} state */
  update(state) {
    const before = this.#state;
    this.#state = state;
    const { patient, online, status, lead, escalation, writing, busy } = state;
    if (before?.patient !== patient) {
      this.#name.textContent = patient;
      this.#avatar.textContent = initials(patient);
    }
    if (before?.online !== online) this.#showOnline(online);
    if (before?.status !== status) this.#status.update(status, sayStatus(status), status !== "archived");
    this.#strip.hidden = !state.known;
    this.#status.element.hidden = !state.known;
    this.#strip.dataset.tone = lead.tone;
    if (before?.lead.tone !== lead.tone) fill(this.#sign, icon(SIGNS[lead.tone]));
    setText(this.#lead, writing && lead.tone === "ai" ? `The assistant is answering ${patient}` : lead.words);
    this.#lead.title = lead.accept && escalation !== null ? sayTrigger(escalation) : "";
    this.#accept.hidden = !lead.accept;
    this.#release.hidden = !lead.release;
    this.#stop.hidden = !writing;
    for (const button of [this.#accept, this.#release]) button.toggleAttribute("disabled", busy);
    this.tick();
  }

  /** Let the wait count. */
  tick() {
    const { lead, waitingSince, escalation } = this.#state ?? {};
    const waits = (lead?.tone === "waiting" || lead?.tone === "emergency") && waitingSince;
    const wait = waits ? `${writeWait(elapsed(waitingSince, this.#options.now()))} · ${sayTrigger(escalation)}` : "";
    setText(this.#since, wait);
  }

  /** @param {View} view */
  showView(view) {
    for (const [name, tab] of Object.entries(this.#views)) {
      tab.setAttribute("aria-selected", String(name === view));
      tab.setAttribute("tabindex", name === view ? "0" : "-1");
    }
  }

  /** @param {boolean} open */
  showSummary(open) {
    this.#summary.setAttribute("aria-expanded", String(open));
  }

  /** @returns {boolean} */
  openStatus() {
    return this.#status.open();
  }

  focus() {
    this.#title.focus();
  }

  /** @param {boolean | null} online */
  #showOnline(online) {
    this.#online.dataset.online = String(online);
    fill(this.#online, online === null ? "" : online ? "Online" : "Not online");
  }

  /**
   * @param {View} view
   * @param {string} label
   * @returns {HTMLElement}
   */
  #view(view, label) {
    return h(
      "button",
      {
        class: "tab",
        type: "button",
        role: "tab",
        id: `view-${view}`,
        "aria-controls": `panel-${view}`,
        onclick: () => this.#options.onView(view),
      },
      icon(view === "timeline" ? "clock" : "chat"),
      h("span", { class: "wide" }, label),
    );
  }

  /** @param {KeyboardEvent} event */
  #onViewKey(event) {
    if (!["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const other = this.#views.timeline.getAttribute("aria-selected") === "true" ? "conversation" : "timeline";
    this.#options.onView(other);
    this.#views[other].focus();
  }
}

/** @type {Record<Lead["tone"], import("../dom.js").IconName>} */
const SIGNS = { ai: "sparkle", waiting: "clock", emergency: "alert", mine: "person", other: "person", shut: "archive" };

/**
 * @param {Element} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
