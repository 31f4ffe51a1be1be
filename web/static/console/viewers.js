/**
 * Who else looks at a case, and who of them is writing.
 * @module
 */

import { fill, h } from "../dom.js";
import { initials } from "../initials.js";

/** @typedef {{ id: string, name: string }} Viewer */
/** @typedef {{ name: string, in?: string }} Writer */

const FORGOTTEN_MS = 6_000;
const MOST = 4;

export class Viewers {
  /** @type {Viewer[]} */
  #others = [];
  /** @type {Map<string, { where: string, timer: number }>} by name */
  #writing = new Map();
  #avatars = h("div", { class: "viewer-avatars", "aria-hidden": "true" });
  #words = h("span", { class: "spoken", role: "status" });
  #writer = h("span", { class: "writer", "aria-hidden": "true" });
  element = h("div", { class: "viewers" }, this.#writer, this.#avatars, this.#words);

  /**
   * @param {Viewer[]} viewers
   * @param {string | null} me
   */
  update(viewers, me) {
    this.#others = viewers.filter((viewer) => viewer.id !== me);
    this.#draw();
  }

  /**
   * A colleague begins or ends to write; forgotten by itself.
   * @param {string} name
   * @param {boolean} on
   * @param {string} where `message` or `note`
   */
  writes(name, on, where) {
    clearTimeout(this.#writing.get(name)?.timer);
    this.#writing.delete(name);
    if (on) {
      const timer = window.setTimeout(() => this.writes(name, false, where), FORGOTTEN_MS);
      this.#writing.set(name, { where, timer });
    }
    this.#draw();
  }

  stop() {
    for (const { timer } of this.#writing.values()) clearTimeout(timer);
  }

  #draw() {
    const names = this.#others.map((viewer) => viewer.name);
    const [writer] = this.#writing;
    const does = writer === undefined ? "" : `${writer[0]} writes a ${writer[1].where === "note" ? "note" : "reply"}…`;
    this.#avatars.title = names.join(", ");
    fill(
      this.#avatars,
      this.#others.slice(0, MOST).map(({ name }) =>
        h("span", { class: this.#writing.has(name) ? "avatar staff writes" : "avatar staff", title: name }, initials(name)),
      ),
      names.length > MOST ? h("span", { class: "avatar" }, `+${names.length - MOST}`) : null,
    );
    fill(this.#writer, does);
    const words = [names.length > 0 ? `${listed(names)} also ${names.length > 1 ? "look" : "looks"} at this case.` : "", does];
    const said = words.filter(Boolean).join(" ");
    if (this.#words.textContent !== said) fill(this.#words, said);
  }
}

/**
 * @param {string[]} names
 * @returns {string}
 */
function listed(names) {
  return new Intl.ListFormat("en", { type: "conjunction" }).format(names);
}
