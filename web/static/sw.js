/**
 * The service worker: the pages begin without a network, and say that they are disconnected.
 *
 * It keeps documents and their files, as they were when this version was installed. It never
 * touches an answer of the API, a token, or anything else: such requests do not pass through here.
 */

// The hub fills these in; another version whenever one of the files differs.
const VERSION = "{{version}}";
const FILES = /** @type {string[]} */ (/** @type {unknown} */ ("{{files}}"));

const CACHE = `curaway-shell-${VERSION}`;
/** How long the network has before what is kept is taken, in milliseconds. */
const PATIENCE = 4_000;
/** The page of any case is the same document: that of a case which does not exist is kept. */
const PATIENT = "/cases/-";
const CONSOLE = "/admin";

const worker = /** @type {any} */ (self);

worker.addEventListener("install", (/** @type {any} */ event) => {
  event.waitUntil(keep());
});

worker.addEventListener("activate", (/** @type {any} */ event) => {
  event.waitUntil(forget());
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const key = keyOf(event.request);
  if (key) event.respondWith(networkFirst(event.request, key));
});

async function keep() {
  const cache = await caches.open(CACHE);
  // Past the browser's own cache: what is kept must be of one version.
  await cache.addAll([PATIENT, CONSOLE, ...FILES].map((path) => new Request(path, { cache: "reload" })));
  await worker.skipWaiting();
}

async function forget() {
  for (const name of await caches.keys()) {
    if (name.startsWith("curaway-shell-") && name !== CACHE) await caches.delete(name);
  }
  await worker.clients.claim();
}

/**
 * Say under which address an answer to a request is kept; null for what does not concern us.
 * @param {Request} request
 * @returns {string | null}
 */
function keyOf(request) {
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== worker.location.origin) return null;
  if (request.mode === "navigate") {
    if (/^\/cases\/[^/]+$/.test(url.pathname)) return PATIENT;
    if (/^\/admin(\/cases\/[^/]+)?$/.test(url.pathname)) return CONSOLE;
    return null;
  }
  return FILES.includes(url.pathname) ? url.pathname : null;
}

/**
 * @param {Request} request
 * @param {string} key
 * @returns {Promise<Response>}
 */
async function networkFirst(request, key) {
  const kept = await (await caches.open(CACHE)).match(key);
  if (!kept) return fetch(request);
  // Behind a proxy whose hub is away, the answer is an error.
  const fresh = fetch(request).then((answer) => (answer.status >= 500 ? kept : answer));
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE, kept));
  return Promise.race([fresh, late]).catch(() => kept);
}
