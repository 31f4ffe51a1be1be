/**
 * Cards: documents, the health record, hospitals, consent, calls. Each has a plain text, and a card
 * of a kind that nobody knows here is that text.
 * @module
 */
import { fill, h, icon } from "../dom.js";
import { bytes, duration, number } from "../text.js";
import { focusOn } from "./message.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {import("../text.js").Translate} Translate */
/** @typedef {{ kind: string, title?: string, ref?: string, fallback: string }} CardData */
/**
 * @typedef {object} CardOptions
 * @property {Translate} t
 * @property {import("./message.js").Audience} audience
 * @property {(file: { id: string, name: string, content_type: string, size: number }) => void} [open]
 * @property {(card: CardData, granted: boolean) => Promise<unknown>} [consent]
 */

const ICONS = /** @type {const} */ ({ document: "document", ehr: "heart", match: "hospital", consent: "consent", call: "phone" });
const TITLES = /** @type {const} */ ({ document: "document", ehr: "record", match: "match_found", consent: "consent", call: "call" });

/**
 * @param {keyof typeof ICONS} kind
 * @param {string} title
 * @param {...(Node | string | null | false)} inside
 */
function frame(kind, title, ...inside) {
  return h(
    "section",
    { class: `card ${kind}`, dataset: { card: kind }, "aria-label": title },
    h("span", { class: "card-icon" }, icon(ICONS[kind])),
    h("div", { class: "card-text" }, h("h3", { class: "card-title" }, h("bdi", {}, title)), ...inside),
  );
}

/** @param {string} text */
function words(text) {
  return h("p", { class: "card-words", dir: "auto" }, text);
}

/**
 * Make a card that stands in a message.
 * @param {CardData} card
 * @param {boolean | undefined} granted of a consent: what is known of it
 * @param {CardOptions} options
 */
export function messageCard(card, granted, options) {
  const { t } = options;
  if (!Object.hasOwn(ICONS, card.kind)) return words(card.fallback);
  const kind = /** @type {keyof typeof ICONS} */ (card.kind);
  const made = frame(kind, card.title || t(TITLES[kind]), words(card.fallback));
  // What it is that is agreed to must have a name.
  if (kind === "consent" && card.title) {
    made.dataset.purpose = card.title;
    const place = h("div", { class: "card-foot" });
    made.querySelector(".card-text")?.append(place);
    consentFoot(place, card, granted, options);
    made.addEventListener("consent", (event) => {
      consentFoot(place, card, /** @type {CustomEvent<boolean>} */ (event).detail, options);
    });
  }
  return made;
}

/**
 * @param {Element} place
 * @param {CardData} card
 * @param {boolean | undefined} granted
 * @param {CardOptions} options
 */
function consentFoot(place, card, granted, { t, audience, consent }) {
  const state = granted === undefined ? null : badge(granted ? "ok" : "quiet", t(granted ? "consent_given" : "consent_not_given"), granted);
  if (granted || !consent || audience === "staff") {
    const held = place.contains(document.activeElement);
    fill(place, state ?? badge("warn", t("consent_waiting"), false));
    if (held && place.parentElement) focusOn(place.parentElement);
    return;
  }
  const failed = h("span", { class: "card-failed", role: "alert" });
  /** @param {boolean} answer */
  const decide = async (answer) => {
    for (const button of place.querySelectorAll("button")) button.disabled = true;
    failed.textContent = "";
    try {
      await consent(card, answer);
      if (!answer) consentFoot(place, card, false, { t, audience, consent });
    } catch {
      failed.textContent = t("consent_failed");
      for (const button of place.querySelectorAll("button")) button.disabled = false;
    }
  };
  fill(
    place,
    state,
    h("button", { type: "button", class: "button primary", onclick: () => decide(true) }, t("consent_yes")),
    granted === undefined && h("button", { type: "button", class: "button", onclick: () => decide(false) }, t("consent_no")),
    failed,
  );
}

/**
 * @param {string} tone
 * @param {string} text
 * @param {boolean} [checked]
 */
function badge(tone, text, checked = false) {
  return h("span", { class: `badge ${tone}` }, checked && icon("check"), text);
}

/**
 * Make the card of a document, or show in it what is known now.
 * @param {Element} entry
 * @param {Record<string, any>} data everything that its events have told
 * @param {CardOptions} options
 */
export function documentCard(entry, data, { t, open }) {
  const name = data.name ?? t("document");
  const about = [data.pages !== undefined && t("pages", { count: number(data.pages) }), data.size !== undefined && bytes(data.size)];
  const state =
    data.state === "processing"
      ? h("span", { class: "badge" }, h("span", { class: "spin", "aria-hidden": "true" }), t("document_processing"))
      : data.state === "ready" && badge("ok", t("document_ready"), true);
  const file = { id: data.document_id, name, content_type: data.content_type ?? "", size: data.size ?? 0 };
  const card = frame(
    "document",
    name,
    h("p", { class: "card-about" }, about.filter(Boolean).join(" · ")),
    data.text ? words(data.text) : null,
    data.state === "failed" && h("p", { class: "card-failed" }, t("document_failed")),
    state && h("div", { class: "card-foot" }, state),
  );
  card.dataset.state = data.state;
  // What came by another way than an upload has no file here.
  if (open && data.content_type !== undefined) {
    const label = t("open_file", { name });
    card.append(h("button", { type: "button", class: "button quiet icon-only", "aria-label": label, title: label, onclick: () => open(file) }, icon("eye")));
  }
  fill(entry, card);
}

/**
 * Make the card of a typed event that stands for itself.
 * @param {HubEvent} event
 * @param {CardOptions} options
 * @returns {HTMLElement | null}
 */
export function eventCard({ kind, data }, { t }) {
  if (kind === "ehr") return frame("ehr", t("record_new"), data.text ? words(data.text) : null);
  if (kind === "call") {
    const length = data.duration_s >= 60 ? duration(Math.round(data.duration_s / 60), "minute") : duration(data.duration_s ?? 0, "second");
    return frame("call", t("call"), data.duration_s !== undefined && h("p", { class: "card-about" }, length), data.text ? words(data.text) : null);
  }
  if (kind !== "match") return null;
  if (data.event === "match_requested") {
    const title = data.procedure ? t("match_searching_for", { procedure: data.procedure }) : t("match_searching");
    return frame("match", title, h("div", { class: "card-foot searching" }, h("span", { class: "spin", "aria-hidden": "true" })));
  }
  if (data.state === "failed") return frame("match", t("match_failed"));
  const found = data.count === undefined ? null : h("p", { class: "card-about" }, t("match_count", { count: number(data.count) }));
  return frame("match", t("match_found"), found, data.text ? words(data.text) : null);
}
