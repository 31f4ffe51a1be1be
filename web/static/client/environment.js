/**
 * What the client needs of its surroundings, so that a test can bring its own clock and network.
 */

/**
 * @typedef {object} EventSourceLike
 * @property {(type: string, listener: (event: any) => void) => void} addEventListener
 * @property {(type: string, listener: (event: any) => void) => void} removeEventListener
 */

/**
 * @typedef {object} StorageLike
 * @property {number} length
 * @property {(index: number) => string | null} key
 * @property {(key: string) => string | null} getItem
 * @property {(key: string, value: string) => void} setItem
 * @property {(key: string) => void} removeItem
 */

/**
 * @typedef {object} Environment
 * @property {() => number} now milliseconds since 1970
 * @property {(call: () => void, ms: number) => unknown} setTimeout
 * @property {(handle: any) => void} clearTimeout
 * @property {() => number} random a number in [0, 1)
 * @property {() => string} newKey an unguessable key, made once for each command
 * @property {(new (url: string) => WebSocket) | undefined} WebSocket
 * @property {typeof globalThis.fetch} fetch
 * @property {(new () => XMLHttpRequest) | undefined} XMLHttpRequest
 * @property {(EventSourceLike & { readonly hidden: boolean }) | undefined} document
 * @property {EventSourceLike | undefined} window
 * @property {() => boolean} online what the browser believes
 * @property {() => StorageLike | null} storage null where it is forbidden
 * @property {() => StorageLike | null} tabStorage the same, of this tab alone
 * @property {(error: unknown) => void} report tells of a listener that threw
 */

/** @returns {Environment} */
function ofThisPage() {
  const page = /** @type {any} */ (globalThis);
  return {
    now: () => Date.now(),
    setTimeout: (call, ms) => setTimeout(call, ms),
    clearTimeout: (handle) => clearTimeout(handle),
    random: () => Math.random(),
    newKey,
    WebSocket: page.WebSocket,
    fetch: (input, init) => fetch(input, init),
    XMLHttpRequest: page.XMLHttpRequest,
    document: page.document,
    window: page.window,
    online: () => page.navigator?.onLine !== false,
    storage: () => storageOf("localStorage"),
    tabStorage: () => storageOf("sessionStorage"),
    report: (error) => (page.reportError ?? console.error)(error),
  };
}

/**
 * The surroundings of this page, except for what is given.
 *
 * @param {Partial<Environment>} [given]
 * @returns {Environment}
 */
export function environmentWith(given = {}) {
  return { ...ofThisPage(), ...given };
}

/** @param {"localStorage" | "sessionStorage"} name */
function storageOf(name) {
  try {
    return globalThis[name] ?? null;
  } catch {
    // A browser that forbids storage throws at the mere look.
    return null;
  }
}

function newKey() {
  // Not crypto.randomUUID, which is missing on a page that came over plain HTTP.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
