/** Typed handlers: one for each thing that a front end shows. */

/** @typedef {import("./frames.js").HubEvent} HubEvent */

/**
 * Each is called with what has happened and the whole event, once and in order.
 *
 * @typedef {object} Handlers
 * @property {(data: import("./frames.js").MessageData, event: HubEvent) => void} [onMessage]
 * @property {(data: import("./frames.js").DocumentData, event: HubEvent) => void} [onDocumentUpdate]
 * @property {(data: import("./frames.js").EHRData, event: HubEvent) => void} [onEHRUpdate]
 * @property {(data: import("./frames.js").IntakeData, event: HubEvent) => void} [onIntakeProgress]
 * @property {(data: import("./frames.js").MatchData, event: HubEvent) => void} [onMatchProgress]
 * @property {(data: import("./frames.js").AgentResponse, event: HubEvent) => void} [onAgentResponse]
 *   whatever was said to the patient: by the AI, a coordinator or the system
 */

/** @type {Record<string, keyof Handlers>} */
const OF_KIND = {
  message: "onMessage",
  document: "onDocumentUpdate",
  ehr: "onEHRUpdate",
  intake: "onIntakeProgress",
  match: "onMatchProgress",
};

/**
 * @param {Handlers} handlers
 * @param {HubEvent} event
 * @returns {Array<() => void>} the calls that are to be made
 */
export function callsFor(handlers, event) {
  /** @type {Array<() => void>} */
  const calls = [];
  const handler = /** @type {((data: any, event: HubEvent) => void) | undefined} */ (
    handlers[OF_KIND[event.kind]]
  );
  if (handler !== undefined) calls.push(() => handler(event.data, event));
  const { onAgentResponse } = handlers;
  if (onAgentResponse !== undefined && event.kind === "message" && toPatient(event)) {
    calls.push(() => onAgentResponse(responseOf(event), event));
  }
  return calls;
}

/** @param {HubEvent} event */
function toPatient(event) {
  return event.data.sender_type !== "patient";
}

/**
 * @param {HubEvent} event
 * @returns {import("./frames.js").AgentResponse}
 */
function responseOf({ data, actor }) {
  const { text, sender_type, message_id, state, cards = [], attachments = [] } = data;
  const sender_name = actor.name ?? null;
  return { text, sender_type, sender_name, message_id, state, cards, attachments };
}
