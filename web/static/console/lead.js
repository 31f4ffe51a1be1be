/**
 * Who leads a case, and what whoever looks at it may therefore do.
 * @module
 */

/**
 * @typedef {object} Standing
 * @property {"ai" | "waiting" | "human"} control
 * @property {string} status
 * @property {string | null} owner
 * @property {boolean} mine
 * @property {boolean} supervisor
 * @property {boolean} emergency
 * @property {string | null} escalation the trigger
 */

/**
 * @typedef {object} Lead
 * @property {"ai" | "waiting" | "emergency" | "mine" | "other" | "shut"} tone
 * @property {string} words
 * @property {boolean} accept
 * @property {boolean} release
 * @property {boolean} shut
 * @property {string} hint for whoever writes to the patient
 */

/**
 * @param {Standing} standing
 * @param {string} patient
 * @returns {Lead}
 */
export function leadOf({ control, status, owner, mine, supervisor, emergency }, patient) {
  const nothing = { accept: false, release: false, shut: false, hint: "" };
  if (status === "archived") {
    return { ...nothing, tone: "shut", words: "This case is archived. Nothing can be added to it.", shut: true };
  }
  if (status === "closed") {
    const words = "This case is closed. Notes can be added; set another status to open it again.";
    return { ...nothing, tone: "shut", words, shut: true };
  }
  if (control === "human") {
    const words = mine ? "You lead this case" : `${owner ?? "A colleague"} leads this case`;
    const hint = mine ? "" : `${owner ?? "A colleague"} leads this case`;
    return { ...nothing, tone: mine ? "mine" : "other", words, release: mine || supervisor, hint };
  }
  const hint = "The assistant also answers until you accept";
  if (control === "waiting") {
    const words = emergency ? `${patient} may be in an emergency` : `${patient} waits for a person`;
    return { ...nothing, tone: emergency ? "emergency" : "waiting", words, accept: true, hint };
  }
  return { ...nothing, tone: "ai", words: `The assistant is with ${patient}`, accept: true, hint };
}
