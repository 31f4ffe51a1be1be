/** Why the hub, or the way to it, did not do something. */

/** Codes after which the same command may be sent again, with the same key. */
const PASSING = new Set(["rate_limited", "unavailable", "internal", "disconnected"]);

export class HubError extends Error {
  /**
   * @param {string} code one of the codes of the hub, or `disconnected`, `expired`, `aborted`
   * @param {string} message a sentence; never what the user wrote
   * @param {Record<string, unknown>} [details] what else the hub said: `missed`, `owner`, …
   */
  constructor(code, message, details = {}) {
    super(message);
    this.name = "HubError";
    this.code = code;
    /** Seconds to wait, if the hub said so. @type {number | undefined} */
    this.retry_after = undefined;
    /** The events that a `stale` author had not seen. @type {import("./frames.js").HubEvent[] | undefined} */
    this.missed = undefined;
    /** Who has the case, with `conflict` and `forbidden`. @type {string | undefined} */
    this.owner = undefined;
    /** The hub itself said so, and not somebody on the way to it. */
    this.fromHub = true;
    const { type: _type, message: _message, ...rest } = details;
    Object.assign(this, rest, { code });
  }

  /** Whether the same may be tried again as it is. */
  get passing() {
    return PASSING.has(this.code);
  }
}

/**
 * @param {Record<string, any>} frame an `error`
 * @returns {HubError}
 */
export function errorOfFrame(frame) {
  return new HubError(String(frame.code ?? "internal"), String(frame.message ?? ""), frame);
}

/** @type {Record<number, string>} */
const CODE_OF_STATUS = {
  400: "invalid",
  401: "unauthenticated",
  403: "forbidden",
  404: "not_found",
  405: "not_found",
  409: "conflict",
  410: "closed",
  413: "too_large",
  422: "invalid",
  429: "rate_limited",
};

/**
 * Read what an HTTP answer other than 2xx says; whoever stands between may say it, too.
 *
 * @param {Response} response
 * @returns {Promise<HubError>}
 */
export async function errorOfResponse(response) {
  const after = Number(response.headers.get("Retry-After"));
  const waits = Number.isFinite(after) && after > 0 ? { retry_after: after } : {};
  const plain = CODE_OF_STATUS[response.status] ?? "unavailable";
  /** @type {any} */
  let error = null;
  try {
    error = (await response.json())?.error;
  } catch {
    // Not the hub's own words.
  }
  const fromHub = typeof error?.code === "string";
  const code = fromHub && !error.code.startsWith("SSE_") ? error.code : plain;
  const message = String(error?.message ?? `The answer was ${response.status}.`);
  return new HubError(code, message, { ...waits, ...error, status: response.status, fromHub });
}
