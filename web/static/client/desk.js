/** The desk, live: all open cases of the tenant, those that wait on top. */

import { Connection } from "./connection.js";
import { environmentWith } from "./environment.js";
import { errorOfResponse } from "./errors.js";
import { Listeners } from "./listeners.js";
import { Rest } from "./rest.js";
import { Tokens } from "./token.js";
import { openWebSocket } from "./websocket.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./frames.js").DeskCase} DeskCase */
/** @typedef {import("./frames.js").You} You */
/** @typedef {import("./connection.js").Status} Status */

/**
 * @typedef {object} DeskOptions
 * @property {import("./hub.js").HubOptions["token"]} token
 * @property {string} [url]
 * @property {string} [tenant]
 * @property {"auto" | "websocket" | "polling"} [transport]
 * @property {Partial<import("./environment.js").Environment>} [environment] for tests
 */

/**
 * @typedef {object} DeskEvents
 * @property {Status} state
 * @property {DeskCase[]} cases all of them, sorted, after each change
 * @property {DeskCase} case one that is new, or of which something has changed
 * @property {string} case_closed
 * @property {Frame} ready
 * @property {{ code: string, message: string, close?: number }} notice
 */

const EVERY_MS = 3_000;
const GATHER_MS = 30;

/**
 * Those that wait first, the longest wait on top; then who was written to or wrote last.
 *
 * @param {DeskCase} a
 * @param {DeskCase} b
 * @returns {number}
 */
export function byUrgency(a, b) {
  const [aWaits, bWaits] = [a.control === "waiting", b.control === "waiting"];
  if (aWaits !== bWaits) return aWaits ? -1 : 1;
  const first = aWaits ? order(a.waiting_since, b.waiting_since) : 0;
  return first || order(b.last_message_at, a.last_message_at) || order(a.case, b.case);
}

/**
 * @param {string | null} a
 * @param {string | null} b
 */
function order(a, b) {
  const [x, y] = [a ?? "", b ?? ""];
  if (x === y) return 0;
  return x < y ? -1 : 1;
}

export class DeskClient {
  /** @param {DeskOptions} options */
  constructor(options) {
    const environment = environmentWith(options.environment);
    this.#environment = environment;
    this.#listeners = new Listeners(environment.report);
    this.#tokens = new Tokens(options.token, environment, options.tenant);
    const url = options.url ?? /** @type {any} */ (globalThis).location?.origin ?? "";
    this.#rest = new Rest(url, this.#tokens, environment);
    this.#connection = new Connection({
      environment,
      tokens: this.#tokens,
      transports: this.#transports(options.transport ?? "auto"),
      connectedBy: "ready",
      owner: {
        receive: (frame) => this.#receive(frame),
        changed: (status) => this.#tell("state", status),
        linked: () => {},
        unlinked: () => {},
        notice: (notice) => this.#tell("notice", notice),
        pong: () => ({ type: "pong" }),
        identified: () => this.#identified(),
        tooMuch: () => {},
        reachable: () => this.#rest.answers("/api/v1/cases"),
      },
    });
  }

  /** @type {You | null} */
  me = null;

  #environment;
  #listeners;
  #tokens;
  #rest;
  #connection;
  /** @type {Map<string, DeskCase>} */
  #cases = new Map();
  #known = false;
  /** @type {string | null} */
  #subject = null;
  /** @type {unknown} */
  #timer = null;

  start() {
    this.#connection.start();
  }

  stop() {
    this.#connection.stop();
    if (this.#timer !== null) this.#environment.clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Try now. */
  reconnect() {
    this.#connection.reconnect();
  }

  /** Milliseconds that the hub's clock is ahead of that of the device. @returns {number} */
  get skew() {
    return this.#tokens.skew;
  }

  /** @returns {import("./connection.js").State} */
  get state() {
    return this.#connection.status.state;
  }

  /** @returns {Status} */
  get status() {
    return this.#connection.status;
  }

  /** All open cases, sorted. @returns {DeskCase[]} */
  get cases() {
    return [...this.#cases.values()].sort(byUrgency);
  }

  /**
   * @template {keyof DeskEvents} K
   * @param {K} name
   * @param {(data: DeskEvents[K]) => void} listener
   * @returns {() => void} removes it
   */
  on(name, listener) {
    return this.#listeners.add(name, listener);
  }

  /**
   * Any other request to the hub.
   *
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @param {{ headers?: Record<string, string>, signal?: AbortSignal }} [options]
   * @returns {Promise<any>}
   */
  request(method, path, body, options = {}) {
    return this.#rest.json(method, path, { ...options, body });
  }

  /** @param {Frame} frame */
  #receive(frame) {
    if (frame.type === "ready") this.#ready(frame);
    else if (frame.type === "case") this.#case(caseOf(frame));
    else if (frame.type === "case_closed") this.#closed(frame.case);
  }

  /** @param {Frame} frame */
  #ready(frame) {
    this.me = frame.you;
    this.#tell("ready", frame);
    const named = new Set(frame.cases.map((/** @type {DeskCase} */ each) => each.case));
    for (const gone of [...this.#cases.keys()].filter((name) => !named.has(name))) {
      this.#closed(gone);
    }
    for (const each of frame.cases) this.#case(each);
    this.#known = true;
    this.#show();
  }

  /** @param {DeskCase} entry */
  #case(entry) {
    const before = this.#cases.get(entry.case);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(entry)) return;
    this.#cases.set(entry.case, entry);
    // What the desk begins with is no news.
    if (this.#known) this.#tell("case", entry);
    this.#showSoon();
  }

  /** @param {string} name */
  #closed(name) {
    if (!this.#cases.delete(name)) return;
    this.#tell("case_closed", name);
    this.#showSoon();
  }

  /** Many changes at once are one. */
  #showSoon() {
    if (!this.#known || this.#timer !== null) return;
    this.#timer = this.#environment.setTimeout(() => this.#show(), GATHER_MS);
  }

  #show() {
    if (this.#timer !== null) this.#environment.clearTimeout(this.#timer);
    this.#timer = null;
    this.#tell("cases", this.cases);
  }

  #identified() {
    const subject = this.#tokens.claims?.subject ?? null;
    if (this.#subject !== null && this.#subject !== subject) {
      this.me = null;
      this.#cases.clear();
      this.#known = false;
      this.#show();
    }
    this.#subject = subject;
  }

  /** @param {"auto" | "websocket" | "polling"} wanted */
  #transports(wanted) {
    const environment = this.#environment;
    const [rest, tokens] = [this.#rest, this.#tokens];
    const address = `${rest.url.replace(/^http/, "ws")}/api/v1/desk/ws`;
    const auth = () => {
      const { current: token, tenant } = tokens;
      return { token, ...(tenant === null ? {} : { tenant }) };
    };
    /** @type {import("./connection.js").Transport[]} */
    const all = [
      { name: "websocket", open: (events) => openWebSocket(environment, address, auth, events) },
      { name: "polling", open: (events) => pollDesk(environment, rest, tokens, events) },
    ];
    return wanted === "auto" ? all : all.filter((each) => each.name === wanted);
  }

  /**
   * @template {keyof DeskEvents} K
   * @param {K} name
   * @param {DeskEvents[K]} data
   */
  #tell(name, data) {
    this.#listeners.tell(name, data);
  }
}

/**
 * The second way to the desk: ask for the whole of it every three seconds.
 *
 * @param {import("./environment.js").Environment} environment
 * @param {Rest} rest
 * @param {Tokens} tokens
 * @param {import("./connection.js").LinkEvents} events
 * @returns {import("./connection.js").Link}
 */
function pollDesk(environment, rest, tokens, events) {
  const aborter = new AbortController();
  let opened = false;
  let over = false;
  /** @type {unknown} */
  let timer = null;

  /** @param {import("./connection.js").End} end */
  const finish = (end) => {
    if (over) return;
    over = true;
    events.end(end);
  };

  async function look() {
    timer = null;
    try {
      const response = await rest.once("GET", "/api/v1/cases", { signal: aborter.signal });
      if (over) return;
      if (!response.ok) return await refuse(response);
      const { cases } = await response.json();
      if (over) return;
      show(cases);
      timer = environment.setTimeout(look, EVERY_MS);
    } catch {
      finish({ code: 1006, opened });
    }
  }

  /** @param {DeskCase[]} cases */
  function show(cases) {
    if (!opened) events.hello({ type: "hello" });
    opened = true;
    const { subject: id = "", role = "", name = "" } = tokens.claims ?? {};
    events.frame({ type: "ready", you: { id, role, name }, cases });
  }

  /** @param {Response} response */
  async function refuse(response) {
    const { retry_after: wait } = await errorOfResponse(response);
    const codes = { 401: 4401, 403: 4403, 404: 4403 };
    const code = /** @type {any} */ (codes)[response.status] ?? 1006;
    finish({ code, opened: true, ...(wait === undefined ? {} : { retryAfter: wait * 1000 }) });
  }

  void look();
  return {
    send() {},
    renew() {},
    ping() {
      // Otherwise one is being waited for already.
      if (timer === null) return;
      environment.clearTimeout(timer);
      timer = null;
      void look();
    },
    close() {
      over = true;
      aborter.abort();
      if (timer !== null) environment.clearTimeout(timer);
    },
  };
}

/**
 * @param {Frame} frame
 * @returns {DeskCase}
 */
function caseOf({ type: _, ...entry }) {
  return /** @type {any} */ (entry);
}
