/**
 * What a browser keeps, without a browser.
 * @param {Record<string, string>} [items]
 * @returns {Storage}
 */
export function kept(items = {}) {
  /** @type {Map<string, string>} */
  const all = new Map(Object.entries(items));
  return {
    getItem: (name) => all.get(name) ?? null,
    setItem: (name, value) => void all.set(name, value),
    removeItem: (name) => void all.delete(name),
    clear: () => all.clear(),
    key: (at) => [...all.keys()][at] ?? null,
    get length() {
      return all.size;
    },
  };
}
