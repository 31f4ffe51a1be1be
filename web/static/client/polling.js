/** The last way to a case, where even a stream is held back: ask every two seconds. */

import { HttpLink } from "./http-link.js";

const EVERY_MS = 2_000;
const HIDDEN_EVERY_MS = 10_000;

export class PollingLink extends HttpLink {
  /**
   * @param {import("./http-link.js").CaseWay} way
   * @param {import("./connection.js").LinkEvents} events
   */
  constructor(way, events) {
    super(way, events);
    void this.guard(() => this.#run());
  }

  /** @type {(() => void) | null} */
  #wake = null;
  #poked = false;

  ping() {
    this.poke();
  }

  poke() {
    this.#poked = true;
    this.#wake?.();
  }

  close() {
    super.close();
    this.#wake?.();
  }

  async #run() {
    await this.begin();
    while (!this.over) {
      await this.#pause();
      if (this.over) return;
      this.#poked = false;
      await this.pull();
    }
  }

  /** @returns {Promise<void>} */
  #pause() {
    const { environment } = this.way;
    if (this.#poked) return Promise.resolve();
    const ms = environment.document?.hidden ? HIDDEN_EVERY_MS : EVERY_MS;
    return new Promise((resolve) => {
      const timer = environment.setTimeout(resolve, ms);
      this.#wake = () => {
        environment.clearTimeout(timer);
        resolve();
      };
    });
  }
}
