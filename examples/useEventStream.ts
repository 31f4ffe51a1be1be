/**
 * A React hook over the client library: one case, live.
 *
 *     const { state, send, outbox } = useEventStream(patientCaseId, {
 *       token: ({ renew }) => getToken({ skipCache: renew }),
 *       handlers: { onMessage: (message) => add(message), onDocumentUpdate: (document) => … },
 *     });
 *
 * The callbacks may be new at each rendering: the newest are called, and the connection stays.
 */

import { useCallback, useEffect, useRef, useState } from "react";

import { HubClient } from "../web/static/hub-client.js";
import type { Handlers, HubOptions, OutboxItem, State } from "../web/static/hub-client.js";

export interface EventStreamOptions {
  /** Gives a token; null means that nobody is signed in. */
  token: HubOptions["token"];
  handlers: Handlers;
  /** The origin of the hub, if it is not that of the page. */
  url?: string;
  /** What is shown belongs to another log: forget it. Its end comes again. */
  onReset?: () => void;
}

export interface EventStream {
  state: State;
  /** Resolves when the hub has it; what waits for that stands in `outbox`, also after a reload. */
  send: HubClient["send"];
  outbox: OutboxItem[];
}

export function useEventStream(patientCaseId: string, options: EventStreamOptions): EventStream {
  const [state, setState] = useState<State>("reconnecting");
  const [outbox, setOutbox] = useState<OutboxItem[]>([]);
  const hub = useRef<HubClient | null>(null);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });

  const { url } = options;
  useEffect(() => {
    const client = new HubClient({
      case: patientCaseId,
      url,
      token: (ask) => latest.current.token(ask),
      handlers: {
        onMessage: (data, event) => latest.current.handlers.onMessage?.(data, event),
        onDocumentUpdate: (data, event) => latest.current.handlers.onDocumentUpdate?.(data, event),
        onEHRUpdate: (data, event) => latest.current.handlers.onEHRUpdate?.(data, event),
        onIntakeProgress: (data, event) => latest.current.handlers.onIntakeProgress?.(data, event),
        onMatchProgress: (data, event) => latest.current.handlers.onMatchProgress?.(data, event),
        onAgentResponse: (data, event) => latest.current.handlers.onAgentResponse?.(data, event),
      },
    });
    client.on("state", (status) => setState(status.state));
    client.on("outbox", setOutbox);
    client.on("reset", () => latest.current.onReset?.());
    hub.current = client;
    client.start();
    return () => {
      client.stop();
      hub.current = null;
      setOutbox([]);
      latest.current.onReset?.();
    };
  }, [patientCaseId, url]);

  const send = useCallback<HubClient["send"]>((type, body, how) => {
    if (hub.current === null) return Promise.reject(new Error("The component is not mounted."));
    return hub.current.send(type, body, how);
  }, []);

  return { state, send, outbox };
}
