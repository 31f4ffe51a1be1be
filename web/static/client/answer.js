/**
 * An answer of the AI while it is being written, put together from what comes.
 *
 * Invariant: the text only grows, and is at every moment the beginning of what is on record; after
 * its end nothing more of it is shown.
 */

/** @typedef {"thinking" | "writing" | "done" | "stopped" | "failed"} AnswerState */

/**
 * @typedef {object} Answer
 * @property {string} run
 * @property {AnswerState} state
 * @property {string} text all of it so far
 * @property {string} [message] the id of the message that holds it, when it is over
 */

/** @type {Record<string, AnswerState>} */
const STATE_OF_MESSAGE = { final: "done", interrupted: "stopped", failed: "failed" };
const OVER = new Set(["done", "stopped", "failed"]);
const REMEMBERED = 32;

export class Answers {
  /** @param {(answer: Answer | null) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  #tell;
  /** @type {Answer | null} */
  #current = null;
  /** The last piece of it. */
  #last = -1;
  /** Answers that are over; a late piece must not bring them back. @type {string[]} */
  #over = [];

  /** @returns {Answer | null} */
  get current() {
    return this.#current;
  }

  /** @param {import("./frames.js").Frame} frame a `run`, `delta` or `draft` */
  signal(frame) {
    if (this.#over.includes(frame.run)) return;
    if (frame.type === "run") this.#run(frame);
    else if (frame.type === "delta") this.#delta(frame);
    else if (frame.type === "draft") this.#draft(frame);
  }

  /** @param {import("./frames.js").HubEvent} event */
  event(event) {
    if (event.kind === "message" && event.data.run !== undefined) {
      const { run, text, message_id: message, state } = event.data;
      this.#end({ run, state: STATE_OF_MESSAGE[state] ?? "done", text, message });
    } else if (event.kind === "control" && event.data.control === "human") {
      this.drop();
    }
  }

  /**
   * The client has all events: an answer that is not being written now has ended unheard.
   *
   * @param {string | null} run what is being written
   */
  settle(run) {
    if (this.#current !== null && this.#current.run !== run) this.drop();
  }

  /** Forget the answer that is being written. */
  drop() {
    if (this.#current === null) return;
    this.#remember(this.#current.run);
    this.#current = null;
    this.#tell(null);
  }

  /** Forget everything: another log begins. */
  forget() {
    this.drop();
    this.#over = [];
  }

  /** @param {import("./frames.js").Frame} frame */
  #run(frame) {
    const { run, state, message } = frame;
    if (OVER.has(state)) {
      const text = this.#current?.run === run ? (this.#current?.text ?? "") : "";
      this.#end(message === undefined ? { run, state, text } : { run, state, text, message });
    } else if (this.#current?.run !== run) {
      this.#begin(run, state);
    } else if (this.#current?.state !== state && this.#current?.text === "") {
      this.#show({ run, state, text: "" });
    }
  }

  /** @param {import("./frames.js").Frame} frame */
  #delta(frame) {
    if (this.#current?.run !== frame.run) {
      // Whoever comes in the middle gets a draft first.
      if (frame.i !== 0) return;
      this.#begin(frame.run, null);
    }
    if (frame.i !== this.#last + 1) return;
    this.#last = frame.i;
    const text = (this.#current?.text ?? "") + frame.text;
    this.#show({ run: frame.run, state: "writing", text });
  }

  /** @param {import("./frames.js").Frame} frame */
  #draft(frame) {
    if (this.#current?.run !== frame.run) this.#begin(frame.run, null);
    if (frame.i < this.#last) return;
    this.#last = frame.i;
    this.#show({ run: frame.run, state: "writing", text: frame.text });
  }

  /**
   * @param {string} run
   * @param {AnswerState | null} state null: what comes next is told at once
   */
  #begin(run, state) {
    if (this.#current !== null) this.#remember(this.#current.run);
    this.#current = { run, state: state ?? "writing", text: "" };
    this.#last = -1;
    if (state !== null) this.#tell(this.#current);
  }

  /** @param {Answer} answer */
  #show(answer) {
    this.#current = answer;
    this.#tell(answer);
  }

  /** @param {Answer} answer */
  #end(answer) {
    const shown = this.#current?.run === answer.run;
    this.#remember(answer.run);
    if (!shown) return;
    this.#current = null;
    this.#tell(answer);
  }

  /** @param {string} run */
  #remember(run) {
    if (!this.#over.includes(run)) this.#over = [...this.#over, run].slice(-REMEMBERED);
  }
}
