/**
 * What one may do with a case besides writing: accept, release, stop the answer, set the status.
 * @module
 */

import { confirmFirst } from "./dialog.js";
import { openReleaseDialog } from "./release_dialog.js";

/** @typedef {import("../client/errors.js").HubError} HubError */

export class CaseCommands {
  /** Whether a takeover or a release is on its way. */
  busy = false;
  #hub;
  #changed;
  #say;
  #stopped = false;

  /**
   * @param {object} options
   * @param {import("../hub-client.js").HubClient} options.hub
   * @param {() => void} options.onChange
   * @param {(fault: string) => void} options.onFault empty: all is well
   */
  constructor({ hub, onChange, onFault }) {
    this.#hub = hub;
    this.#changed = onChange;
    this.#say = onFault;
  }

  /** @returns {Promise<boolean>} whether the case is one's own now */
  async accept() {
    return this.#do("accept", {});
  }

  /** @returns {Promise<boolean>} */
  async stopAnswer() {
    return this.#do("stop", {});
  }

  /**
   * Ask to whom the case goes, and release it.
   * @param {string} patient
   * @param {string | null} owner whose case it is, if it is somebody else's
   */
  release(patient, owner) {
    openReleaseDialog({ patient, owner, onRelease: (body) => void this.#do("release", body) });
  }

  /** @param {string} status */
  setStatus(status) {
    const set = () => void this.#do("status", { status });
    if (status !== "archived") {
      set();
      return;
    }
    confirmFirst({
      title: "Archive this case?",
      text: "Nothing can be added to an archived case, and everybody who has it open is disconnected. This cannot be undone here.",
      action: "Archive",
      onConfirm: set,
    });
  }

  /** What fails from now on is nobody's concern. */
  stop() {
    this.#stopped = true;
  }

  /**
   * @param {"accept" | "release" | "status" | "stop"} type
   * @param {Record<string, any>} body
   * @returns {Promise<boolean>} whether it was done
   */
  async #do(type, body) {
    this.busy = type === "accept" || type === "release";
    this.#changed();
    try {
      await this.#hub.send(type, body);
      this.#say("");
      return true;
    } catch (caught) {
      if (!this.#stopped) this.#say(wordsOf(/** @type {HubError} */ (caught)));
      return false;
    } finally {
      this.busy = false;
      if (!this.#stopped) this.#changed();
    }
  }
}

/**
 * @param {HubError} error
 * @returns {string}
 */
function wordsOf(error) {
  if (error.code === "disconnected") return "There is no connection: it was not done.";
  if (error.code === "conflict" && error.owner) return `${error.owner} has accepted this case already.`;
  return error.message;
}
