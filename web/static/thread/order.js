/**
 * What stands between messages: days, and which of them belong together.
 * @module
 */
import { fill, h } from "../dom.js";
import { day } from "../text.js";

/** Messages of one sender within this time are one group. */
const TOGETHER_MS = 5 * 60_000;

/** @typedef {{ group: string, at: Date }} Place */

/** @type {WeakMap<Element, Place>} */
const places = new WeakMap();

/**
 * Note what an entry is, so that its neighbours can be looked at.
 * @param {Element} entry
 * @param {Place} place `group`: who says it and how; empty: it belongs to nobody
 */
export function note(entry, place) {
  places.set(entry, place);
}

/**
 * Look at an entry and the one before it: a new day between them, or one group.
 * @param {HTMLElement} entry
 */
export function arrange(entry) {
  const place = places.get(entry);
  if (!place) return;
  let before = entry.previousElementSibling;
  if (before?.classList.contains("day")) {
    const separator = before;
    before = before.previousElementSibling;
    separator.remove();
  }
  const former = before && places.get(before);
  const newDay = !former || former.at.toDateString() !== place.at.toDateString();
  if (newDay) entry.before(separatorOf(place.at));
  const near = former && !newDay && Math.abs(place.at.getTime() - former.at.getTime()) < TOGETHER_MS;
  entry.classList.toggle("follows", Boolean(near && place.group !== "" && former.group === place.group));
}

/**
 * Name all days anew: what was today is yesterday now.
 * @param {Element} list
 */
export function nameDays(list) {
  for (const time of list.querySelectorAll(":scope > .day time")) {
    fill(time, day(new Date(time.getAttribute("datetime") ?? "")));
  }
}

/** @param {Date} at */
function separatorOf(at) {
  return h("div", { class: "day" }, h("h2", {}, h("time", { datetime: at.toISOString() }, day(at))));
}
