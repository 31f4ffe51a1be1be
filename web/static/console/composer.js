/**
 * Where a coordinator writes: to the patient, or an internal note that the patient must never see.
 *
 * Rules against a note that is sent by slip:
 *
 * 1. A composer belongs to one case from its making to its end. Another case gets another composer.
 * 2. There are two fields, one for each mode, and no code moves text between them. In note mode the
 *    field for the patient is not on the page, and the other way round.
 * 3. What is sent is decided by the field that is shown: `#sendReply` reads the one, `#saveNote` the
 *    other. There is no command without a mode and no mode that is assumed.
 * 4. The mode changes by a tab, or by `r` and `n` outside of a field: never while somebody types, and
 *    never by itself. After a note was saved it stays a note.
 * 5. A case opens for a reply, but where a note was left unfinished it opens with that note.
 * 6. Enter alone never saves a note, and sends a reply only if that was chosen.
 * 7. A reply that says what a note of this case says, as after a paste, is held until one says so.
 * 8. A reply is held if somebody wrote since it was begun; what was typed comes back.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { readConfig } from "../session.js";
import { characters } from "../text.js";
import { openingMode } from "./drafts.js";
import { grow, growingField } from "./growing_field.js";
import { Guard } from "./guard.js";
import { drawKeys } from "./keys_dialog.js";
import { ModeTabs } from "./mode_tabs.js";
import { PendingFiles } from "./pending_files.js";
import { quotedNote } from "./quoted_note.js";
import { ReplyWatch } from "./reply_watch.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {import("../client/outbox.js").OutboxItem} OutboxItem */
/** @typedef {import("./drafts.js").Mode} Mode */
/** @typedef {import("./guard.js").Held} Held */

const LONGEST = 10_000;
/** From here on the characters that are left are told. */
const NEARLY = 500;
const PANEL = "composer-panel";

/**
 * @typedef {object} ComposerOptions
 * @property {string} case
 * @property {string} patient
 * @property {import("../hub-client.js").HubClient} hub
 * @property {import("./drafts.js").Drafts} drafts
 * @property {import("./preferences.js").Preferences} preferences
 * @property {() => void} onCanned opens the canned replies
 * @property {(message: string) => void} onFault
 */

export class Composer {
  #options;
  /** @type {Mode} */
  #mode = "reply";
  /** Texts of the notes of this case, by event. @type {Map<string, string>} */
  #notes = new Map();
  #shut = false;
  #sending = false;

  /** @param {ComposerOptions} options */
  constructor(options) {
    this.#options = options;
    const draft = options.drafts.of(options.case);
    this.#watch = new ReplyWatch(draft.seen);
    this.#files = new PendingFiles({ hub: options.hub, limit: readConfig().max_upload, onChange: () => this.#draw() });
    this.#reply = this.#makeField("reply", `Reply to ${options.patient}`);
    this.#note = this.#makeField("note", `Internal note, ${options.patient} will not see this`);
    this.#reply.value = draft.reply;
    this.#note.value = draft.note;
    this.#guard = new Guard({
      onSendAnyway: (held) => void this.#sendReply(held),
      onKeep: (held) => this.#keepEditing(held),
    });
    this.#tabs = new ModeTabs({
      panel: PANEL,
      onChoose: (mode) => this.choose(mode),
      onArrow: () => {
        this.#setMode(this.#mode === "note" ? "reply" : "note");
        this.#tabs.focus(this.#mode);
      },
    });
    this.#attach = h(
      "button",
      {
        class: "button quiet icon-only",
        type: "button",
        "aria-label": "Attach a file",
        title: "Attach a file",
        onclick: () => this.#files.choose(),
      },
      icon("clip"),
    );
    this.#canned = h(
      "button",
      { class: "button quiet", type: "button", title: "Canned replies", "aria-label": "Canned replies", onclick: () => options.onCanned() },
      icon("bolt"),
      h("span", { class: "wide" }, "Canned replies"),
      h("kbd", { "aria-hidden": "true" }, ";"),
    );
    this.element = h(
      "form",
      {
        class: "composer",
        "aria-label": "Write",
        autocomplete: "off",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.submit();
        },
        ondragover: (/** @type {DragEvent} */ event) => event.preventDefault(),
        ondrop: (/** @type {DragEvent} */ event) => this.#onDrop(event),
      },
      this.#guard.element,
      h(
        "div",
        { class: "composer-card" },
        h("div", { class: "composer-head" }, this.#tabs.element, this.#hint),
        this.#label,
        this.#panel,
        this.#files.element,
        h(
          "div",
          { class: "composer-bar" },
          this.#attach,
          this.#canned,
          this.#left,
          h("span", { class: "send-keys", "aria-hidden": "true" }, drawKeys("mod+Enter")),
          this.#submit,
        ),
      ),
    );
    this.#setMode(openingMode(draft));
  }

  #watch;
  #reply;
  #note;
  #files;
  #guard;
  #tabs;
  #attach;
  #canned;
  #submit = h("button", { class: "button", type: "submit" });
  #left = h("span", { class: "left", role: "status" });
  #label = h("p", { class: "composer-label" });
  #hint = h("p", { class: "composer-hint" });
  #panel = h("div", { class: "composer-field", role: "tabpanel", id: PANEL });

  /** @returns {Mode} */
  get mode() {
    return this.#mode;
  }

  /**
   * Choose who reads what is written, and go there.
   * @param {Mode} mode
   */
  choose(mode) {
    this.#setMode(mode);
    this.focus();
  }

  focus() {
    this.#field.focus();
  }

  /** Go to the reply, or to the note that is being written. */
  begin() {
    if (this.#note.value.trim() === "") this.#setMode("reply");
    this.focus();
  }

  /** Send what is shown, as its mode says. */
  submit() {
    if (this.#submit.getAttribute("aria-disabled") === "true") {
      this.focus();
      return;
    }
    switch (this.#mode) {
      case "note":
        this.#saveNote();
        return;
      case "reply":
        if (this.#guard.holds) this.#guard.focus();
        else void this.#sendReply(null);
        return;
      default:
        throw new TypeError(`There is no mode ${this.#mode}.`);
    }
  }

  /**
   * Put a text where the caret stands.
   * @param {string} text
   */
  insert(text) {
    const field = this.#field;
    field.focus();
    const { selectionStart: start, selectionEnd: end, value } = field;
    const before = start > 0 && !/\s$/.test(value.slice(0, start)) ? " " : "";
    field.setRangeText(before + text, start, end, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /**
   * Say how the case stands.
   * @param {{ hint: string, shut: boolean }} state `shut`: the hub takes no messages now
   */
  update({ hint, shut }) {
    this.#shut = shut;
    this.#hint.textContent = hint;
    this.#draw();
  }

  /**
   * Learn of the next event of this case.
   * @param {HubEvent} event
   */
  apply(event) {
    this.know(event);
    const missed = this.#watch.apply(event, this.#me);
    if (!missed || this.#guard.holds || this.#sending) return;
    this.#guard.tell(this.#watch.missed, this.#options.patient);
    this.#draw();
  }

  /**
   * Learn of an event that is older than those that were applied.
   * @param {HubEvent} event
   */
  know(event) {
    if (event.kind === "note") this.#notes.set(event.id, event.data.text);
  }

  /** The log begins anew. */
  reset() {
    this.#watch.reset(this.#reply.value);
    this.#guard.hide();
  }

  /**
   * Take back the replies that the hub has held.
   * @param {OutboxItem[]} items
   */
  outbox(items) {
    for (const item of items) {
      const held = item.type === "message" && item.state === "refused" && item.error?.code === "stale";
      if (held) this.#takeBack(item);
    }
  }

  stop() {
    this.#typing(false, this.#mode);
    this.#files.stop();
  }

  // Sending ------------------------------------------------------------------------------------

  #saveNote() {
    const text = this.#note.value.trim();
    this.#note.value = "";
    this.#afterSending("note");
    // The thread shows it, and whether the hub has it.
    this.#options.hub.send("note", { text }).catch(() => {});
  }

  /** @param {Held | null} agreed why it was held, if its author sends it all the same */
  async #sendReply(agreed) {
    const text = this.#reply.value.trim();
    if (this.#isHeld(text, agreed)) return;
    const attachments = await this.#uploaded();
    if (attachments === null) return;
    const { seen } = this.#watch;
    this.#reply.value = "";
    this.#files.clear();
    this.#watch.sent();
    this.#guard.hide();
    this.#afterSending("reply");
    // Files without words have arrived as documents of the case, and need no message.
    if (text === "") return;
    const files = attachments.length > 0 ? { attachments } : {};
    const force = agreed === "missed" ? { force: true } : {};
    // The outbox tells of a refusal, in this page or after a reload.
    this.#options.hub.send("message", { text, seen, ...files, ...force }).catch(() => {});
  }

  /**
   * Hold a reply that says what a note says, or that was begun before others wrote.
   * @param {string} text
   * @param {Held | null} agreed
   * @returns {boolean}
   */
  #isHeld(text, agreed) {
    const { patient } = this.#options;
    const quoted = agreed === null ? quotedNote(text, this.#notes.values()) : null;
    const stale = agreed !== "missed" && this.#watch.missed > 0;
    if (quoted !== null) this.#guard.holdNote(quoted, patient);
    else if (stale) this.#guard.hold(this.#watch.missed, patient);
    else return false;
    this.#draw();
    this.#guard.focus();
    return true;
  }

  /** @returns {Promise<import("./pending_files.js").Attachment[] | null>} null: it did not work */
  async #uploaded() {
    if (this.#files.isEmpty) return [];
    this.#sending = true;
    this.#draw();
    try {
      return await this.#files.upload();
    } catch (caught) {
      const error = /** @type {import("../client/errors.js").HubError} */ (caught);
      if (error.code !== "aborted" && error.name !== "AbortError") this.#options.onFault(error.message);
      return null;
    } finally {
      this.#sending = false;
      this.#draw();
    }
  }

  /** @param {Mode} mode */
  #afterSending(mode) {
    const field = mode === "note" ? this.#note : this.#reply;
    this.#keepDraft(mode);
    this.#typing(false, mode);
    grow(field);
    this.#draw();
    field.focus();
  }

  /**
   * The hub has held a reply: its words come back, in front of what was typed meanwhile.
   * @param {OutboxItem} item
   */
  #takeBack(item) {
    const typed = this.#reply.value.trim();
    const text = String(item.body.text ?? "");
    this.#reply.value = typed === "" ? text : `${text}\n\n${typed}`;
    this.#files.restore(item.body.attachments ?? []);
    this.#watch.held(Number(item.body.seen ?? 0), item.error?.missed ?? [], this.#me);
    this.#options.hub.discard(item.key);
    this.#keepDraft("reply");
    this.#guard.hold(this.#watch.missed, this.#options.patient);
    grow(this.#reply);
    this.#draw();
    if (this.#mode === "reply") this.#guard.focus();
  }

  /** @param {Held} held */
  #keepEditing(held) {
    if (held === "missed") this.#watch.readOn();
    this.#guard.hide();
    this.#keepDraft("reply");
    this.#draw();
    this.#reply.focus();
  }

  // Writing ------------------------------------------------------------------------------------

  get #me() {
    return this.#options.hub.me?.id ?? null;
  }

  get #field() {
    return this.#mode === "note" ? this.#note : this.#reply;
  }

  /** @param {Mode} mode */
  #setMode(mode) {
    const { patient } = this.#options;
    this.#typing(false, this.#mode);
    this.#mode = mode;
    this.#options.drafts.keep(this.#options.case, { mode });
    this.element.dataset.mode = mode;
    fill(this.#panel, this.#field);
    this.#panel.setAttribute("aria-labelledby", `tab-${mode}`);
    this.#tabs.select(mode);
    if (mode === "note") {
      fill(this.#label, icon("note"), h("span", {}, "Internal note — ", h("bdi", {}, patient), " will not see this"));
      fill(this.#submit, icon("note"), "Save note");
    } else {
      fill(this.#label);
      fill(this.#submit, icon("send"), h("span", {}, "Send to ", h("bdi", {}, patient)));
    }
    this.#submit.className = mode === "note" ? "button note" : "button primary";
    grow(this.#field);
    this.#draw();
  }

  #draw() {
    const note = this.#mode === "note";
    const shut = this.#shut && !note;
    const { value } = this.#field;
    const empty = value.trim() === "" && (note || this.#files.isEmpty);
    const words = this.#shut ? "This case takes no messages now" : `Write to ${this.#options.patient} …`;
    this.#reply.placeholder = words;
    const left = LONGEST - characters(value.trim());
    this.#submit.setAttribute("aria-disabled", String(empty || left < 0 || this.#sending || shut));
    this.#field.toggleAttribute("readonly", this.#sending);
    this.#attach.hidden = note || shut;
    this.#canned.hidden = note || shut;
    this.#files.element.hidden = note || this.#files.isEmpty;
    this.#guard.element.hidden = note || !this.#guard.shows;
    this.#left.textContent = left < 0 ? `${-left} characters too many` : left < NEARLY ? `${left} characters left` : "";
    this.#left.toggleAttribute("data-over", left < 0);
    this.#tabs.markDraft("reply", note && this.#reply.value.trim() !== "");
    this.#tabs.markDraft("note", !note && this.#note.value.trim() !== "");
  }

  /** @param {Mode} mode */
  #onInput(mode) {
    const field = mode === "note" ? this.#note : this.#reply;
    if (mode === "reply") {
      this.#watch.write(field.value);
      if (field.value === "") this.#guard.hide();
    }
    this.#keepDraft(mode);
    this.#typing(field.value !== "", mode);
    grow(field);
    this.#draw();
  }

  /**
   * @param {boolean} on
   * @param {Mode} mode
   */
  #typing(on, mode) {
    this.#options.hub.typing(on, mode === "note" ? "note" : "message");
  }

  /** @param {Mode} mode */
  #keepDraft(mode) {
    const reply = { reply: this.#reply.value, seen: this.#watch.begun };
    const change = mode === "note" ? { note: this.#note.value } : reply;
    // The mode each time: of a draft that is still empty nothing is kept.
    this.#options.drafts.keep(this.#options.case, { ...change, mode: this.#mode });
  }

  /** @param {DragEvent} event */
  #onDrop(event) {
    event.preventDefault();
    if (this.#mode === "reply" && !this.#shut) this.#files.add([...(event.dataTransfer?.files ?? [])]);
  }

  /**
   * @param {Mode} mode
   * @param {string} label
   * @returns {HTMLTextAreaElement}
   */
  #makeField(mode, label) {
    const note = mode === "note";
    return growingField({
      kind: `${mode}-field`,
      label,
      placeholder: "For the team alone …",
      onInput: () => this.#onInput(mode),
      onBlur: () => this.#typing(false, mode),
      onEnter: (held) => {
        if (!held && (note || !this.#options.preferences.get("enterSends"))) return false;
        this.submit();
        return true;
      },
      onFiles: note ? null : (files) => this.#files.add(files),
    });
  }
}
