/**
 * The desk: all open cases in groups, with a search, filters, and one row that the keys stand on.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { FILTERS, GROUPS, arrange, count } from "./desk_groups.js";
import { DeskRow } from "./desk_row.js";

/** @typedef {import("../client/frames.js").DeskCase} DeskCase */
/** @typedef {import("./desk_groups.js").Filter} Filter */

export class DeskList {
  /** @type {DeskCase[] | null} null: not known yet */
  #cases = null;
  /** @type {string | null} */
  #me = null;
  /** @type {Filter} */
  #filter = "all";
  #query = "";
  /** @type {Map<string, DeskRow>} */
  #rows = new Map();
  /** @type {string[]} ids, as shown from top to bottom */
  #order = [];
  /** @type {string | null} the case that is open */
  #open = null;
  /** @type {string | null} the row that takes the focus */
  #stop = null;
  /** Cases in which something is not sent. @type {ReadonlySet<string>} */
  #unsent = new Set();
  #now;
  #onOpen;
  #hrefOf;

  /**
   * @param {object} options
   * @param {(id: string) => void} options.onOpen
   * @param {(id: string) => string} options.hrefOf
   * @param {() => number} options.now by the clock of the hub
   */
  constructor({ onOpen, hrefOf, now }) {
    this.#now = now;
    this.#onOpen = onOpen;
    this.#hrefOf = hrefOf;
    this.#search = /** @type {HTMLInputElement} */ (
      h("input", {
        class: "field",
        type: "search",
        placeholder: "Search",
        "aria-label": "Search cases",
        autocomplete: "off",
        spellcheck: "false",
        dir: "auto",
        oninput: () => this.#look({ query: this.#search.value }),
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.#onSearchKey(event),
      })
    );
    this.#chips = new Map(
      FILTERS.map(([id, label]) => {
        const many = h("span", { class: "many" });
        const chip = h(
          "button",
          {
            class: "chip",
            type: "button",
            "aria-pressed": String(id === this.#filter),
            onclick: () => this.#look({ filter: id }),
          },
          label,
          many,
        );
        return [id, { chip, many }];
      }),
    );
    this.#sections = new Map(
      GROUPS.map(([id, title]) => {
        const many = h("span", { class: "many" });
        const list = h("ul", {});
        const heading = `group-${id}`;
        const section = h(
          "section",
          { class: "group", "data-group": id, "aria-labelledby": heading, hidden: true },
          h("h2", { id: heading }, title, " ", many),
          list,
        );
        return [id, { section, list, many }];
      }),
    );
    this.element = h(
      "div",
      { class: "desk-list" },
      h(
        "div",
        { class: "desk-tools" },
        h("div", { class: "search" }, icon("search"), this.#search, h("kbd", { "aria-hidden": "true" }, "/")),
        h(
          "div",
          { class: "chips", role: "group", "aria-label": "Show" },
          [...this.#chips.values()].map(({ chip }) => chip),
        ),
      ),
      h(
        "div",
        {
          class: "desk-rows",
          onclick: (/** @type {MouseEvent} */ event) => this.#onClick(event),
          onkeydown: (/** @type {KeyboardEvent} */ event) => this.#onKey(event),
          onfocusin: (/** @type {FocusEvent} */ event) => this.#onFocus(event),
        },
        [...this.#sections.values()].map(({ section }) => section),
        this.#nothing,
      ),
    );
  }

  #search;
  #chips;
  #sections;
  #nothing = h("div", { class: "nothing" });

  /**
   * Show the cases; null is a desk that is still on its way.
   * @param {DeskCase[] | null} cases
   * @param {string | null} me
   */
  update(cases, me) {
    this.#cases = cases;
    this.#me = me;
    this.#draw();
  }

  /** Let the waits count. */
  tick() {
    const now = this.#now();
    for (const id of this.#order) this.#rows.get(id)?.tick(now);
  }

  /**
   * Mark the case that is open.
   * @param {string | null} id
   */
  mark(id) {
    if (id === this.#open && (id === null || this.#rows.get(id)?.link.hasAttribute("aria-current"))) return;
    const before = this.#open === null ? undefined : this.#rows.get(this.#open);
    before?.link.removeAttribute("aria-current");
    const moved = id !== this.#open;
    this.#open = id;
    const row = id === null ? undefined : this.#rows.get(id);
    row?.link.setAttribute("aria-current", "page");
    // When the page is opened, those who wait stay in sight.
    if (moved) row?.link.scrollIntoView({ block: "nearest" });
    if (id !== null && row !== undefined) this.#stopAt(id);
  }

  /**
   * Mark the cases in which something is not sent.
   * @param {ReadonlySet<string>} cases
   */
  markUnsent(cases) {
    this.#unsent = cases;
    if (this.#cases !== null) this.#draw();
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }

  /** @returns {boolean} */
  focusRow() {
    const row = this.#stop === null ? undefined : this.#rows.get(this.#stop);
    row?.link.focus();
    return row !== undefined;
  }

  /**
   * Move the focus by so many rows; from elsewhere, it comes to the row that it left.
   * @param {number} step
   */
  move(step) {
    const focused = document.activeElement?.closest("[data-case]")?.getAttribute("data-case");
    const at = this.#order.indexOf(focused ?? this.#stop ?? "");
    const inside = focused !== undefined && focused !== null;
    const next = inside || focused === this.#stop || this.#open !== null ? at + step : at;
    const id = this.#order[Math.min(Math.max(next, 0), this.#order.length - 1)];
    if (id !== undefined) this.#rows.get(id)?.link.focus();
  }

  /**
   * The case that stands so many rows from the open one, or null at the ends.
   * @param {number} step
   * @returns {string | null}
   */
  beside(step) {
    const at = this.#open === null ? -1 : this.#order.indexOf(this.#open);
    return this.#order[at < 0 ? (step > 0 ? 0 : -1) : at + step] ?? null;
  }

  /** @param {{ filter?: Filter, query?: string }} look */
  #look({ filter = this.#filter, query = this.#query }) {
    this.#filter = filter;
    this.#query = query;
    for (const [id, { chip }] of this.#chips) chip.setAttribute("aria-pressed", String(id === filter));
    this.#draw();
  }

  #draw() {
    const cases = this.#cases;
    if (cases === null) {
      fill(this.#nothing, [0.9, 0.6, 0.4].map((faint) => skeleton(faint)));
      this.#nothing.setAttribute("aria-busy", "true");
      return;
    }
    this.#nothing.removeAttribute("aria-busy");
    const many = count(cases, this.#me);
    for (const [id, parts] of this.#chips) parts.many.textContent = many[id] > 0 ? String(many[id]) : "";
    const look = { me: this.#me, filter: this.#filter, query: this.#query };
    const groups = arrange(cases, look);
    const now = this.#now();
    this.#order = [];
    for (const [id, parts] of this.#sections) {
      const members = groups.find((group) => group.id === id)?.cases ?? [];
      parts.section.toggleAttribute("hidden", members.length === 0);
      parts.many.textContent = String(members.length);
      place(parts.list, members.map((one) => this.#row(one, now).element));
      this.#order.push(...members.map((one) => one.case));
    }
    this.#forget(cases);
    fill(this.#nothing, groups.length === 0 ? this.#emptyWords() : null);
    if (this.#stop === null || !this.#order.includes(this.#stop)) {
      const next = this.#open !== null && this.#order.includes(this.#open) ? this.#open : this.#order[0];
      if (next !== undefined) this.#stopAt(next);
    }
  }

  /**
   * @param {DeskCase} one
   * @param {number} now
   * @returns {DeskRow}
   */
  #row(one, now) {
    let row = this.#rows.get(one.case);
    if (row === undefined) {
      row = new DeskRow(one, this.#hrefOf(one.case));
      this.#rows.set(one.case, row);
    }
    row.update(one, { me: this.#me, unsent: this.#unsent.has(one.case), now });
    return row;
  }

  /** @param {DeskCase[]} cases */
  #forget(cases) {
    if (this.#rows.size <= cases.length) return;
    const there = new Set(cases.map((one) => one.case));
    for (const id of this.#rows.keys()) if (!there.has(id)) this.#rows.delete(id);
  }

  /** @returns {HTMLElement} */
  #emptyWords() {
    if (this.#query !== "") {
      const reset = () => {
        this.#search.value = "";
        this.#look({ query: "", filter: "all" });
        this.#search.focus();
      };
      return h(
        "p",
        {},
        `Nothing is found for “${this.#query}”. `,
        h("button", { class: "button quiet", type: "button", onclick: reset }, "Show all cases"),
      );
    }
    /** @type {Record<Filter, string>} */
    const words = {
      all: "No open cases. New ones appear here by themselves.",
      waiting: "Nobody is waiting.",
      mine: "You lead no case now.",
      unread: "Everything has been read.",
    };
    return h("p", {}, words[this.#filter]);
  }

  /** @param {string} id */
  #stopAt(id) {
    if (this.#stop !== null) this.#rows.get(this.#stop)?.link.setAttribute("tabindex", "-1");
    this.#stop = id;
    this.#rows.get(id)?.link.setAttribute("tabindex", "0");
  }

  /** @param {FocusEvent} event */
  #onFocus(event) {
    const id = idOf(event.target);
    if (id !== null) this.#stopAt(id);
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    const id = idOf(event.target);
    // With a modifier the browser opens the link in another tab.
    if (id === null || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.#onOpen(id);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.move(step);
  }

  /** @param {KeyboardEvent} event */
  #onSearchKey(event) {
    if (event.isComposing) return;
    const [first] = this.#order;
    if (event.key === "Escape") {
      event.stopPropagation();
      if (this.#search.value === "") this.#search.blur();
      this.#search.value = "";
      this.#look({ query: "" });
    } else if (event.key === "ArrowDown" && first !== undefined) {
      event.preventDefault();
      this.#rows.get(first)?.link.focus();
    } else if (event.key === "Enter" && first !== undefined) {
      event.preventDefault();
      this.#onOpen(first);
    }
  }
}

/**
 * @param {EventTarget | null} target
 * @returns {string | null}
 */
function idOf(target) {
  const row = target instanceof Element ? target.closest("[data-case]") : null;
  return row?.getAttribute("data-case") ?? null;
}

/**
 * Make these the children of a list, and move only what stands elsewhere: what is moved loses focus.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} wanted
 */
function place(list, wanted) {
  const keep = new Set(wanted);
  for (const child of [...list.children]) {
    if (!keep.has(/** @type {HTMLElement} */ (child))) child.remove();
  }
  const focused = document.activeElement;
  wanted.forEach((element, at) => {
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
  if (focused instanceof HTMLElement && focused !== document.activeElement && list.contains(focused)) {
    focused.focus();
  }
}

/**
 * @param {number} faint
 * @returns {HTMLElement}
 */
function skeleton(faint) {
  return h("div", { class: "skeleton row", style: { "--faint": faint } });
}
