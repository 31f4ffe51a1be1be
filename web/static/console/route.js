/**
 * Where the console is: which case is open, and which side of it is shown.
 * @module
 */

/** @typedef {{ case: string | null, view: "conversation" | "timeline" }} Route */

const CASE = /^\/admin\/cases\/([^/]+)\/?$/;

/**
 * Read an address.
 * @param {string} pathname
 * @param {string} search
 * @returns {Route}
 */
export function readRoute(pathname, search) {
  const id = CASE.exec(pathname)?.[1];
  const timeline = new URLSearchParams(search).get("view") === "timeline";
  return { case: id ? decoded(id) : null, view: id && timeline ? "timeline" : "conversation" };
}

/**
 * Write the address of a route. What else stands in the query (`as`, `theme`) is kept.
 * @param {Route} route
 * @param {string} search
 * @returns {string}
 */
export function writeRoute(route, search) {
  const query = new URLSearchParams(search);
  query.delete("view");
  if (route.case !== null && route.view === "timeline") query.set("view", "timeline");
  const path = route.case === null ? "/admin" : `/admin/cases/${encodeURIComponent(route.case)}`;
  return String(query) === "" ? path : `${path}?${query}`;
}

/**
 * @param {string} part
 * @returns {string}
 */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
