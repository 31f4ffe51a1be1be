/**
 * Text as people write it: lines, lists, **bold** and links, made of nodes and never of markup.
 * @module
 */
import { h } from "../dom.js";

/** @typedef {"blank" | "plain" | "item" | "number" | "heading"} LineKind */

const INLINE = /\*\*([^*\s](?:[^*\n]*[^*\s])?)\*\*|https:\/\/[^\s<>"']+/g;
const MARKS = /\*|https:/;
/** An address of which one sees where it leads: no user name before the host, no look-alike letters. */
const HONEST = /^https:\/\/[a-z0-9.-]+(?::\d+)?(?:[/?#]|$)/i;

/**
 * Say what a line is.
 * @param {string} line
 * @returns {{ kind: LineKind, skip: number, number?: number }} `skip`: how long the sign before the text is
 */
export function lineKind(line) {
  if (line.trim() === "") return { kind: "blank", skip: 0 };
  const item = /^\s*[-*•]\s+/.exec(line);
  if (item) return { kind: "item", skip: item[0].length };
  const number = /^\s*(\d{1,3})[.)]\s+/.exec(line);
  if (number) return { kind: "number", skip: number[0].length, number: Number(number[1]) };
  const heading = /^#{1,4}\s+/.exec(line);
  if (heading) return { kind: "heading", skip: heading[0].length };
  return { kind: "plain", skip: 0 };
}

/**
 * Cut a line into words, bold words and addresses.
 * @param {string} text
 * @returns {{ kind: "text" | "bold" | "link", text: string }[]}
 */
export function spans(text) {
  /** @type {{ kind: "text" | "bold" | "link", text: string }[]} */
  const found = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    let part = match[0];
    if (match[1] === undefined) {
      part = part.replace(/[.,;:!?)\]}'»”؟،।]+$/u, "");
      if (!HONEST.test(part)) continue;
    }
    if (match.index > from) found.push({ kind: "text", text: text.slice(from, match.index) });
    found.push(match[1] === undefined ? { kind: "link", text: part } : { kind: "bold", text: match[1] });
    from = match.index + part.length;
  }
  if (from < text.length || found.length === 0) found.push({ kind: "text", text: text.slice(from) });
  return found;
}

/**
 * @param {string} text
 * @returns {Node[]}
 */
function inline(text) {
  return spans(text).map(({ kind, text: part }) => {
    if (kind === "bold") return h("strong", {}, part);
    if (kind === "text") return document.createTextNode(part);
    return h("a", { href: part, rel: "noopener noreferrer", target: "_blank", dir: "ltr" }, part);
  });
}

/** A text that may still grow. What stands is not touched again: only its last line changes. */
export class Prose {
  element = h("div", { class: "prose" });
  #text = "";
  #line = "";
  /** @type {HTMLElement | null} */
  #open = null;
  /** @type {LineKind} */
  #kind = "blank";
  #gap = false;

  /** @param {string} text all of it */
  show(text) {
    if (!text.startsWith(this.#text)) this.#clear();
    const [first = "", ...others] = text.slice(this.#text.length).split("\n");
    this.#extend(first);
    for (const line of others) {
      this.#close();
      this.#extend(line);
    }
    this.#text = text;
  }

  #clear() {
    this.element.replaceChildren();
    this.#text = this.#line = "";
    this.#open = null;
    this.#kind = "blank";
    this.#gap = false;
  }

  #close() {
    this.#gap = this.#kind === "blank";
    this.#line = "";
    this.#open = null;
    this.#kind = "blank";
  }

  /** @param {string} more */
  #extend(more) {
    this.#line += more;
    const { kind, skip, number } = lineKind(this.#line);
    if (kind !== this.#kind) {
      this.#drop();
      this.#kind = kind;
      if (kind !== "blank") this.#open = this.#begin(kind, number);
    } else if (this.#open && !MARKS.test(this.#line)) {
      const last = this.#open.lastChild;
      if (last instanceof Text) last.appendData(more);
      return;
    }
    this.#open?.replaceChildren(...inline(this.#line.slice(skip)));
  }

  #drop() {
    const list = this.#open?.parentElement;
    this.#open?.remove();
    this.#open = null;
    if (list && list !== this.element && list.childElementCount === 0) list.remove();
  }

  /**
   * @param {LineKind} kind
   * @param {number} [number]
   */
  #begin(kind, number) {
    if (kind === "item" || kind === "number") {
      const item = h("li", { dir: "auto", value: number });
      this.#list(kind === "item" ? "UL" : "OL").append(item);
      return item;
    }
    const names = [this.#gap ? "gap" : "", kind === "heading" ? "heading" : ""].join(" ").trim();
    const line = h("p", { dir: "auto", class: names || undefined });
    this.element.append(line);
    return line;
  }

  /** @param {"UL" | "OL"} tag */
  #list(tag) {
    const last = this.element.lastElementChild;
    if (last?.tagName === tag) return last;
    const list = h(tag.toLowerCase());
    this.element.append(list);
    return list;
  }
}

/**
 * Show a finished text of somebody who may use lists, bold and links.
 * @param {string} text
 */
export function prose(text) {
  const made = new Prose();
  made.show(text);
  return made.element;
}

/**
 * Show a text exactly as it was typed.
 * @param {string} text
 */
export function plain(text) {
  return h("div", { class: "prose" }, h("p", { dir: "auto", class: "typed" }, text));
}
