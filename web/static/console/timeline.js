/**
 * What was said on all channels, the newest first, a page at a time.
 * @module
 */

import { fill, h } from "../dom.js";
import { sayChannel } from "./case_words.js";
import { CHANNELS, channelOf, timelineEntry } from "./timeline_entry.js";

/** @typedef {import("../client/frames.js").HubEvent} HubEvent */
/** @typedef {import("./timeline_entry.js").Entry} Entry */

const PAGE = 50;

export class Timeline {
  #hub;
  /** @type {Set<string>} none: all */
  #chosen = new Set();
  #started = false;
  /** Answers to an older question are not listened to. */
  #asked = 0;
  /** @type {number | null} */
  #oldest = null;
  /** @type {Set<number>} by `seq` */
  #shown = new Set();
  #list = h("ol", { class: "timeline-list" });
  #words = h("p", { class: "hint timeline-words", role: "status" });

  /** @param {{ hub: import("../hub-client.js").HubClient }} options */
  constructor({ hub }) {
    this.#hub = hub;
    this.#more = h("button", { class: "button", type: "button", hidden: true, onclick: () => void this.#load() }, "Load more");
    this.#all = h("button", { class: "filter-chip", type: "button", "aria-pressed": "true", onclick: () => this.#choose(null) }, "All");
    this.#chips = new Map(
      CHANNELS.map((channel) => [
        channel,
        h(
          "button",
          { class: "filter-chip", type: "button", "aria-pressed": "false", onclick: () => this.#choose(channel) },
          sayChannel(channel),
        ),
      ]),
    );
    this.element = h(
      "section",
      { class: "timeline", role: "tabpanel", id: "panel-timeline", "aria-labelledby": "view-timeline", tabindex: 0 },
      h("div", { class: "filter-chips", role: "group", "aria-label": "Channels" }, this.#all, ...this.#chips.values()),
      this.#list,
      this.#words,
      this.#more,
    );
  }

  #more;
  #all;
  #chips;

  /** It is looked at: load it, the first time. */
  show() {
    if (this.#started) return;
    this.#started = true;
    void this.#load();
  }

  /**
   * Learn of an event of this case.
   * @param {HubEvent} event
   */
  apply(event) {
    const channel = channelOf(event);
    if (!this.#started || channel === null || this.#shown.has(event.seq)) return;
    if (this.#chosen.size > 0 && !this.#chosen.has(channel)) return;
    this.#shown.add(event.seq);
    this.#list.prepend(timelineEntry({ channel, event }, this.#hub.me?.id ?? null));
    fill(this.#words);
  }

  /** The log begins anew. */
  reset() {
    if (this.#started) this.#again();
  }

  /** @param {string | null} channel null: all */
  #choose(channel) {
    if (channel === null) this.#chosen.clear();
    else if (!this.#chosen.delete(channel)) this.#chosen.add(channel);
    this.#all.setAttribute("aria-pressed", String(this.#chosen.size === 0));
    for (const [name, chip] of this.#chips) chip.setAttribute("aria-pressed", String(this.#chosen.has(name)));
    this.#again();
  }

  #again() {
    this.#oldest = null;
    this.#shown.clear();
    fill(this.#list);
    void this.#load();
  }

  async #load() {
    const asked = (this.#asked += 1);
    this.#more.hidden = true;
    fill(this.#words, "Loading…");
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (this.#chosen.size > 0) query.set("channel", [...this.#chosen].join(","));
    if (this.#oldest !== null) query.set("before", String(this.#oldest));
    try {
      const path = `/api/v1/cases/${encodeURIComponent(this.#hub.case)}/timeline?${query}`;
      const { entries, more } = await this.#hub.request("GET", path);
      if (asked === this.#asked) this.#show(entries, more);
    } catch {
      if (asked !== this.#asked) return;
      fill(this.#words, "The timeline could not be loaded.");
      this.#more.textContent = "Try again";
      this.#more.hidden = false;
    }
  }

  /**
   * @param {Entry[]} entries
   * @param {boolean} more
   */
  #show(entries, more) {
    const me = this.#hub.me?.id ?? null;
    this.#oldest = entries.at(-1)?.event.seq ?? this.#oldest;
    // What came live while this page was on its way stands already.
    const news = entries.filter(({ event }) => !this.#shown.has(event.seq));
    for (const { event } of news) this.#shown.add(event.seq);
    this.#list.append(...news.map((entry) => timelineEntry(entry, me)));
    this.#more.textContent = "Load more";
    this.#more.hidden = !more;
    fill(this.#words, this.#list.childElementCount === 0 ? "Nothing was said on these channels yet." : "");
  }
}
