/**
 * What was written and is not known to be in the log: shown at once, and honest about it.
 * @module
 */
import { fill, h, icon } from "../dom.js";
import { chips, Message } from "./message.js";

/** @typedef {import("../client/outbox.js").OutboxItem} OutboxItem */
/** @typedef {{ entry: HTMLElement, message: Message | null, item: OutboxItem, shown: string }} Waiter */

const SHOWN = new Set(["message", "note"]);

export class Waiting {
  #options;
  #sides;
  /** @type {Map<string, Waiter>} */
  #waiters = new Map();
  /** Keys of the outbox whose event has come. @type {Set<string>} */
  #arrived = new Set();
  /** @type {OutboxItem[]} */
  #items = [];
  #lost = false;

  /**
   * @param {import("./thread.js").ThreadOptions} options
   * @param {{ add: (entry: HTMLElement, group: string, at: Date) => void, remove: (entry: HTMLElement) => void }} sides
   */
  constructor(options, sides) {
    this.#options = options;
    this.#sides = sides;
  }

  /** The elements of all that waits, in order. */
  get entries() {
    return [...this.#waiters.values()].map(({ entry }) => entry);
  }

  /** @param {OutboxItem[]} items */
  show(items) {
    this.#items = items;
    const wanted = new Map(items.filter(({ type, key }) => SHOWN.has(type) && !this.#arrived.has(key)).map((item) => [item.key, item]));
    for (const [key, waiter] of this.#waiters) {
      if (wanted.has(key)) continue;
      // What left the outbox was answered: its event follows. Only what was refused is taken away.
      if (waiter.item.state === "refused") {
        this.#waiters.delete(key);
        this.#sides.remove(waiter.entry);
      } else this.#answered(waiter);
    }
    for (const item of wanted.values()) this.#update(this.#waiters.get(item.key) ?? this.#begin(item), item);
  }

  /** @param {boolean} lost */
  lost(lost) {
    this.#lost = lost;
    this.show(this.#items);
  }

  /**
   * The event of something that waited is here, and takes over its element.
   * @param {string | undefined} key
   * @returns {Waiter | undefined}
   */
  take(key) {
    if (key === undefined) return undefined;
    const waiter = this.#waiters.get(key);
    this.#waiters.delete(key);
    this.#arrived.add(key);
    return waiter;
  }

  /** Everything is shown anew. */
  clear() {
    this.#waiters.clear();
    this.#arrived.clear();
    this.show(this.#items);
  }

  /** @param {Waiter} waiter */
  #answered(waiter) {
    if (waiter.shown === "sent") return;
    waiter.shown = "sent";
    waiter.message?.mark("sent", new Date(waiter.item.at));
  }

  /** @param {OutboxItem} item */
  #begin(item) {
    const { t, audience, me } = this.#options;
    const type = audience === "patient" ? "patient" : "coordinator";
    const message = item.type === "message" ? new Message(audience, type, t) : null;
    const entry = message?.element ?? h("div", { class: "entry" });
    Object.assign(entry.dataset, { key: item.key, kind: item.type });
    entry.classList.add("arrives");
    message?.by(type, me()?.name, true);
    message?.text(String(item.body.text ?? ""), audience === "staff", chips(item.body.attachments ?? [], t));
    const waiter = { entry, message, item, shown: "" };
    this.#waiters.set(item.key, waiter);
    this.#sides.add(entry, message ? `${type}/${me()?.id ?? ""}/chat` : "", new Date(item.at));
    return waiter;
  }

  /**
   * @param {Waiter} waiter
   * @param {OutboxItem} item
   */
  #update(waiter, item) {
    waiter.item = item;
    const shown = `${item.state}/${item.error?.code ?? ""}/${this.#lost}`;
    if (shown === waiter.shown) return;
    waiter.shown = shown;
    const { t, entries, me, onRefusal } = this.#options;
    const refused = item.state === "refused";
    const own = refused && onRefusal?.(item);
    const more = refused ? (own ? [own] : this.#refusal(item)) : [];
    const offline = !refused && this.#lost ? t("pending_offline") : "";
    const at = new Date(item.at);
    if (waiter.message) {
      waiter.message.mark(refused ? "refused" : item.state === "waiting" ? "pending" : "sending", at, more, offline);
      return;
    }
    waiter.entry.dataset.state = refused ? "refused" : "pending";
    const actor = { type: "coordinator", ...me() };
    const made = entries?.[item.type]?.({ kind: item.type, key: item.key, at: at.toISOString(), actor, data: item.body, pending: item.state });
    fill(waiter.entry, made, (refused || offline) && h("div", { class: "meta" }, offline, more));
  }

  /**
   * @param {OutboxItem} item
   * @returns {Node[]}
   */
  #refusal({ key, error }) {
    const { t, onResend, onDiscard } = this.#options;
    const code = /** @type {import("../text.js").Key} */ (`why_${error?.code}`);
    const why = t(code) === code ? t("why_other") : t(code);
    return [
      h("span", { class: "why" }, icon("alert"), t("refused", { why })),
      h("button", { type: "button", class: "again", onclick: () => onResend?.(key) }, t("resend")),
      h("button", { type: "button", class: "again", onclick: () => onDiscard?.(key) }, t("discard")),
    ];
  }
}
