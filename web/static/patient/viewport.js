/**
 * Keeps the page within what is to be seen, also above the keyboard of a phone that only covers it.
 * @module
 */

/** @param {HTMLElement} root */
export function followViewport(root) {
  const view = window.visualViewport;
  if (!view) return;
  const fit = () => {
    // Whoever zooms in wants to look at a part of the page, not a smaller page.
    const covered = Math.abs(view.scale - 1) < 0.01 && window.innerHeight - view.height > 60;
    root.style.setProperty("--view-height", covered ? `${view.height}px` : "100dvh");
    root.style.setProperty("--view-top", covered ? `${view.offsetTop}px` : "0px");
  };
  view.addEventListener("resize", fit);
  view.addEventListener("scroll", fit);
  fit();
}
