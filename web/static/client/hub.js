/** A case, live: what happens in it, and what one can do there. */

import { Answers } from "./answer.js";
import { Commands } from "./commands.js";
import { Connection } from "./connection.js";
import { environmentWith } from "./environment.js";
import { HubError } from "./errors.js";
import { EventStreamLink } from "./event-stream.js";
import { Feed } from "./feed.js";
import { callsFor } from "./handlers.js";
import { Listeners } from "./listeners.js";
import { Outbox } from "./outbox.js";
import { PollingLink } from "./polling.js";
import { Rest } from "./rest.js";
import { Tokens } from "./token.js";
import { upload } from "./upload.js";
import { openWebSocket } from "./websocket.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./frames.js").HubEvent} HubEvent */
/** @typedef {import("./frames.js").Ready} Ready */
/** @typedef {import("./frames.js").Room} Room */
/** @typedef {import("./frames.js").You} You */
/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./outbox.js").OutboxItem} OutboxItem */
/** @typedef {import("./answer.js").Answer} Answer */

/**
 * @typedef {object} HubOptions
 * @property {string} case
 * @property {(ask: { renew: boolean }) => Promise<string | null | undefined> | string | null} token
 *   is asked before each connection and before a token ends; null: nobody is signed in
 * @property {string} [url] the origin of the hub; that of the page if none is given
 * @property {string} [tenant] if it is not the one that the token names
 * @property {"auto" | "websocket" | "sse" | "polling"} [transport]
 * @property {import("./environment.js").StorageLike | null} [storage] where the outbox is kept
 * @property {number} [tail] how many events come at the beginning
 * @property {import("./handlers.js").Handlers} [handlers]
 * @property {Partial<import("./environment.js").Environment>} [environment] for tests
 */

/**
 * What can be listened to.
 *
 * @typedef {object} HubEvents
 * @property {Status} state
 * @property {Ready} ready
 * @property {Frame} reset the page forgets all that it shows; the end of the log follows
 * @property {HubEvent} event each once, and in order
 * @property {Frame} caught_up
 * @property {Answer | null} answer null: it is gone without an end
 * @property {Frame} typing
 * @property {Frame} presence
 * @property {Frame} read
 * @property {OutboxItem[]} outbox
 * @property {Room} room
 * @property {{ code: string, message: string, close?: number }} notice
 */

const TYPING_EVERY_MS = 3_000;
const READ_EVERY_MS = 500;

export class HubClient {
  /** @param {HubOptions} options */
  constructor(options) {
    const environment = environmentWith(options.environment);
    this.#environment = environment;
    this.case = options.case;
    this.#tail = options.tail ?? 50;
    this.#handlers = options.handlers ?? {};
    this.#listeners = new Listeners(environment.report);
    this.#tokens = new Tokens(options.token, environment, options.tenant);
    const url = options.url ?? /** @type {any} */ (globalThis).location?.origin ?? "";
    this.#rest = new Rest(url, this.#tokens, environment);
    this.#outbox = new Outbox({
      environment,
      storage: options.storage === undefined ? environment.storage() : options.storage,
      tabStorage: environment.tabStorage(),
      case: options.case,
      changed: () => this.#tell("outbox", this.outbox),
      notStored: () => this.#tell("notice", NOT_STORED),
    });
    this.#commands = new Commands({
      environment,
      outbox: this.#outbox,
      transmit: (frame) => this.#connection.send(frame),
    });
    this.#answers = new Answers((answer) => this.#tell("answer", answer));
    this.#connection = new Connection({
      environment,
      tokens: this.#tokens,
      transports: this.#transports(options.transport ?? "auto"),
      connectedBy: "caught_up",
      owner: {
        receive: (frame) => this.#receive(frame),
        changed: (status) => this.#tell("state", status),
        linked: () => this.#linked(),
        unlinked: () => this.#commands.disconnected(),
        notice: (notice) => this.#tell("notice", notice),
        pong: () => ({ type: "pong", ...(this.#feed.seq === null ? {} : { seq: this.#feed.seq }) }),
        identified: () => this.#identified(),
        tooMuch: () => this.#commands.sentTooMuch(),
        reachable: () => this.#rest.answers(`/api/v1/cases/${encodeURIComponent(this.case)}`),
      },
    });
  }

  /** Who the hub takes the user for; null until it is known. @type {You | null} */
  me = null;
  /** The state of the case. @type {Room | null} */
  room = null;

  #environment;
  #tail;
  #handlers;
  #listeners;
  #tokens;
  #rest;
  #outbox;
  #commands;
  #answers;
  #connection;
  #feed = new Feed();
  /** The keys of files that are not uploaded yet. @type {WeakMap<File, string>} */
  #attempts = new WeakMap();
  /** @type {string | null} */
  #subject = null;
  /** What the events of a replay change in the room. @type {Partial<Room> | null} */
  #replayed = null;
  /** The answer that is being written, by `ready`. @type {string | null} */
  #run = null;
  /** When it was last told that something is typed. */
  #typedAt = -Infinity;
  #readTo = 0;
  #readTold = 0;
  /** @type {unknown} */
  #readTimer = null;
  /** @type {(() => void) | null} */
  #forgetTabs = null;

  // The connection.

  start() {
    if (this.#forgetTabs === null) {
      const { window } = this.#environment;
      const heed = (/** @type {any} */ event) => {
        this.#outbox.changedElsewhere(event);
        this.#commands.pump();
      };
      window?.addEventListener("storage", heed);
      this.#forgetTabs = () => window?.removeEventListener("storage", heed);
    }
    this.#outbox.recall();
    this.#connection.start();
  }

  /** Leave. What waits in the outbox stays there; it can be started again. */
  stop() {
    this.#forgetTabs?.();
    this.#forgetTabs = null;
    if (this.#readTimer !== null) this.#environment.clearTimeout(this.#readTimer);
    this.#readTimer = null;
    this.#connection.stop();
    this.#commands.close();
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

  /** The same with its reason, the transport and the next try. @returns {Status} */
  get status() {
    return this.#connection.status;
  }

  /**
   * @template {keyof HubEvents} K
   * @param {K} name
   * @param {(data: HubEvents[K]) => void} listener
   * @returns {() => void} removes it
   */
  on(name, listener) {
    return this.#listeners.add(name, listener);
  }

  // What one can do.

  /**
   * Say or do something. `message`, `note`, `escalate` and `retry` wait in the outbox until the
   * hub has them, also through a reload; the others fail after 20 s without a connection.
   *
   * @param {"message" | "note" | "escalate" | "retry" | "accept" | "release" | "status" | "stop"} type
   * @param {Record<string, any>} [body] the members of the frame
   * @param {{ key?: string, force?: boolean }} [options]
   * @returns {Promise<import("./frames.js").Ack>}
   * @throws {HubError} it was refused
   */
  send(type, body = {}, options = {}) {
    const whole = options.force ? { ...body, force: true } : body;
    return this.#commands.send(type, whole, options.key ?? this.#environment.newKey());
  }

  /**
   * Older events, in order.
   *
   * @param {{ before?: number, limit?: number }} [which] below which `seq`
   * @returns {Promise<import("./frames.js").Page>}
   */
  async history(which = {}) {
    const key = this.#environment.newKey();
    const { events, more } = await this.#commands.send("history", which, key);
    return { events, more };
  }

  /**
   * Tell that something is being typed; call it at each key stroke.
   *
   * @param {boolean} on
   * @param {"message" | "note"} [where]
   */
  typing(on, where = "message") {
    const now = this.#environment.now();
    if (this.state !== "connected") return;
    if (on ? now - this.#typedAt < TYPING_EVERY_MS : this.#typedAt === -Infinity) return;
    this.#typedAt = on ? now : -Infinity;
    this.#connection.send({ type: "typing", on, ...(where === "note" ? { in: where } : {}) });
  }

  /** Tell that everything up to an event was read. @param {number} seq */
  read(seq) {
    this.#readTo = Math.max(this.#readTo, seq);
    if (this.#readTimer !== null || this.#readTo <= this.#readTold) return;
    this.#readTimer = this.#environment.setTimeout(() => {
      this.#readTimer = null;
      this.#tellRead();
    }, READ_EVERY_MS);
  }

  /** What the hub does not have yet, in order. @returns {OutboxItem[]} */
  get outbox() {
    return this.#outbox.items;
  }

  /** Send again what was refused; what was stale is sent all the same. @param {string} key */
  resend(key) {
    this.#outbox.resend(key);
    this.#commands.pump();
  }

  /** Give up what was not sent, or refused. @param {string} key */
  discard(key) {
    this.#commands.discard(key);
  }

  /**
   * Send a file and make it a part of the case. The same `File` once more is another attempt.
   *
   * @param {File} file
   * @param {import("./upload.js").UploadOptions} [how]
   * @returns {Promise<import("./upload.js").Upload>}
   */
  async upload(file, how = {}) {
    const [environment, rest, tokens] = [this.#environment, this.#rest, this.#tokens];
    const key = this.#attempts.get(file) ?? environment.newKey();
    this.#attempts.set(file, key);
    const uploaded = await upload({ environment, rest, tokens, case: this.case, key }, file, how);
    this.#attempts.delete(file);
    return uploaded;
  }

  /**
   * A file that was uploaded.
   *
   * @param {string} id
   * @param {{ signal?: AbortSignal }} [how]
   * @returns {Promise<Blob>}
   */
  async download(id, { signal } = {}) {
    const path = `/api/v1/uploads/${encodeURIComponent(id)}`;
    return (await this.#rest.ask("GET", path, { signal })).blob();
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

  // What comes.

  /** @param {Frame} frame */
  #receive(frame) {
    switch (frame.type) {
      case "ready":
        return this.#ready(/** @type {any} */ (frame));
      case "reset":
        return this.#reset(frame);
      case "event":
        return this.#event(/** @type {any} */ (frame));
      case "caught_up":
        return this.#caughtUp(frame);
      case "run":
      case "delta":
      case "draft":
        return this.#answers.signal(frame);
      case "typing":
      case "presence":
      case "read":
        return this.#tell(frame.type, frame);
      default:
        this.#commands.answer(frame);
        return undefined;
    }
  }

  /** @param {Ready} frame */
  #ready(frame) {
    const anew = this.#feed.cursor !== null && !frame.resumed;
    if (anew || !this.#feed.begin(frame.from)) {
      this.#reset({ type: "reset", case: this.case, reason: "cursor_mismatch" });
      this.#feed.begin(frame.from);
    }
    this.me = frame.you;
    this.#outbox.belongsTo(frame.you.id);
    this.room = roomOf(frame.state);
    this.#run = frame.state.run;
    this.#replayed = {};
    this.#tell("ready", frame);
    this.#tell("room", this.room);
  }

  /** @param {Frame} frame */
  #reset(frame) {
    this.#feed.forget();
    this.#answers.forget();
    this.#readTo = 0;
    this.#readTold = 0;
    this.#tell("reset", frame);
  }

  /** @param {HubEvent} event */
  #event(event) {
    const place = this.#feed.take(event);
    if (place === "hole") this.#connection.resume();
    if (place !== "next") return;
    this.#change(event);
    this.#tell("event", event);
    for (const call of callsFor(this.#handlers, event)) this.#listeners.guard(call);
    this.#answers.event(event);
    if (this.#isMine(event)) this.#commands.seen(event);
  }

  /** @param {HubEvent} event */
  #isMine(event) {
    return event.actor.id === undefined || event.actor.id === this.me?.id;
  }

  /** @param {HubEvent} event */
  #change({ kind, data }) {
    /** @type {Partial<Room>} */
    const change =
      kind === "control"
        ? { control: data.control, coordinator: data.owner ?? null }
        : kind === "status"
          ? { status: data.to }
          : {};
    if (Object.keys(change).length === 0) return;
    // `ready` tells how it is now: what is replayed is older, up to its end.
    if (this.#replayed !== null) Object.assign(this.#replayed, change);
    else this.#moveTo(change);
  }

  /** @param {Partial<Room>} change */
  #moveTo(change) {
    if (this.room === null) return;
    const before = this.room;
    this.room = { ...before, ...change };
    const same = Object.entries(change).every(([name, value]) => {
      return before[/** @type {keyof Room} */ (name)] === value;
    });
    if (!same) this.#tell("room", this.room);
  }

  /** @param {Frame} frame */
  #caughtUp(frame) {
    const replayed = this.#replayed ?? {};
    // Who has fallen behind gets it again, without a `ready` that told of the answer.
    const first = this.#replayed !== null;
    this.#replayed = null;
    this.#moveTo(replayed);
    if (first) this.#answers.settle(this.#run);
    this.#tell("caught_up", frame);
  }

  #linked() {
    this.#commands.connected();
    this.#readTold = 0;
    this.#typedAt = -Infinity;
    this.#tellRead();
  }

  #tellRead() {
    if (this.state !== "connected" || this.#readTo <= this.#readTold) return;
    this.#readTold = this.#readTo;
    this.#connection.send({ type: "read", seq: this.#readTo });
  }

  /** A token has come. If it is another user's, nothing of the one before may stay. */
  #identified() {
    const subject = this.#tokens.claims?.subject ?? null;
    if (subject === null) return;
    const before = this.#subject;
    this.#subject = subject;
    this.#outbox.belongsTo(subject);
    if (before === null || before === subject) return;
    this.me = null;
    this.#reset({ type: "reset", case: this.case, reason: "user" });
  }

  /** @param {"auto" | "websocket" | "sse" | "polling"} wanted */
  #transports(wanted) {
    const environment = this.#environment;
    const path = `/api/v1/cases/${encodeURIComponent(this.case)}/ws`;
    const address = this.#rest.url.replace(/^http/, "ws") + path;
    /** @type {import("./http-link.js").CaseWay} */
    const way = {
      environment,
      rest: this.#rest,
      tokens: this.#tokens,
      case: this.case,
      tail: this.#tail,
      cursor: () => this.#feed.cursor,
    };
    /** @type {import("./connection.js").Transport[]} */
    const all = [
      {
        name: "websocket",
        open: (events) => openWebSocket(environment, address, () => this.#auth(), events),
      },
      { name: "sse", open: (events) => new EventStreamLink(way, events) },
      { name: "polling", open: (events) => new PollingLink(way, events) },
    ];
    return wanted === "auto" ? all : all.filter((each) => each.name === wanted);
  }

  #auth() {
    const { current: token, tenant } = this.#tokens;
    const { cursor } = this.#feed;
    const from = cursor === null ? { tail: this.#tail } : { after: cursor };
    return { token, ...(tenant === null ? {} : { tenant }), ...from };
  }

  /**
   * @template {keyof HubEvents} K
   * @param {K} name
   * @param {HubEvents[K]} data
   */
  #tell(name, data) {
    this.#listeners.tell(name, data);
  }
}

const NOT_STORED = {
  code: "not_stored",
  message: "This browser does not keep what waits to be sent: do not close the page until it is.",
};

/**
 * @param {Room} state
 * @returns {Room}
 */
function roomOf({ control, status, coordinator }) {
  return { control, status, coordinator };
}
