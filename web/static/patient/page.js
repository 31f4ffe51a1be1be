/**
 * The page of a patient: puts the parts together and hears what the hub tells.
 * @module
 */
import { h, icon, fill } from "../dom.js";
import { HubClient } from "../hub-client.js";
import { readConfig } from "../session.js";
import { storage } from "../storage.js";
import { t } from "../text.js";
import { openFile } from "../thread/attachments.js";
import { Thread } from "../thread/thread.js";
import { Attach, acceptDrops } from "./attach.js";
import { Composer } from "./composer.js";
import { Draft } from "./draft.js";
import { Header } from "./header.js";
import { Intake } from "./intake.js";
import { Uploads } from "./uploads.js";
import { followViewport } from "./viewport.js";
import { Welcome } from "./welcome.js";
import { wholePage } from "./whole-page.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {{ token: (ask: { renew: boolean }) => Promise<string>, signOut: (() => void) | null }} Session */

const SHUT = new Set(["closed", "archived"]);
const PAGE = 100;
/** What ends the page. @type {Record<string, import("./whole-page.js").Trouble>} */
const TROUBLES = { signed_out: "signed_out", forbidden: "forbidden", archived: "archived", client_error: "page_failed" };
/** A connection that is back within this time was never missed. */
const LOST_AFTER_MS = 1_200;

export class PatientPage {
  #place;
  #session;
  #hub;
  #header;
  #intake = new Intake();
  #welcome;
  #uploads;
  #composer;
  #closed = h("p", { class: "closed", hidden: true }, t("closed_note"), " ", t("emergency"));
  #notice = h("div", { class: "toast", role: "status", hidden: true });
  #scroller = h("div", { class: "talk-area", id: "thread" });
  #thread;
  #foot;
  #running = false;
  /** @type {string | undefined} */
  #run;
  #refused = false;
  #presence = { coordinator: /** @type {string | null} */ (null), online: false };
  #lostTimer = 0;
  #noticeTimer = 0;
  #shown = false;
  /** Whether the conversation was ever here: one that is not may still be a long one. */
  #known = false;

  /**
   * @param {HTMLElement} place
   * @param {string} room the case
   * @param {Session} session
   */
  constructor(place, room, session) {
    this.#place = place;
    this.#session = session;
    this.#hub = new HubClient({ case: room, token: (ask) => session.token(ask) });
    const hub = this.#hub;
    this.#header = new Header({ talk: () => void this.#talk(), reconnect: () => hub.reconnect() });
    this.#welcome = new Welcome((text) => this.#say(text));
    this.#uploads = new Uploads((file, how) => hub.upload(file, how), readConfig().max_upload, () => this.#composer.focus());
    /** @param {File[]} files */
    const take = (files) => this.#uploads.add(files);
    this.#composer = new Composer(
      { send: (text) => this.#say(text), stop: () => this.#stop(), typing: (on) => hub.typing(on), files: take },
      new Attach(take).element,
    );
    this.#foot = h("footer", { class: "foot" }, this.#notice, this.#uploads.element, this.#closed, this.#composer.element);
    this.#scroller.append(this.#welcome.element);
    this.#thread = new Thread(this.#scroller, {
      audience: "patient",
      me: () => hub.me,
      t,
      onOlder: async () => {
        const { events, more } = await hub.history({ before: this.#thread.first, limit: PAGE });
        this.#thread.prepend(events, more);
      },
      onRetry: (event) => this.#retry(event),
      canRetry: () => hub.room?.control !== "human" && this.#open,
      onReconnect: () => hub.reconnect(),
      onResend: (key) => hub.resend(key),
      onDiscard: (key) => hub.discard(key),
      onOpenAttachment: (file) => void this.#openFile(file),
      onConsent: (card, granted) =>
        hub.request("POST", "/api/v1/consent", { case: room, purpose: card.title, granted, ...(card.ref ? { consent_id: card.ref } : {}) }),
      onMove: () => this.#read(),
    });
    acceptDrops(place, take);
    followViewport(document.documentElement);
    this.#listen(room);
  }

  start() {
    this.#hub.start();
  }

  /** @param {string} room */
  #listen(room) {
    const hub = this.#hub;
    hub.on("state", (status) => this.#state(status));
    hub.on("ready", ({ you }) => this.#composer.keep(new Draft(you.id, room, storage("sessionStorage"))));
    hub.on("room", () => this.#lead());
    hub.on("reset", () => this.#thread.clear());
    hub.on("event", (event) => this.#event(event));
    hub.on("caught_up", () => this.#caughtUp());
    hub.on("answer", (answer) => {
      this.#running = answer !== null && (answer.state === "thinking" || answer.state === "writing");
      this.#run = answer?.run;
      this.#thread.answer(answer);
      this.#stoppable();
    });
    hub.on("typing", ({ who, on }) => this.#thread.typing(on ? who : null));
    hub.on("presence", ({ coordinator, online }) => {
      this.#presence = { coordinator, online };
      this.#lead();
    });
    hub.on("outbox", (items) => this.#outbox(items));
    for (const [target, name] of /** @type {const} */ ([[window, "focus"], [document, "visibilitychange"]])) {
      target.addEventListener(name, () => this.#read());
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing && this.#running && !document.querySelector("dialog[open]")) this.#stop();
    });
  }

  /** @param {import("../client/connection.js").Status} status */
  #state({ state, reason }) {
    const trouble = state === "disconnected" && TROUBLES[reason ?? ""];
    if (trouble) {
      this.#leave(trouble);
      return;
    }
    this.#header.connection(state);
    clearTimeout(this.#lostTimer);
    if (state === "reconnecting") this.#lostTimer = window.setTimeout(() => this.#thread.lost(true), LOST_AFTER_MS);
    else this.#thread.lost(state === "disconnected");
    this.#stoppable();
    if (state === "disconnected") this.#show();
  }

  #stoppable() {
    this.#composer.running(this.#running && this.#hub.state !== "disconnected");
  }

  /** @param {import("./whole-page.js").Trouble} trouble */
  #leave(trouble) {
    this.#hub.stop();
    this.#thread.stop();
    wholePage(this.#place, trouble, trouble === "archived" ? null : this.#session.signOut);
  }

  #show() {
    if (this.#shown) return;
    this.#shown = true;
    const skip = h("a", { class: "skip", href: "#composer" }, t("skip"));
    const veil = this.#place.querySelector(".drop");
    this.#place.removeAttribute("aria-busy");
    fill(this.#place, skip, this.#header.element, this.#intake.element, this.#scroller, this.#foot, veil);
    this.#lead();
    this.#thread.toEnd();
    if (matchMedia("(hover: hover) and (pointer: fine)").matches && window.top === window) this.#composer.focus();
  }

  #caughtUp() {
    this.#known = true;
    this.#show();
    this.#thread.caughtUp();
    this.#lead();
    this.#read();
  }

  /** @param {HubEvent} event */
  #event(event) {
    if (event.kind === "intake") this.#intake.show(/** @type {any} */ (event.data));
    if (event.kind === "control") this.#refused = false;
    this.#thread.apply(event);
    if (this.#shown) this.#lead();
    this.#read();
  }

  get #open() {
    return !SHUT.has(this.#hub.room?.status ?? "");
  }

  #lead() {
    const { room, me, outbox } = this.#hub;
    const asking = outbox.some(({ type, state }) => type === "escalate" && state !== "refused");
    const known = { control: room?.control ?? "ai", coordinator: room?.coordinator ?? this.#presence.coordinator, asking, refused: this.#refused };
    this.#header.lead(known, this.#presence.online, this.#open);
    const held = this.#composer.element.contains(document.activeElement);
    this.#closed.hidden = this.#open;
    this.#composer.element.hidden = !this.#open;
    if (held && !this.#open) this.#scroller.focus({ preventScroll: true });
    const quiet = this.#known && this.#thread.empty && !this.#running && this.#open;
    this.#welcome.show(quiet, me?.name, known.control !== "human");
    document.title = known.control === "human" && known.coordinator ? `${t("from_curaway", { name: known.coordinator })}` : "Curaway";
  }

  /** @param {import("../client/outbox.js").OutboxItem[]} items */
  #outbox(items) {
    this.#thread.pending(items);
    if (this.#shown) this.#lead();
  }

  #read() {
    const looks = document.visibilityState === "visible" && document.hasFocus();
    if (this.#shown && looks && this.#thread.atEnd && this.#thread.last > 0) this.#hub.read(this.#thread.last);
  }

  // What the patient does.

  /** @param {string} text */
  #say(text) {
    // What is refused stands in the conversation, with the reason.
    this.#hub.send("message", { text }).catch(() => {});
    this.#lead();
  }

  #stop() {
    this.#hub.send("stop", this.#run === undefined ? {} : { run: this.#run }).catch(() => {});
  }

  async #talk() {
    if (this.#hub.outbox.some(({ type }) => type === "escalate")) return;
    this.#refused = false;
    try {
      await this.#hub.send("escalate", {});
    } catch {
      this.#refused = true;
      this.#forget("escalate");
      this.#thread.say(t("talk_refused"));
    }
    this.#lead();
  }

  /** @param {HubEvent} event */
  async #retry(event) {
    try {
      await this.#hub.send("retry", { run: event.data.run });
    } catch (error) {
      this.#forget("retry");
      this.#tell(t("why_other"));
      throw error;
    }
  }

  /** @param {string} type of a refused command that nobody would look for in the conversation */
  #forget(type) {
    for (const item of this.#hub.outbox) if (item.type === type && item.state === "refused") this.#hub.discard(item.key);
  }

  /** @param {import("../thread/attachments.js").Attachment} file */
  async #openFile(file) {
    try {
      openFile(await this.#hub.download(file.id), file, t);
    } catch {
      this.#tell(t("file_gone"));
    }
  }

  /** @param {string} text */
  #tell(text) {
    clearTimeout(this.#noticeTimer);
    this.#notice.hidden = false;
    const close = () => (this.#notice.hidden = true);
    fill(this.#notice, h("p", {}, text), h("button", { type: "button", class: "button quiet icon-only", "aria-label": t("dismiss"), onclick: close }, icon("close")));
    this.#noticeTimer = window.setTimeout(close, 8_000);
  }
}
