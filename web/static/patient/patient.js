/**
 * Starts the page of a patient.
 * @module
 */
import { session } from "../session.js";
import { speak } from "../text.js";
import { wearTheme } from "../theme.js";
import { PatientPage } from "./page.js";

const place = /** @type {HTMLElement} */ (document.getElementById("app"));
const room = caseOf(location.pathname);

wearTheme();
// The parts of the page name themselves in the reader's language as they are made.
await speak();
new PatientPage(place, room, session()).start();

/**
 * @param {string} path
 * @returns {string}
 */
function caseOf(path) {
  const name = path.split("/")[2] ?? "";
  try {
    return decodeURIComponent(name);
  } catch {
    // What is written wrongly names no case, and the hub says so.
    return name;
  }
}
