/**
 * The colours of a page, where its address asks for others than those of the system.
 * @module
 */

/** Wear them. */
export function wearTheme() {
  const theme = new URLSearchParams(location.search).get("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
