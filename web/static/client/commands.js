/**
 * What the user asked for and what became of it.
 *
 * Durable commands wait in the outbox and go one after the other, so that their order holds
 * whatever fails. All others go at once. Each keeps its key until it is answered.
 */

import { backoff } from "./backoff.js";
import { HubError, errorOfFrame } from "./errors.js";

/** @typedef {import("./frames.js").Frame} Frame */

export const DURABLE = new Set(["message", "note", "escalate", "retry"]);
const LOST_AFTER_MS = 20_000;
const ANSWER_WITHIN_MS = 15_000;
/** A fault of the hub may be a fault of the command; one that stays is not tried for ever. */
const MOST_FAULTS = 5;

/**
 * @typedef {object} Waiting
 * @property {Frame} frame
 * @property {(answer: any) => void} resolve
 * @property {(error: HubError) => void} reject
 * @property {unknown} timer
 * @property {number} faults
 */

export class Commands {
  /**
   * @param {object} options
   * @param {import("./environment.js").Environment} options.environment
   * @param {import("./outbox.js").Outbox} options.outbox
   * @param {(frame: Frame) => void} options.transmit sends over the connection that there is
   */
  constructor({ environment, outbox, transmit }) {
    this.#environment = environment;
    this.#outbox = outbox;
    this.#transmit = transmit;
  }

  #environment;
  #outbox;
  #transmit;
  #connected = false;
  /** Commands that are not durable. @type {Map<string, Waiting>} */
  #requests = new Map();
  /** Who waits for a durable command. @type {Map<string, Array<Waiting>>} */
  #authors = new Map();
  /** The durable command that was sent and not answered. @type {string | null} */
  #sent = null;
  #faults = 0;
  /** @type {unknown} */
  #timer = null;
  /** Bytes that the hub takes in a frame. */
  maxFrame = 65_536;

  /**
   * Have something done. The promise is kept with the answer, however long it takes.
   *
   * @param {string} type
   * @param {Record<string, any>} body
   * @param {string} key
   * @returns {Promise<any>}
   */
  send(type, body, key) {
    /** @type {Promise<any>} */
    const promise = new Promise((resolve, reject) => {
      const waiting = { frame: { ...body, type, key }, resolve, reject, timer: null, faults: 0 };
      if (DURABLE.has(type)) this.#keep(waiting, body);
      else this.#ask(waiting);
    });
    // Whoever looks at the outbox alone is not told of an unhandled rejection.
    promise.catch(() => {});
    return promise;
  }

  /** The connection is there: what has no answer is sent again, by the same keys. */
  connected() {
    this.#connected = true;
    this.#faults = 0;
    for (const [key, waiting] of this.#requests) {
      this.#stop(waiting);
      this.#transmitRequest(key, waiting);
    }
    this.pump();
  }

  disconnected() {
    if (!this.#connected) return;
    this.#connected = false;
    this.#halt();
    for (const [key, waiting] of this.#requests) this.#expire(key, waiting);
  }

  /** Nobody waits any more; the outbox stays. */
  close() {
    this.disconnected();
    const gone = new HubError("disconnected", "The client was stopped.");
    for (const [key] of [...this.#requests]) this.#fail(key, gone);
    for (const [key, authors] of [...this.#authors]) {
      this.#authors.delete(key);
      for (const author of authors) author.reject(gone);
    }
  }

  /** Send what waits in the outbox, if nothing is on its way. */
  pump() {
    if (!this.#connected || this.#sent !== null) return;
    this.#cancel();
    const item = this.#outbox.next();
    if (item === null) {
      const due = this.#outbox.dueIn;
      if (due !== null) this.#later(due, () => this.pump());
      return;
    }
    /** @type {Frame} */
    const frame = { ...item.body, type: item.type, key: item.key };
    if (this.#tooLarge(frame)) {
      this.#refuse(item.key, tooLarge());
      return;
    }
    this.#sent = item.key;
    this.#outbox.sending(item.key);
    this.#later(ANSWER_WITHIN_MS, () => this.#again(0));
    this.#transmit(frame);
  }

  /**
   * @param {Frame} frame an answer: `ack`, `error` or `page`
   * @returns {boolean} whether somebody had asked
   */
  answer(frame) {
    const key = frame.key;
    if (typeof key !== "string") return false;
    const request = this.#requests.get(key);
    if (request !== undefined) this.#answerRequest(key, request, frame);
    else if (this.#outbox.get(key) === undefined) return false;
    else if (frame.type === "ack") this.#done(key, frame);
    else if (frame.type === "error") this.#failed(key, errorOfFrame(frame));
    return true;
  }

  /**
   * An event that this user has caused: the hub has the command, even if its answer was lost.
   *
   * @param {import("./frames.js").HubEvent} event
   */
  seen(event) {
    if (event.key === undefined) return;
    const { key, seq, id, cursor, at } = event;
    if (this.#outbox.get(key) !== undefined) {
      this.#done(key, { type: "ack", key, seq, id, cursor, at });
    }
  }

  /** The connection was closed because a frame was too large: find it. */
  sentTooMuch() {
    if (this.#sent !== null) this.#refuse(this.#sent, tooLarge());
  }

  /** @param {string} key */
  discard(key) {
    this.#outbox.remove(key);
    if (this.#sent === key) this.#halt();
    this.#settleAuthors(key, (author) =>
      author.reject(new HubError("aborted", "It was discarded.")),
    );
    this.pump();
  }

  // Durable commands.

  /**
   * @param {Waiting} waiting
   * @param {Record<string, any>} body
   */
  #keep(waiting, body) {
    const { key, type } = waiting.frame;
    this.#authors.set(key, [...(this.#authors.get(key) ?? []), waiting]);
    const known = this.#outbox.get(key);
    if (known === undefined || known.state === "refused") this.#outbox.add(key, type, body);
    this.pump();
  }

  /**
   * @param {string} key
   * @param {Frame} ack
   */
  #done(key, ack) {
    this.#faults = 0;
    this.#outbox.remove(key);
    if (this.#sent === key) this.#halt();
    this.#settleAuthors(key, (author) => author.resolve(ack));
    this.pump();
  }

  /**
   * @param {string} key
   * @param {HubError} error
   */
  #failed(key, error) {
    if (this.#sent !== key) return;
    const fault = error.code === "internal";
    this.#faults += fault || error.code === "unavailable" ? 1 : 0;
    if (!error.passing || (fault && this.#faults >= MOST_FAULTS)) {
      this.#faults = 0;
      this.#refuse(key, error);
    } else {
      this.#again(this.#wait(error, this.#faults));
    }
  }

  /**
   * @param {HubError} error
   * @param {number} faults
   */
  #wait(error, faults) {
    if (error.retry_after !== undefined) return Math.ceil(error.retry_after * 1000);
    return backoff(faults, this.#environment.random);
  }

  /** @param {number} ms */
  #again(ms) {
    this.#halt();
    this.#later(ms, () => this.pump());
  }

  /**
   * @param {string} key
   * @param {HubError} error
   */
  #refuse(key, error) {
    this.#outbox.refused(key, error);
    if (this.#sent === key) this.#halt();
    this.#settleAuthors(key, (author) => author.reject(error));
    this.pump();
  }

  /**
   * @param {string} key
   * @param {(author: Waiting) => void} settle
   */
  #settleAuthors(key, settle) {
    const authors = this.#authors.get(key) ?? [];
    this.#authors.delete(key);
    authors.forEach(settle);
  }

  /** Nothing is on its way any more. */
  #halt() {
    this.#cancel();
    const key = this.#sent;
    this.#sent = null;
    if (key !== null) this.#outbox.waiting(key);
  }

  /**
   * @param {number} ms
   * @param {() => void} call
   */
  #later(ms, call) {
    this.#cancel();
    this.#timer = this.#environment.setTimeout(() => {
      this.#timer = null;
      call();
    }, ms);
  }

  #cancel() {
    if (this.#timer !== null) this.#environment.clearTimeout(this.#timer);
    this.#timer = null;
  }

  // All others.

  /** @param {Waiting} waiting */
  #ask(waiting) {
    const { key } = waiting.frame;
    this.#requests.set(key, waiting);
    if (this.#connected) this.#transmitRequest(key, waiting);
    else this.#expire(key, waiting);
  }

  /**
   * @param {string} key
   * @param {Waiting} waiting
   */
  #transmitRequest(key, waiting) {
    if (this.#tooLarge(waiting.frame)) {
      this.#fail(key, tooLarge());
      return;
    }
    waiting.timer = this.#environment.setTimeout(
      () => this.#fail(key, new HubError("unavailable", "There was no answer in time.")),
      LOST_AFTER_MS,
    );
    this.#transmit(waiting.frame);
  }

  /**
   * @param {string} key
   * @param {Waiting} request
   * @param {Frame} frame
   */
  #answerRequest(key, request, frame) {
    if (frame.type !== "error") {
      this.#stop(request);
      this.#requests.delete(key);
      request.resolve(frame);
      return;
    }
    const error = errorOfFrame(frame);
    request.faults += 1;
    if (!error.passing || request.faults >= MOST_FAULTS) {
      this.#fail(key, error);
      return;
    }
    this.#stop(request);
    request.timer = this.#environment.setTimeout(
      () => {
        if (this.#connected) this.#transmitRequest(key, request);
        else this.#expire(key, request);
      },
      this.#wait(error, request.faults),
    );
  }

  /**
   * Give a command up if no connection comes in time.
   *
   * @param {string} key
   * @param {Waiting} waiting
   */
  #expire(key, waiting) {
    this.#stop(waiting);
    const gone = new HubError("disconnected", "There is no connection.");
    waiting.timer = this.#environment.setTimeout(() => this.#fail(key, gone), LOST_AFTER_MS);
  }

  /**
   * @param {string} key
   * @param {HubError} error
   */
  #fail(key, error) {
    const waiting = this.#requests.get(key);
    if (waiting === undefined) return;
    this.#stop(waiting);
    this.#requests.delete(key);
    waiting.reject(error);
  }

  /** @param {Waiting} waiting */
  #stop(waiting) {
    if (waiting.timer !== null) this.#environment.clearTimeout(waiting.timer);
    waiting.timer = null;
  }

  /** @param {Frame} frame */
  #tooLarge(frame) {
    return new TextEncoder().encode(JSON.stringify(frame)).length > this.maxFrame;
  }
}

function tooLarge() {
  return new HubError("too_large", "This is too long to be sent.");
}
