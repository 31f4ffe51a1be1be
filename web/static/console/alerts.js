/**
 * What tells that somebody needs a person: a notice, a soft sound, the title of the tab.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { sayAlert } from "./escalation_watch.js";

/** @typedef {import("./escalation_watch.js").Alert} Alert */

const MOST = 3;

/** Two notes, as of a glass that is touched: heard, and not feared. */
export class Chime {
  /** @type {AudioContext | null} */
  #audio = null;

  /** Browsers let a page sound only after its first key or click. */
  constructor() {
    const unlock = () => {
      this.#audio ??= new AudioContext();
      void this.#audio.resume();
    };
    addEventListener("pointerdown", unlock, { once: true });
    addEventListener("keydown", unlock, { once: true });
  }

  /** @param {boolean} urgent */
  play(urgent) {
    const audio = this.#audio;
    if (audio === null || audio.state !== "running") return;
    const notes = urgent ? [659.3, 880, 659.3, 880] : [659.3, 880];
    notes.forEach((pitch, at) => tone(audio, pitch, audio.currentTime + at * 0.22));
  }
}

/**
 * @param {AudioContext} audio
 * @param {number} pitch
 * @param {number} at
 */
function tone(audio, pitch, at) {
  const voice = audio.createOscillator();
  const volume = audio.createGain();
  voice.type = "sine";
  voice.frequency.value = pitch;
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(0.12, at + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.9);
  voice.connect(volume).connect(audio.destination);
  voice.start(at);
  voice.stop(at + 1);
}

/** The notices, emergencies and the newest on top; each stays until it is answered, put away, or true no more. */
export class Notices {
  /** @type {Map<string, Alert>} by case */
  #alerts = new Map();
  #list = h("ul", { class: "notices" });
  /** Announced even while the notices are not looked at. */
  #spoken = h("div", { class: "spoken", role: "alert" });
  #onOpen;

  /** @param {(id: string) => void} onOpen */
  constructor(onOpen) {
    this.#onOpen = onOpen;
    this.element = h(
      "section",
      { class: "notice-stack", "aria-label": "Who needs a person" },
      this.#list,
      this.#spoken,
    );
  }

  /** @param {Alert} alert */
  show(alert) {
    this.#alerts.delete(alert.case.case);
    this.#alerts.set(alert.case.case, alert);
    fill(this.#spoken, sayAlert(alert));
    this.#draw();
  }

  /**
   * Keep only the notices of cases that still wait.
   * @param {ReadonlySet<string>} waiting
   */
  keep(waiting) {
    const before = this.#alerts.size;
    for (const id of this.#alerts.keys()) if (!waiting.has(id)) this.#alerts.delete(id);
    if (this.#alerts.size !== before) this.#draw();
  }

  /** @param {string} id */
  dismiss(id) {
    if (this.#alerts.delete(id)) this.#draw();
  }

  #draw() {
    const newest = [...this.#alerts.values()].reverse();
    newest.sort((a, b) => Number(b.emergency) - Number(a.emergency));
    const more = newest.length - MOST;
    fill(
      this.#list,
      newest.slice(0, MOST).map((alert) => this.#notice(alert)),
      more > 0 ? h("li", { class: "more" }, `and ${more} more on the desk`) : null,
    );
  }

  /**
   * @param {Alert} alert
   * @returns {HTMLElement}
   */
  #notice(alert) {
    const { case: id, patient } = alert.case;
    return h(
      "li",
      { class: alert.emergency ? "desk-notice panel emergency" : "desk-notice panel" },
      icon(alert.emergency ? "alert" : "bell"),
      h("strong", { dir: "auto" }, sayAlert(alert)),
      h(
        "button",
        { class: "button", type: "button", onclick: () => this.#onOpen(id) },
        "Open",
        h("span", { class: "spoken" }, ` ${patient}`),
      ),
      h(
        "button",
        {
          class: "button quiet icon-only",
          type: "button",
          "aria-label": `Put away the notice about ${patient}`,
          onclick: () => this.dismiss(id),
        },
        icon("close"),
      ),
    );
  }
}

