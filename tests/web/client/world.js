/**
 * What the tests run the client in: a clock that a test moves, a browser's page, and a small hub
 * that keeps the promises of docs/protocol.md and can be cut off at any moment.
 */

import { HubClient } from "../../../web/static/hub-client.js";

export const CASE = "case-1";
export const TENANT = "tenant-1";

/** Let everything happen that needs no time. */
export async function settle() {
  for (let i = 0; i < 6; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock with timers; time passes only in `pass`. */
export class Clock {
  now = 1_700_000_000_000;
  #timers = new Map();
  #last = 0;

  setTimeout = (call, ms) => {
    this.#last += 1;
    this.#timers.set(this.#last, { at: this.now + Math.max(0, ms), call });
    return this.#last;
  };

  clearTimeout = (handle) => void this.#timers.delete(handle);

  get waiting() {
    return this.#timers.size;
  }

  async pass(ms) {
    const end = this.now + ms;
    await settle();
    for (let next = this.#next(end); next !== null; next = this.#next(end)) {
      const [handle, { at, call }] = next;
      this.#timers.delete(handle);
      this.now = Math.max(this.now, at);
      call();
      await settle();
    }
    this.now = end;
  }

  #next(end) {
    let first = null;
    for (const entry of this.#timers) {
      if (entry[1].at <= end && (first === null || entry[1].at < first[1].at)) first = entry;
    }
    return first;
  }
}

/** The storage of a browser, which its tabs share; it can be full. */
export class Storage {
  #items = new Map();
  #tabs = new Set();
  full = false;

  /** One tab's view: a change is told to all others. */
  tab(window) {
    this.#tabs.add(window);
    const storage = this;
    return {
      get length() {
        return storage.#items.size;
      },
      key: (index) => [...this.#items.keys()][index] ?? null,
      getItem: (key) => this.#items.get(key) ?? null,
      setItem: (key, value) => {
        if (this.full) throw new DOMException("It is full.", "QuotaExceededError");
        this.#items.set(key, value);
        this.#tell(window, { key, newValue: value });
      },
      removeItem: (key) => {
        if (this.#items.delete(key)) this.#tell(window, { key, newValue: null });
      },
    };
  }

  get keys() {
    return [...this.#items.keys()];
  }

  get values() {
    return [...this.#items.values()].map((value) => JSON.parse(value));
  }

  #tell(writer, event) {
    for (const window of this.#tabs) if (window !== writer) window.fire("storage", event);
  }
}

class Target {
  #listeners = new Map();
  hidden = false;

  addEventListener(type, listener) {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  removeEventListener(type, listener) {
    const left = (this.#listeners.get(type) ?? []).filter((each) => each !== listener);
    this.#listeners.set(type, left);
  }

  fire(type, event = {}) {
    for (const listener of this.#listeners.get(type) ?? []) listener(event);
  }

  get listening() {
    return [...this.#listeners.values()].flat().length;
  }
}

/** A page in a tab of a browser. */
export class Page {
  document = new Target();
  window = new Target();
  /** Of the tab alone; a reload keeps it. */
  storage = new Storage().tab(this.window);
  online = true;

  hide() {
    this.document.hidden = true;
    this.document.fire("visibilitychange");
  }

  show() {
    this.document.hidden = false;
    this.document.fire("visibilitychange");
  }

  goOffline() {
    this.online = false;
    this.window.fire("offline");
  }

  goOnline() {
    this.online = true;
    this.window.fire("online");
  }
}

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token as the client sees it: it reads the claims, and nobody verifies them. */
export function tokenOf(claims) {
  return `${base64({ alg: "none" })}.${base64(claims)}.x`;
}

/** A hub with one case, as its clients see it. */
export class Hub {
  constructor(clock) {
    this.clock = clock;
    for (let i = 0; i < 2; i += 1) this.append({ kind: "patient", data: { i } });
  }

  log = [];
  #receipts = new Map();
  #epoch = "a";
  sockets = new Set();
  streams = new Set();
  latency = 5;
  /** `ok`, `refused`, `silent` (accepts, and says nothing). */
  websocket = "ok";
  /** `ok`, `off` (streams are switched off), `buffered` (no byte comes through). */
  sse = "ok";
  http = "ok";
  /** Opened sockets, streams and requests, in order. */
  opened = [];
  /** Every frame that came. */
  frames = [];
  /** Answers that are given in place of the true ones, by key. */
  errors = new Map();
  /** What a proxy on the way does not let through. */
  forbids = /^$/;
  control = "ai";
  run = null;
  goodTokens = null;
  state = {};

  append({ kind = "message", data = {}, key, actor = { type: "system" } }) {
    const seq = this.log.length + 1;
    const id = `e${seq}`;
    const frame = { type: "event", case: CASE, seq, cursor: `${seq}.${this.#epoch}`, id };
    Object.assign(frame, { at: new Date(this.clock.now).toISOString(), kind, actor, data });
    if (key !== undefined) frame.key = key;
    this.log.push(frame);
    this.broadcast(frame, frame.cursor);
    return frame;
  }

  say(text, more = {}) {
    const data = { message_id: `m${this.log.length + 1}`, sender_type: "ai", text, state: "final" };
    return this.append({ data: { ...data, ...more }, actor: { type: "ai" } });
  }

  broadcast(frame, id) {
    for (const socket of this.sockets) if (socket.live) socket.deliver(frame);
    for (const stream of this.streams) stream.event(frame, id);
  }

  /** The log is another one, as after a backup was restored. */
  restore(count) {
    this.#epoch += "b";
    this.log = this.log.slice(0, count).map((frame) => {
      return { ...frame, cursor: `${frame.seq}.${this.#epoch}` };
    });
  }

  get texts() {
    return this.log.filter(({ kind }) => kind === "message").map(({ data }) => data.text);
  }

  get cursor() {
    return this.log.at(-1)?.cursor ?? "0.0";
  }

  get socket() {
    return [...this.sockets].at(-1);
  }

  holds(token) {
    return this.goodTokens === null || this.goodTokens.includes(token);
  }

  /** Where a cursor stands; null if it is not of this log. */
  place(cursor) {
    const seq = Number.parseInt(cursor, 10);
    return cursor === "0.0" || this.log[seq - 1]?.cursor === cursor ? seq : null;
  }

  ready(members) {
    const state = { control: this.control, status: "active", coordinator: null, run: this.run };
    return { type: "ready", case: CASE, head: this.cursor, state: { ...state, ...this.state }, ...members };
  }

  /** Carry a command out; twice is once. */
  command({ type, key, ...body }, by) {
    const wrong = this.errors.get(key) ?? this.errors.get(type);
    const given = typeof wrong === "function" ? wrong(body) : wrong;
    if (given) return { type: "error", key, message: "No.", ...given };
    const known = this.#receipts.get(`${by}/${key}`);
    if (known !== undefined) return { ...known, dup: true };
    const kind = type === "note" ? "note" : "message";
    const data = { message_id: `m${this.log.length + 1}`, sender_type: "patient", ...body, state: "final" };
    const { seq, id, cursor, at } = this.append({ kind, data, key, actor: { type: "patient", id: by } });
    const ack = { type: "ack", key, seq, id, cursor, at };
    this.#receipts.set(`${by}/${key}`, ack);
    return ack;
  }

  /** @returns what a WebSocket of a browser of this hub is */
  socketClass() {
    const hub = this;
    return class FakeWebSocket {
      readyState = 0;
      onmessage = null;
      onclose = null;
      live = false;
      by = null;

      constructor(url) {
        this.url = url;
        hub.opened.push(`ws ${url}`);
        this.#soon(() => this.#open());
      }

      #open() {
        if (this.readyState !== 0) return;
        if (hub.websocket === "refused") return this.#closed(1006);
        this.readyState = 1;
        hub.sockets.add(this);
        if (hub.websocket === "silent") return;
        const now = new Date(hub.clock.now).toISOString();
        this.deliver({ type: "hello", v: 1, heartbeat: 30, max_frame: 65_536, now });
      }

      #soon(call) {
        hub.clock.setTimeout(call, hub.latency);
      }

      #closed(code) {
        if (this.readyState === 3) return;
        this.readyState = 3;
        hub.sockets.delete(this);
        this.onclose?.({ code });
      }

      /** To the client, unless the line is cut first. */
      deliver(frame) {
        const text = JSON.stringify(frame);
        this.#soon(() => this.readyState === 1 && this.onmessage?.({ data: text }));
      }

      send(text) {
        const frame = JSON.parse(text);
        this.#soon(() => this.readyState === 1 && !this.deaf && this.#receive(frame));
      }

      close() {
        this.readyState = Math.max(this.readyState, 2);
        hub.sockets.delete(this);
        this.live = false;
      }

      /** The hub says goodbye. */
      leave(code, members = {}) {
        this.deliver({ type: "goodbye", code, reason: "So it is.", reconnect: code >= 4500, in_ms: 0, ...members });
        this.#soon(() => this.#closed(code));
        this.live = false;
      }

      /** The line is cut, and both sides find out. */
      cut(code = 1006) {
        this.live = false;
        this.#closed(code);
      }

      #receive(frame) {
        hub.frames.push(frame);
        if (frame.type === "auth") this.#auth(frame);
        else if (frame.type === "ping") this.deliver({ type: "pong" });
        else if (frame.type === "token") {
          const exp = new Date(hub.clock.now + 3_600_000).toISOString();
          this.deliver({ type: "ack", key: frame.key, exp });
        } else if (frame.type === "history") {
          const events = hub.log.filter(({ seq }) => seq < (frame.before ?? Infinity));
          const page = events.slice(-frame.limit || -50);
          this.deliver({ type: "page", key: frame.key, case: CASE, events: page, more: page.length < events.length });
        } else if (!["typing", "read", "pong"].includes(frame.type)) {
          this.deliver(hub.command(frame, this.by));
        }
      }

      #auth({ token, after, tail }) {
        if (!hub.holds(token)) {
          this.deliver({ type: "error", code: "unauthenticated", message: "No." });
          return this.leave(4401);
        }
        this.by = JSON.parse(Buffer.from(token.split(".")[1], "base64url")).sub;
        const place = after === undefined ? null : hub.place(after);
        if (after !== undefined && place === null) this.deliver({ type: "reset", case: CASE, reason: "cursor_mismatch" });
        const from = place ?? Math.max(0, hub.log.length - (tail ?? 50));
        this.deliver(hub.ready({ you: { id: this.by, role: "patient", name: "M" }, from: from + 1, resumed: place !== null }));
        for (const event of hub.log.slice(from)) this.deliver(event);
        this.deliver({ type: "caught_up", case: CASE, seq: hub.log.length });
        this.live = true;
        return undefined;
      }
    };
  }

  /** What `fetch` of a browser of this hub is. */
  fetch = async (url, { method = "GET", headers = {}, body, signal } = {}) => {
    const { pathname, searchParams } = new URL(url);
    this.opened.push(`${method} ${pathname}`);
    await new Promise((resolve, reject) => {
      const gone = () => reject(new DOMException("aborted", "AbortError"));
      if (signal?.aborted) gone();
      signal?.addEventListener("abort", gone);
      this.clock.setTimeout(resolve, this.latency);
    });
    if (this.http === "down") throw new TypeError("fetch failed");
    if (this.http !== "ok") return json(this.http, { error: { code: "unavailable", message: "…" } });
    const token = headers.Authorization.slice("Bearer ".length);
    if (!this.holds(token)) return json(401, { error: { code: "unauthenticated", message: "…" } });
    const by = JSON.parse(Buffer.from(token.split(".")[1], "base64url")).sub;
    const rest = pathname.replace(`/api/v1/cases/${CASE}`, "");
    if (this.forbids.test(`${method} ${rest}`)) return new Response("<h1>Forbidden</h1>", { status: 403 });
    if (method === "POST") return this.#post(rest.slice(1), JSON.parse(body), headers, by);
    if (rest === "/stream") return this.#stream(headers["Last-Event-ID"], signal);
    if (rest === "/events") return this.#events(searchParams);
    return json(200, { case: CASE, status: "active", control: this.control, coordinator: null, head: this.cursor });
  };

  #post(path, body, headers, by) {
    const type = { messages: "message", notes: "note" }[path] ?? path;
    const key = headers["Idempotency-Key"];
    this.frames.push({ type, key, ...body });
    if (type === "typing" || type === "read") return new Response(null, { status: 204 });
    const { type: answer, ...members } = this.command({ type, key, ...body }, by);
    const statuses = { rate_limited: 429, unavailable: 503, closed: 409, stale: 409, too_large: 413 };
    if (answer === "error") return json(statuses[members.code] ?? 400, { error: members });
    return json(members.dup ? 200 : 201, members);
  }

  #events(query) {
    const after = query.get("after");
    const place = after === null ? null : this.place(after);
    if (after !== null && place === null) {
      return json(409, { error: { code: "reset", reason: "cursor_mismatch", message: "Start anew." } });
    }
    const before = Number(query.get("before") ?? Infinity);
    const limit = Number(query.get("tail") ?? query.get("limit") ?? 100);
    const all = this.log.slice(place ?? 0).filter(({ seq }) => seq < before);
    const events = after === null ? all.slice(all.length - Math.min(limit, all.length)) : all.slice(0, limit);
    const cursor = events.at(-1)?.cursor ?? after ?? "0.0";
    return json(200, { events, cursor, more: events.length < all.length });
  }

  #stream(last, signal) {
    if (this.sse === "off") return json(503, { error: { code: "SSE_CONNECTION_001", message: "Off." } });
    const hub = this;
    const bytes = new TextEncoder();
    const stream = {
      event(frame, id) {
        const text = `${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(frame)}\n\n`;
        hub.clock.setTimeout(() => stream.write(text), hub.latency);
      },
      write(text) {
        if (hub.sse === "ok" && hub.streams.has(stream)) stream.controller.enqueue(bytes.encode(text));
      },
      end() {
        if (hub.streams.delete(stream)) stream.controller.close();
      },
      cut() {
        if (hub.streams.delete(stream)) stream.controller.error(new TypeError("network error"));
      },
    };
    const body = new ReadableStream({
      start(controller) {
        stream.controller = controller;
      },
      cancel() {
        hub.streams.delete(stream);
      },
    });
    signal?.addEventListener("abort", () => stream.cut());
    hub.streams.add(stream);
    const place = last === undefined ? this.log.length : this.place(last);
    if (place === null) {
      stream.write(`event: reset\ndata: ${JSON.stringify({ reason: "cursor_mismatch", case: CASE })}\n\n`);
    }
    const from = place ?? this.log.length;
    stream.event(this.ready({ from: from + 1, resumed: last !== undefined && place !== null }));
    for (const frame of this.log.slice(from)) stream.event(frame, frame.cursor);
    stream.event({ type: "caught_up", case: CASE, seq: this.log.length });
    return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  }
}

function json(status, body) {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
}

/** A clock, a hub, a browser, and any number of clients. */
export class World {
  clock = new Clock();
  hub = new Hub(this.clock);
  storage = new Storage();
  /** Errors of listeners. */
  reported = [];
  random = () => 0.5;
  user = "maria";
  claims = {};
  #keys = 0;

  token = () => {
    const now = Math.floor(this.clock.now / 1000);
    const claims = { sub: this.user, tenant_id: TENANT, iat: now, exp: now + 3600, org_role: "org:patient" };
    return tokenOf({ ...claims, ...this.claims });
  };

  environment(page) {
    return {
      now: () => this.clock.now,
      setTimeout: this.clock.setTimeout,
      clearTimeout: this.clock.clearTimeout,
      random: () => this.random(),
      newKey: () => `k${(this.#keys += 1)}`,
      WebSocket: this.hub.socketClass(),
      fetch: this.hub.fetch,
      XMLHttpRequest: undefined,
      document: page.document,
      window: page.window,
      online: () => page.online,
      storage: () => this.storage.tab(page.window),
      tabStorage: () => page.storage,
      report: (error) => this.reported.push(error),
    };
  }

  /** A tab with a client that notes all that it is told. */
  open(options = {}) {
    const page = new Page();
    const asked = [];
    const client = new HubClient({
      case: CASE,
      url: "https://hub.example",
      token: (ask) => {
        asked.push(ask);
        return this.token(ask);
      },
      environment: this.environment(page),
      ...options,
    });
    const told = { state: [], event: [], answer: [], notice: [], reset: [], outbox: [], ready: [], room: [], caught_up: [], typing: [], presence: [] };
    for (const [name, list] of Object.entries(told)) client.on(name, (data) => list.push(data));
    client.on("reset", () => (tab.shown = []));
    client.on("event", (event) => tab.shown.push(event));
    const tab = { page, client, told, asked, shown: [] };
    return tab;
  }

  /** The same, started and connected. */
  async connected(options = {}) {
    const tab = this.open(options);
    tab.client.start();
    await this.pass(100);
    if (tab.client.state !== "connected") throw new Error(JSON.stringify(tab.client.status));
    return tab;
  }

  pass(ms) {
    return this.clock.pass(ms);
  }

  /** Wait, in steps, until something holds. */
  async until(condition, within = 60_000) {
    const end = this.clock.now + within;
    while (!condition()) {
      if (this.clock.now >= end) throw new Error(`It did not happen: ${condition}`);
      await this.pass(10);
    }
  }
}

/** Numbers that look random and are the same in each run. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
