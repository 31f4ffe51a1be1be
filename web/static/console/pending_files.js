/**
 * Files that go with the next reply. They leave this device only when it is sent: a file that the
 * hub has is a document of the case, and the patient sees it.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { bytes } from "../text.js";
import { refusalOf } from "../upload_check.js";

/** @typedef {{ id: string, name: string, content_type: string, size: number }} Attachment */
/** @typedef {{ file: File | null, attachment: Attachment | null, sent: number }} Pending */

const MOST = 20;

export class PendingFiles {
  /** @type {Pending[]} */
  #files = [];
  #hub;
  #limit;
  #onChange;
  /** @type {AbortController | null} */
  #abort = null;
  #fault = "";

  /** @param {{ hub: import("../hub-client.js").HubClient, limit: number, onChange: () => void }} options */
  constructor({ hub, limit, onChange }) {
    this.#hub = hub;
    this.#limit = limit;
    this.#onChange = onChange;
    this.#input = /** @type {HTMLInputElement} */ (
      h("input", {
        type: "file",
        multiple: true,
        hidden: true,
        "aria-label": "Files for the patient",
        onchange: () => {
          this.add([...(this.#input.files ?? [])]);
          this.#input.value = "";
        },
      })
    );
    this.#list = h("ul", { class: "files" });
    this.#words = h("p", { class: "file-fault", role: "alert" });
    this.element = h("div", { class: "pending-files", hidden: true }, this.#input, this.#list, this.#words);
  }

  #input;
  #list;
  #words;

  get isEmpty() {
    return this.#files.length === 0 && this.#fault === "";
  }

  choose() {
    this.#input.click();
  }

  /** @param {File[]} files */
  add(files) {
    const fits = files.filter((file) => refusalOf(file, this.#limit) === null);
    const added = fits.map((file) => ({ file, attachment: null, sent: 0 }));
    const all = [...this.#files, ...added];
    this.#files = all.slice(0, MOST);
    const faults = files.map((file) => faultOf(file, this.#limit)).filter((fault) => fault !== "");
    if (all.length > MOST) faults.push(`A message takes ${MOST} files.`);
    this.#fault = faults.join(" ");
    this.#draw();
  }

  /**
   * Have these again, which are uploaded already.
   * @param {Attachment[]} attachments
   */
  restore(attachments) {
    const there = attachments.map((attachment) => ({ file: null, attachment, sent: 1 }));
    this.#files = [...there, ...this.#files].slice(0, MOST);
    this.#draw();
  }

  /**
   * Upload what is not yet; what is, stays so if another one fails.
   * @returns {Promise<Attachment[]>}
   */
  async upload() {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#fault = "";
    try {
      for (const pending of this.#files) {
        if (pending.attachment !== null || pending.file === null) continue;
        const onProgress = (/** @type {number} */ sent, /** @type {number} */ total) => {
          pending.sent = total > 0 ? sent / total : 0;
          this.#draw();
        };
        pending.attachment = attachmentOf(await this.#hub.upload(pending.file, { onProgress, signal }));
        pending.sent = 1;
      }
      return this.#files.flatMap(({ attachment }) => attachment ?? []);
    } finally {
      this.#abort = null;
      this.#draw();
    }
  }

  clear() {
    this.#files = [];
    this.#fault = "";
    this.#draw();
  }

  stop() {
    this.#abort?.abort();
  }

  #draw() {
    fill(this.#words, this.#fault);
    fill(this.#list, this.#files.map((pending) => this.#chip(pending)));
    this.#onChange();
  }

  /**
   * @param {Pending} pending
   * @returns {HTMLElement}
   */
  #chip(pending) {
    const name = pending.file?.name ?? pending.attachment?.name ?? "";
    const size = pending.file?.size ?? pending.attachment?.size ?? 0;
    const running = this.#abort !== null && pending.attachment === null;
    return h(
      "li",
      { class: "file" },
      icon("document"),
      h("span", { class: "file-name", dir: "auto" }, name),
      h("span", { class: "hint" }, bytes(size)),
      running
        ? h(
            "span",
            {
              class: "progress",
              role: "progressbar",
              "aria-label": `Upload of ${name}`,
              "aria-valuenow": Math.round(pending.sent * 100),
            },
            h("span", { style: { "--share": `${pending.sent * 100}%` } }),
          )
        : null,
      h(
        "button",
        {
          class: "button quiet icon-only small",
          type: "button",
          "aria-label": `Remove ${name}`,
          onclick: () => {
            this.stop();
            this.#files = this.#files.filter((other) => other !== pending);
            this.#draw();
          },
        },
        icon("close"),
      ),
    );
  }
}

/**
 * @param {Attachment} uploaded
 * @returns {Attachment}
 */
function attachmentOf({ id, name, content_type, size }) {
  return { id, name, content_type, size };
}

/**
 * @param {File} file
 * @param {number} limit
 * @returns {string} empty: there is none
 */
function faultOf(file, limit) {
  const refusal = refusalOf(file, limit);
  if (refusal === null) return "";
  return refusal.code === "empty" ? `${file.name} is empty.` : `${file.name} is larger than ${bytes(limit)}.`;
}
