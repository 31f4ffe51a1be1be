/**
 * Asks to whom a case goes, and what the assistant should know.
 * @module
 */

import { h } from "../dom.js";
import { openDialog } from "./dialog.js";

/** @typedef {{ to: "ai" | "queue", brief?: string }} Release */

/**
 * @param {object} options
 * @param {string} options.patient
 * @param {string | null} options.owner whose case it is, if it is somebody else's
 * @param {(release: Release) => void} options.onRelease
 */
export function openReleaseDialog({ patient, owner, onRelease }) {
  /** @type {Release["to"]} */
  let to = "ai";
  const brief = /** @type {HTMLTextAreaElement} */ (
    h("textarea", {
      class: "field",
      id: "brief",
      rows: 4,
      maxlength: 10_000,
      dir: "auto",
      "aria-describedby": "brief-hint",
      "data-first": true,
    })
  );
  const submit = h("button", { class: "button primary", type: "submit" }, "Release");
  const choice = (
    /** @type {Release["to"]} */ value,
    /** @type {string} */ label,
    /** @type {string} */ hint,
  ) =>
    h(
      "label",
      { class: "choice" },
      h("input", {
        type: "radio",
        name: "to",
        value,
        checked: value === to,
        onchange: () => (to = value),
      }),
      h("span", {}, h("strong", {}, label), h("span", { class: "hint" }, hint)),
    );
  const close = openDialog({
    title: owner === null ? "Release this case" : `Release ${owner}’s case`,
    kind: "release",
    content: (cancel) => [
      h(
        "form",
        {
          method: "dialog",
          onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            const text = brief.value.trim();
            close();
            onRelease(text === "" ? { to } : { to, brief: text });
          },
          onkeydown: (/** @type {KeyboardEvent} */ event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit.click();
          },
        },
        h(
          "fieldset",
          { class: "choices" },
          h("legend", { class: "label" }, `Who goes on with ${patient}?`),
          choice("ai", "The assistant", "It answers from now on."),
          choice("queue", "The queue", "The next free colleague accepts."),
        ),
        h("label", { class: "label", for: "brief" }, "Brief (optional)"),
        brief,
        h(
          "p",
          { class: "hint", id: "brief-hint" },
          `What the assistant should know of what happened. Write it so that ${patient} could read it: the assistant may say it in its own words.`,
        ),
        h(
          "div",
          { class: "actions" },
          h("button", { class: "button", type: "button", onclick: cancel }, "Cancel"),
          submit,
        ),
      ),
    ],
  });
}
