/**
 * Keeps one connection to the hub, by whatever way there is, and knows how it is.
 *
 * The one state machine: `connected`, `reconnecting`, `disconnected`. Ways are a ladder: the first
 * is a WebSocket; a lower one is taken where the one above is blocked, and left again as soon as
 * the first way is open.
 *
 * Invariant: there is at most one link, and what comes of an older one is not heard.
 */

import { MOST_MS, backoff } from "./backoff.js";
import { SignedOut, renewIn } from "./token.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {"connected" | "reconnecting" | "disconnected"} State */

/**
 * @typedef {"starting" | "lost" | "offline" | "unreachable" | "too_many" | "signed_out"
 *   | "forbidden" | "archived" | "client_error" | "stopped"} Reason
 */

/**
 * @typedef {object} Status
 * @property {State} state
 * @property {string} transport `websocket`, `sse` or `polling`
 * @property {Reason | null} reason null while connected
 * @property {number | null} retryIn milliseconds until the next try, as it was when it was set
 */

/**
 * How a link ended.
 *
 * @typedef {object} End
 * @property {number} code a close code of the hub, or 1006
 * @property {boolean} opened whether the hub had answered on it
 * @property {boolean} [blocked] this way is not open here, and will not be soon
 * @property {number} [retryAfter] milliseconds that the hub asks to wait
 */

/**
 * What a link tells; nothing more after `end`.
 *
 * @typedef {object} LinkEvents
 * @property {(frame: Frame) => void} hello the hub has answered
 * @property {() => void} heard there was a sign of life
 * @property {(frame: Frame) => void} frame
 * @property {(end: End) => void} end
 */

/**
 * One way to the hub, from its opening to its end.
 *
 * @typedef {object} Link
 * @property {(frame: Frame) => void} send
 * @property {() => void} ping asks for a sign of life
 * @property {(token: string, key: string) => void} renew goes on with a later token
 * @property {() => void} close drops it; it tells nothing any more
 */

/**
 * @typedef {object} Transport
 * @property {string} name
 * @property {(events: LinkEvents) => Link} open
 */

/**
 * @typedef {object} Owner
 * @property {(frame: Frame) => void} receive
 * @property {(status: Status) => void} changed
 * @property {() => void} linked what was not answered is to be sent again
 * @property {() => void} unlinked what was sent and not answered may be lost
 * @property {(notice: { code: string, message: string, close?: number }) => void} notice
 * @property {() => Frame} pong what answers a ping of the hub
 * @property {() => void} identified a token has come: its subject may be another
 * @property {() => void} tooMuch a frame was larger than the hub takes
 * @property {() => Promise<boolean>} reachable whether the hub answers plain HTTP
 */

const SILENCE_MS = 40_000;
const READY_WITHIN_MS = 10_000;
const ANSWER_WITHIN_MS = 3_000;
const CLIMB_EVERY_MS = 120_000;
const STEADY_AFTER_MS = 5_000;
const LOST_AFTER = 3;
const BLOCKED_AFTER = 2;
const MOST_TIMER_MS = 2 ** 31 - 1;

/** @type {Record<number, Reason>} */
const FINAL = { 4400: "client_error", 4403: "forbidden", 4410: "archived" };

export class Connection {
  /**
   * @param {object} options
   * @param {import("./environment.js").Environment} options.environment
   * @param {import("./token.js").Tokens} options.tokens
   * @param {Transport[]} options.transports the ladder; the first is the best
   * @param {"ready" | "caught_up"} options.connectedBy the frame after which all is known
   * @param {Owner} options.owner
   */
  constructor({ environment, tokens, transports, connectedBy, owner }) {
    this.#environment = environment;
    this.#tokens = tokens;
    this.#transports = transports;
    this.#connectedBy = connectedBy;
    this.#owner = owner;
    this.#told = this.status;
  }

  #environment;
  #tokens;
  #transports;
  #connectedBy;
  #owner;

  /** Which rung of the ladder is in use. */
  #rung = 0;
  /** @type {Link | null} */
  #link = null;
  /** Another way that is being tried beside the link. @type {Link | null} */
  #candidate = null;
  #running = false;
  /** Nothing is tried any more, for this reason. @type {Reason | null} */
  #halted = null;
  #opened = false;
  #settled = false;
  /** The link was replaced by a better one, which has not caught up yet. */
  #swapping = false;
  /** The browser says that it is offline, or an answer is waited for: all may be well. */
  #doubted = false;
  /** Grows with each try; what belongs to an older one is dropped. */
  #try = 0;
  #trying = false;
  /** Tries that failed since the last connection. */
  #failures = 0;
  /** The same, but for a connection that lasted: one that breaks at once is not a success. */
  #unsteady = 0;
  #settledAt = 0;
  /** Times that the first way was blocked while plain HTTP was not. */
  #blocked = 0;
  /** The last token was refused. */
  #renew = false;
  /** The token of this try was asked for because the one before was refused. */
  #renewed = false;
  /** @type {Frame | null} */
  #goodbye = null;
  /** @type {Reason} */
  #reason = "starting";
  /** @type {number | null} */
  #retryIn = null;
  #heardAt = 0;
  /** @type {Map<string, unknown>} */
  #timers = new Map();
  /** @type {Status} */
  #told;
  /** @type {Array<() => void>} */
  #undo = [];

  /** @returns {Status} */
  get status() {
    const state = this.#state();
    const reason = state === "connected" ? null : this.#why();
    return { state, transport: this.#transports[this.#rung].name, reason, retryIn: this.#retryIn };
  }

  /** Begin, and go on until `stop`. */
  start() {
    if (this.#running) return;
    this.#running = true;
    this.#listen();
    this.#reset("starting");
    this.#attempt();
  }

  stop() {
    if (!this.#running) return;
    this.#running = false;
    this.#drop();
    this.#clear();
    this.#try += 1;
    this.#trying = false;
    for (const undo of this.#undo.splice(0)) undo();
    this.#tell();
  }

  /** Try at once, whatever was the matter. */
  reconnect() {
    if (!this.#running) return;
    if (this.#halted !== null) this.#reset("starting");
    if (this.#link !== null) this.#doubt();
    else this.#attempt();
  }

  /** Send a frame if there is a link; it may be lost. @param {Frame} frame */
  send(frame) {
    this.#link?.send(frame);
  }

  /** What came does not fit: begin again from where the owner stands. */
  resume() {
    if (this.#link === null) return;
    this.#drop();
    this.#retry();
  }

  // What is told.

  /** @returns {State} */
  #state() {
    if (!this.#running || this.#halted !== null) return "disconnected";
    const known = this.#settled || this.#swapping;
    if (this.#link !== null && known) return this.#doubted ? "reconnecting" : "connected";
    return this.#failures >= LOST_AFTER ? "disconnected" : "reconnecting";
  }

  /** @returns {Reason} */
  #why() {
    if (!this.#running) return "stopped";
    if (this.#halted !== null) return this.#halted;
    if (!this.#environment.online()) return "offline";
    if (this.#failures >= LOST_AFTER) return this.#reason === "too_many" ? "too_many" : "unreachable";
    return this.#reason;
  }

  #tell() {
    const status = this.status;
    const told = this.#told;
    this.#told = status;
    const same =
      told.state === status.state &&
      told.transport === status.transport &&
      told.reason === status.reason &&
      told.retryIn === status.retryIn;
    if (!same) this.#owner.changed(status);
  }

  // Trying.

  /** @param {Reason} reason */
  #reset(reason) {
    this.#halted = null;
    this.#failures = 0;
    this.#unsteady = 0;
    this.#renew = false;
    this.#renewed = false;
    this.#reason = reason;
  }

  /** Try now. */
  #attempt() {
    if (!this.#running || this.#trying || this.#link !== null) return;
    this.#cancel("retry");
    this.#retryIn = null;
    this.#trying = true;
    this.#try += 1;
    this.#tell();
    void this.#enter(this.#try);
  }

  /** Try now, or when somebody looks at the page again. */
  #attemptIfSeen() {
    if (this.#environment.document?.hidden) this.#tell();
    else this.#attempt();
  }

  /** @param {number} attempt */
  async #enter(attempt) {
    const renew = this.#renew;
    try {
      await this.#tokens.fresh(renew);
    } catch (error) {
      if (attempt !== this.#try) return;
      this.#trying = false;
      // Who cannot be asked while offline has not signed out, nor has who says so.
      const unreachable = /** @type {any} */ (error)?.code === "unreachable";
      const signedOut = error instanceof SignedOut || this.#environment.online();
      if (signedOut && !unreachable) this.#halt("signed_out");
      else this.#failed(1006);
      return;
    }
    if (attempt !== this.#try) return;
    this.#trying = false;
    this.#renewed = renew;
    this.#owner.identified();
    this.#open();
  }

  #open() {
    this.#opened = false;
    this.#settled = false;
    this.#doubted = false;
    this.#goodbye = null;
    // A link may tell of its end before `open` has returned.
    this.#link = null;
    /** @type {Link | null} */
    let link = null;
    let over = false;
    const mine = () => !over && (link === null || link === this.#link);
    link = this.#transports[this.#rung].open({
      hello: (frame) => mine() && this.#hello(frame),
      heard: () => mine() && this.#heard(),
      frame: (frame) => mine() && this.#receive(frame),
      end: (end) => {
        if (!mine()) return;
        over = true;
        if (link !== null) this.#ended(end);
        else this.#environment.setTimeout(() => link === this.#link && this.#ended(end), 0);
      },
    });
    this.#link = link;
    this.#heardAt = this.#environment.now();
    this.#watch();
    this.#tell();
  }

  // What a link tells.

  /** @param {Frame} frame */
  #hello(frame) {
    this.#opened = true;
    const now = Date.parse(frame.now ?? "");
    if (!Number.isNaN(now)) this.#tokens.skew = now - this.#environment.now();
    this.#heard();
  }

  #heard() {
    this.#heardAt = this.#environment.now();
    this.#cancel("answer");
    if (!this.#doubted) return;
    this.#doubted = false;
    this.#tell();
  }

  /** @param {Frame} frame */
  #receive(frame) {
    this.#heard();
    if (frame.type === "ping") this.send(this.#owner.pong());
    else if (frame.type === "goodbye") this.#takeLeave(frame);
    else if (frame.type !== "pong") this.#hand(frame);
  }

  /** @param {Frame} frame */
  #hand(frame) {
    const link = this.#link;
    if (frame.type === "error" && frame.key === undefined) return;
    this.#owner.receive(frame);
    // The owner may have found that it does not fit.
    if (link !== this.#link) return;
    if (frame.type === "ready") this.#planRenewal();
    if (frame.type === this.#connectedBy) this.#settle();
  }

  #settle() {
    if (this.#settled) return;
    this.#settled = true;
    this.#swapping = false;
    this.#settledAt = this.#environment.now();
    this.#failures = 0;
    this.#renew = false;
    this.#renewed = false;
    this.#reason = "lost";
    if (this.#rung === 0) this.#blocked = 0;
    else this.#after("climb", CLIMB_EVERY_MS, () => this.#climb());
    this.#tell();
    this.#owner.linked();
  }

  /** @param {Frame} frame */
  #takeLeave(frame) {
    this.#goodbye = frame;
    const { code: close, reason } = frame;
    this.#owner.notice({ code: "goodbye", message: String(reason ?? ""), close });
  }

  /** @param {End} end */
  #ended(end) {
    const goodbye = this.#goodbye;
    const code = goodbye?.code ?? end.code;
    if (code === 1009) this.#owner.tooMuch();
    this.#drop();
    if (code === 4401) return this.#refused();
    if (FINAL[code] !== undefined) return this.#halt(FINAL[code]);
    const wait = goodbye?.in_ms > 0 ? goodbye?.in_ms : end.retryAfter;
    if (end.opened && !end.blocked) return this.#failed(code, wait);
    return this.#rung === 0 ? this.#firstWayFailed(code) : this.#lowerWayFailed(end, wait);
  }

  /** The token does not hold. Another one is asked for, once. */
  #refused() {
    if (this.#renewed) {
      this.#halt("signed_out");
      return;
    }
    this.#renew = true;
    this.#attempt();
  }

  /** @param {number} code */
  #firstWayFailed(code) {
    this.#failed(code);
    if (this.#transports.length === 1 || this.#blocked >= BLOCKED_AFTER) return;
    const attempt = this.#try;
    void this.#owner.reachable().then((reachable) => {
      if (!this.#running || this.#halted !== null) return;
      this.#blocked = reachable ? this.#blocked + 1 : 0;
      if (this.#blocked < BLOCKED_AFTER || this.#rung !== 0) return;
      // A try that has begun meanwhile may succeed; if not, it is the last.
      if (attempt !== this.#try || this.#link !== null || this.#trying) return;
      this.#descend();
    });
  }

  /**
   * @param {End} end
   * @param {number} [wait]
   */
  #lowerWayFailed(end, wait) {
    const lowest = this.#rung === this.#transports.length - 1;
    if (end.blocked && !lowest) {
      this.#descend();
      return;
    }
    // The way was not blocked, there was none at all: begin from the top.
    this.#rung = 0;
    this.#blocked = 0;
    this.#failed(end.code, wait);
  }

  #descend() {
    this.#rung += 1;
    this.#attempt();
  }

  /**
   * @param {number} code
   * @param {number} [wait] milliseconds that the hub asks for
   */
  #failed(code, wait) {
    this.#failures += 1;
    this.#reason = code === 4409 ? "too_many" : "lost";
    if (code === 4409) this.#failures = Math.max(this.#failures, LOST_AFTER);
    this.#retry(wait);
  }

  /** Try again, after a while. @param {number} [wait] */
  #retry(wait) {
    const { random } = this.#environment;
    const slow = this.#reason === "too_many";
    const ms = wait ?? (slow ? MOST_MS / 2 + random() * (MOST_MS / 2) : backoff(this.#unsteady, random));
    this.#unsteady += 1;
    this.#retryIn = ms;
    this.#after("retry", ms, () => {
      this.#retryIn = null;
      if (this.#rung === 0 && this.#blocked >= BLOCKED_AFTER) this.#rung = 1;
      this.#attemptIfSeen();
    });
    this.#tell();
  }

  /** @param {Reason} reason */
  #halt(reason) {
    this.#halted = reason;
    this.#drop();
    this.#clear();
    this.#retryIn = null;
    this.#tell();
  }

  #drop() {
    const link = this.#link;
    const lasted = this.#environment.now() - this.#settledAt;
    if (this.#settled && lasted >= STEADY_AFTER_MS) this.#unsteady = 0;
    this.#link = null;
    this.#settled = false;
    this.#swapping = false;
    this.#doubted = false;
    this.#cancel("watch");
    this.#cancel("answer");
    this.#cancel("renew");
    this.#cancel("climb");
    this.#candidate?.close();
    this.#candidate = null;
    if (link === null) return;
    link.close();
    this.#owner.unlinked();
  }

  // Silence.

  #watch() {
    const limit = this.#settled ? SILENCE_MS : READY_WITHIN_MS;
    const left = this.#heardAt + limit - this.#environment.now();
    this.#after("watch", Math.max(left, 1_000), () => {
      const silent = this.#environment.now() - this.#heardAt;
      if (!this.#settled && silent >= READY_WITHIN_MS) this.#lose();
      else if (this.#settled && silent >= SILENCE_MS) this.#ask();
      if (this.#link !== null) this.#watch();
    });
  }

  /** Ask for a sign of life; without one the link is lost. */
  #ask() {
    // Until the hub has answered at all, `#watch` waits for it.
    if (this.#link === null || !this.#opened || this.#timers.has("answer")) return;
    this.#after("answer", ANSWER_WITHIN_MS, () => this.#lose());
    this.#link.ping();
  }

  /** As `#ask`, and until then it is not called connected. */
  #doubt() {
    if (this.#settled) this.#doubted = true;
    this.#ask();
    this.#tell();
  }

  #lose() {
    this.#drop();
    this.#failures += this.#opened ? 0 : 1;
    this.#attemptIfSeen();
  }

  // What the page tells.

  #listen() {
    const { document, window } = this.#environment;
    this.#on(document, "visibilitychange", () => {
      if (!document?.hidden) this.#wake(false);
    });
    this.#on(window, "pageshow", () => this.#wake(false));
    this.#on(window, "online", () => this.#wake(true));
    this.#on(window, "offline", () => {
      if (this.#link !== null) this.#doubt();
      this.#tell();
    });
  }

  /** @param {boolean} online a network has come: what failed before says nothing */
  #wake(online) {
    if (!this.#running) return;
    if (this.#halted === "signed_out") this.#reset("starting");
    if (this.#halted !== null) return;
    if (online) this.#unsteady = 0;
    if (this.#link !== null) this.#ask();
    else this.#attempt();
    if (online && this.#rung > 0 && this.#settled) this.#climb();
    this.#tell();
  }

  /**
   * @param {import("./environment.js").EventSourceLike | undefined} target
   * @param {string} type
   * @param {() => void} listener
   */
  #on(target, type, listener) {
    target?.addEventListener(type, listener);
    this.#undo.push(() => target?.removeEventListener(type, listener));
  }

  // Tokens.

  #planRenewal() {
    const claims = this.#tokens.claims;
    if (claims === null) return;
    const ms = renewIn(claims, this.#environment.now() + this.#tokens.skew);
    if (ms !== null) this.#after("renew", ms, () => void this.#renewToken());
  }

  async #renewToken() {
    const link = this.#link;
    const before = this.#tokens.claims;
    try {
      await this.#tokens.fresh();
      if (!later(this.#tokens.claims, before)) await this.#tokens.fresh(true);
    } catch {
      // The hub says so when the old one has ended.
    }
    if (link === null || link !== this.#link || !this.#tokens.current) return;
    if (!later(this.#tokens.claims, before)) return;
    if (this.#tokens.claims?.subject !== before?.subject) {
      this.#drop();
      this.#attempt();
      return;
    }
    link.renew(this.#tokens.current, this.#environment.newKey());
    this.#planRenewal();
  }

  // The way back up.

  #climb() {
    if (this.#rung === 0 || this.#candidate !== null) return;
    if (this.#environment.document?.hidden) {
      this.#after("climb", CLIMB_EVERY_MS, () => this.#climb());
      return;
    }
    this.#cancel("climb");
    void this.#tokens.valid().then(
      () => this.#tryFirstWay(),
      () => {},
    );
  }

  #tryFirstWay() {
    if (!this.#running || this.#rung === 0 || this.#link === null || this.#candidate) return;
    /** @type {Link | null} */
    let candidate = null;
    let over = false;
    const mine = () => !over && candidate !== null && candidate === this.#link;
    candidate = this.#transports[0].open({
      hello: (frame) => {
        if (over || candidate === null || candidate !== this.#candidate) return;
        this.#adopt(candidate);
        this.#hello(frame);
      },
      heard: () => mine() && this.#heard(),
      frame: (frame) => mine() && this.#receive(frame),
      end: (end) => {
        if (over) return;
        const adopted = mine();
        over = true;
        if (adopted) this.#ended(end);
        else if (candidate === this.#candidate) {
          this.#candidate = null;
          this.#after("climb", CLIMB_EVERY_MS, () => this.#climb());
        }
      },
    });
    this.#candidate = candidate;
  }

  /** The first way is open: it takes the place of the link, which nobody need notice. */
  #adopt(/** @type {Link} */ candidate) {
    const old = this.#link;
    this.#candidate = null;
    this.#link = candidate;
    this.#rung = 0;
    this.#blocked = 0;
    this.#opened = true;
    this.#goodbye = null;
    this.#swapping = this.#settled || this.#swapping;
    this.#settled = false;
    this.#heardAt = this.#environment.now();
    this.#cancel("climb");
    this.#cancel("answer");
    old?.close();
    this.#owner.unlinked();
    this.#watch();
    this.#tell();
  }

  // Timers.

  /**
   * @param {string} name
   * @param {number} ms
   * @param {() => void} call
   */
  #after(name, ms, call) {
    this.#cancel(name);
    const handle = this.#environment.setTimeout(
      () => {
        this.#timers.delete(name);
        call();
      },
      Math.min(ms, MOST_TIMER_MS),
    );
    this.#timers.set(name, handle);
  }

  /** @param {string} name */
  #cancel(name) {
    const handle = this.#timers.get(name);
    if (handle === undefined) return;
    this.#timers.delete(name);
    this.#environment.clearTimeout(handle);
  }

  #clear() {
    for (const name of [...this.#timers.keys()]) this.#cancel(name);
  }
}

/**
 * @param {import("./token.js").Claims | null} claims
 * @param {import("./token.js").Claims | null} before
 */
function later(claims, before) {
  return (claims?.expires ?? Infinity) > (before?.expires ?? 0);
}
