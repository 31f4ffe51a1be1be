/**
 * Who leads the conversation, and how far the wish for a person is.
 * @module
 */

/** @typedef {"idle" | "asking" | "asked" | "with" | "refused"} Wish */
/**
 * @typedef {object} Known
 * @property {"ai" | "waiting" | "human"} control
 * @property {string | null} coordinator
 * @property {boolean} asking a wish that the hub has not answered
 * @property {boolean} refused the hub has nobody to ask
 */

/**
 * Tell how far the wish for a person is. What the hub says goes before what was asked of it.
 * @param {Known} known
 * @returns {Wish}
 */
export function wish({ control, asking, refused }) {
  if (control === "human") return "with";
  if (control === "waiting") return "asked";
  if (asking) return "asking";
  return refused ? "refused" : "idle";
}

/**
 * Tell how the page says it.
 * @param {Known} known
 * @param {boolean} online whether the coordinator is here
 * @param {import("../text.js").Translate} t
 * @returns {{ title: string, more: string, strip: string }}
 */
export function leader(known, online, t) {
  const name = known.coordinator ?? t("curaway");
  const state = wish(known);
  if (state === "with") {
    return { title: t("from_curaway", { name }), more: online ? t("talk_with", { name }) : t("away"), strip: "" };
  }
  if (state === "asked") return { title: t("with_waiting"), more: "", strip: t("talk_asked") };
  return { title: t("with_assistant"), more: "", strip: state === "refused" ? t("talk_refused") : "" };
}
