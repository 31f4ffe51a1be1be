/**
 * Starts the page of a patient.
 * @module
 */
import { session } from "../session.js";
import { speak } from "../text.js";
import { PatientPage } from "./page.js";
import { followTheme } from "./viewport.js";

const place = /** @type {HTMLElement} */ (document.getElementById("app"));
const room = decodeURIComponent(location.pathname.split("/")[2] ?? "");

followTheme();
// The parts of the page name themselves in the reader's language as they are made.
await speak();
new PatientPage(place, room, session()).start();
