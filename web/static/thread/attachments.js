/**
 * Files in a conversation: how they are shown, and what may be opened in the page itself.
 * @module
 */
import { h, icon } from "../dom.js";
import { bytes } from "../text.js";

/** @typedef {{ id: string, name: string, content_type: string, size: number }} Attachment */

/** Pictures that a browser draws without running anything of them: no SVG. */
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);

/**
 * Make the chip of a file.
 * @param {Attachment} file
 * @param {(key: "open_file", vars: { name: string }) => string} t
 * @param {(file: Attachment) => void} [open]
 */
export function chip(file, t, open) {
  const inside = [
    h("span", { class: "chip-icon" }, icon("document")),
    h("span", { class: "chip-text" }, h("bdi", { class: "chip-name" }, file.name), h("span", { class: "chip-size" }, bytes(file.size))),
  ];
  if (!open) return h("span", { class: "chip" }, ...inside);
  const verb = h("span", { class: "spoken" }, `${t("open_file", { name: "" }).trim()} `);
  return h("button", { type: "button", class: "chip", onclick: () => open(file) }, verb, ...inside);
}

/**
 * Show what was downloaded: pictures in a dialog, all else as a file to keep.
 *
 * Nothing that a stranger sent is opened as a document of this site's own origin.
 * @param {Blob} blob
 * @param {{ name: string, content_type?: string }} file
 * @param {import("../text.js").Translate} t
 */
export function openFile(blob, file, t) {
  const url = URL.createObjectURL(blob);
  const type = (file.content_type ?? blob.type).toLowerCase();
  if (!PICTURES.has(type)) {
    save(url, file.name);
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    return;
  }
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: "picture", "aria-label": file.name },
      h("img", { src: url, alt: file.name }),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", class: "button", onclick: () => save(url, file.name) }, icon("down"), t("download")),
        h("button", { type: "button", class: "button primary", autofocus: true, onclick: () => dialog.close() }, t("close")),
      ),
    )
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    URL.revokeObjectURL(url);
  });
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * @param {string} url
 * @param {string} name
 */
function save(url, name) {
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}
