/**
 * The replies that are written often: type to find one, Enter puts it where the caret stands.
 * @module
 */

import { fill, h } from "../dom.js";
import { fillIn, search } from "./canned_texts.js";
import { confirmFirst, openDialog } from "./dialog.js";

/** @typedef {import("./canned_texts.js").Canned} Canned */

/**
 * @param {object} options
 * @param {import("./canned_texts.js").CannedTexts} options.texts
 * @param {{ name: string, me: string }} options.names
 * @param {(text: string) => void} options.onChoose
 * @param {() => void} [options.onClose]
 */
export function openCannedMenu({ texts, names, onChoose, onClose }) {
  /** @type {Canned[]} */
  let found = [];
  let at = 0;
  let chosen = /** @type {string | null} */ (null);

  const list = h("ul", { class: "canned-list", role: "listbox", id: "canned-list", "aria-label": "Canned replies" });
  const preview = h("p", { class: "canned-preview", dir: "auto" });
  const change = h("div", { class: "canned-change" });
  const field = /** @type {HTMLInputElement} */ (
    h("input", {
      class: "field",
      type: "text",
      role: "combobox",
      "aria-label": "Find a reply",
      "aria-controls": "canned-list",
      "aria-expanded": "true",
      "aria-autocomplete": "list",
      placeholder: "Find a reply",
      autocomplete: "off",
      "data-first": true,
      oninput: () => look(0),
      onkeydown: onKey,
    })
  );

  const close = openDialog({
    title: "Canned replies",
    kind: "canned",
    content: () => [
      field,
      h("div", { class: "canned-body" }, list, h("div", { class: "canned-side" }, preview, change)),
      h(
        "div",
        { class: "actions split" },
        h(
          "button",
          { class: "button", type: "button", onclick: () => edit(null) },
          "Write one of your own",
        ),
        h("span", { class: "hint" }, h("kbd", {}, "↑"), h("kbd", {}, "↓"), " choose, ", h("kbd", {}, "Enter"), " insert"),
      ),
    ],
    onClose: () => {
      onClose?.();
      if (chosen !== null) onChoose(chosen);
    },
  });
  look(0);

  /** @param {number} to */
  function look(to) {
    found = search(texts.all, field.value);
    at = Math.min(Math.max(to, 0), Math.max(found.length - 1, 0));
    fill(
      list,
      found.map((one, index) =>
        h(
          "li",
          {
            role: "option",
            id: `canned-${index}`,
            "aria-selected": String(index === at),
            onclick: () => take(one),
            onpointermove: () => index !== at && look(index),
          },
          h("span", { class: "title", dir: "auto" }, one.title),
          one.own ? h("span", { class: "badge" }, "Yours") : null,
        ),
      ),
      found.length === 0 ? h("li", { class: "hint" }, "Nothing is found.") : null,
    );
    const one = found[at];
    fill(preview, one === undefined ? "" : fillIn(one.text, names));
    fill(change, one?.own ? [button("Edit", () => edit(one)), button("Delete", () => remove(one))] : []);
    if (one === undefined) field.removeAttribute("aria-activedescendant");
    else field.setAttribute("aria-activedescendant", `canned-${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  /** @param {Canned} one */
  function take(one) {
    chosen = fillIn(one.text, names);
    close();
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (event.isComposing) return;
    const one = found[at];
    if (event.key === "ArrowDown") look((at + 1) % Math.max(found.length, 1));
    else if (event.key === "ArrowUp") look((at - 1 + found.length) % Math.max(found.length, 1));
    else if (event.key === "Enter" && one !== undefined) take(one);
    else return;
    event.preventDefault();
  }

  /** @param {Canned | null} one */
  function edit(one) {
    openCannedEditor({ one, onSave: (kept) => (texts.keep(kept), look(0)) });
  }

  /** @param {Canned} one */
  function remove(one) {
    confirmFirst({
      title: "Delete this reply?",
      text: `“${one.title}” is then gone from this device.`,
      action: "Delete",
      onConfirm: () => {
        texts.remove(one.id);
        look(at);
        field.focus();
      },
    });
  }
}

/**
 * @param {object} options
 * @param {Canned | null} options.one
 * @param {(kept: { id: string, title: string, text: string }) => void} options.onSave
 */
function openCannedEditor({ one, onSave }) {
  const title = /** @type {HTMLInputElement} */ (
    h("input", { class: "field", id: "canned-title", required: true, maxlength: 80, dir: "auto", value: one?.title ?? "", "data-first": true })
  );
  const text = /** @type {HTMLTextAreaElement} */ (
    h("textarea", { class: "field", id: "canned-text", required: true, rows: 6, maxlength: 5_000, dir: "auto" })
  );
  text.value = one?.text ?? "";
  const close = openDialog({
    title: one === null ? "A reply of your own" : "Edit your reply",
    content: (cancel) => [
      h(
        "form",
        {
          method: "dialog",
          onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            close();
            onSave({ id: one?.id ?? `own-${Date.now()}`, title: title.value.trim(), text: text.value.trim() });
          },
        },
        h("label", { class: "label", for: "canned-title" }, "Title"),
        title,
        h("label", { class: "label", for: "canned-text" }, "Text"),
        text,
        h("p", { class: "hint" }, "{name} becomes the patient’s name, and {me} your own. It is kept on this device: write nothing in it about a patient."),
        h(
          "div",
          { class: "actions" },
          h("button", { class: "button", type: "button", onclick: cancel }, "Cancel"),
          h("button", { class: "button primary", type: "submit" }, "Save"),
        ),
      ),
    ],
  });
}

/**
 * @param {string} label
 * @param {() => void} onclick
 * @returns {HTMLElement}
 */
function button(label, onclick) {
  return h("button", { class: "button quiet", type: "button", onclick }, label);
}

