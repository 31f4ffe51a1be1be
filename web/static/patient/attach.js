/**
 * The ways by which files come: chosen, photographed, dropped.
 * @module
 */
import { h, icon } from "../dom.js";
import { t } from "../text.js";

/** Makes the button and its small menu. */
export class Attach {
  #take;
  #menu = h("div", { class: "attach-menu panel", id: "attach-menu", hidden: true });
  #button;

  /** @param {(files: File[]) => void} take */
  constructor(take) {
    this.#take = take;
    this.#button = h(
      "button",
      { type: "button", class: "button quiet icon-only", "aria-label": t("attach"), title: t("attach"), "aria-expanded": "false", "aria-controls": "attach-menu", onclick: () => this.#toggle() },
      icon("clip"),
    );
    this.#menu.append(this.#way("attach_photo", "camera", { accept: "image/*", capture: "environment" }), this.#way("attach_file", "document", { multiple: true }));
    this.element = h("div", { class: "attach" }, this.#button, this.#menu);
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#menu.hidden) return;
      event.stopPropagation();
      this.#toggle(false);
      this.#button.focus();
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Node && !this.element.contains(target)) this.#toggle(false);
    });
    this.element.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget instanceof Node && !this.element.contains(relatedTarget)) this.#toggle(false);
    });
  }

  element;

  /**
   * @param {"attach_file" | "attach_photo"} key
   * @param {import("../dom.js").IconName} drawn
   * @param {Record<string, unknown>} more
   */
  #way(key, drawn, more) {
    const input = /** @type {HTMLInputElement} */ (h("input", { type: "file", class: "spoken", tabindex: -1, "aria-label": t(key), dataset: { way: key }, ...more }));
    input.addEventListener("change", () => {
      this.#take([...(input.files ?? [])]);
      // The same file may be chosen again.
      input.value = "";
      this.#toggle(false);
    });
    const button = h("button", { type: "button", class: "button quiet", onclick: () => input.click() }, icon(drawn), t(key));
    return h("div", { class: key }, button, input);
  }

  /** @param {boolean} [open] */
  #toggle(open = Boolean(this.#menu.hidden)) {
    this.#menu.hidden = !open;
    this.#button.setAttribute("aria-expanded", String(open));
    if (open) this.#menu.querySelector("button")?.focus();
  }
}

/**
 * Take files that are dropped anywhere on the page.
 * @param {HTMLElement} page
 * @param {(files: File[]) => void} take
 */
export function acceptDrops(page, take) {
  const veil = h("div", { class: "drop", hidden: true }, icon("clip"), h("p", {}, t("drop_here")));
  page.append(veil);
  /** @param {DragEvent} event */
  const carries = (event) => event.dataTransfer?.types.includes("Files") ?? false;
  page.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  page.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!(relatedTarget instanceof Node) || !page.contains(relatedTarget)) veil.hidden = true;
  });
  page.addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!carries(event)) return;
    event.preventDefault();
    take([...(event.dataTransfer?.files ?? [])]);
  });
}
