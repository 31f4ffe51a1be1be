/**
 * What stands instead of a conversation that cannot be shown, and what to do about it.
 * @module
 */
import { fill, h, icon } from "../dom.js";
import { t } from "../text.js";

/** @typedef {"signed_out" | "forbidden" | "archived" | "page_failed"} Trouble */

const ICONS = /** @type {const} */ ({ signed_out: "person", forbidden: "alert", archived: "archive", page_failed: "alert" });

/**
 * @param {Element} place
 * @param {Trouble} trouble
 * @param {(() => void) | null} signIn
 */
export function wholePage(place, trouble, signIn) {
  const reload = () => location.reload();
  const button = trouble === "archived" ? null : h("button", { type: "button", class: "button primary", onclick: signIn ?? reload }, t(signIn ? "sign_in" : "reload"));
  const heading = h("h1", { tabindex: -1 }, t(trouble));
  fill(
    place,
    h("div", { class: "whole", dataset: { trouble } }, h("span", { class: "whole-icon" }, icon(ICONS[trouble])), heading, h("p", {}, t(`${trouble}_more`)), button),
  );
  document.title = `${t(trouble)} · Curaway`;
  heading.focus();
}
