/**
 * Which cases newly need a person, as the desk changes.
 *
 * Nothing is news at the first look: whoever opens the console sees the list. After that a case is
 * news when it begins to wait, when its wait becomes an emergency, and whenever the hub reminds of it
 * because nobody has come.
 * @module
 */

import { isEmergency } from "./desk_groups.js";

/** @typedef {import("./desk_groups.js").DeskCase} DeskCase */
/** @typedef {{ case: DeskCase, emergency: boolean, reminder: boolean }} Alert */

export class EscalationWatch {
  /** @type {Map<string, { since: string, emergency: boolean, reminders: number }> | null} */
  #known = null;

  /**
   * Take the desk as it is now, and give what is news of it.
   * @param {readonly DeskCase[]} cases
   * @returns {Alert[]}
   */
  look(cases) {
    const before = this.#known;
    const known = new Map();
    /** @type {Alert[]} */
    const alerts = [];
    for (const one of cases) {
      if (one.control !== "waiting") continue;
      const since = one.waiting_since ?? "";
      const emergency = isEmergency(one);
      const { reminders } = one;
      known.set(one.case, { since, emergency, reminders });
      if (before === null) continue;
      const last = before.get(one.case);
      if (last === undefined || last.since !== since || (emergency && !last.emergency)) {
        alerts.push({ case: one, emergency, reminder: false });
      } else if (reminders > last.reminders) {
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
