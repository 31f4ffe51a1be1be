/**
 * How events look in the thread that only staff see, or see more of than patients do.
 * @module
 */

import { h, icon } from "../dom.js";
import { sayActor, sayControl, sayEscalation, sayReason, sayStatus } from "./case_words.js";
import { writeClock, writeFull } from "./times.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {HubEvent & { pending?: string }} Shown a note that waits to be sent has no `seq` yet */

/**
 * @param {() => string | null} me
 * @returns {Record<string, (event: Shown) => Element | null>}
 */
export function staffEntries(me) {
  return {
    note: (event) => note(event, me()),
    escalation: (event) => escalation(event),
    control: (event) => control(event, me()),
    status: (event) =>
      line("archive", `${sayActor(event.actor, me())} set the status to ${sayStatus(event.data.to)}`, event),
  };
}

/**
 * @param {Shown} event
 * @param {string | null} me
 * @returns {Element}
 */
function note(event, me) {
  const who = sayActor(event.actor, me);
  return h(
    "article",
    { class: "note-slip", "aria-label": `Internal note of ${who}`, "data-pending": event.pending ?? null },
    h(
      "header",
      {},
      icon("note"),
      h("strong", { class: "note-label" }, "Internal note"),
      h("span", { class: "note-by", dir: "auto" }, who),
      event.pending === undefined ? time(event) : null,
    ),
    h("p", { class: "note-text", dir: "auto" }, event.data.text),
  );
}

/**
 * @param {HubEvent} event
 * @returns {Element}
 */
function escalation(event) {
  const { trigger, reason, reminder } = event.data;
  const emergency = trigger === "red_flag" && !reminder;
  return h(
    "div",
    { class: "staff-card", "data-tone": emergency ? "danger" : "warn" },
    icon(emergency ? "alert" : "bell"),
    h(
      "div",
      {},
      h("p", {}, h("strong", {}, emergency ? "Emergency: " : ""), sayEscalation(event)),
      reason && !reminder && trigger !== "phrase" ? h("p", { class: "hint", dir: "auto" }, sayReason(reason)) : null,
    ),
    time(event),
  );
}

/**
 * @param {HubEvent} event
 * @param {string | null} me
 * @returns {Element | null}
 */
function control(event, me) {
  const { brief, control: to, reason } = event.data;
  // The escalation beside it says so, and why.
  if (reason === "escalated" || reason === "owner_away") return null;
  const words = sayControl(event, me);
  if (!brief) return line(to === "human" ? "person" : to === "ai" ? "sparkle" : "clock", words, event, to);
  return h(
    "div",
    { class: "staff-card", "data-tone": to },
    icon(to === "ai" ? "sparkle" : "clock"),
    h(
      "div",
      {},
      h("p", {}, words),
      h("p", { class: "brief", dir: "auto" }, h("span", { class: "brief-label" }, "Brief"), " ", brief),
    ),
    time(event),
  );
}

/**
 * @param {import("../dom.js").IconName} sign
 * @param {string} words
 * @param {HubEvent} event
 * @param {string} [tone]
 * @returns {Element}
 */
function line(sign, words, event, tone = "") {
  return h("div", { class: "staff-line", "data-tone": tone }, icon(sign), h("span", { dir: "auto" }, words), time(event));
}

/**
 * @param {HubEvent} event
 * @returns {Element}
 */
function time({ at }) {
  return h("time", { datetime: at, title: writeFull(at) }, writeClock(at));
}
