/**
 * Makes of each event what stands for it in a conversation; what is known of documents, searches
 * and consents is shown where they stand already.
 * @module
 */
import { fill, h } from "../dom.js";
import { documentCard, eventCard, messageCard } from "./cards.js";
import { line } from "./lines.js";
import { chips, Message, quoted } from "./message.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {{ entry?: HTMLElement, message?: Message | null }} Reuse an element that stands for it already */

const RICH = new Set(["ai", "coordinator", "system"]);

export class Entries {
  #options;
  #list;
  #remove;
  /** @type {Map<string, { entry: HTMLElement, data: Record<string, any> }>} */
  #documents = new Map();
  /** @type {Map<string, HTMLElement>} */
  #searches = new Map();
  /** @type {Map<string, boolean>} */
  #consents = new Map();
  /** @type {Map<string, { message: Message, text: string, seq: number }>} */
  #messages = new Map();

  /**
   * @param {import("./thread.js").ThreadOptions} options
   * @param {HTMLElement} list
   * @param {(entry: HTMLElement) => void} remove
   */
  constructor(options, list, remove) {
    this.#options = options;
    this.#list = list;
    this.#remove = remove;
  }

  /**
   * @param {HubEvent} event
   * @param {boolean} older whether newer events stand already
   * @param {Reuse} [reuse]
   * @param {Node[]} [more] what can be done with a message
   * @returns {HTMLElement | null} null: it has no place of its own
   */
  make(event, older, reuse = {}, more = []) {
    const own = this.#options.entries?.[event.kind];
    if (own) {
      const made = own(event);
      if (!made) return null;
      const entry = reuse.entry ?? h("div", { class: "entry" });
      fill(entry, made);
      entry.removeAttribute("data-state");
      return entry;
    }
    if (event.kind === "message") return this.#message(event, reuse.message ?? null, more);
    if (event.kind === "document") return this.#document(event, older);
    if (event.kind === "consent") this.#consent(event, older);
    return this.#card(event) ?? line(event, this.#options.audience, this.#options.t);
  }

  clear() {
    for (const map of [this.#documents, this.#searches, this.#consents, this.#messages]) map.clear();
  }

  /** Forget what does not stand there any more. */
  prune() {
    for (const [id, { entry }] of this.#documents) if (!entry.isConnected) this.#documents.delete(id);
    for (const [id, { message }] of this.#messages) if (!message.element.isConnected) this.#messages.delete(id);
  }

  /**
   * @param {string} id
   * @returns {string}
   */
  nameOf(id) {
    return this.#documents.get(id)?.data.name ?? this.#options.t("document");
  }

  /** @param {number} seq */
  readUpTo(seq) {
    for (const { message, seq: own } of this.#messages.values()) {
      if (own <= seq && message.element.dataset.side === "end") message.read();
    }
  }

  /** @param {HubEvent} event */
  isMe(event) {
    const me = this.#options.me();
    if (this.#options.audience === "patient") return event.data.sender_type === "patient";
    return me !== null && event.actor.id === me.id;
  }

  get #cards() {
    const { t, audience, onOpenAttachment: open, onConsent: consent } = this.#options;
    return { t, audience, open, consent };
  }

  /**
   * @param {HubEvent} event
   * @param {Message | null} known
   * @param {Node[]} more
   */
  #message(event, known, more) {
    const data = /** @type {import("../client/frames.js").MessageData} */ (event.data);
    const { audience, t, onOpenAttachment } = this.#options;
    const sender = data.sender_type;
    const message = known ?? new Message(audience, sender, t);
    message.by(sender, event.actor.name, this.isMe(event), data.source);
    const cards = (data.cards ?? []).map((card) => messageCard(card, this.#consents.get(card.title), this.#cards));
    message.text(data.text, RICH.has(sender), ...cards, chips(data.attachments ?? [], t, onOpenAttachment));
    message.element.classList.toggle("urgent", event.data.urgent === true);
    const answered = data.reply_to && this.#messages.get(data.reply_to);
    if (answered) message.element.querySelector(".bubble")?.prepend(quoted(answered.text, t));
    message.mark(data.state, new Date(event.at), more);
    if (data.run !== undefined) message.element.dataset.run = data.run;
    message.element.dataset.id = data.message_id;
    this.#messages.set(data.message_id, { message, text: data.text, seq: event.seq });
    return message.element;
  }

  /**
   * @param {HubEvent} event
   * @param {boolean} older
   */
  #document(event, older) {
    const { document_id: id } = event.data;
    const known = this.#documents.get(id);
    // Older events may come later than newer ones, and do not undo what they said.
    const data = older ? { ...event.data, ...known?.data } : { ...known?.data, ...event.data };
    if (known && !older) {
      known.data = data;
      documentCard(known.entry, data, this.#cards);
      return null;
    }
    if (known) this.#remove(known.entry);
    const entry = h("div", { class: "entry event document" });
    entry.dataset.side = event.actor.type === "patient" && this.#options.audience === "patient" ? "end" : "start";
    documentCard(entry, data, this.#cards);
    this.#documents.set(id, { entry, data });
    return entry;
  }

  /** @param {HubEvent} event */
  #card(event) {
    const { event: name, match_id: search } = event.data;
    if (name === "match_completed") this.#searches.get(search)?.classList.add("over");
    const card = eventCard(event, this.#cards);
    if (!card) return null;
    const entry = h("div", { class: "entry event" }, card);
    if (name === "match_requested") this.#searches.set(search, entry);
    return entry;
  }

  /**
   * @param {HubEvent} event
   * @param {boolean} older
   */
  #consent({ data }, older) {
    if (older && this.#consents.has(data.purpose)) return;
    const granted = data.event === "consent_granted";
    this.#consents.set(data.purpose, granted);
    for (const card of this.#list.querySelectorAll(".card.consent")) {
      const same = card instanceof HTMLElement && card.dataset.purpose === data.purpose;
      if (same) card.dispatchEvent(new CustomEvent("consent", { detail: granted }));
    }
  }
}
