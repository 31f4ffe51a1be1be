/**
 * What was written by others while somebody wrote a reply.
 * @module
 */

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */

const WORDS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"];

/**
 * Of these events, those that are messages of somebody else.
 * @param {readonly HubEvent[]} events
 * @param {string | null} me
 * @returns {HubEvent[]}
 */
export function messagesOfOthers(events, me) {
  return events.filter((event) => event.kind === "message" && event.actor.id !== me);
}

/**
 * "Two new messages since you began".
 * @param {number} count
 * @returns {string}
 */
export function sayMissed(count) {
  return `${WORDS[count] ?? count} new message${count === 1 ? "" : "s"} since you began`;
}
