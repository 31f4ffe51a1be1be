/**
 * What the ways to a case over plain HTTP share: commands go by POST, and what a WebSocket would
 * have said is made of the answers.
 */

import { errorOfFrame, errorOfResponse, HubError } from "./errors.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./frames.js").HubEvent} HubEvent */

/**
 * @typedef {object} CaseWay
 * @property {import("./environment.js").Environment} environment
 * @property {import("./rest.js").Rest} rest
 * @property {import("./token.js").Tokens} tokens
 * @property {string} case
 * @property {number} tail
 * @property {() => string | null} cursor of the last event that the client has applied
 */

/** @type {Record<string, string>} */
const PATHS = { message: "messages", note: "notes" };
const PAGE = 500;
const ARRIVES_WITHIN_MS = 1_000;

/** The link has ended; whatever was going on for it stops. */
export class Over extends Error {}

/** @abstract */
export class HttpLink {
  /**
   * @param {CaseWay} way
   * @param {import("./connection.js").LinkEvents} events
   */
  constructor(way, events) {
    this.way = way;
    this.events = events;
    this.path = `/api/v1/cases/${encodeURIComponent(way.case)}`;
  }

  /** Where this link stands in the log. @type {string | null} */
  cursor = null;
  over = false;
  opened = false;
  /** Who waits for an event, by its `seq`. @type {Set<(seq: number) => void>} */
  #waiters = new Set();
  /** Ends every request that is under way. */
  aborter = new AbortController();

  // The link.

  /** @param {Frame} frame */
  send(frame) {
    void this.#carry(frame).catch(() => {});
  }

  /** @abstract */
  ping() {}

  renew() {
    // Each request bears the newest token.
  }

  close() {
    this.over = true;
    this.aborter.abort();
  }

  // For the ways.

  /** There is news; it is to be fetched soon. @abstract */
  poke() {}

  /** @param {import("./connection.js").End} end */
  end(end) {
    if (this.over) return;
    this.close();
    this.events.end(end);
  }

  /**
   * Run a part of this link; it ends with what goes wrong there.
   *
   * @param {() => Promise<void>} part
   */
  async guard(part) {
    try {
      await part();
    } catch (error) {
      if (!(error instanceof Over)) this.end({ code: 1006, opened: this.opened });
    }
  }

  /** @param {Frame} frame */
  deliver(frame) {
    if (this.over) return;
    this.events.frame(frame);
    if (frame.type !== "event") return;
    for (const waiter of [...this.#waiters]) waiter(frame.seq);
  }

  /** The hub has answered. */
  open() {
    if (this.opened || this.over) return;
    this.opened = true;
    this.events.hello({ type: "hello" });
  }

  /**
   * Read something of the case; what forbids that ends the link.
   *
   * @param {string} path
   * @returns {Promise<any>}
   */
  async read(path) {
    const { rest } = this.way;
    const signal = this.aborter.signal;
    const response = await rest.once("GET", this.path + path, { signal });
    this.alive();
    if (response.ok) {
      const body = await response.json();
      this.alive();
      return body;
    }
    throw this.refused(response.status, await errorOfResponse(response));
  }

  /** @throws {Over} the link has ended meanwhile */
  alive() {
    if (this.over) throw new Over();
    this.events.heard();
  }

  /**
   * Hear that the case may not be read.
   *
   * @param {number} status
   * @param {HubError} error
   * @returns {Error}
   */
  refused(status, error) {
    if (error.code === "reset") return error;
    const codes = { 401: 4401, 403: 4403, 404: 4403, 410: 4410, 422: 4400, 429: 4529 };
    const ours = error.code === "closed" ? 4410 : (/** @type {any} */ (codes)[status] ?? 1006);
    // A proxy that forbids something says nothing about the case.
    const code = error.fromHub ? ours : 1006;
    const wait = error.retry_after;
    this.end({
      code,
      opened: this.opened || error.fromHub,
      ...(wait === undefined ? {} : { retryAfter: wait * 1000 }),
    });
    return new Over();
  }

  /**
   * Begin where the client stands, or with the end of the log: what `ready` and the events after
   * it would have told.
   *
   * @param {string | null} run the answer that is being written, if that is known
   */
  async begin(run = null) {
    const [summary, first] = await Promise.all([this.read(""), this.#firstPage()]);
    const { page, resumed } = first;
    this.open();
    this.cursor = page.cursor;
    const { control, status, coordinator } = summary;
    const from = page.events[0]?.seq ?? seqOf(page.cursor) + 1;
    const state = { control, status, coordinator, run };
    this.deliver(this.ready({ head: summary.head, from, resumed, state }));
    page.events.forEach((/** @type {HubEvent} */ event) => this.deliver(event));
    if (resumed && page.more) await this.pull();
    this.deliver({ type: "caught_up", case: this.way.case, seq: seqOf(this.cursor) });
  }

  /** Read everything that came after where this link stands. */
  async pull() {
    for (let more = true; more; ) {
      const page = await this.#after(this.cursor ?? "0.0");
      if (page === null) return;
      this.cursor = page.cursor;
      page.events.forEach((/** @type {HubEvent} */ event) => this.deliver(event));
      more = page.more;
    }
  }

  /**
   * @param {object} members
   * @returns {Frame}
   */
  ready(members) {
    const { claims } = this.way.tokens;
    const you = { id: claims?.subject ?? "", role: claims?.role ?? "", name: claims?.name ?? "" };
    return { type: "ready", case: this.way.case, you, ...members };
  }

  /** Who reads belongs to staff: a stream does not show all that they may see. */
  get staff() {
    return this.way.tokens.claims?.role !== "patient";
  }

  /** @returns {Promise<{ page: any, resumed: boolean }>} */
  async #firstPage() {
    const cursor = this.way.cursor();
    if (cursor !== null) {
      const page = await this.#after(cursor);
      if (page !== null) return { page, resumed: true };
    }
    return { page: await this.read(`/events?tail=${this.way.tail}`), resumed: false };
  }

  /**
   * @param {string} cursor
   * @returns {Promise<any>} null: the cursor is of another log, and the client was told so
   */
  async #after(cursor) {
    try {
      return await this.read(`/events?after=${encodeURIComponent(cursor)}&limit=${PAGE}`);
    } catch (error) {
      if (!(error instanceof HubError) || error.code !== "reset") throw error;
      this.deliver({ type: "reset", case: this.way.case, reason: /** @type {any} */ (error).reason });
      if (!this.opened) return null;
      this.end({ code: 4510, opened: true, retryAfter: 0 });
      throw new Over();
    }
  }

  // Commands.

  /** @param {Frame} frame */
  async #carry(frame) {
    const { type, key, ...body } = frame;
    if (type === "pong" || type === "ping") return;
    if (type === "history") await this.#history(frame);
    else if (type === "typing" || type === "read") await this.#post(type, body, undefined);
    else await this.#command(type, body, String(key));
  }

  /** @param {Frame} frame */
  async #history({ key, before, limit = 50 }) {
    const query = before === undefined ? `tail=${limit}` : `before=${before}&limit=${limit}`;
    const answer = await this.#answered(this.#get(`/events?${query}`));
    if (answer.type === "error") this.deliver({ ...answer, key });
    else this.deliver({ type: "page", key, events: answer.events, more: answer.more });
  }

  /**
   * @param {string} type
   * @param {Record<string, any>} body
   * @param {string} key
   */
  async #command(type, body, key) {
    const answer = await this.#answered(this.#post(PATHS[type] ?? type, body, key));
    if (answer.type !== "error") await this.#arrival(answer.seq);
    this.deliver({ type: "ack", ...answer, key });
  }

  /**
   * Wait for an event, but not for long: as on a WebSocket, it comes before its `ack`.
   *
   * @param {number} seq
   * @returns {Promise<void>}
   */
  #arrival(seq) {
    const { environment } = this.way;
    if (seqOf(this.cursor) >= seq) return Promise.resolve();
    return new Promise((resolve) => {
      const waiter = (/** @type {number} */ arrived) => {
        if (arrived < seq) return;
        environment.clearTimeout(patience);
        this.#waiters.delete(waiter);
        resolve();
      };
      const patience = environment.setTimeout(() => waiter(Infinity), ARRIVES_WITHIN_MS);
      this.#waiters.add(waiter);
      this.poke();
    });
  }

  /**
   * @param {Promise<Response>} asked
   * @returns {Promise<any>} what the answer says; an `error` frame if it is one
   */
  async #answered(asked) {
    try {
      const response = await asked;
      if (response.ok) return await response.json();
      const error = await errorOfResponse(response);
      if (response.status === 401 && error.fromHub) this.end({ code: 4401, opened: true });
      // Somebody on the way has no say in what becomes of a command.
      if (!error.fromHub && response.status !== 413) error.code = "unavailable";
      return frameOf(error);
    } catch (error) {
      if (error instanceof HubError) return frameOf(error);
      return frameOf(errorOfFrame({ code: "unavailable", message: "The answer was cut off." }));
    }
  }

  /** @param {string} path */
  #get(path) {
    return this.way.rest.once("GET", this.path + path, { signal: this.aborter.signal });
  }

  /**
   * @param {string} path
   * @param {Record<string, any>} body
   * @param {string | undefined} key
   */
  #post(path, body, key) {
    /** @type {Record<string, string>} */
    const headers = key === undefined ? {} : { "Idempotency-Key": key };
    const signal = this.aborter.signal;
    return this.way.rest.once("POST", `${this.path}/${path}`, { body, headers, signal });
  }
}

/** @param {HubError} error */
function frameOf(error) {
  return { type: "error", ...error, message: error.message };
}

/** @param {string | null} cursor */
export function seqOf(cursor) {
  return Number.parseInt(cursor ?? "0", 10);
}
