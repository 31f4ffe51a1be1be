/**
 * The start page: both sides next to each other, and on a small screen one at a time.
 * @module
 */

import { fill, h, icon } from "../dom.js";

const root = document.documentElement;
const frames = [...document.querySelectorAll("iframe")];
const sides = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".side")]);
const switches = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll(".sides button")]);
const toggle = /** @type {HTMLButtonElement} */ (document.querySelector("#theme"));
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

/** @returns {"light" | "dark"} */
function otherTheme() {
  const theme = root.dataset.theme ?? (systemIsDark.matches ? "dark" : "light");
  return theme === "dark" ? "light" : "dark";
}

/** Let both pages follow the theme of this one. */
function spread() {
  for (const frame of frames) {
    const inner = frame.contentDocument?.documentElement;
    if (inner && root.dataset.theme) inner.dataset.theme = root.dataset.theme;
  }
  const name = otherTheme() === "dark" ? "Dark" : "Light";
  toggle.setAttribute("aria-label", `${name} theme`);
  fill(toggle, icon("sun"), h("span", {}, name));
}

toggle.addEventListener("click", () => {
  root.dataset.theme = otherTheme();
  spread();
});
systemIsDark.addEventListener("change", spread);
for (const frame of frames) frame.addEventListener("load", spread);
spread();

for (const button of switches) {
  button.addEventListener("click", () => {
    for (const each of switches) each.setAttribute("aria-pressed", String(each === button));
    for (const side of sides) side.classList.toggle("shown", side.id === button.getAttribute("aria-controls"));
  });
}
