/**
 * The two tabs that say who reads what is written.
 * @module
 */

import { h, icon } from "../dom.js";

/** @typedef {import("./drafts.js").Mode} Mode */

/** @type {[Mode, string, string, import("../dom.js").IconName][]} */
const TABS = [
  ["reply", "Reply", "r", "send"],
  ["note", "Internal note", "n", "note"],
];

export class ModeTabs {
  /** @type {Map<Mode, HTMLElement>} */
  #tabs;

  /**
   * @param {object} options
   * @param {string} options.panel the id of what they change
   * @param {(mode: Mode) => void} options.onChoose by a click
   * @param {() => void} options.onArrow by an arrow, to the other one
   */
  constructor({ panel, onChoose, onArrow }) {
    this.#tabs = new Map(
      TABS.map(([mode, label, key, sign]) => [
        mode,
        h(
          "button",
          {
            class: `tab ${mode}-tab`,
            type: "button",
            role: "tab",
            id: `tab-${mode}`,
            "aria-controls": panel,
            "aria-keyshortcuts": key,
            onclick: () => onChoose(mode),
          },
          icon(sign),
          label,
          h("kbd", { "aria-hidden": "true" }, key),
        ),
      ]),
    );
    this.element = h(
      "div",
      {
        class: "tabs",
        role: "tablist",
        "aria-label": "Who reads it",
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (!["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
          event.preventDefault();
          onArrow();
        },
      },
      ...this.#tabs.values(),
    );
  }

  /** @param {Mode} chosen */
  select(chosen) {
    for (const [mode, tab] of this.#tabs) {
      tab.setAttribute("aria-selected", String(mode === chosen));
      tab.setAttribute("tabindex", mode === chosen ? "0" : "-1");
    }
  }

  /**
   * Show that something unsent waits behind a tab.
   * @param {Mode} mode
   * @param {boolean} waits
   */
  markDraft(mode, waits) {
    const tab = this.#tabs.get(mode);
    tab?.toggleAttribute("data-draft", waits);
    if (tab !== undefined) tab.title = waits ? "Something is not sent yet" : "";
  }

  /** @param {Mode} mode */
  focus(mode) {
    this.#tabs.get(mode)?.focus();
  }
}
