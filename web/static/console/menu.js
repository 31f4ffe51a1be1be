/**
 * A button that opens a menu of choices, one of which holds.
 * @module
 */

import { fill, h } from "../dom.js";

/**
 * @typedef {object} Choice
 * @property {string} id
 * @property {string} label
 */

let made = 0;

export class ChoiceMenu {
  #button;
  #list;
  /** @type {Choice[]} */
  #choices;
  #onChoose;

  /**
   * @param {object} options
   * @param {string} options.name of what is chosen
   * @param {Choice[]} options.choices
   * @param {(id: string) => void} options.onChoose
   */
  constructor({ name, choices, onChoose }) {
    this.#choices = choices;
    this.#onChoose = onChoose;
    const id = `menu-${(made += 1)}`;
    this.#button = h(
      "button",
      {
        class: "button quiet menu-button",
        type: "button",
        "aria-haspopup": "menu",
        "aria-expanded": "false",
        "aria-controls": id,
        onclick: () => (this.#list.matches(":popover-open") ? this.#list.hidePopover() : this.open()),
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key !== "ArrowDown") return;
          event.preventDefault();
          this.open();
        },
      },
      name,
    );
    this.#list = h("div", {
      class: "menu panel",
      id,
      role: "menu",
      "aria-label": name,
      popover: "auto",
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#move(event),
      ontoggle: (/** @type {ToggleEvent} */ event) => {
        this.#button.setAttribute("aria-expanded", String(event.newState === "open"));
      },
    });
    this.element = h("div", { class: "menu-anchor" }, this.#button, this.#list);
  }

  /**
   * @param {string} chosen
   * @param {string} text of the button
   * @param {boolean} enabled
   */
  update(chosen, text, enabled) {
    fill(this.#button, h("span", {}, text), h("span", { class: "caret", "aria-hidden": "true" }));
    this.#button.toggleAttribute("disabled", !enabled);
    fill(
      this.#list,
      this.#choices.map(({ id, label }) =>
        h(
          "button",
          {
            class: "menu-item",
            type: "button",
            role: "menuitemradio",
            "aria-checked": String(id === chosen),
            tabindex: -1,
            onclick: () => {
              this.#list.hidePopover();
              this.#button.focus();
              if (id !== chosen) this.#onChoose(id);
            },
          },
          label,
        ),
      ),
    );
  }

  /** @returns {boolean} whether it could be opened */
  open() {
    if (this.#button.hasAttribute("disabled") || !this.#button.isConnected) return false;
    const box = this.#button.getBoundingClientRect();
    this.#list.style.setProperty("--x", `${box.left}px`);
    this.#list.style.setProperty("--y", `${box.bottom + 4}px`);
    this.#list.showPopover();
    const chosen = this.#list.querySelector('[aria-checked="true"]') ?? this.#list.firstChild;
    if (chosen instanceof HTMLElement) chosen.focus();
    return true;
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const items = /** @type {HTMLElement[]} */ ([...this.#list.children]);
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape") this.#button.focus();
    if (to === undefined) return;
    event.preventDefault();
    items.at(to % items.length)?.focus();
  }
}
