/**
 * What happened besides what was said, in one quiet line.
 * @module
 */
import { h } from "../dom.js";
import { percent } from "../text.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {import("../text.js").Translate} Translate */

/**
 * Put an event into a sentence for its reader.
 * @param {HubEvent} event
 * @param {import("./message.js").Audience} audience
 * @param {Translate} t
 * @returns {string | null} null: there is nothing to say of it
 */
export function sentence(event, audience, t) {
  const { data, kind } = event;
  const patient = audience === "patient";
  if (kind === "control") {
    if (data.control === "human") return t("joined", { name: data.owner ?? event.actor.name ?? t("curaway") });
    if (data.control === "ai") return t("assistant_back");
    if (data.reason !== "escalated") return t("queued");
    return patient ? t("asked") : t("patient_asked");
  }
  if (kind === "status") {
    const status = t(/** @type {import("../text.js").Key} */ (`status_${data.to}`));
    return t("case_status", { status });
  }
  if (kind === "consent") return t(data.event === "consent_granted" ? "agreed" : "withdrew", { purpose: data.purpose });
  if (kind === "patient" && !patient) return t("registered", { name: data.name });
  if (kind === "intake" && !patient) {
    const share = t("intake_line", { share: percent(data.percent / 100) });
    return data.step ? `${share} · ${data.step}` : share;
  }
  return null;
}

/**
 * @param {HubEvent} event
 * @param {import("./message.js").Audience} audience
 * @param {Translate} t
 */
export function line(event, audience, t) {
  const words = sentence(event, audience, t);
  if (words === null) return null;
  return h("div", { class: "entry line", dataset: { kind: event.kind, control: event.data.control ?? "" } }, h("p", {}, words));
}
