/**
 * How something that was said looks: who, what, when, and whether it has arrived.
 * @module
 */
import { fill, h, icon } from "../dom.js";
import { initials } from "../initials.js";
import { clock, tame, whole } from "../text.js";
import { chip } from "./attachments.js";
import { plain, prose } from "./prose.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {import("../client/frames.js").SenderType} SenderType */
/** @typedef {import("../text.js").Translate} Translate */
/** @typedef {"pending" | "sending" | "refused" | "sent" | "final" | "interrupted" | "failed"} MessageState */
/** @typedef {"patient" | "staff"} Audience */

const AVATARS = /** @type {const} */ ({ ai: "sparkle", system: "heart" });

/**
 * Tell whether the message stands on the side of those who read.
 * @param {Audience} audience
 * @param {SenderType} sender
 */
export function isOwnSide(audience, sender) {
  return audience === "patient" ? sender === "patient" : sender === "coordinator" || sender === "ai";
}

/** One message; it stays the same element from the first letter to its place in the log. */
export class Message {
  element;
  #t;
  #by = h("div", { class: "by" });
  #bubble = h("div", { class: "bubble" });
  #meta = h("div", { class: "meta" });
  #avatar = h("span", { class: "avatar", "aria-hidden": "true" });
  #at = new Date();
  #read = false;
  /** @type {MessageState} */
  #state = "pending";

  /**
   * @param {Audience} audience
   * @param {SenderType} sender
   * @param {Translate} t
   */
  constructor(audience, sender, t) {
    this.#t = t;
    this.element = h(
      "article",
      { class: `entry message ${sender}`, dataset: { kind: "message", from: sender } },
      sender === "patient" && audience === "patient" ? null : this.#avatar,
      h("div", { class: "said" }, this.#by, this.#bubble, this.#meta),
    );
    this.element.dataset.side = isOwnSide(audience, sender) ? "end" : "start";
  }

  get state() {
    return this.#state;
  }

  /**
   * @param {SenderType} sender
   * @param {string | undefined} name
   * @param {boolean} own whether the reader said it
   * @param {string} [source]
   */
  by(sender, name, own, source = "chat") {
    const t = this.#t;
    this.#avatar.classList.add(sender === "coordinator" ? "staff" : sender);
    const drawn = sender === "ai" || sender === "system" ? icon(AVATARS[sender]) : initials(name ?? "");
    fill(this.#avatar, drawn);
    const badge = sender === "coordinator" && h("span", { class: "badge staff" }, t("team"));
    const channel = /** @type {import("../text.js").Key} */ (`via_${source}`);
    const via = source !== "chat" && h("span", { class: "via" }, t("via", { channel: t(channel) }));
    fill(this.#by, h("span", { class: "name" }, title(sender, name, own, t)), badge, via);
  }

  /**
   * @param {string} text
   * @param {boolean} rich whether its author may use lists, bold and links
   * @param {(Node | null)[]} more what belongs to it: cards, files
   */
  text(text, rich, ...more) {
    fill(this.#bubble, rich ? prose(text) : plain(text), ...more);
  }

  /**
   * Let something else grow in its bubble.
   * @param {Node} content
   */
  hold(content) {
    fill(this.#bubble, content);
  }

  /**
   * @param {MessageState} state
   * @param {Date} at
   * @param {Node[]} [more] what went wrong, and what can be done
   * @param {string} [remark]
   */
  mark(state, at, more = [], remark = "") {
    this.#state = state;
    this.#at = at;
    this.element.dataset.state = state;
    const waits = state === "pending" || state === "sending";
    const held = this.#meta.contains(document.activeElement);
    fill(
      this.#meta,
      state === "interrupted" && h("span", { class: "remark" }, this.#t("stopped")),
      remark && h("span", { class: "remark" }, remark),
      state !== "refused" && h("time", { datetime: at.toISOString(), title: whole(at) }, clock(at)),
      waits && sign("clock", this.#t("pending")),
      !waits && state !== "refused" && this.#arrived(),
      ...more,
    );
    if (held) focusOn(this.element);
  }

  #arrived() {
    if (this.#read) return h("span", { class: "sign read" }, icon("check"), this.#t("read"));
    return this.element.dataset.from === "patient" && this.element.dataset.side === "end" && sign("check", this.#t("delivered"));
  }

  /** The other side has read it. */
  read() {
    if (this.#read) return;
    this.#read = true;
    this.mark(this.#state, this.#at);
  }
}

/**
 * Keep the place of somebody whose button is gone.
 * @param {HTMLElement} element
 */
export function focusOn(element) {
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
}

/**
 * @param {"clock" | "check"} name
 * @param {string} words
 */
function sign(name, words) {
  return h("span", { class: `sign ${name}`, role: "img", "aria-label": words, title: words }, icon(name));
}

/**
 * Name somebody as a reader knows them.
 * @param {SenderType} sender
 * @param {string | undefined} name
 * @param {boolean} own
 * @param {Translate} t
 */
export function title(sender, name, own, t) {
  if (own) return t("you");
  if (sender === "coordinator") return name ? t("from_curaway", { name }) : t("curaway");
  if (sender === "ai") return t("assistant");
  if (sender === "system") return t("curaway");
  return tame(name ?? "") || t("patient");
}

/**
 * Show what a message answers to.
 * @param {string} text
 * @param {Translate} t
 */
export function quoted(text, t) {
  const short = text.length > 140 ? `${[...text].slice(0, 140).join("")}…` : text;
  return h("blockquote", { class: "quoted", dir: "auto" }, h("span", { class: "spoken" }, `${t("replying_to")} `), short);
}

/**
 * @param {import("./attachments.js").Attachment[]} files
 * @param {Translate} t
 * @param {(file: import("./attachments.js").Attachment) => void} [open]
 */
export function chips(files, t, open) {
  return files.length === 0 ? null : h("div", { class: "chips" }, files.map((file) => chip(file, t, open)));
}
