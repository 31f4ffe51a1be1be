/** Those who want to be told, by the name of what they want to be told of. */

export class Listeners {
  /** @param {(error: unknown) => void} report */
  constructor(report) {
    this.#report = report;
  }

  /** @type {(error: unknown) => void} */
  #report;
  /** @type {Map<string, Set<(data: any) => void>>} */
  #of = new Map();

  /**
   * @param {string} name
   * @param {(data: any) => void} listener
   * @returns {() => void} removes it
   */
  add(name, listener) {
    const listeners = this.#of.get(name) ?? new Set();
    this.#of.set(name, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * Tell all of them; one that throws is reported, and harms nobody else.
   *
   * @param {string} name
   * @param {unknown} data
   */
  tell(name, data) {
    for (const listener of [...(this.#of.get(name) ?? [])]) this.guard(() => listener(data));
  }

  /** @param {() => unknown} call */
  guard(call) {
    try {
      call();
    } catch (error) {
      this.#report(error);
    }
  }
}
