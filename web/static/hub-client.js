/**
 * The client library of the hub, for any front end: plain ES modules, nothing to build.
 *
 *     import { HubClient } from "/static/hub-client.js";
 *
 *     const hub = new HubClient({
 *       case: "case-maria-001",
 *       token: ({ renew }) => session.getToken({ skipCache: renew }),
 *       handlers: { onMessage: (message) => show(message) },
 *     });
 *     hub.on("state", ({ state }) => (dot.dataset.state = state));
 *     hub.on("outbox", (items) => showPending(items));
 *     hub.on("reset", () => clear());
 *     hub.start();
 *     await hub.send("message", { text: "Hello" });
 *     hub.stop();
 *
 * Each event comes once and in order; what was sent is stored once, also through a reload.
 * docs/client.md tells the rest.
 */

export { HubClient } from "./client/hub.js";
export { DeskClient, byUrgency } from "./client/desk.js";
export { casesOf } from "./client/outbox.js";
export { HubError } from "./client/errors.js";
export { EventStreamParser, readEventStream } from "./client/sse.js";

/** @typedef {import("./client/hub.js").HubOptions} HubOptions */
/** @typedef {import("./client/hub.js").HubEvents} HubEvents */
/** @typedef {import("./client/desk.js").DeskOptions} DeskOptions */
/** @typedef {import("./client/handlers.js").Handlers} Handlers */
/** @typedef {import("./client/connection.js").State} State */
/** @typedef {import("./client/connection.js").Status} Status */
/** @typedef {import("./client/answer.js").Answer} Answer */
/** @typedef {import("./client/outbox.js").OutboxItem} OutboxItem */
/** @typedef {import("./client/frames.js").HubEvent} HubEvent */
/** @typedef {import("./client/frames.js").MessageData} MessageData */
/** @typedef {import("./client/frames.js").DeskCase} DeskCase */
/** @typedef {import("./client/frames.js").Room} Room */
/** @typedef {import("./client/frames.js").You} You */
