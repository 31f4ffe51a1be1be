/**
 * One case on the desk: a link whose parts change in place, so that focus and hover stay.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { isEmergency } from "./desk_groups.js";
import { initials } from "../initials.js";
import { writeWhen } from "./times.js";
import { elapsed, plural, sayWait, writeWait } from "./waiting_time.js";

/** @typedef {import("../client/frames.js").DeskCase} DeskCase */

export class DeskRow {
  #avatar = h("span", { class: "avatar patient", "aria-hidden": "true" });
  #name = h("bdi", {});
  #when = h("span", { class: "when" });
  #preview = h("span", { class: "preview", dir: "auto" });
  #marks = h("span", { class: "marks" });
  #waited = h("span", { class: "waited" });
  #urgent = h("span", { class: "urgent", "aria-hidden": "true", hidden: true }, h("span", { class: "badge danger" }, icon("alert"), "Emergency"));
  /** All of it in one sentence: what is drawn is for the eye alone. */
  #words = h("span", { class: "spoken" });
  #shown = "";
  #unsent = false;
  /** When the times were written last. */
  #minute = 0;
  /** @type {DeskCase} */
  case;

  /**
   * @param {DeskCase} one
   * @param {string} href
   */
  constructor(one, href) {
    this.case = one;
    this.link = h(
      "a",
      { class: "desk-row", href, tabindex: -1, "data-case": one.case },
      this.#words,
      this.#avatar,
      h("span", { class: "top", "aria-hidden": "true" }, h("span", { class: "name" }, this.#name), this.#when),
      h("span", { class: "bottom", "aria-hidden": "true" }, this.#preview, this.#marks),
      this.#urgent,
    );
    this.element = h("li", {}, this.link);
  }

  /**
   * Show the newest state; what is the same is not touched.
   * @param {DeskCase} one
   * @param {{ me: string | null, unsent: boolean, now: number }} look `unsent`: something written here has not arrived
   */
  update(one, { me, unsent, now }) {
    this.case = one;
    const state = JSON.stringify([one, me, unsent]);
    if (state !== this.#shown) {
      this.#shown = state;
      this.#minute = 0;
      this.#unsent = unsent;
      this.#draw(one, me);
    }
    this.tick(now);
  }

  /** @param {number} now */
  tick(now) {
    const { waiting_since: since, last_message_at: last } = this.case;
    if (since !== null) setText(this.#waited, writeWait(elapsed(since, now)));
    const minute = Math.floor(now / 1_000 / (since === null ? 60 : 5));
    if (minute === this.#minute) return;
    this.#minute = minute;
    if (since === null) setText(this.#when, last === null ? "" : writeWhen(last, now));
    setText(this.#words, describe(this.case, now) + (this.#unsent ? ", not everything is sent" : ""));
  }

  /**
   * @param {DeskCase} one
   * @param {string | null} me
   */
  #draw(one, me) {
    const emergency = isEmergency(one);
    this.link.dataset.control = one.control;
    this.link.toggleAttribute("data-emergency", emergency && one.control === "waiting");
    this.link.toggleAttribute("data-unread", one.unread > 0);
    this.#urgent.hidden = !emergency;
    this.#name.textContent = one.patient;
    this.#avatar.textContent = initials(one.patient);
    this.#preview.textContent = one.preview.replace(/\s+/g, " ") || "No message yet";
    if (one.waiting_since !== null) {
      fill(
        this.#when,
        h("span", { class: "badge wait" }, icon("clock"), this.#waited),
      );
    }
    const other = one.control === "human" && one.owner_id !== me ? one.owner : null;
    fill(
      this.#marks,
      this.#unsent ? h("span", { class: "badge warn" }, "Not sent") : null,
      other === null ? null : h("span", { class: "badge staff", dir: "auto" }, other),
      one.control === "ai" ? h("span", { class: "badge ai" }, "AI") : null,
      one.unread > 0 ? h("span", { class: "badge count" }, one.unread > 99 ? "99+" : one.unread) : null,
    );
  }
}

/**
 * Say a row in one sentence, the name first.
 * @param {DeskCase} one
 * @param {number} now
 * @returns {string}
 */
export function describe(one, now) {
  const parts = [one.patient];
  if (isEmergency(one)) parts.push("emergency");
  if (one.waiting_since !== null) {
    parts.push(`waiting for ${sayWait(elapsed(one.waiting_since, now))}`);
  } else if (one.control === "human") parts.push(`with ${one.owner ?? "a colleague"}`);
  else if (one.control === "ai") parts.push("with the assistant");
  if (one.unread > 0) parts.push(`${plural(one.unread, "message")} unread`);
  if (one.preview !== "") parts.push(one.preview.replace(/\s+/g, " "));
  return parts.join(", ");
}

/**
 * @param {Element} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
