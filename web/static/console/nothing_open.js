/**
 * What stands beside the desk while no case is open.
 * @module
 */

import { h, icon } from "../dom.js";

/** @type {[key: string, does: string][]} */
const KEYS = [
  ["j", "next"],
  ["k", "previous"],
  ["Enter", "open"],
  ["/", "search"],
  ["?", "all keys"],
];

/** @returns {HTMLElement} */
export function nothingOpen() {
  return h(
    "div",
    { class: "nothing-open" },
    h("span", { class: "gate-sign", "aria-hidden": "true" }, icon("chat")),
    h("h1", {}, "Choose a case"),
    h("p", { class: "hint" }, "Those who wait for a person stand at the top of the desk."),
    h(
      "ul",
      { class: "few-keys" },
      KEYS.map(([key, does]) => h("li", {}, h("kbd", {}, key), h("span", {}, does))),
    ),
  );
}
