/** The first way to the hub: one WebSocket, from its opening to its end. */

/** @typedef {import("./connection.js").Link} Link */
/** @typedef {import("./connection.js").LinkEvents} LinkEvents */

const HELLO_WITHIN_MS = 8_000;
const CLOSE_WITHIN_MS = 100;

/**
 * @param {import("./environment.js").Environment} environment
 * @param {string} url
 * @param {() => Record<string, unknown>} auth the members of the first frame
 * @param {LinkEvents} events
 * @returns {Link}
 */
export function openWebSocket(environment, url, auth, events) {
  let opened = false;
  /** Whether `auth` may be sent, or was. */
  let entered = false;
  let over = false;
  /** @type {WebSocket | null} */
  let socket = null;
  const patience = environment.setTimeout(() => finish(1006, true), HELLO_WITHIN_MS);

  /**
   * @param {number} code
   * @param {boolean} [closing]
   */
  function finish(code, closing = false) {
    if (over) return;
    over = true;
    environment.clearTimeout(patience);
    if (closing) shut();
    events.end({ code, opened });
  }

  function shut() {
    try {
      socket?.close(1000);
    } catch {
      // It is closed already.
    }
  }

  /** @param {unknown} data */
  function receive(data) {
    if (over) return;
    const frame = parse(data);
    if (frame === null) return;
    if (frame.type === "hello" && !opened) {
      opened = true;
      environment.clearTimeout(patience);
      events.hello(frame);
      // Only now: the client may have moved on since the socket was asked for.
      entered = !over;
      send({ ...auth(), type: "auth" });
      return;
    }
    events.frame(frame);
  }

  /** @param {object} frame */
  function send(frame) {
    // To anything before `auth` the hub answers by closing for good.
    if (!entered) return;
    try {
      if (socket?.readyState === 1) socket.send(JSON.stringify(frame));
    } catch {
      // A socket that breaks now tells so by its end.
    }
  }

  try {
    if (environment.WebSocket === undefined) throw new Error("There are no WebSockets.");
    socket = new environment.WebSocket(url);
    socket.onmessage = (event) => receive(event.data);
    socket.onclose = (event) => finish(event.code);
    // Its end follows at once in a browser; elsewhere it may not follow at all.
    socket.onerror = () => void environment.setTimeout(() => finish(1006), CLOSE_WITHIN_MS);
  } catch {
    environment.setTimeout(() => finish(1006), 0);
  }

  return {
    send,
    ping: () => send({ type: "ping" }),
    renew: (token, key) => send({ type: "token", token, key }),
    close() {
      over = true;
      environment.clearTimeout(patience);
      shut();
    },
  };
}

/**
 * @param {unknown} data
 * @returns {import("./frames.js").Frame | null}
 */
function parse(data) {
  if (typeof data !== "string") return null;
  try {
    const frame = JSON.parse(data);
    return typeof frame?.type === "string" ? frame : null;
  } catch {
    return null;
  }
}
