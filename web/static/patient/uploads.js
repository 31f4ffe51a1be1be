/**
 * Files on their way, one after the other: how far each is, and what can be done about it.
 * @module
 */
import { fill, h, icon } from "../dom.js";
import { bytes, percent, t } from "../text.js";
import { refusalOf } from "../upload_check.js";

/** @typedef {(file: File, options: { onProgress: (sent: number, total: number) => void, signal: AbortSignal }) => Promise<unknown>} Send */
/** @typedef {{ file: File, row: HTMLElement, abort: AbortController, state: "waiting" | "sending" | "failed" }} Upload */

/** Why sending a file again would not help. */
const FINAL = new Set(["too_large", "empty", "invalid", "closed"]);

export class Uploads {
  element = h("ul", { class: "uploads", "aria-label": t("document") });
  #send;
  #limit;
  #leave;
  /** @type {Upload[]} */
  #queue = [];
  #busy = false;

  /**
   * @param {Send} send
   * @param {number} limit the most bytes of a file
   * @param {() => void} leave takes the focus, when what had it is gone
   */
  constructor(send, limit, leave) {
    this.#send = send;
    this.#limit = limit;
    this.#leave = leave;
  }

  /** @param {File[]} files */
  add(files) {
    for (const file of files) {
      const row = h("li", { class: "upload panel" });
      /** @type {Upload} */
      const upload = { file, row, abort: new AbortController(), state: "waiting" };
      this.#queue.push(upload);
      this.element.append(row);
      const refusal = refusalOf(file, this.#limit);
      if (refusal) this.#fail(upload, refusal);
      else this.#show(upload, t("upload_waiting"), 0);
    }
    void this.#next();
  }

  async #next() {
    const upload = this.#queue.find(({ state }) => state === "waiting");
    if (this.#busy || !upload) return;
    this.#busy = true;
    upload.state = "sending";
    upload.abort = new AbortController();
    /** @param {number} sent @param {number} total */
    const onProgress = (sent, total) => {
      const share = total > 0 ? sent / total : 0;
      if (upload.state === "sending") this.#show(upload, share >= 1 ? t("upload_checking") : percent(share), share);
    };
    onProgress(0, upload.file.size);
    try {
      await this.#send(upload.file, { onProgress, signal: upload.abort.signal });
      this.#drop(upload);
    } catch (error) {
      if (!upload.abort.signal.aborted) this.#fail(upload, error);
    } finally {
      this.#busy = false;
      void this.#next();
    }
  }

  /** @param {Upload} upload */
  #drop(upload) {
    const held = upload.row.contains(document.activeElement);
    this.#queue = this.#queue.filter((other) => other !== upload);
    upload.row.remove();
    if (held) this.#leave();
  }

  /**
   * @param {Upload} upload
   * @param {string} how
   * @param {number} share
   */
  #show(upload, how, share) {
    const { file, row } = upload;
    row.dataset.state = upload.state;
    const bar = row.querySelector(".progress");
    if (bar) {
      bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
      /** @type {HTMLElement} */ (bar.firstElementChild).style.setProperty("--share", `${share * 100}%`);
      fill(/** @type {Element} */ (row.querySelector(".upload-how")), how);
      return;
    }
    const cancel = () => {
      upload.abort.abort();
      this.#drop(upload);
    };
    fill(
      row,
      h("span", { class: "card-icon" }, icon("document")),
      h(
        "div",
        { class: "upload-text" },
        h("p", { class: "upload-row" }, h("bdi", { class: "chip-name" }, file.name), h("span", { class: "upload-how" }, how)),
        h(
          "div",
          { class: "progress", role: "progressbar", "aria-label": t("uploading", { name: file.name }), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 },
          h("span"),
        ),
      ),
      h("button", { type: "button", class: "button quiet icon-only", "aria-label": `${t("cancel")}: ${file.name}`, onclick: cancel }, icon("close")),
    );
  }

  /**
   * @param {Upload} upload
   * @param {any} error
   */
  #fail(upload, error) {
    upload.state = "failed";
    upload.row.dataset.state = "failed";
    const { name } = upload.file;
    const again = () => {
      upload.state = "waiting";
      fill(upload.row);
      this.#show(upload, t("upload_waiting"), 0);
      upload.row.querySelector("button")?.focus();
      void this.#next();
    };
    const held = upload.row.contains(document.activeElement);
    fill(
      upload.row,
      h("span", { class: "card-icon" }, icon("alert")),
      h("p", { class: "upload-text", role: "alert" }, reason(error, name)),
      !FINAL.has(error?.code) && h("button", { type: "button", class: "button", onclick: again }, icon("retry"), t("retry")),
      h("button", { type: "button", class: "button quiet icon-only", "aria-label": `${t("dismiss")}: ${name}`, onclick: () => this.#drop(upload) }, icon("close")),
    );
    if (held) upload.row.querySelector("button")?.focus();
  }
}

/**
 * Say why a file did not arrive.
 * @param {any} error
 * @param {string} name
 */
export function reason(error, name) {
  if (error?.code === "too_large") return t("upload_too_large", { name, limit: bytes(error.limit ?? 10_485_760) });
  if (error?.code === "empty") return t("upload_empty", { name });
  if (error?.code === "invalid") return `\u2068${name}\u2069: ${t("upload_type")}`;
  if (error?.code === "closed") return `\u2068${name}\u2069: ${t("upload_closed")}`;
  return t("upload_failed", { name });
}
