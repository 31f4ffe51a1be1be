/**
 * Which cases the desk shows, in which group and order.
 * @module
 */

/** @typedef {import("../client/frames.js").DeskCase} DeskCase */
/** @typedef {"waiting" | "mine" | "others" | "assistant"} GroupId */
/** @typedef {"all" | "waiting" | "mine" | "unread"} Filter */
/** @typedef {{ id: GroupId, title: string, cases: DeskCase[] }} Group */

/** @type {[GroupId, string][]} */
export const GROUPS = [
  ["waiting", "Waiting"],
  ["mine", "Mine"],
  ["others", "With others"],
  ["assistant", "With the assistant"],
];

/** @type {[Filter, string][]} */
export const FILTERS = [
  ["all", "All"],
  ["waiting", "Waiting"],
  ["mine", "Mine"],
  ["unread", "Unread"],
];

/**
 * @param {DeskCase} one
 * @param {string | null} me the id of whoever looks
 * @returns {GroupId}
 */
export function groupOf(one, me) {
  if (one.control === "waiting") return "waiting";
  if (one.control === "ai") return "assistant";
  return one.owner_id !== null && one.owner_id === me ? "mine" : "others";
}

/**
 * Words that may mean an emergency, and nobody has given the case back to the assistant since.
 * @param {DeskCase} one
 * @returns {boolean}
 */
export function isEmergency(one) {
  return one.escalation === "red_flag" && one.control !== "ai";
}

/**
 * Put the cases that are looked for into their groups: emergencies first, then the longest wait;
 * elsewhere whoever wrote last. Groups without a case are left out.
 * @param {readonly DeskCase[]} cases
 * @param {{ me: string | null, filter: Filter, query: string }} look
 * @returns {Group[]}
 */
export function arrange(cases, { me, filter, query }) {
  const shown = cases.filter((one) => passes(one, filter, me) && matches(one, query));
  return GROUPS.map(([id, title]) => {
    const members = shown.filter((one) => groupOf(one, me) === id);
    return { id, title, cases: members.sort(id === "waiting" ? byWait : byNewest) };
  }).filter((group) => group.cases.length > 0);
}

/**
 * @param {readonly DeskCase[]} cases
 * @param {string | null} me
 * @returns {Record<Filter, number>}
 */
export function count(cases, me) {
  const many = (/** @type {Filter} */ filter) =>
    cases.filter((one) => passes(one, filter, me)).length;
  return { all: cases.length, waiting: many("waiting"), mine: many("mine"), unread: many("unread") };
}

/**
 * @param {DeskCase} one
 * @param {Filter} filter
 * @param {string | null} me
 * @returns {boolean}
 */
function passes(one, filter, me) {
  switch (filter) {
    case "all":
      return true;
    case "waiting":
      return one.control === "waiting";
    case "mine":
      return groupOf(one, me) === "mine";
    case "unread":
      return one.unread > 0;
  }
}

/**
 * Whether each word of the query stands in the name, the id or the preview; accents do not matter.
 * @param {DeskCase} one
 * @param {string} query
 * @returns {boolean}
 */
export function matches(one, query) {
  const words = plain(query).split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const text = plain(`${one.patient} ${one.case} ${one.preview}`);
  return words.every((word) => text.includes(word));
}

/**
 * @param {string} text
 * @returns {string}
 */
function plain(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}

/**
 * @param {DeskCase} a
 * @param {DeskCase} b
 * @returns {number}
 */
function byWait(a, b) {
  const urgent = Number(isEmergency(b)) - Number(isEmergency(a));
  return urgent || compare(a.waiting_since ?? "", b.waiting_since ?? "") || compare(a.case, b.case);
}

/**
 * @param {DeskCase} a
 * @param {DeskCase} b
 * @returns {number}
 */
function byNewest(a, b) {
  return compare(b.last_message_at ?? "", a.last_message_at ?? "") || compare(a.case, b.case);
}

/**
 * @param {string} a
 * @param {string} b
 * @returns {number}
 */
function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}
