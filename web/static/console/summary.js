/**
 * What is known of a case, beside its conversation.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { sayReason, sayStatus, sayTrigger } from "./case_words.js";
import { writeDuration, writeFull, writeMoment, writeWhen } from "./times.js";

/** @typedef {import("./case_facts.js").Facts} Facts */
/** @typedef {import("./case_facts.js").DocumentFact} DocumentFact */

/**
 * @typedef {object} SummaryState
 * @property {string} case
 * @property {string} patient
 * @property {string | null} patientId
 * @property {string} status
 * @property {string} lead
 * @property {string | null} leadSince
 * @property {Facts} facts
 */

/** @type {Record<string, [string, string]>} */
const DOCUMENT_STATES = {
  processing: ["", "Being read"],
  ready: ["ok", "Ready"],
  failed: ["danger", "Failed"],
};

export class Summary {
  #inside = h("div", { class: "summary-inside" });
  #shown = "";
  #options;

  /**
   * @param {object} options
   * @param {(document: { id: string, name: string }) => void} options.onOpenDocument
   * @param {() => void} options.onClose
   */
  constructor(options) {
    this.#options = options;
    this.element = h(
      "div",
      { class: "summary-panel" },
      h(
        "div",
        { class: "summary-head" },
        h("h2", { tabindex: -1 }, "Summary"),
        h(
          "button",
          { class: "button quiet icon-only", type: "button", "aria-label": "Close the summary", onclick: options.onClose },
          icon("close"),
        ),
      ),
      this.#inside,
    );
  }

  /** @param {SummaryState} state */
  update(state) {
    const { facts } = state;
    const shown = JSON.stringify(state);
    // What is the same is left alone: somebody may be selecting or copying in it.
    if (shown === this.#shown) return;
    this.#shown = shown;
    const opened = [...this.#inside.querySelectorAll("[data-document]:focus")][0]?.getAttribute("data-document");
    fill(
      this.#inside,
      this.#escalation(facts),
      section("Case", list([
        ["Patient", h("span", { dir: "auto" }, state.patient)],
        ["Patient id", state.patientId === null ? null : copyable(state.patientId, "the patient id")],
        ["Case id", copyable(state.case, "the case id")],
        ["Status", sayStatus(state.status)],
        ["Led by", h("span", { dir: "auto" }, state.lead)],
        ["Since", state.leadSince === null ? null : moment(state.leadSince)],
        ["Registered", facts.registered === null ? null : moment(facts.registered.at)],
      ])),
      this.#intake(facts),
      this.#documents(facts),
      records(facts),
      matches(facts),
      consents(facts),
      calls(facts),
    );
    if (opened) {
      const again = this.#inside.querySelector(`[data-document="${CSS.escape(opened)}"]`);
      if (again instanceof HTMLElement) again.focus();
    }
  }

  /** @param {Facts} facts */
  #escalation({ escalation, control }) {
    if (escalation === null) return null;
    const { trigger, reason } = escalation.data;
    const emergency = trigger === "red_flag";
    // Once somebody has accepted, it is what happened, and no longer what is asked for.
    const tone = control?.data.control === "human" ? "calm" : emergency ? "danger" : "warn";
    return h(
      "section",
      { class: "summary-alert", "data-tone": tone },
      h("h3", {}, icon(emergency ? "alert" : "bell"), emergency ? "Emergency" : "Why a person"),
      h("p", {}, sayTrigger(trigger)),
      reason && trigger !== "phrase" ? h("p", { class: "hint", dir: "auto" }, sayReason(reason)) : null,
      h("p", { class: "hint" }, moment(escalation.at)),
    );
  }

  /** @param {Facts} facts */
  #intake({ intake }) {
    if (intake === null) return null;
    const { percent, step, missing = [], remarks } = intake.data;
    return section(
      "Intake",
      h(
        "div",
        { class: "intake" },
        h(
          "div",
          { class: "progress", role: "progressbar", "aria-label": "Intake", "aria-valuenow": percent, "aria-valuemin": 0, "aria-valuemax": 100 },
          h("span", { style: { "--share": `${percent}%` } }),
        ),
        h("strong", {}, `${percent} %`),
      ),
      step ? h("p", { dir: "auto" }, step) : null,
      missing.length > 0 ? h("p", { class: "hint", dir: "auto" }, `Missing: ${missing.join(", ")}`) : null,
      remarks ? h("p", { class: "hint", dir: "auto" }, remarks) : null,
    );
  }

  /** @param {Facts} facts */
  #documents({ documents }) {
    return section(
      "Documents",
      documents.length === 0
        ? h("p", { class: "hint" }, "None yet.")
        : h("ul", { class: "documents" }, documents.map((document) => this.#document(document))),
    );
  }

  /**
   * @param {DocumentFact} document
   * @returns {HTMLElement}
   */
  #document(document) {
    const { id, name, state, pages, failure, at, uploaded } = document;
    const [tone, label] = DOCUMENT_STATES[state] ?? ["", state];
    const more = [pages === null ? "" : `${pages} p.`, writeWhen(at, Date.now())].filter(Boolean).join(" · ");
    const title = h("span", { class: "document-name", dir: "auto" }, name);
    return h(
      "li",
      {},
      icon("document"),
      h(
        "div",
        {},
        uploaded
          ? h("button", { class: "link", type: "button", "data-document": id, onclick: () => this.#options.onOpenDocument({ id, name }) }, title)
          : title,
        h("span", { class: "hint" }, more, failure ? ` · ${failure}` : ""),
      ),
      h("span", { class: `badge ${tone}` }, label),
    );
  }
}

/** @param {Facts} facts */
function records({ records }) {
  if (records.length === 0) return null;
  const found = records.filter((event) => event.data.text || event.data.entities?.length > 0).slice(-4).reverse();
  if (found.length === 0) return null;
  return section(
    "Health record",
    h("p", { class: "hint" }, "Read by a machine; nobody has reviewed it."),
    ...found.map(({ data }) =>
      h("p", { dir: "auto" }, data.text || data.entities.map((/** @type {{ text: string }} */ one) => one.text).join(", ")),
    ),
  );
}

/** @param {Facts} facts */
function matches({ match }) {
  if (match === null) return null;
  const { event, state, count, text, procedure, providers = [], failure } = match.data;
  if (event === "match_requested") {
    return section("Hospitals", h("p", { dir: "auto" }, `Being looked for${procedure ? `: ${procedure}` : ""}`));
  }
  const words = state === "failed" ? failure || "The search failed." : text || `${count ?? providers.length} may suit`;
  return section(
    "Hospitals",
    h("p", { dir: "auto" }, words),
    providers.length === 0
      ? null
      : h(
          "ul",
          { class: "providers" },
          providers.slice(0, 5).map((/** @type {{ name?: string, provider_id: string, score?: number }} */ one) =>
            h("li", {}, h("span", { dir: "auto" }, one.name ?? one.provider_id), one.score === undefined ? null : h("span", { class: "hint" }, `${Math.round(one.score * 100)} %`)),
          ),
        ),
    h("p", { class: "hint" }, moment(match.at)),
  );
}

/** @param {Facts} facts */
function consents({ consents }) {
  return section(
    "Consents",
    consents.length === 0
      ? h("p", { class: "hint" }, "None yet.")
      : h(
          "ul",
          { class: "consents" },
          consents.map(({ data }) => {
            const granted = data.event === "consent_granted";
            return h(
              "li",
              {},
              h("span", { dir: "auto" }, data.purpose),
              h("span", { class: granted ? "badge ok" : "badge" }, granted ? "Given" : "Not given"),
            );
          }),
        ),
  );
}

/** @param {Facts} facts */
function calls({ calls }) {
  if (calls.length === 0) return null;
  return section(
    "Calls",
    ...calls.slice(-3).reverse().map(({ at, data }) =>
      h(
        "div",
        { class: "call" },
        h("p", { class: "hint" }, data.direction === "inbound" ? "From the patient" : "To the patient", data.duration_s === undefined ? "" : ` · ${writeDuration(data.duration_s)}`, " · ", moment(at)),
        h("p", { dir: "auto" }, data.summary ?? data.text ?? ""),
      ),
    ),
  );
}

/**
 * @param {string} title
 * @param {...(HTMLElement | null)} content
 * @returns {HTMLElement}
 */
function section(title, ...content) {
  return h("section", {}, h("h3", {}, title), content);
}

/**
 * @param {[string, Node | string | null][]} pairs
 * @returns {HTMLElement}
 */
function list(pairs) {
  const there = pairs.filter(([, value]) => value !== null);
  return h("dl", {}, there.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/**
 * @param {string} at
 * @returns {HTMLElement}
 */
function moment(at) {
  return h("time", { datetime: at, title: writeFull(at) }, writeMoment(at, Date.now()));
}

/**
 * @param {string} text
 * @param {string} what
 * @returns {HTMLElement}
 */
function copyable(text, what) {
  const said = h("span", { class: "spoken", role: "status" });
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    said.textContent = "Copied";
    button.dataset.copied = "true";
    setTimeout(() => {
      said.textContent = "";
      delete button.dataset.copied;
    }, 1_500);
  };
  const button = h(
    "button",
    { class: "copy", type: "button", "aria-label": `Copy ${what}: ${text}`, title: "Copy", onclick: () => void copy().catch(() => {}) },
    h("code", {}, text),
    icon("copy"),
  );
  return h("span", {}, button, said);
}
