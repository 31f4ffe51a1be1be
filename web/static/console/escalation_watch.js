/**
 * Which cases newly need a person, as the desk changes.
 *
 * Nothing is news at the first look: whoever opens the console sees the list. After that a case is
 * news when it begins to wait, when its wait becomes an emergency, and again while nobody comes:
 * after five minutes, and then ever more rarely, as the hub itself reminds.
 * @module
 */

import { isEmergency } from "./desk_groups.js";

/** @typedef {import("./desk_groups.js").DeskCase} DeskCase */
/** @typedef {{ case: DeskCase, emergency: boolean, reminder: boolean }} Alert */

const FIRST_REMINDER_MS = 5 * 60_000;
const LONGEST = 12;

/**
 * How many reminders are due after a wait of `ms`: one after 5 minutes, the next after 10 more, 20
 * more, 40 more, and then one each hour.
 * @param {number} ms
 * @returns {number}
 */
export function remindersAfter(ms) {
  let due = 0;
  let at = FIRST_REMINDER_MS;
  while (at <= ms) {
    due += 1;
    at += FIRST_REMINDER_MS * Math.min(2 ** due, LONGEST);
  }
  return due;
}

export class EscalationWatch {
  /** @type {Map<string, { since: string, emergency: boolean, told: number }> | null} */
  #known = null;

  /**
   * Take the desk as it is now, and give what is news of it.
   * @param {readonly DeskCase[]} cases
   * @param {number} now
   * @returns {Alert[]}
   */
  look(cases, now) {
    const before = this.#known;
    const known = new Map();
    /** @type {Alert[]} */
    const alerts = [];
    for (const one of cases) {
      if (one.control !== "waiting") continue;
      const since = one.waiting_since ?? "";
      const emergency = isEmergency(one);
      const told = remindersAfter(Math.max(0, now - (Date.parse(since) || now)));
      known.set(one.case, { since, emergency, told });
      if (before === null) continue;
      const last = before.get(one.case);
      if (last === undefined || last.since !== since || (emergency && !last.emergency)) {
        alerts.push({ case: one, emergency, reminder: false });
      } else if (told > last.told) {
        alerts.push({ case: one, emergency, reminder: true });
      }
    }
    this.#known = known;
    return alerts;
  }
}

/**
 * Say an alert in one sentence.
 * @param {Alert} alert
 * @returns {string}
 */
export function sayAlert({ case: one, emergency, reminder }) {
  if (reminder) return `${one.patient} is still waiting for a person.`;
  if (emergency) return `Emergency: ${one.patient} needs a person now.`;
  return `${one.patient} is waiting for a person.`;
}

/**
 * The title of the page: how many wait, then what is open.
 * @param {number} waiting
 * @param {string | null} patient
 * @returns {string}
 */
export function writeTitle(waiting, patient) {
  const name = patient === null ? "Curaway desk" : `${patient} · Curaway desk`;
  return waiting > 0 ? `(${waiting}) ${name}` : name;
}
