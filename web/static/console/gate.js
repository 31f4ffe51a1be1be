/**
 * What is shown instead of the desk to whom it is not open.
 * @module
 */

import { fill, h, icon } from "../dom.js";

/** @typedef {"signed_out" | "patient" | "off"} Closed */

/**
 * @param {Closed} why
 * @param {{ dev: boolean, home: string, onRetry: () => void }} options `home`: where a patient goes on
 * @returns {HTMLElement}
 */
export function gate(why, { dev, home, onRetry }) {
  const retry = h("button", { class: "button primary large", type: "button", onclick: onRetry }, "Try again");
  const signIn = dev ? h("a", { class: "button primary large", href: `/sign-in?next=${encodeURIComponent("/admin")}` }, "Sign in") : retry;
  const other = dev ? h("a", { class: "button large", href: `/sign-in?next=${encodeURIComponent("/admin")}` }, "Sign in as somebody else") : null;
  /** @type {Record<Closed, [import("../dom.js").IconName, string, string, (HTMLElement | null)[]]>} */
  const pages = {
    signed_out: ["person", "Please sign in", "The desk is for the care team of Curaway. Sign in to see the cases of your team.", [signIn]],
    patient: [
      "heart",
      "This page is for the team",
      "You are signed in as a patient. Your conversation with Curaway is on your own page.",
      [h("a", { class: "button primary large", href: home }, home === "/" ? "Go to the start page" : "Go to your conversation"), other],
    ],
    off: ["clock", "The desk is not open here", "This hub works without coordinators: the assistant answers every patient. Whoever runs it can switch on coordinator_enabled.", [retry]],
  };
  const [sign, title, text, actions] = pages[why];
  return h(
    "main",
    { class: "gate", "data-gate": why },
    h("span", { class: "gate-sign", "aria-hidden": "true" }, icon(sign)),
    h("h1", { tabindex: -1 }, title),
    h("p", {}, text),
    h("div", { class: "gate-actions" }, actions),
  );
}

/**
 * Show it in the place of everything else.
 * @param {Element} app
 * @param {HTMLElement} page
 */
export function showGate(app, page) {
  fill(app, page);
  document.title = `${page.querySelector("h1")?.textContent} · Curaway desk`;
}
