/**
 * Tokens: what they say of themselves, and when to ask for the next one.
 *
 * The claims are read and not verified: the hub does that. They tell under whose name a command
 * waits in this browser, and when a token ends.
 */

const ASK_WITHIN_MS = 20_000;
const MOST_LEAD_MS = 60_000;
const LEAD_SHARE = 0.2;

/**
 * @typedef {object} Claims
 * @property {string} subject
 * @property {string | null} tenant
 * @property {string} role
 * @property {string} name
 * @property {number | null} issued milliseconds since 1970
 * @property {number | null} expires milliseconds since 1970
 */

/**
 * Read a token; null if it is none.
 *
 * @param {string} token
 * @returns {Claims | null}
 */
export function claimsOf(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims?.sub !== "string" || claims.sub === "") return null;
    const role = roleOf(claims);
    return {
      subject: claims.sub,
      tenant: claims.tenant_id ?? claims.o?.id ?? claims.org_id ?? null,
      role,
      name: typeof claims.name === "string" ? claims.name : "",
      issued: typeof claims.iat === "number" ? claims.iat * 1000 : null,
      expires: typeof claims.exp === "number" ? claims.exp * 1000 : null,
    };
  } catch {
    return null;
  }
}

/**
 * @param {any} claims
 * @returns {string}
 */
function roleOf(claims) {
  const role = String((claims.o ? claims.o.rol : claims.org_role) ?? "").replace(/^org:/, "");
  if (role === "coordinator") return role;
  return role === "supervisor" || role === "admin" ? "supervisor" : "patient";
}

/**
 * How long to wait before a later token is asked for: until 60 s before the end, or until a fifth
 * of its life is left if that is less.
 *
 * @param {Claims} claims
 * @param {number} now by the clock of the hub, as far as it is known
 * @returns {number | null} milliseconds; null: it does not expire
 */
export function renewIn(claims, now) {
  if (claims.expires === null) return null;
  const life = claims.expires - (claims.issued ?? now);
  const lead = Math.min(MOST_LEAD_MS, LEAD_SHARE * life);
  return Math.max(0, claims.expires - lead - now);
}

/** There is no token: nobody is signed in. */
export class SignedOut extends Error {}

/**
 * Gets tokens from whoever knows who is signed in, and keeps the last one.
 */
export class Tokens {
  /**
   * @param {(ask: { renew: boolean }) => Promise<string | null | undefined> | string | null} ask
   * @param {import("./environment.js").Environment} environment
   * @param {string} [tenant] in place of the one that the token names
   */
  constructor(ask, environment, tenant) {
    this.#ask = ask;
    this.#environment = environment;
    this.#tenant = tenant;
  }

  #ask;
  #environment;
  #tenant;
  /** @type {Promise<string> | null} */
  #asking = null;
  #renewing = false;

  /** The last token. @type {string | null} */
  current = null;
  /** What it says. @type {Claims | null} */
  claims = null;
  /** How far the clock of the hub is ahead of ours, in milliseconds. */
  skew = 0;

  /** @returns {string | null} */
  get tenant() {
    return this.#tenant ?? this.claims?.tenant ?? null;
  }

  /** The headers that every request bears. @returns {Record<string, string>} */
  get headers() {
    return {
      Authorization: `Bearer ${this.current ?? ""}`,
      ...(this.tenant === null ? {} : { "X-Tenant-ID": this.tenant }),
    };
  }

  /**
   * Ask for a token. Whoever asks meanwhile gets the same.
   *
   * @param {boolean} renew the hub has refused the last one
   * @returns {Promise<string>}
   * @throws {SignedOut} there is none
   */
  async fresh(renew = false) {
    if (this.#asking !== null && (this.#renewing || !renew)) return this.#asking;
    const asking = this.#fetch(renew);
    this.#asking = asking;
    this.#renewing = renew;
    try {
      return await asking;
    } finally {
      if (this.#asking === asking) this.#asking = null;
    }
  }

  /** Give the last token while it lasts, else a new one. @returns {Promise<string>} */
  async valid() {
    const expires = this.claims?.expires ?? Infinity;
    const lasts = expires - (this.#environment.now() + this.skew) > 5_000;
    return this.current !== null && lasts ? this.current : this.fresh();
  }

  /** @param {boolean} renew */
  async #fetch(renew) {
    const token = await this.#inTime(async () => this.#ask({ renew }));
    if (!token) throw new SignedOut("There is no token.");
    this.current = token;
    this.claims = claimsOf(token);
    return token;
  }

  /**
   * @template T
   * @param {() => Promise<T>} call
   * @returns {Promise<T>}
   */
  #inTime(call) {
    const { setTimeout, clearTimeout } = this.#environment;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("No token came in time.")), ASK_WITHIN_MS);
      call()
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
  }
}
