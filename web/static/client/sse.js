/**
 * Server-Sent Events after WHATWG HTML, sections 9.2.5 and 9.2.6, over `fetch`: unlike
 * EventSource it can send headers, and a token need not stand in a URL.
 */

/**
 * @typedef {object} StreamEvent
 * @property {string} type `message` if the stream names none
 * @property {string} data
 * @property {string} lastEventId
 */

/**
 * Makes events of the bytes of a stream, however they are cut.
 *
 * Invariant: what it gives depends on the bytes alone, and not on where they were cut. An event
 * whose empty line has not come is not given.
 */
export class EventStreamParser {
  /**
   * @param {(event: StreamEvent) => void} dispatch
   * @param {(ms: number) => void} [retry] is told how long to wait before a new connection
   * @param {string} [lastEventId] that of the stream before
   */
  constructor(dispatch, retry = () => {}, lastEventId = "") {
    this.#dispatch = dispatch;
    this.#retry = retry;
    this.lastEventId = lastEventId;
    this.#id = lastEventId;
  }

  /** The id of the last event that was dispatched, or would have been had it had data. */
  lastEventId;

  #dispatch;
  #retry;
  // It takes a byte order mark off the beginning, and keeps half a character for later.
  #decoder = new TextDecoder("utf-8");
  /** The line that has not ended yet, in the pieces in which it came. @type {string[]} */
  #line = [];
  /** The last character was CR: an LF that follows belongs to it. */
  #afterCR = false;
  /** @type {string[]} */
  #data = [];
  #type = "";
  #id;

  /** @param {Uint8Array} bytes */
  push(bytes) {
    this.#text(this.#decoder.decode(bytes, { stream: true }));
  }

  /** @param {string} text */
  #text(text) {
    let start = 0;
    if (this.#afterCR && text !== "") {
      this.#afterCR = false;
      if (text[0] === "\n") start = 1;
    }
    const ends = /\r\n|\r|\n/g;
    ends.lastIndex = start;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#line.push(text.slice(start, end.index));
      const line = this.#line.join("");
      this.#line = [];
      start = ends.lastIndex;
      this.#afterCR = end[0] === "\r" && start === text.length;
      this.#take(line);
    }
    if (start < text.length) this.#line.push(text.slice(start));
  }

  /** @param {string} line */
  #take(line) {
    if (line === "") return this.#give();
    const colon = line.indexOf(":");
    if (colon === 0) return undefined;
    const field = colon === -1 ? line : line.slice(0, colon);
    const rest = colon === -1 ? "" : line.slice(colon + 1);
    return this.#field(field, rest.startsWith(" ") ? rest.slice(1) : rest);
  }

  /**
   * @param {string} field
   * @param {string} value
   */
  #field(field, value) {
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.#retry(Number(value));
  }

  #give() {
    const [data, type] = [this.#data, this.#type];
    this.#data = [];
    this.#type = "";
    this.lastEventId = this.#id;
    if (data.length === 0) return;
    const event = { type: type || "message", data: data.join("\n"), lastEventId: this.#id };
    this.#dispatch(event);
  }
}

/** The answer is no stream of events. */
export class NoStream extends Error {
  /** @param {Response} response */
  constructor(response) {
    super(`The answer was ${response.status}, and no stream of events.`);
    this.response = response;
  }
}

/**
 * Read a stream to its end.
 *
 * @param {Promise<Response> | Response} answer of `fetch`
 * @param {EventStreamParser} parser
 * @param {() => void} [heard] is called whenever bytes come, a comment too
 * @returns {Promise<void>} when the stream has ended
 * @throws {NoStream} the answer is something else
 */
export async function readEventStream(answer, parser, heard = () => {}) {
  const response = await answer;
  const type = response.headers.get("Content-Type") ?? "";
  if (response.status !== 200 || !/^text\/event-stream\s*(;|$)/i.test(type) || !response.body) {
    throw new NoStream(response);
  }
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    parser.push(value);
  }
}
