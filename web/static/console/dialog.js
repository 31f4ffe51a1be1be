/**
 * A dialog of the page: what it was opened from gets the focus back.
 * @module
 */

import { fill, h, icon } from "../dom.js";

let made = 0;

/**
 * Open a dialog. It closes by Escape, by its close button, and by `close`.
 * @param {object} options
 * @param {string} options.title
 * @param {string} [options.kind] a class of its own
 * @param {(close: () => void) => (Node | string | null)[]} options.content
 * @param {() => void} [options.onClose]
 * @returns {() => void} closes it
 */
export function openDialog({ title, kind = "", content, onClose }) {
  const opener = document.activeElement;
  const id = `dialog-${(made += 1)}`;
  const dialog = /** @type {HTMLDialogElement} */ (
    h("dialog", { class: kind, "aria-labelledby": id })
  );
  const close = () => dialog.close();
  fill(
    dialog,
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id }, title),
      h(
        "button",
        { class: "button quiet icon-only", type: "button", "aria-label": "Close", onclick: close },
        icon("close"),
      ),
    ),
    ...content(close),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    onClose?.();
  });
  // A click on the veil lands on the dialog itself, beside its content.
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog && isOutside(dialog, event)) close();
  });
  document.body.append(dialog);
  dialog.showModal();
  const first = dialog.querySelector("[data-first]");
  if (first instanceof HTMLElement) first.focus();
  return close;
}

/**
 * @param {HTMLElement} dialog
 * @param {PointerEvent} event
 * @returns {boolean}
 */
function isOutside(dialog, { clientX, clientY }) {
  const box = dialog.getBoundingClientRect();
  const across = clientX < box.left || clientX > box.right;
  return across || clientY < box.top || clientY > box.bottom;
}

/**
 * Ask before something that is not easily undone.
 * @param {{ title: string, text: string, action: string, onConfirm: () => void }} options
 */
export function confirmFirst({ title, text, action, onConfirm }) {
  openDialog({
    title,
    content: (close) => [
      h("p", { class: "hint" }, text),
      h(
        "div",
        { class: "actions" },
        h(
          "button",
          { class: "button", type: "button", "data-first": true, onclick: close },
          "Cancel",
        ),
        h(
          "button",
          {
            class: "button danger",
            type: "button",
            onclick: () => {
              close();
              onConfirm();
            },
          },
          action,
        ),
      ),
    ],
  });
}
