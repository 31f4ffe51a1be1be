/**
 * Which key does what in the console.
 * @module
 */

/** @typedef {() => boolean | void} Action false: it does not apply now */
/**
 * @typedef {"next" | "previous" | "open" | "search" | "desk" | "openPrevious" | "openNext" | "accept"
 *   | "release" | "status" | "timeline" | "summary" | "stop" | "reply" | "note" | "canned" | "send"
 *   | "leave" | "keys"} ActionName
 */

/** @type {[group: string, keys: string, does: string, action: ActionName][]} */
const KEYS = [
  ["Desk", "j", "Next case on the desk", "next"],
  ["Desk", "k", "Previous case on the desk", "previous"],
  ["Desk", "Enter", "Open the case", "open"],
  ["Desk", "/", "Search", "search"],
  ["Desk", "g d", "Go to the desk", "desk"],
  ["Desk", "[", "Open the previous case", "openPrevious"],
  ["Desk", "]", "Open the next case", "openNext"],
  ["Case", "a", "Accept", "accept"],
  ["Case", "e", "Release…", "release"],
  ["Case", "s", "Set the status", "status"],
  ["Case", "t", "Timeline, and back", "timeline"],
  ["Case", "i", "Summary", "summary"],
  ["Case", "x", "Stop the assistant’s answer", "stop"],
  ["Write", "r", "Reply to the patient", "reply"],
  ["Write", "n", "Internal note", "note"],
  ["Write", ";", "Canned replies", "canned"],
  ["Write", "mod+/", "Canned replies, while you write", "canned"],
  ["Write", "mod+Enter", "Send the reply, or save the note", "send"],
  ["Write", "Escape", "Leave the field", "leave"],
  ["Help", "?", "Show these keys", "keys"],
];

/**
 * @param {import("./shortcuts.js").Shortcuts} shortcuts
 * @param {Record<ActionName, Action>} actions
 */
export function addShortcuts(shortcuts, actions) {
  for (const [group, keys, does, action] of KEYS) {
    shortcuts.add({ group, keys, does, run: actions[action] });
  }
}
