/** Requests to the hub, with the token and the tenant in their headers. */

import { HubError, errorOfResponse } from "./errors.js";

const ANSWER_WITHIN_MS = 20_000;

/**
 * @typedef {object} RequestOptions
 * @property {unknown} [body] goes as JSON; a FormData or Blob goes as it is
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 */

export class Rest {
  /**
   * @param {string} url the origin of the hub
   * @param {import("./token.js").Tokens} tokens
   * @param {import("./environment.js").Environment} environment
   */
  constructor(url, tokens, environment) {
    this.url = url.replace(/\/+$/, "");
    this.#tokens = tokens;
    this.#environment = environment;
  }

  #tokens;
  #environment;

  /**
   * Ask, and renew the token once if it is refused.
   *
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<Response>} of a status 2xx
   * @throws {HubError}
   */
  async ask(method, path, options = {}) {
    await this.#token(() => this.#tokens.valid());
    let response = await this.once(method, path, options);
    if (response.status === 401) {
      await this.#token(() => this.#tokens.fresh(true));
      response = await this.once(method, path, options);
    }
    if (!response.ok) throw await errorOfResponse(response);
    return response;
  }

  /**
   * Find out whether the hub answers at all, whatever it says; a proxy whose hub is away does not.
   *
   * @param {string} path
   * @returns {Promise<boolean>}
   */
  async answers(path) {
    try {
      const { status } = await this.once("GET", path);
      return ![502, 503, 504].includes(status);
    } catch {
      return false;
    }
  }

  /**
   * Ask once, with the last token, whatever the answer is.
   *
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<Response>}
   * @throws {HubError} there was no answer
   */
  async once(method, path, { body, headers = {}, signal } = {}) {
    const aborter = new AbortController();
    const abort = () => aborter.abort();
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    const patience = this.#environment.setTimeout(abort, ANSWER_WITHIN_MS);
    try {
      return await this.#environment.fetch(`${this.url}${path}`, {
        method,
        headers: { ...this.#tokens.headers, ...typeOf(body), ...headers },
        body: plain(body) ? JSON.stringify(body) : /** @type {any} */ (body),
        signal: aborter.signal,
        cache: "no-store",
        credentials: "omit",
      });
    } catch {
      if (signal?.aborted) throw new HubError("aborted", "It was given up.");
      throw new HubError("unavailable", "The hub did not answer.");
    } finally {
      this.#environment.clearTimeout(patience);
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<any>} what the answer says; null if it is empty
   */
  async json(method, path, options = {}) {
    const response = await this.ask(method, path, options);
    const text = await response.text();
    return text === "" ? null : JSON.parse(text);
  }

  /** @param {() => Promise<string>} get */
  async #token(get) {
    try {
      await get();
    } catch {
      throw new HubError("unauthenticated", "Nobody is signed in.");
    }
  }
}

/** @param {unknown} body */
function plain(body) {
  return body !== undefined && !(body instanceof FormData) && !(body instanceof Blob);
}

/**
 * @param {unknown} body
 * @returns {Record<string, string>}
 */
function typeOf(body) {
  return plain(body) ? { "Content-Type": "application/json" } : {};
}
