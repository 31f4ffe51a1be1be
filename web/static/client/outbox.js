/**
 * What was typed and is not yet known to be in the log. It survives a reload.
 *
 * Each command is one item of the storage, `curaway.outbox/<user>/<case>/<key>`, so that two tabs
 * never overwrite each other, and nobody sends what somebody else has typed, or for another case.
 * The tab remembers whose outbox it was, for a reload without a network brings no token that tells.
 *
 * Invariant: a command is stored before it can be sent, and stays until the hub has said that it
 * has it, or the user has discarded it. Its key never changes.
 */

import { HubError } from "./errors.js";

/**
 * @typedef {object} OutboxItem
 * @property {string} key
 * @property {string} type
 * @property {Record<string, any>} body
 * @property {number} at when it was written, in milliseconds since 1970; also the order
 * @property {"waiting" | "sending" | "refused"} state
 * @property {{ code: string, message: string, [detail: string]: any }} [error] why it was refused
 */

const PREFIX = "curaway.outbox/";
/** Begins the names under which a tab remembers whose outbox it was. */
const USER = "curaway.user/";
export const FOREIGN_WAIT_MS = 4_000;
/** Older text is sent only if its author says so again. */
export const EXPIRES_MS = 7 * 24 * 3_600_000;

/**
 * Give the cases for which `user` has written something that waits in a storage.
 *
 * @param {import("./environment.js").StorageLike} storage
 * @param {string} user
 * @returns {Set<string>}
 */
export function casesOf(storage, user) {
  const begin = `${PREFIX}${encodeURIComponent(user)}/`;
  const cases = new Set();
  for (let i = 0; i < storage.length; i += 1) {
    const stored = storage.key(i) ?? "";
    if (stored.startsWith(begin)) cases.add(decodeURIComponent(stored.slice(begin.length).split("/")[0]));
  }
  return cases;
}

export class Outbox {
  /**
   * @param {object} options
   * @param {import("./environment.js").Environment} options.environment
   * @param {import("./environment.js").StorageLike | null} options.storage
   * @param {import("./environment.js").StorageLike | null} options.tabStorage
   * @param {string} options.case
   * @param {() => void} options.changed
   * @param {() => void} options.notStored is called once if the storage does not take something
   */
  constructor(options) {
    this.#environment = options.environment;
    this.#storage = options.storage;
    this.#tabStorage = options.tabStorage;
    this.#case = options.case;
    this.#changed = options.changed;
    this.#notStored = options.notStored;
  }

  #environment;
  #storage;
  #tabStorage;
  #case;
  #changed;
  #notStored;
  #warned = false;
  /** @type {string | null} */
  #user = null;
  /** @type {Map<string, OutboxItem>} */
  #items = new Map();
  /** Keys of another tab, and when this one may send them. @type {Map<string, number>} */
  #foreign = new Map();
  #lastAt = 0;

  /** All of it, in the order in which it was written. @returns {OutboxItem[]} */
  get items() {
    return [...this.#items.values()].sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1));
  }

  /** @param {string} key */
  get(key) {
    return this.#items.get(key);
  }

  /** Until somebody is known, this is the outbox of whoever it was before the page was loaded. */
  recall() {
    const user = this.#user === null ? this.#remembered() : null;
    if (user !== null) this.belongsTo(user);
  }

  /**
   * From now on this is the outbox of `user`. What was written before anybody was known is theirs;
   * what somebody else has written stays in the storage, for them.
   *
   * @param {string} user
   */
  belongsTo(user) {
    if (this.#user === user) return;
    const homeless = this.#user === null ? this.items : [];
    this.#user = user;
    this.#remember(user);
    this.#items.clear();
    this.#foreign.clear();
    for (const item of this.#stored()) this.#items.set(item.key, item);
    for (const item of homeless) {
      this.#items.set(item.key, item);
      this.#store(item);
    }
    this.#lastAt = Math.max(0, ...this.items.map((item) => item.at));
    this.#changed();
  }

  /**
   * Store a command; only then may it be sent.
   *
   * @param {string} key
   * @param {string} type
   * @param {Record<string, any>} body
   */
  add(key, type, body) {
    // Two commands of one millisecond, or of a clock that was set back, keep their order.
    const at = Math.max(this.#environment.now(), this.#lastAt + 1);
    this.#lastAt = at;
    /** @type {OutboxItem} */
    const item = { key, type, body, at, state: "waiting" };
    this.#items.set(key, item);
    this.#foreign.delete(key);
    this.#store(item);
    this.#changed();
  }

  /** The hub has it. @param {string} key */
  remove(key) {
    this.#foreign.delete(key);
    if (!this.#items.delete(key)) return;
    this.#unstore(key);
    this.#changed();
  }

  /**
   * The next command to be sent, in order; null if none is.
   *
   * @returns {OutboxItem | null}
   */
  next() {
    const now = this.#environment.now();
    const due = (/** @type {OutboxItem} */ item) => (this.#foreign.get(item.key) ?? 0) <= now;
    return this.items.find((item) => item.state === "waiting" && due(item)) ?? null;
  }

  /** In how many milliseconds a command of another tab may be sent; null if none waits. */
  get dueIn() {
    const waiting = [...this.#foreign.values()];
    return waiting.length === 0 ? null : Math.max(0, Math.min(...waiting) - this.#environment.now());
  }

  /** @param {string} key */
  sending(key) {
    this.#change(key, (item) => ({ ...item, state: "sending" }));
  }

  /** It was not answered, and is to be sent again. @param {string} key */
  waiting(key) {
    this.#change(key, (item) => (item.state === "sending" ? { ...item, state: "waiting" } : item));
  }

  /**
   * The hub will never take it; the user decides.
   *
   * @param {string} key
   * @param {HubError} error
   */
  refused(key, error) {
    const { code, message, missed, owner } = error;
    const why = { code, message, ...(missed && { missed }), ...(owner && { owner }) };
    this.#change(key, (item) => ({ ...item, state: "refused", error: why }));
    const item = this.#items.get(key);
    if (item !== undefined) this.#store(item);
  }

  /**
   * Send it again after all.
   *
   * @param {string} key
   */
  resend(key) {
    const item = this.#items.get(key);
    if (item?.state !== "refused") return;
    const { error, ...rest } = item;
    // Whoever sends again what was stale has seen what was missed.
    const body = error?.code === "stale" ? { ...rest.body, force: true } : rest.body;
    /** @type {OutboxItem} */
    const again = { ...rest, body, state: "waiting" };
    this.#items.set(key, again);
    this.#store(again);
    this.#changed();
  }

  /**
   * Another tab of this browser has changed an item.
   *
   * @param {{ key: string | null, newValue: string | null }} event of the type `storage`
   */
  changedElsewhere(event) {
    const key = event.key === null ? null : this.#keyOf(event.key);
    if (key === null) return;
    const item = event.newValue === null ? null : this.#parse(key, event.newValue);
    if (item === null) {
      if (event.newValue === null) this.#goneElsewhere(key);
      return;
    }
    const mine = this.#items.get(key);
    if (mine?.state === "sending") return;
    if (mine === undefined) this.#foreign.set(key, this.#environment.now() + FOREIGN_WAIT_MS);
    this.#items.set(key, item);
    this.#changed();
  }

  /** @param {string} key */
  #goneElsewhere(key) {
    this.#foreign.delete(key);
    if (this.#items.delete(key)) this.#changed();
  }

  /**
   * @param {string} key
   * @param {(item: OutboxItem) => OutboxItem} change
   */
  #change(key, change) {
    const item = this.#items.get(key);
    if (item === undefined) return;
    const changed = change(item);
    if (changed === item) return;
    this.#items.set(key, changed);
    this.#changed();
  }

  // The storages, each access to which may throw.

  #remembered() {
    try {
      return this.#tabStorage?.getItem(USER + this.#case) ?? null;
    } catch {
      return null;
    }
  }

  /** @param {string} user */
  #remember(user) {
    try {
      this.#tabStorage?.setItem(USER + this.#case, user);
    } catch {
      // After a reload without a network the outbox is seen once a token comes.
    }
  }

  #prefix() {
    return `${PREFIX}${encodeURIComponent(this.#user ?? "")}/${encodeURIComponent(this.#case)}/`;
  }

  /** @param {string} stored */
  #keyOf(stored) {
    if (this.#user === null || !stored.startsWith(this.#prefix())) return null;
    return stored.slice(this.#prefix().length);
  }

  /** @param {OutboxItem} item */
  #store(item) {
    if (this.#user === null) return;
    const { key, ...rest } = item;
    const state = rest.state === "refused" ? "refused" : "waiting";
    try {
      if (this.#storage === null) throw new Error("There is no storage.");
      this.#storage.setItem(this.#prefix() + key, JSON.stringify({ ...rest, state }));
    } catch {
      if (!this.#warned) this.#notStored();
      this.#warned = true;
    }
  }

  /** @param {string} key */
  #unstore(key) {
    try {
      this.#storage?.removeItem(this.#prefix() + key);
    } catch {
      // It is sent once more after a reload; the hub knows its key.
    }
  }

  /** @returns {OutboxItem[]} */
  #stored() {
    /** @type {OutboxItem[]} */
    const found = [];
    try {
      for (let i = 0; i < (this.#storage?.length ?? 0); i += 1) {
        const stored = this.#storage?.key(i) ?? null;
        const key = stored === null ? null : this.#keyOf(stored);
        const value = key === null ? null : (this.#storage?.getItem(stored ?? "") ?? null);
        const item = key === null || value === null ? null : this.#parse(key, value);
        if (item !== null) found.push(this.#aged(item));
      }
    } catch {
      // Without storage there is nothing from before.
    }
    return found;
  }

  /**
   * @param {string} key
   * @param {string} value
   * @returns {OutboxItem | null}
   */
  #parse(key, value) {
    try {
      const { type, body, at, state, error } = JSON.parse(value);
      if (typeof type !== "string" || typeof body !== "object" || !Number.isFinite(at)) return null;
      if (state === "refused") return { key, type, body: body ?? {}, at, state, error };
      return { key, type, body: body ?? {}, at, state: "waiting" };
    } catch {
      return null;
    }
  }

  /** @param {OutboxItem} item */
  #aged(item) {
    if (item.state === "refused" || this.#environment.now() - item.at < EXPIRES_MS) return item;
    const message = "This was written more than a week ago and could not be sent.";
    /** @type {OutboxItem} */
    const old = { ...item, state: "refused", error: { code: "expired", message } };
    return old;
  }
}
