/**
 * Asks for what a summary is made of, beyond the end of the conversation that is shown.
 * @module
 */

import { FACT_KINDS } from "./case_facts.js";

const PAGE = 500;

/**
 * Give the facts all events that they are made of; one kind after the other, for the conversation
 * goes first.
 * @param {import("../hub-client.js").HubClient} hub
 * @param {import("./case_facts.js").CaseFacts} facts
 * @param {AbortSignal} signal
 * @throws {import("../client/errors.js").HubError}
 */
export async function loadFacts(hub, facts, signal) {
  const path = `/api/v1/cases/${encodeURIComponent(hub.case)}/events`;
  for (const kind of FACT_KINDS) {
    let after = "0.0";
    for (let more = true; more; ) {
      const query = new URLSearchParams({ kind, after, limit: String(PAGE) });
      const page = await hub.request("GET", `${path}?${query}`, undefined, { signal });
      for (const event of page.events) facts.add(event);
      more = page.more && page.cursor !== after;
      after = page.cursor;
    }
  }
}
