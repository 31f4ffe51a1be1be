/**
 * Makes elements. Text only ever becomes a text node: nothing here can turn a string into markup.
 * @module
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Make an element: `h("button", { class: "button", onclick: send }, icon("send"), "Send")`.
 *
 * A property that begins with `on` is a listener; `class`, `dataset` and `style` are themselves (the
 * last one an object of custom properties); `true` and `false` set and leave out an attribute.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") {
      for (const [key, part] of Object.entries(value)) element.style.setProperty(key, String(part));
    } else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

/**
 * Put other children into the place of those that an element has.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
}

/**
 * @param {Element} element
 * @param {(Child | Child[])[]} children
 */
function add(element, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** Paths on a ground of 24 by 24, drawn with a line. */
const ICONS = /** @type {const} */ ({
  alert: "M12 3 2.5 20h19L12 3ZM12 10v4M12 17.2v.1",
  archive: "M4 8h16v11H4zM3 4h18v4H3zM10 12h4",
  arrow: "M5 12h14M13 6l6 6-6 6",
  back: "M19 12H5M11 6l-6 6 6 6",
  bell: "M6 16v-5a6 6 0 0 1 12 0v5l1.5 2h-15L6 16ZM10 20.5h4",
  bolt: "M13 3 5 14h6l-1 7 8-11h-6l1-7Z",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 16.5a3.25 3.25 0 1 0 0-6.5 3.25 3.25 0 0 0 0 6.5Z",
  chat: "M4 5h16v11H9.500L5 20v-4H4z",
  check: "m5 12.5 4.5 4.5L19 7.5",
  clip: "m20 11-8.2 8.2a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7l-8.2 8.2a1.6 1.6 0 0 1-2.3-2.3L14.7 7",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3.5 2",
  close: "M6 6l12 12M18 6 6 18",
  consent: "M12 3 5 6v5c0 5 3 8 7 10 4-2 7-5 7-10V6l-7-3ZM9 12l2.2 2.200L15.5 10",
  copy: "M9 8h11v12H9zM15 8V4H4v12h5",
  document: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
  down: "M12 5v14M6 13l6 6 6-6",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12ZM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z",
  filter: "M4 6h16M7 12h10M10 18h4",
  heart: "M12 20S4 15 4 9.200A4.2 4.2 0 0 1 12 7.500a4.2 4.2 0 0 1 8 1.700C20 15 12 20 12 20ZM8 12h2l1.5-2.5 1.5 4 1-1.500h2",
  hospital: "M5 21V7l7-4 7 4v14zM12 8v5M9.5 10.500h5M10 21v-4h4v4",
  keyboard: "M3 6h18v12H3zM7 10h.1M11 10h.1M15 10h.1M7 14h10",
  mail: "M3.5 6h17v12h-17zM4 7l8 6 8-6",
  menu: "M4 7h16M4 12h16M4 17h16",
  note: "M5 4h14v10l-5 6H5zM14 20v-6h5M8.5 8.500h7M8.5 12h4",
  mute: "M4 9.500v5h3.500L12 19V5L7.5 9.500H4ZM16 9.500l5 5M21 9.500l-5 5",
  panel: "M3.500 5h17v14h-17zM15 5v14",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20.500c.8-3.8 3.7-6 7.5-6s6.7 2.2 7.5 6",
  phone: "M6 3.500h3.500l1.5 4-2 1.500c1 2.5 2.5 4 5 5l1.5-2 4 1.500V17c0 2-1.5 3.5-3.5 3.500C9.5 20.5 3.5 14 3.5 7 3.5 5 4.5 3.5 6 3.500Z",
  retry: "M19.5 12a7.5 7.5 0 1 1-2.2-5.300L20 9.300M20 4.500v4.800h-4.8",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM16.2 16.2 20.5 20.5",
  send: "M4 12 20.5 4 16 20.500l-4.5-6L4 12ZM11.5 14.5 20.5 4",
  sound: "M4 9.500v5h3.500L12 19V5L7.5 9.500H4ZM15.5 9a4.2 4.2 0 0 1 0 6M18 6.500a7.8 7.8 0 0 1 0 11",
  sparkle: "M12 3.5 13.9 10 20.5 12l-6.6 2L12 20.5 10.1 14 3.5 12l6.6-2L12 3.500Z",
  stop: "M7 7h10v10H7z",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4",
});

/** @typedef {keyof typeof ICONS} IconName */

/**
 * Make an icon. It says nothing to a screen reader: the words beside it do.
 * @param {IconName} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", ["arrow", "back", "send"].includes(name) ? "icon directed" : "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
