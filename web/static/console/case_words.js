/**
 * How a case stands, in words of the team.
 * @module
 */

import { t, tame } from "../text.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */

/** @type {[string, string][]} */
export const STATUSES = [
  ["intake", "Intake"],
  ["active", "Active"],
  ["on_hold", "On hold"],
  ["closed", "Closed"],
  ["archived", "Archived"],
];

/** @type {Record<string, string>} */
const TRIGGERS = {
  phrase: "The patient asked for a person",
  button: "The patient asked for a person",
  model: "The assistant asked for a person",
  red_flag: "Words that may mean an emergency",
  owner_away: "The coordinator has lost the connection",
  released: "Given to the queue",
};

/** @type {Record<string, string>} */
const CHANNELS = {
  chat: "Chat",
  phone_call: "Call",
  whatsapp: "WhatsApp",
  sms: "SMS",
  email: "E-mail",
  internal_note: "Note",
};

/** @type {Partial<Record<import("../text.js").Key, string>>} */
const OF_STAFF = {
  patient_asked: "A person was asked for",
  agreed: "Consent given: {purpose}",
  withdrew: "Consent taken back: {purpose}",
  document_processing: "Being read",
  document_failed: "It could not be read",
  record: "Health record",
  record_new: "Added to the health record",
  match_searching: "Hospitals are being looked for",
  match_searching_for: "Hospitals are being looked for: {procedure}",
  match_found: "Hospitals that may suit",
  match_failed: "No hospital was found",
  consent: "Consent",
  consent_given: "Agreed",
  consent_not_given: "Not agreed",
  pending_offline: "Is sent when the connection is back",
  lost: "Ask the assistant again",
  why_closed: "The case is closed.",
  why_forbidden: "You may not do this here.",
  why_rate_limited: "That was very fast. Wait a moment.",
  why_other: "Something went wrong in the hub.",
};

/** The words of the shared thread, as the team says them. @type {import("../text.js").Translate} */
export function staffWords(key, vars = {}) {
  const own = OF_STAFF[key];
  if (own === undefined) return t(key, vars);
  return own.replace(/\{(\w+)\}/g, (whole, name) => tame(String(vars[name] ?? whole)));
}

/**
 * @param {string} status
 * @returns {string}
 */
export function sayStatus(status) {
  return STATUSES.find(([id]) => id === status)?.[1] ?? status;
}

/**
 * @param {string | null | undefined} trigger
 * @returns {string}
 */
export function sayTrigger(trigger) {
  return TRIGGERS[trigger ?? ""] ?? "A person was asked for";
}

/**
 * The reason of an escalation; of an emergency the words themselves, which the title has named.
 * @param {string} reason
 * @returns {string}
 */
export function sayReason(reason) {
  return reason.replace(/^red flag: (.*)$/, "“$1”");
}

/**
 * @param {string} channel
 * @returns {string}
 */
export function sayChannel(channel) {
  return CHANNELS[channel] ?? channel;
}

/**
 * Say in one line what a change of control was.
 * @param {HubEvent} event of the kind `control`
 * @param {string | null} me
 * @returns {string}
 */
export function sayControl({ actor, data }, me) {
  const who = actor.id !== undefined && actor.id === me ? "You" : (actor.name ?? "Somebody");
  switch (data.reason) {
    case "accepted":
      return `${who} accepted the case`;
    case "released":
      return `${who} released the case to ${data.control === "ai" ? "the assistant" : "the queue"}`;
    case "owner_away":
      return "The case is back in the queue: its coordinator has lost the connection";
    default:
      return "The case waits for a person; the assistant goes on meanwhile";
  }
}

/**
 * Say in one line what an escalation was.
 * @param {HubEvent} event of the kind `escalation`
 * @returns {string}
 */
export function sayEscalation({ data, actor }) {
  if (data.reminder > 0) return `Reminder ${data.reminder}: nobody has accepted this case yet`;
  if (data.trigger === "button" && actor.type === "coordinator") {
    return `${actor.name ?? "A colleague"} asked for a person`;
  }
  return sayTrigger(data.trigger);
}

/**
 * @param {{ type: string, name?: string, id?: string }} actor
 * @param {string | null} me
 * @returns {string}
 */
export function sayActor({ type, name, id }, me) {
  if (id !== undefined && id === me) return "You";
  if (type === "ai") return "Assistant";
  return tame(name ?? (type === "patient" ? "Patient" : "Curaway"));
}
