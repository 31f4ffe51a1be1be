/**
 * A field that is as high as its text, within what the style allows.
 * @module
 */

import { h } from "../dom.js";

/**
 * @param {object} options
 * @param {string} options.kind a class of its own
 * @param {string} options.label
 * @param {string} options.placeholder
 * @param {() => void} options.onInput
 * @param {() => void} options.onBlur
 * @param {(held: boolean) => boolean} options.onEnter `held`: with Ctrl or ⌘; whether it was used up
 * @param {((files: File[]) => void) | null} options.onFiles null: it takes no files
 * @returns {HTMLTextAreaElement}
 */
export function growingField({ kind, label, placeholder, onInput, onBlur, onEnter, onFiles }) {
  return /** @type {HTMLTextAreaElement} */ (
    h("textarea", {
      class: `field ${kind}`,
      rows: 2,
      dir: "auto",
      "aria-label": label,
      placeholder,
      oninput: onInput,
      onblur: onBlur,
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        // While a word is being composed, as in Hindi or Japanese, Enter belongs to the word.
        // 229: an input method that is not done, in a browser that does not say so.
        if (event.key !== "Enter" || event.isComposing || event.keyCode === 229 || event.shiftKey || event.altKey) return;
        if (!onEnter(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        event.stopPropagation();
      },
      onpaste: (/** @type {ClipboardEvent} */ event) => {
        const files = [...(event.clipboardData?.files ?? [])];
        if (onFiles === null || files.length === 0) return;
        event.preventDefault();
        onFiles(files);
      },
    })
  );
}

/** @param {HTMLTextAreaElement} field */
export function grow(field) {
  field.style.setProperty("block-size", "auto");
  if (field.scrollHeight > 0) field.style.setProperty("block-size", `${field.scrollHeight + 2}px`);
}
