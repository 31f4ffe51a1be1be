/**
 * One open case: its head, its conversation and timeline, its composer and its summary.
 * @module
 */

import { fill, h } from "../dom.js";
import { HubClient } from "../hub-client.js";
import { tame } from "../text.js";
import { openFile } from "../thread/attachments.js";
import { Thread } from "../thread/thread.js";
import { openCannedMenu } from "./canned_menu.js";
import { CaseCommands } from "./case_commands.js";
import { CaseFacts } from "./case_facts.js";
import { CaseHeader } from "./case_header.js";
import { staffWords } from "./case_words.js";
import { Composer } from "./composer.js";
import { isEmergency } from "./desk_groups.js";
import { loadFacts } from "./facts_loader.js";
import { leadOf } from "./lead.js";
import { staffEntries } from "./staff_entries.js";
import { Summary } from "./summary.js";
import { Timeline } from "./timeline.js";
import { Viewers } from "./viewers.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {import("../client/frames.js").DeskCase} DeskCase */
/** @typedef {import("./case_header.js").View} View */

/**
 * @typedef {object} PaneOptions
 * @property {string} case
 * @property {DeskCase | null} entry what the desk knows of it
 * @property {(ask: { renew: boolean }) => Promise<string>} token
 * @property {() => import("./drafts.js").Drafts} drafts
 * @property {() => number} now by the clock of the hub
 * @property {import("./preferences.js").Preferences} preferences
 * @property {import("./canned_texts.js").CannedTexts} texts
 * @property {() => void} onBack
 * @property {() => void} onSummary
 * @property {(view: View) => void} onView
 * @property {(message: string) => void} onFault
 * @property {(status: import("../hub-client.js").Status) => void} onState
 * @property {(patient: string) => void} onName
 */

const PAGE = 100;

export class CasePane {
  #options;
  #hub;
  #facts = new CaseFacts();
  /** @type {DeskCase | null} */
  #entry;
  /** @type {{ id: string, name: string } | null} */
  #patient = null;
  /** @type {boolean | null} */
  #online = null;
  #writing = false;
  #view = /** @type {View} */ ("conversation");
  #caughtUp = false;
  #factsDue = 0;
  #abort = new AbortController();

  /** @param {PaneOptions} options */
  constructor(options) {
    this.#options = options;
    this.#entry = options.entry;
    const hub = new HubClient({ case: options.case, token: options.token });
    this.#hub = hub;
    this.#commands = new CaseCommands({
      hub,
      onChange: () => this.#draw(),
      onFault: (message) => this.say(message),
    });
    this.#header = new CaseHeader({
      viewers: this.#viewers.element,
      now: options.now,
      onBack: options.onBack,
      onAccept: () => void this.accept(),
      onRelease: () => this.release(),
      onStop: () => void this.stopAnswer(),
      onStatus: (status) => this.#commands.setStatus(status),
      onView: options.onView,
      onSummary: options.onSummary,
    });
    this.#summary = new Summary({
      onOpenDocument: (document) => void this.#open(document),
      onClose: options.onSummary,
    });
    this.#timeline = new Timeline({ hub });
    const scroller = h("div", {});
    this.#scroller = scroller;
    this.#loading = h("div", { class: "thread-loading", "aria-hidden": "true" }, [62, 40, 74].map(bone));
    this.#conversation = h(
      "div",
      { class: "conversation", role: "tabpanel", id: "panel-conversation", "aria-labelledby": "view-conversation" },
      scroller,
      this.#loading,
      this.#composerPlace,
    );
    this.element = h("div", { class: "case-pane" }, this.#header.element, this.#fault, this.#conversation, this.#timeline.element);
    this.#thread = new Thread(scroller, {
      audience: "staff",
      me: () => hub.me,
      t: staffWords,
      onOlder: () => this.#older(),
      onReconnect: () => hub.reconnect(),
      onResend: (key) => hub.resend(key),
      onDiscard: (key) => hub.discard(key),
      onOpenAttachment: (file) => void this.#open(file),
      entries: staffEntries(() => hub.me?.id ?? null),
      onMove: () => this.#read(),
    });
    if (this.#entry !== null) this.#compose(this.#entry.patient);
    this.#listen();
    this.show("conversation");
    this.#draw();
  }

  #viewers = new Viewers();
  #commands;
  #header;
  #summary;
  #timeline;
  #scroller;
  #loading;
  #conversation;
  #composerPlace = h("div", { class: "composer-place" });
  #fault = h("div", { class: "notice danger case-fault", role: "alert", hidden: true });
  #thread;
  /** @type {Composer | null} until the patient's name is known */
  #composer = null;

  /** @returns {HTMLElement} */
  get summary() {
    return this.#summary.element;
  }

  get name() {
    return this.#patient === null ? (this.#entry?.patient ?? null) : tame(this.#patient.name);
  }

  /** @returns {import("../hub-client.js").Status | null} null: it is not open to this person at all */
  get status() {
    const { status } = this.#hub;
    return status.reason === "forbidden" || status.reason === "archived" ? null : status;
  }

  reconnect() {
    this.#hub.reconnect();
  }

  start() {
    this.#hub.start();
    void this.#loadSummary();
  }

  stop() {
    this.#abort.abort();
    this.#commands.stop();
    clearTimeout(this.#factsDue);
    document.removeEventListener("visibilitychange", this.#onVisible);
    this.#composer?.stop();
    this.#viewers.stop();
    this.#thread.stop();
    this.#hub.stop();
  }

  /**
   * Learn what the desk knows of this case.
   * @param {DeskCase | null} entry null: it is not on the desk
   */
  onDesk(entry) {
    this.#entry = entry ?? this.#entry;
    if (this.#composer === null && entry !== null) this.#compose(entry.patient);
    this.#draw();
  }

  tick() {
    this.#header.tick();
  }

  /** @param {View} view */
  show(view) {
    this.#view = view;
    this.#conversation.hidden = view !== "conversation";
    this.#timeline.element.hidden = view !== "timeline";
    this.#header.showView(view);
    if (view === "timeline") this.#timeline.show();
    else this.#read();
  }

  /** @param {boolean} open */
  showSummary(open) {
    this.#header.showSummary(open);
  }

  focus() {
    this.#header.focus();
  }

  /** @returns {boolean} */
  openStatus() {
    return this.#header.openStatus();
  }

  /**
   * Go to the field of a mode.
   * @param {import("./drafts.js").Mode} mode
   * @returns {boolean}
   */
  write(mode) {
    if (this.#composer === null) return false;
    this.#options.onView("conversation");
    this.#composer.choose(mode);
    return true;
  }

  /** Send what is shown in the composer. */
  submit() {
    this.#composer?.submit();
  }

  /** @returns {boolean} */
  openCanned() {
    const composer = this.#composer;
    // They are written for patients; what key is pressed never changes who reads a text.
    if (composer === null || composer.mode === "note") return false;
    this.#options.onView("conversation");
    openCannedMenu({
      texts: this.#options.texts,
      names: { name: this.name ?? "", me: this.#hub.me?.name ?? "" },
      onChoose: (text) => composer.insert(text),
    });
    return true;
  }

  /** @returns {Promise<void>} */
  async accept() {
    if (!this.#lead.accept || this.#commands.busy) return;
    if (await this.#commands.accept()) this.#composer?.begin();
  }

  /** @returns {boolean} */
  release() {
    if (!this.#lead.release || this.#commands.busy) return false;
    const owner = this.#isMine ? null : (this.#hub.room?.coordinator ?? null);
    this.#commands.release(this.name ?? "the patient", owner);
    return true;
  }

  /** @returns {Promise<void>} */
  async stopAnswer() {
    if (this.#writing) await this.#commands.stopAnswer();
  }

  /** There is no such case, or it is somebody else's: the hub does not tell which. */
  #showNobody() {
    fill(
      this.element,
      h(
        "div",
        { class: "nothing-open" },
        h("h1", { tabindex: -1 }, "No such case"),
        h("p", { class: "hint" }, "There is no case at this address, or it is not open to you."),
        h("button", { class: "button", type: "button", onclick: this.#options.onBack }, "Back to the desk"),
      ),
    );
    fill(this.#summary.element);
  }

  // What comes ---------------------------------------------------------------------------------

  #listen() {
    const hub = this.#hub;
    hub.on("state", (status) => {
      this.#thread.lost(status.state !== "connected");
      if (status.reason === "forbidden") this.#showNobody();
      this.#options.onState(status);
    });
    hub.on("ready", () => this.#draw());
    hub.on("reset", () => {
      this.#thread.clear();
      this.#facts.clear();
      this.#timeline.reset();
      this.#composer?.reset();
      this.#caughtUp = false;
    });
    hub.on("event", (event) => this.#apply(event));
    hub.on("caught_up", () => {
      const first = !this.#caughtUp;
      this.#caughtUp = true;
      this.#loading.hidden = true;
      this.#thread.caughtUp();
      this.#draw();
      this.#read();
      if (first) void this.#loadFacts();
    });
    hub.on("answer", (answer) => {
      this.#thread.answer(answer);
      const writing = answer !== null && (answer.state === "thinking" || answer.state === "writing");
      if (writing === this.#writing) return;
      this.#writing = writing;
      this.#draw();
    });
    hub.on("room", () => this.#draw());
    hub.on("typing", ({ who, on, in: where }) => {
      if (who.type === "patient") this.#thread.typing(on ? who : null);
      else this.#viewers.writes(who.name, on, where ?? "message");
    });
    hub.on("presence", ({ patient, viewers }) => {
      this.#online = patient === "online";
      this.#viewers.update(viewers ?? [], hub.me?.id ?? null);
      this.#draw();
    });
    hub.on("read", ({ who, seq }) => {
      if (who.type === "patient") this.#thread.readUpTo(seq);
    });
    hub.on("outbox", (items) => {
      // The thread first: it takes away what was refused once it is told so.
      this.#thread.pending(items);
      this.#composer?.outbox(items);
    });
    hub.on("notice", ({ code, message }) => {
      if (code === "not_stored") this.say(message);
    });
    document.addEventListener("visibilitychange", this.#onVisible);
  }

  #onVisible = () => this.#read();

  /** @param {HubEvent} event */
  #apply(event) {
    this.#thread.apply(event);
    this.#composer?.apply(event);
    this.#timeline.apply(event);
    if (this.#facts.add(event)) this.#drawSoon();
    if (this.#caughtUp) this.#read();
  }

  /** The team has read what is in sight. */
  #read() {
    const seen = this.#caughtUp && this.#view === "conversation" && this.#thread.atEnd;
    if (seen && document.visibilityState === "visible") this.#hub.read(this.#thread.last);
  }

  async #older() {
    const { events, more } = await this.#hub.history({ before: this.#thread.first, limit: PAGE });
    this.#thread.prepend(events, more);
    for (const event of events) this.#composer?.know(event);
  }

  async #loadSummary() {
    const path = `/api/v1/cases/${encodeURIComponent(this.#options.case)}`;
    const { signal } = this.#abort;
    try {
      const summary = await this.#hub.request("GET", path, undefined, { signal });
      this.#patient = summary.patient;
      this.#options.onName(this.name ?? "");
      if (this.#composer === null) this.#compose(this.name ?? "");
      this.#draw();
    } catch {
      // What the desk and the conversation tell is shown all the same.
    }
  }

  async #loadFacts() {
    // Otherwise all of the case stands in its thread.
    if (this.#thread.first <= 1) return;
    try {
      await loadFacts(this.#hub, this.#facts, this.#abort.signal);
      this.#drawSoon();
    } catch {
      // The next opening of the case asks again.
    }
  }

  // What is shown ------------------------------------------------------------------------------

  /** @param {string} patient */
  #compose(patient) {
    const { drafts, preferences, onFault } = this.#options;
    const composer = new Composer({
      case: this.#options.case,
      patient,
      hub: this.#hub,
      drafts: drafts(),
      preferences,
      onCanned: () => this.openCanned(),
      onFault,
    });
    this.#composer = composer;
    fill(this.#composerPlace, composer.element);
    composer.outbox(this.#hub.outbox);
  }

  get #isMine() {
    const me = this.#hub.me?.id;
    const { control } = this.#facts.facts;
    const owner = control?.data.owner_id ?? this.#entry?.owner_id ?? null;
    return me !== undefined && owner === me;
  }

  get #lead() {
    const entry = this.#entry;
    const room = this.#hub.room ?? { control: entry?.control ?? "ai", status: entry?.status ?? "intake", coordinator: entry?.owner ?? null };
    return leadOf(
      {
        control: room.control,
        status: room.status,
        owner: room.coordinator,
        mine: room.control === "human" && this.#isMine,
        supervisor: this.#hub.me?.role === "supervisor",
        emergency: this.#escalation === "red_flag",
        escalation: this.#escalation,
      },
      this.name ?? "the patient",
    );
  }

  get #escalation() {
    const known = this.#facts.facts.escalation?.data.trigger ?? null;
    if (this.#entry !== null && isEmergency(this.#entry)) return "red_flag";
    return known ?? this.#entry?.escalation ?? null;
  }

  #drawSoon() {
    if (this.#factsDue !== 0) return;
    this.#factsDue = window.setTimeout(() => {
      this.#factsDue = 0;
      this.#draw();
    }, 50);
  }

  #draw() {
    const { facts } = this.#facts;
    const room = this.#hub.room;
    const patient = this.name;
    const status = room?.status ?? this.#entry?.status ?? "intake";
    const lead = this.#lead;
    const waits = (room?.control ?? this.#entry?.control) === "waiting";
    const since = facts.control?.at ?? null;
    this.#header.update({
      known: room !== null || this.#entry !== null,
      patient: patient ?? "…",
      online: this.#online,
      status,
      lead,
      waitingSince: waits ? (this.#entry?.waiting_since ?? since) : null,
      escalation: this.#escalation,
      writing: this.#writing,
      busy: this.#commands.busy,
    });
    this.#composer?.update({ hint: lead.hint, shut: lead.shut });
    this.#summary.update({
      case: this.#options.case,
      patient: patient ?? "…",
      patientId: this.#patient?.id ?? null,
      status,
      lead: whoLeads(room?.control ?? this.#entry?.control ?? "ai", this.#isMine, room?.coordinator ?? this.#entry?.owner ?? null),
      leadSince: since,
      facts,
    });
  }

  // What is done -------------------------------------------------------------------------------

  /** @param {{ id: string, name: string, content_type?: string }} file */
  async #open(file) {
    try {
      openFile(await this.#hub.download(file.id), file, staffWords);
    } catch {
      this.say(`${file.name} could not be opened: its content is not here.`);
    }
  }

  /**
   * Tell what went wrong.
   * @param {string} message empty: all is well
   */
  say(message) {
    this.#fault.hidden = message === "";
    fill(
      this.#fault,
      h("span", {}, message),
      h("button", { class: "button quiet", type: "button", onclick: () => this.say("") }, "Close"),
    );
  }
}

/**
 * @param {string} control
 * @param {boolean} mine
 * @param {string | null} owner
 * @returns {string}
 */
function whoLeads(control, mine, owner) {
  if (control === "human") return mine ? "You" : (owner ?? "A colleague");
  return control === "waiting" ? "Nobody yet; the assistant answers" : "The assistant";
}

/**
 * @param {number} width
 * @returns {HTMLElement}
 */
function bone(width) {
  return h("div", { class: "skeleton", style: { "--width": `${width}%` } });
}
