/**
 * What is known of a case, gathered from its events.
 *
 * Invariant: the same events give the same facts in whatever order they come, and however often.
 * @module
 */

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */

/**
 * @typedef {object} DocumentFact
 * @property {string} id
 * @property {string} name
 * @property {string} state
 * @property {boolean} uploaded whether its bytes are here
 * @property {number | null} pages
 * @property {string | null} text
 * @property {string | null} failure
 * @property {string} at
 */

/**
 * @typedef {object} Facts
 * @property {HubEvent | null} registered
 * @property {DocumentFact[]} documents the newest first
 * @property {HubEvent | null} intake
 * @property {HubEvent[]} consents the newest of each purpose
 * @property {HubEvent | null} match
 * @property {HubEvent | null} control
 * @property {HubEvent | null} escalation the newest that still holds
 * @property {HubEvent[]} records what was found in documents
 * @property {HubEvent[]} calls
 */

/** The kinds of event of which a summary is made. */
export const FACT_KINDS = [
  "document",
  "intake",
  "consent",
  "match",
  "escalation",
  "control",
  "ehr",
  "call",
  "patient",
];

export class CaseFacts {
  /** @type {Map<number, HubEvent>} */
  #events = new Map();

  /**
   * @param {HubEvent} event
   * @returns {boolean} whether it says anything new
   */
  add(event) {
    if (!FACT_KINDS.includes(event.kind) || this.#events.has(event.seq)) return false;
    this.#events.set(event.seq, event);
    return true;
  }

  clear() {
    this.#events.clear();
  }

  /** @returns {Facts} */
  get facts() {
    const events = [...this.#events.values()].sort((a, b) => a.seq - b.seq);
    const of = (/** @type {string} */ kind) => events.filter((event) => event.kind === kind);
    const last = (/** @type {string} */ kind) => of(kind).at(-1) ?? null;
    return {
      registered: of("patient")[0] ?? null,
      documents: documents(of("document")),
      intake: last("intake"),
      consents: newestOfEach(of("consent"), (event) => event.data.purpose),
      match: last("match"),
      control: last("control"),
      escalation: standing(of("escalation"), of("control")),
      records: of("ehr"),
      calls: of("call"),
    };
  }
}

/**
 * @param {HubEvent[]} events
 * @returns {DocumentFact[]}
 */
function documents(events) {
  /** @type {Map<string, DocumentFact>} */
  const found = new Map();
  for (const { at, data } of events) {
    const known = found.get(data.document_id);
    found.delete(data.document_id);
    found.set(data.document_id, {
      id: data.document_id,
      name: data.name ?? known?.name ?? data.document_id,
      state: data.state,
      uploaded: known?.uploaded === true || data.event === "document_uploaded",
      pages: data.pages ?? known?.pages ?? null,
      text: data.text ?? known?.text ?? null,
      failure: data.failure ?? null,
      at,
    });
  }
  return [...found.values()].reverse();
}

/**
 * @param {HubEvent[]} events
 * @param {(event: HubEvent) => string} name
 * @returns {HubEvent[]}
 */
function newestOfEach(events, name) {
  return [...new Map(events.map((event) => [name(event), event])).values()].reverse();
}

/**
 * The escalation that brought the case to a person; none once the assistant leads again.
 * @param {HubEvent[]} escalations
 * @param {HubEvent[]} controls
 * @returns {HubEvent | null}
 */
function standing(escalations, controls) {
  const given = controls.findLast((event) => event.data.control === "ai")?.seq ?? 0;
  const since = escalations.filter((event) => event.seq > given && !event.data.reminder);
  return since.findLast((event) => event.data.trigger === "red_flag") ?? since.at(-1) ?? null;
}
