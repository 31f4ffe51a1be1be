/**
 * One entry of the timeline, and on which channel an event stands there.
 * @module
 */

import { h, icon } from "../dom.js";
import { sayActor, sayChannel } from "./case_words.js";
import { writeDuration, writeFull, writeMoment } from "./times.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {{ channel: string, event: HubEvent }} Entry */

export const CHANNELS = ["chat", "phone_call", "whatsapp", "sms", "email", "internal_note"];

/** @type {Record<string, import("../dom.js").IconName>} */
const ICONS = { chat: "chat", phone_call: "phone", whatsapp: "chat", sms: "chat", email: "mail", internal_note: "note" };

/**
 * Name the channel of an event, as the hub does; null: it is not in the timeline.
 * @param {HubEvent} event
 * @returns {string | null}
 */
export function channelOf({ kind, data }) {
  if (kind === "note") return "internal_note";
  if (kind === "call") return "phone_call";
  if (kind !== "message") return null;
  return data.source === "phone" ? "phone_call" : data.source;
}

/**
 * @param {Entry} entry
 * @param {string | null} me
 * @returns {HTMLElement}
 */
export function timelineEntry({ channel, event }, me) {
  const { at, actor, data, kind } = event;
  const call = kind === "call";
  const who = call ? (data.direction === "inbound" ? "Call from the patient" : "Call to the patient") : sayActor(actor, me);
  const text = call ? (data.summary ?? data.text ?? "") : data.text;
  const sender = kind === "message" ? data.sender_type : "";
  return h(
    "li",
    { class: "timeline-entry", "data-channel": channel, "data-from": sender },
    h("span", { class: "timeline-icon" }, icon(ICONS[channel] ?? "chat")),
    h(
      "div",
      { class: "timeline-body" },
      h(
        "p",
        { class: "timeline-head" },
        h("strong", { dir: "auto" }, who),
        h("span", { class: channel === "internal_note" ? "badge note" : "badge" }, sayChannel(channel)),
        call && data.duration_s !== undefined ? h("span", { class: "hint" }, writeDuration(data.duration_s)) : null,
        h("time", { datetime: at, title: writeFull(at) }, writeMoment(at, Date.now())),
      ),
      h("p", { class: "timeline-text", dir: "auto" }, text),
    ),
  );
}
