/**
 * What a browser keeps for a page: nothing where it is told to, as for a page within another site.
 * @module
 */

/**
 * @param {"localStorage" | "sessionStorage"} which
 * @param {Window} [page]
 * @returns {Storage | null}
 */
export function storage(which, page = window) {
  try {
    return page[which];
  } catch {
    return null;
  }
}

/**
 * Forget what was kept under a prefix for anybody else: a tab may go from one person to the next.
 * @param {Storage | null} kept
 * @param {string} prefix of all
 * @param {string} own beginning of the names that stay
 */
export function forgetOthers(kept, prefix, own) {
  const names = Array.from({ length: kept?.length ?? 0 }, (_, at) => kept?.key(at) ?? "");
  for (const name of names) {
    if (name.startsWith(prefix) && !name.startsWith(own)) kept?.removeItem(name);
  }
}
