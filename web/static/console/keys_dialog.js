/**
 * The list of keys, and what one may choose about them.
 * @module
 */

import { h } from "../dom.js";
import { openDialog } from "./dialog.js";

/** @typedef {import("./shortcuts.js").Shortcut} Shortcut */

const IS_MAC = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "");
/** @type {Record<string, string>} */
const WORDS = {
  mod: IS_MAC ? "⌘" : "Ctrl",
  ArrowDown: "↓",
  ArrowUp: "↑",
  Enter: "Enter",
  Escape: "Esc",
};

/**
 * Draw keys: `g d` as two of them, `mod+Enter` as two that are held together.
 * @param {string} keys
 * @returns {HTMLElement}
 */
export function drawKeys(keys) {
  const parts = keys.split(/ /).map((press) =>
    press.length === 1 ? [press] : press.split("+"),
  );
  return h(
    "span",
    { class: "keys" },
    parts.flatMap((press, at) => [
      at > 0 ? h("span", { class: "then" }, "then") : null,
      ...press.map((key) => h("kbd", {}, WORDS[key] ?? key)),
    ]),
  );
}

/**
 * @param {object} options
 * @param {Shortcut[]} options.shortcuts
 * @param {import("./preferences.js").Preferences} options.preferences
 * @param {() => void} [options.onClose]
 */
export function openKeysDialog({ shortcuts, preferences, onClose }) {
  const groups = [...new Set(shortcuts.map((one) => one.group))];
  openDialog({
    title: "Keys",
    kind: "keys-dialog",
    onClose,
    content: () => [
      h(
        "div",
        { class: "key-groups" },
        groups.map((group) =>
          h(
            "section",
            {},
            h("h3", {}, group),
            h(
              "dl",
              {},
              shortcuts
                .filter((one) => one.group === group)
                .map((one) =>
                  h("div", {}, h("dt", {}, one.does), h("dd", {}, drawKeys(one.keys))),
                ),
            ),
          ),
        ),
      ),
      h(
        "fieldset",
        { class: "choices" },
        h("legend", { class: "spoken" }, "Choices"),
        choice(preferences, "keys", "Keys of a single character", "Off: only keys with Ctrl or ⌘, Enter, Esc and the arrows do something."),
        choice(preferences, "enterSends", "Enter sends a reply", "Shift+Enter makes a new line. A note is always saved by Ctrl+Enter."),
        choice(preferences, "sound", "A soft sound when somebody begins to wait", ""),
      ),
    ],
  });
}

/**
 * @param {import("./preferences.js").Preferences} preferences
 * @param {import("./preferences.js").Preference} name
 * @param {string} label
 * @param {string} hint
 * @returns {HTMLElement}
 */
function choice(preferences, name, label, hint) {
  const box = /** @type {HTMLInputElement} */ (
    h("input", { type: "checkbox", checked: preferences.get(name) })
  );
  box.addEventListener("change", () => preferences.set(name, box.checked));
  return h(
    "label",
    { class: "choice" },
    box,
    h("span", {}, h("strong", {}, label), hint === "" ? null : h("span", { class: "hint" }, hint)),
  );
}
