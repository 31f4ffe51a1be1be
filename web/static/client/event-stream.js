/**
 * The second way to a case, where WebSockets are blocked: a stream of Server-Sent Events, and POST.
 *
 * The stream has the audience of the patient, whoever reads it. Staff take its signals, and take
 * an event on it for a bell: their own view comes by `events?after=`.
 */

import { HttpLink } from "./http-link.js";
import { EventStreamParser, NoStream, readEventStream } from "./sse.js";
import { errorOfResponse } from "./errors.js";

/** @typedef {import("./frames.js").Frame} Frame */

const FIRST_BYTE_WITHIN_MS = 6_000;
const STAFF_EVERY_MS = 3_000;
const SHORTEST_LIFE_MS = 1_000;
/** What staff take of the stream; all else on it is in another numbering, or not all of it. */
const SIGNALS = new Set(["run", "delta", "draft", "typing"]);

export class EventStreamLink extends HttpLink {
  /**
   * @param {import("./http-link.js").CaseWay} way
   * @param {import("./connection.js").LinkEvents} events
   */
  constructor(way, events) {
    super(way, events);
    this.cursor = way.cursor();
    void this.guard(() => this.#run());
  }

  /** Ends the stream that is being read. @type {AbortController | null} */
  #reading = null;
  /** The stream was ended to see whether another one begins. */
  #restarted = false;
  /** The events before the stream, which come after its `ready`. @type {any} */
  #tail = null;
  /** What staff do one after the other. @type {Promise<void>} */
  #work = Promise.resolve();
  #begun = false;
  /** @type {unknown} */
  #timer = null;
  #pulling = false;

  ping() {
    this.#restarted = true;
    this.#reading?.abort();
  }

  poke() {
    // The stream of staff may not show what they have done.
    if (this.staff && this.#begun) this.#pullSoon();
  }

  close() {
    super.close();
    this.#reading?.abort();
    if (this.#timer !== null) this.way.environment.clearTimeout(this.#timer);
  }

  async #run() {
    for (;;) {
      const began = this.way.environment.now();
      this.#restarted = false;
      await this.#read();
      if (this.over) return;
      // A stream ends every few minutes, which nobody need notice.
      const lived = this.way.environment.now() - began;
      if (!this.#restarted && lived < SHORTEST_LIFE_MS) {
        this.end({ code: 1006, opened: this.opened });
        return;
      }
    }
  }

  /** Read one stream to its end. */
  async #read() {
    const { environment, rest, tokens, tail } = this.way;
    if (!this.staff && this.cursor === null) {
      this.#tail = await this.read(`/events?tail=${tail}`);
      this.cursor = this.#tail.cursor;
    }
    const aborter = new AbortController();
    this.#reading = aborter;
    const parser = new EventStreamParser((event) => this.#take(event));
    let bytes = false;
    const patience = environment.setTimeout(() => {
      this.end({ code: 1006, opened: this.opened, blocked: true });
    }, FIRST_BYTE_WITHIN_MS);
    const heard = () => {
      if (this.over) return;
      bytes = true;
      environment.clearTimeout(patience);
      this.events.heard();
    };
    try {
      /** @type {Record<string, string>} */
      const after = this.staff || this.cursor === null ? {} : { "Last-Event-ID": this.cursor };
      const answer = environment.fetch(`${rest.url}${this.path}/stream`, {
        headers: { ...tokens.headers, Accept: "text/event-stream", ...after },
        cache: "no-store",
        credentials: "omit",
        signal: aborter.signal,
      });
      await readEventStream(answer, parser, heard);
    } catch (error) {
      if (this.over || this.#restarted) return;
      await this.#fault(error, bytes);
    } finally {
      environment.clearTimeout(patience);
    }
  }

  /**
   * @param {unknown} error
   * @param {boolean} bytes whether any had come
   */
  async #fault(error, bytes) {
    if (!(error instanceof NoStream)) {
      this.end({ code: 1006, opened: this.opened, blocked: !bytes && !this.opened });
      return;
    }
    const { status, headers } = error.response;
    const said = await errorOfResponse(error.response);
    if (!said.fromHub) {
      this.end({ code: 1006, opened: this.opened, blocked: true });
    } else if (status === 429) {
      this.end({ code: 4409, opened: true });
    } else if ([401, 403, 410].includes(status) || (status === 503 && headers.has("Retry-After"))) {
      this.refused(status, said);
    } else {
      this.end({ code: 1006, opened: this.opened, blocked: true });
    }
  }

  /** @param {import("./sse.js").StreamEvent} event */
  #take(event) {
    if (this.over) return;
    /** @type {Frame} */
    let frame;
    try {
      frame = JSON.parse(event.data);
    } catch {
      return;
    }
    if (event.type === "reset") frame = { ...frame, type: "reset" };
    else if (event.type !== "message" || typeof frame?.type !== "string") return;
    if (this.staff) this.#forStaff(frame);
    else this.#forPatient(frame);
  }

  /** @param {Frame} frame */
  #forPatient(frame) {
    if (frame.type === "reset") {
      this.deliver(frame);
      this.end({ code: 4510, opened: true, retryAfter: 0 });
    } else if (frame.type === "ready") {
      this.#greet(frame);
    } else {
      if (frame.type === "event") this.cursor = frame.cursor;
      this.deliver(frame);
    }
  }

  /** @param {Frame} frame */
  #greet(frame) {
    const tail = this.#tail;
    this.#tail = null;
    this.open();
    if (tail === null) {
      this.deliver(this.ready(frame));
      return;
    }
    const from = tail.events[0]?.seq ?? frame.from;
    this.deliver(this.ready({ ...frame, from, resumed: false }));
    tail.events.forEach((/** @type {Frame} */ event) => this.deliver(event));
  }

  /** @param {Frame} frame */
  #forStaff(frame) {
    if (frame.type === "ready") this.#after(() => this.#beginForStaff(frame.state.run));
    else if (frame.type === "event") this.#after(() => this.pull());
    else if (SIGNALS.has(frame.type)) this.#after(async () => this.deliver(frame));
  }

  /** @param {string | null} run */
  async #beginForStaff(run) {
    if (this.#begun) return this.pull();
    await this.begin(run);
    this.#begun = true;
    this.#pullLater();
  }

  #pullLater() {
    if (this.over) return;
    this.#timer = this.way.environment.setTimeout(() => this.#pullSoon(), STAFF_EVERY_MS);
  }

  #pullSoon() {
    if (this.#pulling) return;
    this.#pulling = true;
    if (this.#timer !== null) this.way.environment.clearTimeout(this.#timer);
    this.#after(async () => {
      this.#pulling = false;
      await this.pull();
      this.#pullLater();
    });
  }

  /** @param {() => Promise<void>} part */
  #after(part) {
    this.#work = this.#work.then(() => (this.over ? undefined : this.guard(part)));
  }
}
