/**
 * A conversation on a page: what was said and what happened, in order, each exactly once.
 *
 * It lives in an element that scrolls, keeps to the newest while its reader does, and never moves
 * what is being read.
 * @module
 */
import { fill, h, icon } from "../dom.js";
import { RunningAnswer } from "./answer.js";
import { Bottom } from "./bottom.js";
import { Entries } from "./entries.js";
import { sentence } from "./lines.js";
import { title } from "./message.js";
import { arrange, nameDays, note } from "./order.js";
import { Retry } from "./retry.js";
import { Speaker } from "./speaker.js";
import { Typing } from "./typing.js";
import { Waiting } from "./waiting.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {import("../client/outbox.js").OutboxItem} OutboxItem */
/** @typedef {import("../client/answer.js").Answer} Answer */
/** @typedef {{ type: import("../client/frames.js").SenderType, name: string }} Who */
/**
 * @typedef {object} ThreadOptions
 * @property {"patient" | "staff"} audience
 * @property {() => { id: string, role: string, name: string } | null} me
 * @property {import("../text.js").Translate} t
 * @property {() => Promise<unknown>} [onOlder] asks for events before `thread.first`, and gives them to `prepend`
 * @property {(event: HubEvent) => Promise<unknown>} [onRetry] asks the AI again for the answer in this event
 * @property {() => boolean} [canRetry]
 * @property {() => void} [onReconnect]
 * @property {(key: string) => void} [onResend]
 * @property {(key: string) => void} [onDiscard]
 * @property {(item: OutboxItem) => Node | null} [onRefusal] shows a refusal in another way than the usual one
 * @property {(file: import("./attachments.js").Attachment) => void} [onOpenAttachment]
 * @property {(card: import("./cards.js").CardData, granted: boolean) => Promise<unknown>} [onConsent]
 * @property {Record<string, (event: any) => Element | null>} [entries] how other kinds look; a note that waits to be sent has no `seq`, and a `pending` state
 * @property {(atEnd: boolean) => void} [onMove] the reader begins or ends to follow the newest
 */

/** So many entries stay while the reader follows the newest; older ones are asked for again. */
const KEPT = 400;
const PRUNED = 150;
/** What is further from the newest is laid out only when it is looked at. */
const NEAR = 60;
const OVER = new Set(["done", "stopped", "failed"]);

export class Thread {
  #options;
  #scroller;
  #list = h("div", { class: "thread-list" });
  #older = h("div", { class: "thread-older", hidden: true });
  #newest = h("button", { type: "button", class: "thread-newest", hidden: true });
  #speaker = new Speaker();
  #bottom;
  #entries;
  #retry;
  #typing;
  #waiting;
  #first = 0;
  #last = 0;
  #more = false;
  #loading = false;
  #caughtUp = false;
  #lost = false;
  #fresh = 0;
  #midnight = 0;
  /** @type {RunningAnswer | null} */
  #answer = null;

  /**
   * @param {HTMLElement} scroller
   * @param {ThreadOptions} options
   */
  constructor(scroller, options) {
    const { t, audience } = options;
    this.#options = options;
    this.#scroller = scroller;
    this.#entries = new Entries(options, this.#list, (entry) => this.#remove(entry));
    this.#retry = new Retry(options);
    this.#typing = new Typing(t);
    this.#waiting = new Waiting(options, {
      add: (entry, group, at) => this.#write(entry, group, at),
      remove: (entry) => this.#remove(entry),
    });
    scroller.classList.add("thread");
    scroller.setAttribute("role", "log");
    // The pieces of an answer would be read out one by one; `say` tells what is finished.
    scroller.setAttribute("aria-live", "off");
    scroller.setAttribute("aria-label", t("conversation"));
    scroller.dataset.audience = audience;
    scroller.tabIndex = 0;
    this.#newest.addEventListener("click", () => this.toEnd());
    fill(this.#older, h("button", { type: "button", class: "button quiet", onclick: () => void this.#loadOlder() }, t("earlier")));
    const inside = h("div", { class: "thread-inside" }, this.#older, this.#list, this.#typing.element);
    scroller.append(inside, h("div", { class: "thread-float" }, this.#newest));
    this.#bottom = new Bottom(scroller, inside, () => this.#moved());
    scroller.addEventListener("scroll", () => this.#nearTop(), { passive: true });
    this.#showNewest();
    this.#nameDays();
    document.addEventListener("visibilitychange", this.#nameDays);
  }

  /** The oldest `seq` that stands here; 0: none. */
  get first() {
    return this.#first;
  }

  /** The newest `seq` that was applied. */
  get last() {
    return this.#last;
  }

  /** Whether the reader follows the newest. */
  get atEnd() {
    return this.#bottom.pinned;
  }

  /** Whether nobody has said anything that stands here. */
  get empty() {
    return this.#list.querySelector(".message, .card") === null;
  }

  /** All of the past is here: what comes now is news, and is told to screen readers. */
  caughtUp() {
    this.#caughtUp = true;
    this.#nearTop();
  }

  /**
   * Put the next event at its place. An event that stands already changes nothing.
   * @param {HubEvent} event
   */
  apply(event) {
    if (event.seq <= this.#last) return;
    this.#last = event.seq;
    if (this.#first === 0) {
      this.#first = event.seq;
      this.#setMore(event.seq > 1);
    }
    if (event.kind === "control" && event.data.control === "human") this.answer(null);
    if (event.kind === "control" || event.kind === "status") this.#retry.review();
    const entry = this.#make(event);
    if (entry) {
      if (!entry.isConnected && this.#caughtUp) entry.classList.add("arrives");
      if (!entry.isConnected || !this.#stands(entry)) this.#list.insertBefore(entry, this.#tail());
      this.#place(entry, event);
    }
    if (this.#caughtUp) this.#tell(event, entry !== null);
    this.#list.children[this.#list.childElementCount - NEAR]?.classList.add("old");
    this.#prune();
  }

  /**
   * Put older events before those that stand.
   * @param {HubEvent[]} events in order
   * @param {boolean} more whether there are still older ones
   */
  prepend(events, more) {
    const older = events.filter((event) => this.#first === 0 || event.seq < this.#first);
    this.#bottom.hold(this.#list, () => {
      const next = this.#list.querySelector(":scope > .entry");
      const made = older.map((event) => ({ event, entry: this.#entries.make(event, true, this.#waiting.take(event.key)) }));
      const top = this.#list.firstChild;
      for (const { event, entry } of made) {
        if (!entry) continue;
        entry.classList.add("old");
        this.#list.insertBefore(entry, top);
        this.#place(entry, event);
      }
      if (next instanceof HTMLElement) arrange(next);
      this.#first = older[0]?.seq ?? this.#first;
      this.#last = Math.max(this.#last, older.at(-1)?.seq ?? 0);
      this.#setMore(more);
    });
  }

  /** Forget all events; what waits to be sent stays. */
  clear() {
    this.answer(null);
    this.#list.replaceChildren();
    this.#entries.clear();
    this.#retry.forget();
    this.#first = this.#last = this.#fresh = 0;
    this.#caughtUp = false;
    this.#setMore(false);
    this.#waiting.clear();
  }

  /**
   * Show how far the assistant is; null: nothing of it is wanted any more.
   * @param {Answer | null} answer
   */
  answer(answer) {
    if (this.#answer && this.#answer.run !== answer?.run) this.#drop();
    if (answer === null) return;
    const over = OVER.has(answer.state);
    if (over && answer.message === undefined && answer.text === "") this.#drop();
    if (over && !this.#answer) return;
    this.#answer ??= this.#begin(answer.run);
    this.#answer.update(answer);
  }

  /** @param {string} run */
  #begin(run) {
    const { t, onReconnect, audience } = this.#options;
    this.#retry.forget();
    const answer = new RunningAnswer(run, audience, { t, reconnect: () => onReconnect?.(), say: (text) => this.say(text) });
    const { element } = answer.message;
    this.#list.insertBefore(element, this.#tail());
    note(element, { group: "ai/chat", at: new Date() });
    arrange(element);
    answer.lost(this.#lost);
    return answer;
  }

  #drop() {
    this.#answer?.stop();
    const element = this.#answer?.message.element;
    this.#answer = null;
    if (element) this.#remove(element);
  }

  /**
   * Show what was written and is not known to have arrived.
   * @param {OutboxItem[]} items
   */
  pending(items) {
    this.#waiting.show(items);
  }

  /**
   * The way to the hub is lost, or is there again.
   * @param {boolean} lost
   */
  lost(lost) {
    if (lost === this.#lost) return;
    this.#lost = lost;
    this.#answer?.lost(lost);
    this.#waiting.lost(lost);
  }

  /**
   * Somebody types; forgotten by itself after a while.
   * @param {Who | null} who
   */
  typing(who) {
    this.#typing.show(who);
  }

  /**
   * The other side has read everything up to here.
   * @param {number} seq
   */
  readUpTo(seq) {
    this.#entries.readUpTo(seq);
  }

  /** Go to the newest, and stay with it. */
  toEnd() {
    this.#fresh = 0;
    this.#bottom.go();
    this.#moved();
  }

  /**
   * Tell it to screen readers when they have nothing else to say.
   * @param {string} text
   */
  say(text) {
    this.#speaker.say(text);
  }

  /** The page needs this thread no more. */
  stop() {
    this.#drop();
    this.typing(null);
    this.#bottom.stop();
    this.#speaker.stop();
    clearTimeout(this.#midnight);
    document.removeEventListener("visibilitychange", this.#nameDays);
  }

  /** Now, and at each midnight; a device that has slept through one shows its page again. */
  #nameDays = () => {
    nameDays(this.#list);
    const now = new Date();
    const next = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
    clearTimeout(this.#midnight);
    this.#midnight = window.setTimeout(this.#nameDays, next.getTime() - now.getTime() + 1_000);
  };

  // Entries ------------------------------------------------------------------------------------

  /** @param {HubEvent} event */
  #make(event) {
    const reuse = this.#waiting.take(event.key);
    if (event.kind !== "message") return this.#entries.make(event, false, reuse);
    const again = this.#retry.offer(event);
    if (!this.#answer || event.data.run !== this.#answer.run) return this.#entries.make(event, false, reuse, again);
    const { message } = this.#answer;
    this.#answer.stop();
    this.#answer = null;
    return this.#entries.make(event, false, { message }, again);
  }

  /**
   * @param {HTMLElement} entry
   * @param {HubEvent} event
   */
  #place(entry, event) {
    entry.dataset.seq = String(event.seq);
    entry.dataset.kind = event.kind;
    if (event.key !== undefined) entry.dataset.key = event.key;
    note(entry, { group: this.#groupOf(event), at: new Date(event.at) });
    arrange(entry);
    const next = entry.nextElementSibling;
    if (next instanceof HTMLElement && next.classList.contains("entry")) arrange(next);
  }

  /** @param {HubEvent} event */
  #groupOf({ kind, data, actor }) {
    // An answer that broke off stands alone: the next one is not its continuation.
    if (kind !== "message" || data.state !== "final") return "";
    const sender = data.sender_type;
    if (sender === "ai") return `ai/${data.source ?? "chat"}`;
    const mine = this.#options.audience === "patient" && sender === "patient";
    const who = mine ? this.#options.me()?.id : (actor.id ?? actor.name);
    return `${sender}/${who ?? ""}/${data.source ?? "chat"}`;
  }

  /**
   * @param {HTMLElement} entry of something that was just written
   * @param {string} group
   * @param {Date} at
   */
  #write(entry, group, at) {
    this.#list.append(entry);
    note(entry, { group, at });
    arrange(entry);
    // Whoever sends something wants to see it.
    this.toEnd();
  }

  /** What is not in the log yet stands after all that is. */
  #tail() {
    const waiting = this.#waiting.entries;
    if (this.#answer) waiting.push(this.#answer.message.element);
    let first = null;
    for (const node of waiting) {
      if (node.parentNode !== this.#list) continue;
      if (!first || node.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING) first = node;
    }
    return first;
  }

  /**
   * Whether an entry stands before all that is not in the log yet.
   * @param {HTMLElement} entry
   */
  #stands(entry) {
    const tail = this.#tail();
    return !tail || Boolean(entry.compareDocumentPosition(tail) & Node.DOCUMENT_POSITION_FOLLOWING);
  }

  /** @param {HTMLElement} entry */
  #remove(entry) {
    const before = entry.previousElementSibling;
    const next = entry.nextElementSibling;
    if (entry.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
    entry.remove();
    if (next instanceof HTMLElement) arrange(next);
    else if (before?.classList.contains("day")) before.remove();
  }

  #prune() {
    if (!this.#bottom.pinned || this.#list.childElementCount <= KEPT) return;
    this.#bottom.hold(this.#list, () => {
      for (const entry of [...this.#list.querySelectorAll(":scope > [data-seq]")].slice(0, PRUNED)) {
        if (entry.previousElementSibling?.classList.contains("day")) entry.previousElementSibling.remove();
        entry.remove();
      }
      this.#entries.prune();
      const first = this.#list.querySelector(":scope > [data-seq]");
      if (!(first instanceof HTMLElement)) return;
      this.#first = Number(first.dataset.seq);
      arrange(first);
      this.#setMore(true);
    });
  }

  // Older, newer -------------------------------------------------------------------------------

  /** @param {boolean} more */
  #setMore(more) {
    this.#more = more && this.#options.onOlder !== undefined;
    this.#older.hidden = !this.#more;
  }

  #nearTop() {
    if (this.#caughtUp && this.#more && this.#scroller.scrollTop < 300) void this.#loadOlder();
  }

  async #loadOlder() {
    if (this.#loading || !this.#more) return;
    this.#loading = true;
    this.#older.dataset.state = "loading";
    const before = this.#first;
    try {
      await this.#options.onOlder?.();
    } catch {
      // The button stays, and so does the way up.
    } finally {
      this.#loading = false;
      delete this.#older.dataset.state;
    }
    if (this.#first !== before) requestAnimationFrame(() => this.#nearTop());
  }

  #moved() {
    if (this.#bottom.pinned) this.#fresh = 0;
    this.#showNewest();
    this.#options.onMove?.(this.#bottom.pinned);
  }

  #showNewest() {
    const { t } = this.#options;
    this.#newest.hidden = this.#bottom.pinned;
    this.#newest.classList.toggle("fresh", this.#fresh > 0);
    const words = t(this.#fresh > 0 ? "new_messages" : "newest");
    fill(this.#newest, icon("down"), h("span", { class: this.#fresh > 0 ? "" : "spoken" }, words));
  }

  /**
   * @param {HubEvent} event
   * @param {boolean} visible
   */
  #tell(event, visible) {
    const { t, audience } = this.#options;
    const { data, kind, actor } = event;
    const mine = kind === "message" && this.#entries.isMe(event);
    if (!mine && visible && !this.#bottom.pinned) {
      this.#fresh += 1;
      this.#showNewest();
    }
    if (kind === "message") {
      if (mine) return;
      this.say(`${title(data.sender_type, actor.name, false, t)}: ${data.text}`);
      if (actor.type === "coordinator" || actor.type === "patient") this.typing(null);
    } else if (kind === "document" && data.state !== "processing") {
      this.say(t(data.state === "ready" ? "document_is_ready" : "document_has_failed", { name: this.#entries.nameOf(data.document_id) }));
    } else {
      const words = sentence(event, audience, t);
      if (words) this.say(words);
    }
  }
}
