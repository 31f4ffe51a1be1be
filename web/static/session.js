/**
 * Where the pages get their token: from a development identity, from the app that embeds them, or
 * from the cookie of the identity provider.
 *
 * A token is held in memory alone: it is never written, never logged, never put into an address.
 * @module
 */

import { claimsOf } from "./client/token.js";
import { storage } from "./storage.js";

/** @typedef {{ dev: boolean, origins: string[], cookie: string, max_upload: number }} HubConfig */

/** Who a developer has chosen to be, in this tab. */
const CHOICE = "curaway.identity";
/** How long the embedding app, or the identity provider, has to bring a token. */
const PATIENCE = 10_000;
/** How often it is looked for meanwhile. */
const LOOK = 500;

/** No token is to be had: the person has to sign in. `code` is `signed_out` or `unreachable`. */
export class SignInError extends Error {
  /** @param {"signed_out" | "unreachable"} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = "SignInError";
    this.code = code;
  }
}

/**
 * Read what the hub has written into the page.
 * @returns {HubConfig}
 */
export function readConfig() {
  const meta = document.querySelector('meta[name="hub-config"]');
  return { dev: false, origins: [], cookie: "__session", max_upload: 10_485_760, ...JSON.parse(meta?.getAttribute("content") || "{}") };
}

/**
 * Begin a session.
 * @param {HubConfig} [config]
 * @param {Window} [page] the window; another one in tests
 */
export function session(config = readConfig(), page = window) {
  const named = config.dev ? new URL(page.location.href).searchParams.get("as") : null;
  const embedded = !named && page.parent !== page && config.origins.length > 0;
  const chosen = named ?? (config.dev && !embedded ? choice(page) : null);
  /** @type {string | null} */
  let last = null;
  /** @type {Promise<string> | null} */
  let asking = null;

  /** @param {boolean} renew */
  async function fetched(renew) {
    if (chosen) return mint(chosen, page).catch((error) => lastInstead(error, renew));
    const brought = embedded ? await fromParent(page, config.origins, renew) : null;
    if (brought !== null) return brought;
    if (config.dev) return leave(page);
    return fromCookie(page, config.cookie, renew ? last : null);
  }

  /**
   * While the hub is down, the last token is as good as another.
   * @param {SignInError} error @param {boolean} renew
   */
  function lastInstead(error, renew) {
    const expires = last === null ? null : claimsOf(last)?.expires;
    if (last === null || renew || error.code !== "unreachable" || !expires || expires <= Date.now()) throw error;
    return last;
  }

  return {
    /**
     * Give a token that holds: the one that is there, while half of its life is left.
     * @param {{ renew?: boolean }} [options] renew: the hub has refused the last one
     * @returns {Promise<string>}
     */
    token({ renew = false } = {}) {
      if (last && !renew && isFresh(last, Date.now())) return Promise.resolve(last);
      asking ??= fetched(renew)
        .then((token) => (isAnothers(token, last) ? beginAnew(page) : (last = token)))
        .finally(() => (asking = null));
      return asking;
    },
    /** The development identity, by its short name; null in production. */
    identity: chosen,
    /** Whether another app shows this page within its own. */
    embedded,
    /**
     * Who the token says that this is; the hub alone decides whether that is true.
     * @returns {import("./client/token.js").Claims | null}
     */
    get who() {
      return last === null ? null : claimsOf(last);
    },
    /** Choose another identity; null where the identity provider signs people out. */
    signOut: config.dev && !embedded ? () => void leave(page) : null,
  };
}

/**
 * Give the identity that a developer has chosen in this tab.
 * @param {Window} page
 * @returns {string | null}
 */
function choice(page) {
  return storage("sessionStorage", page)?.getItem(CHOICE) ?? null;
}

/**
 * Remember who a developer wants to be, in this tab.
 * @param {string} identity
 * @param {Window} [page]
 */
export function choose(identity, page = window) {
  storage("sessionStorage", page)?.setItem(CHOICE, identity);
}

/**
 * Go to where one chooses who one is, and come back.
 * @param {Window} page
 * @returns {Promise<never>}
 */
function leave(page) {
  // Whoever comes next to this tab finds nothing of the one before.
  storage("sessionStorage", page)?.clear();
  const here = new URL(page.location.href);
  here.searchParams.delete("as");
  page.location.replace(`/sign-in?next=${encodeURIComponent(here.pathname + here.search)}`);
  return new Promise(() => {});
}

/**
 * Tell whether a token is that of another person than the one before.
 * @param {string} token
 * @param {string | null} last
 */
function isAnothers(token, last) {
  const [now, before] = [claimsOf(token), last === null ? null : claimsOf(last)];
  return now !== null && before !== null && now.subject !== before.subject;
}

/**
 * Load the page anew: nothing that the person before has read or typed may stay on it.
 * @param {Window} page
 * @returns {Promise<never>}
 */
function beginAnew(page) {
  page.document.documentElement.hidden = true;
  page.location.reload();
  return new Promise(() => {});
}

/**
 * @param {string} identity
 * @param {Window} page
 * @returns {Promise<string>}
 */
async function mint(identity, page) {
  let answer;
  try {
    answer = await page.fetch("/dev/tokens", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ identity }),
    });
  } catch {
    throw new SignInError("unreachable", "The hub does not answer.");
  }
  if (answer.status >= 500) throw new SignInError("unreachable", "The hub cannot sign anybody in now.");
  // An identity that is not there any more, or a page at an address that is not the hub's own.
  if (!answer.ok) throw new SignInError("signed_out", (await answer.json()).error.message);
  return (await answer.json()).token;
}

/**
 * Ask the app that shows this page for a token, again and again: it may still be loading.
 *
 * It is asked only if it is of an allowed origin, and nobody else is believed.
 * @param {Window} page
 * @param {string[]} origins
 * @param {boolean} renew
 * @returns {Promise<string | null>} null: it says nothing
 */
function fromParent(page, origins, renew) {
  return new Promise((resolve, reject) => {
    /** @param {MessageEvent} event */
    const hear = (event) => {
      if (event.source !== page.parent || !origins.includes(event.origin)) return;
      if (event.data?.type !== "curaway:token") return;
      const token = event.data.token;
      if (typeof token === "string" && token) done(() => resolve(token));
      else done(() => reject(new SignInError("signed_out", "The app says that nobody is signed in.")));
    };
    const ask = () => {
      for (const origin of asked(page, origins)) page.parent.postMessage({ type: "curaway:token-request", renew }, origin);
    };
    const asker = page.setInterval(ask, LOOK);
    const limit = page.setTimeout(() => done(() => resolve(null)), PATIENCE);
    /** @param {() => void} settle */
    const done = (settle) => {
      page.removeEventListener("message", hear);
      page.clearInterval(asker);
      page.clearTimeout(limit);
      settle();
    };
    page.addEventListener("message", hear);
    ask();
  });
}

/**
 * Give the origins that are worth asking: the parent's own, where the browser tells which that is.
 * @param {Window} page
 * @param {string[]} origins
 */
function asked(page, origins) {
  const parent = page.location.ancestorOrigins?.[0];
  return parent ? origins.filter((origin) => origin === parent) : origins;
}

/**
 * Give the token in a cookie; one that was refused is waited for to be replaced.
 * @param {Window} page
 * @param {string} name
 * @param {string | null} refused
 * @returns {Promise<string>}
 */
async function fromCookie(page, name, refused) {
  for (let waited = 0; ; waited += LOOK) {
    const token = cookieValue(page.document.cookie, name);
    if (token && token !== refused) return token;
    if (!token || waited >= PATIENCE) throw new SignInError("signed_out", "Nobody is signed in.");
    await new Promise((resolve) => page.setTimeout(resolve, LOOK));
  }
}

/**
 * Find a cookie in `document.cookie`.
 * @param {string} cookies
 * @param {string} name
 * @returns {string | null}
 */
export function cookieValue(cookies, name) {
  for (const part of cookies.split(";")) {
    const at = part.indexOf("=");
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim() || null;
  }
  return null;
}

/**
 * Give the path to go on to after a sign-in: one of this origin, whatever was asked for.
 * @param {string | null} next
 * @param {string} origin
 * @param {string} otherwise
 * @returns {string}
 */
export function safeNext(next, origin, otherwise = "/") {
  if (!next || !next.startsWith("/")) return otherwise;
  try {
    const url = new URL(next, origin);
    // What begins with two slashes, or with a slash and a backslash, names another host.
    return url.origin === origin && !url.pathname.startsWith("//") ? url.pathname + url.search + url.hash : otherwise;
  } catch {
    return otherwise;
  }
}

/**
 * Tell whether at least half of the life of a token is left.
 * @param {string} token
 * @param {number} now in milliseconds
 */
export function isFresh(token, now) {
  const { issued, expires } = claimsOf(token) ?? {};
  return Boolean(issued && expires && expires - now > (expires - issued) / 2);
}
