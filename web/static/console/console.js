/**
 * The coordinator's console: the desk, and the case that is open.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { DeskClient, HubClient } from "../hub-client.js";
import { SignInError, readConfig, session } from "../session.js";
import { storage } from "../storage.js";
import { speak, tame } from "../text.js";
import { wearTheme } from "../theme.js";
import { Chime, Notices } from "./alerts.js";
import { CannedTexts } from "./canned_texts.js";
import { CasePane } from "./case_pane.js";
import { ConnectionDot } from "./connection_dot.js";
import { addShortcuts } from "./console_keys.js";
import { DeskList } from "./desk_list.js";
import { Drafts } from "./drafts.js";
import { EscalationWatch, writeTitle } from "./escalation_watch.js";
import { gate, showGate } from "./gate.js";
import { openKeysDialog } from "./keys_dialog.js";
import { nothingOpen } from "./nothing_open.js";
import { Preferences } from "./preferences.js";
import { readRoute, writeRoute } from "./route.js";
import { Shortcuts, takesText } from "./shortcuts.js";
import { LOCALE } from "./times.js";
import { Unsent } from "./unsent.js";

/** @typedef {import("./route.js").Route} Route */
/** @typedef {import("./gate.js").Closed} Closed */

const TICK_MS = 1_000;
/** From this width on the summary stands beside the conversation. */
const WIDE = matchMedia("(width >= 68.75rem)");
const NARROW = matchMedia("(width < 43.75rem)");

class Console {
  #config = readConfig();
  #session = session(this.#config);
  #preferences = new Preferences(storage("localStorage"));
  /** @type {Drafts | null} until it is known whose they are */
  #drafts = null;
  #texts = new CannedTexts(storage("localStorage"));
  #chime = new Chime();
  #watch = new EscalationWatch();
  #shortcuts = new Shortcuts(() => this.#preferences.get("keys"));
  #app;
  /** @type {Route} */
  #route = { case: null, view: "conversation" };
  /** @type {CasePane | null} */
  #pane = null;
  #known = false;
  /** Whether the summary is open as a drawer; where it stands beside, the preference says so. */
  #drawer = false;

  /** @param {Element} app */
  constructor(app) {
    this.#app = app;
    this.#desk = new DeskClient({ token: this.#token });
    this.#unsent = new Unsent({
      storage: storage("localStorage"),
      make: (id) => new HubClient({ case: id, token: this.#token }),
      onChange: () => this.#list.markUnsent(this.#unsent.cases),
    });
    this.#list = new DeskList({
      now: this.#now,
      onOpen: (id) => this.#go({ case: id, view: "conversation" }),
      hrefOf: (id) => writeRoute({ case: id, view: "conversation" }, location.search),
    });
    this.#notices = new Notices((id) => this.#go({ case: id, view: "conversation" }));
    this.#dot = new ConnectionDot(() => {
      this.#desk.reconnect();
      this.#pane?.reconnect();
    });
    this.#sound = h("button", {
      class: "button quiet icon-only",
      type: "button",
      onclick: () => this.#preferences.set("sound", !this.#preferences.get("sound")),
    });
    this.#nav = h(
      "nav",
      { class: "desk", "aria-label": "Desk" },
      h(
        "div",
        { class: "desk-head" },
        h("a", { class: "brand", href: writeRoute({ case: null, view: "conversation" }, location.search), onclick: this.#onBrand }, "Desk"),
        this.#dot.element,
        this.#sound,
        h(
          "button",
          { class: "button quiet icon-only", type: "button", "aria-label": "Keys", title: "Keys (?)", onclick: () => this.#openKeys() },
          icon("keyboard"),
        ),
      ),
      this.#list.element,
      this.#makeWho(),
    );
    this.#main = h("main", { class: "case", id: "case", tabindex: -1 }, this.#nothingOpen);
    this.#aside = h("aside", { class: "summary", id: "summary", "aria-label": "Summary" });
    this.#layout = h(
      "div",
      { class: "console" },
      h("a", { class: "skip", href: "#case" }, "Skip to the case"),
      this.#nav,
      this.#main,
      h("div", { class: "scrim", onclick: () => this.#toggleSummary(false) }),
      this.#aside,
      this.#notices.element,
    );
  }

  #desk;
  #unsent;
  #list;
  #notices;
  #dot;
  #sound;
  #who = h("span", { class: "who-am-i", dir: "auto" });
  #nothingOpen = nothingOpen();
  #nav;
  #main;
  #aside;
  #layout;

  start() {
    fill(this.#app, this.#layout);
    this.#listen();
    this.#addShortcuts();
    this.#showSound();
    this.#list.update(null, null);
    this.#enter(readRoute(location.pathname, location.search));
    this.#desk.start();
    setInterval(() => this.#tick(), TICK_MS);
  }

  /** @param {{ renew: boolean }} ask */
  #token = async (ask) => {
    try {
      return await this.#session.token(ask);
    } catch (error) {
      if (error instanceof SignInError && error.code === "signed_out") void this.#close("signed_out");
      throw error;
    }
  };

  /** What the hub's clock shows: that of this device may be wrong, and a wait is counted by it. */
  #now = () => Date.now() + this.#desk.skew;

  #listen() {
    this.#desk.on("ready", ({ you }) => {
      this.#who.textContent = you.name;
      this.#unsent.look(you.id, this.#route.case);
    });
    this.#desk.on("cases", () => this.#onCases());
    this.#desk.on("state", (status) => {
      this.#showConnection();
      if (status.reason === "forbidden") void this.#close(this.#session.who?.role === "patient" ? "patient" : "off");
    });
    this.#preferences.onChange(() => {
      this.#showSound();
      this.#layOut();
    });
    addEventListener("popstate", () => this.#enter(readRoute(location.pathname, location.search)));
    addEventListener("keydown", (event) => this.#onKey(event));
    WIDE.addEventListener("change", () => this.#layOut());
    document.addEventListener("visibilitychange", () => this.#tick());
  }

  /** @returns {import("../hub-client.js").DeskCase[]} */
  get cases() {
    return this.#desk.cases.map((one) => ({ ...one, patient: tame(one.patient) }));
  }

  /** @returns {string | null} */
  get me() {
    return this.#desk.me?.id ?? null;
  }

  #onCases() {
    const { cases, me } = this;
    this.#known = true;
    this.#list.update(cases, me);
    const open = this.#route.case;
    if (open !== null) this.#pane?.onDesk(cases.find((one) => one.case === open) ?? null);
    this.#list.mark(open);
    this.#look();
  }

  /** Find who newly needs a person, and tell. */
  #look() {
    const { cases } = this;
    const alerts = this.#watch.look(cases);
    const waiting = new Set(cases.filter((one) => one.control === "waiting").map((one) => one.case));
    this.#notices.keep(waiting);
    for (const alert of alerts) {
      if (alert.case.case !== this.#route.case || document.hidden) this.#notices.show(alert);
    }
    if (alerts.length > 0 && this.#preferences.get("sound")) {
      this.#chime.play(alerts.some((alert) => alert.emergency));
    }
    this.#showTitle();
  }

  #tick() {
    if (document.hidden && !this.#known) return;
    this.#list.tick();
    this.#pane?.tick();
  }

  // Where we are -------------------------------------------------------------------------------

  /**
   * Go to a route, as a step that the browser's back button undoes.
   * @param {Route} route
   */
  #go(route) {
    const same = route.case === this.#route.case && route.view === this.#route.view;
    if (!same) history.pushState(null, "", writeRoute(route, location.search));
    this.#enter(route);
    if (route.case !== null) this.#notices.dismiss(route.case);
  }

  /** @param {Route} route */
  #enter(route) {
    const other = route.case !== this.#route.case || (route.case !== null && this.#pane === null);
    this.#route = route;
    if (other) this.#openCase(route.case);
    this.#pane?.show(route.view);
    this.#list.mark(route.case);
    this.#layOut();
    this.#showTitle();
    if (other && this.#pane !== null && document.activeElement === document.body) this.#pane.focus();
  }

  /** @param {string | null} id */
  #openCase(id) {
    this.#pane?.stop();
    this.#pane = null;
    this.#drawer = false;
    if (this.me !== null) this.#unsent.look(this.me, id);
    if (id === null) {
      fill(this.#main, this.#nothingOpen);
      fill(this.#aside);
      this.#showConnection();
      return;
    }
    const pane = new CasePane({
      case: id,
      entry: this.cases.find((one) => one.case === id) ?? null,
      token: this.#token,
      now: this.#now,
      drafts: () => (this.#drafts ??= new Drafts(storage("sessionStorage"), this.#session.who?.subject ?? "")),
      preferences: this.#preferences,
      texts: this.#texts,
      onBack: () => this.#back(),
      onSummary: () => this.#toggleSummary(),
      onView: (view) => this.#route.view !== view && this.#go({ case: id, view }),
      onFault: (message) => this.#pane?.say(message),
      onState: () => this.#showConnection(),
      onName: () => this.#showTitle(),
    });
    this.#pane = pane;
    fill(this.#main, pane.element);
    fill(this.#aside, pane.summary);
    pane.start();
    this.#showConnection();
    pane.focus();
  }

  #back() {
    this.#go({ case: null, view: "conversation" });
    this.#list.focusRow();
  }

  /** @param {boolean} [open] */
  #toggleSummary(open) {
    const next = open ?? !this.#summaryIsOpen;
    if (WIDE.matches) this.#preferences.set("summary", next);
    else this.#drawer = next;
    this.#layOut();
    if (WIDE.matches || !next) return;
    const title = this.#aside.querySelector("h2");
    if (title instanceof HTMLElement) title.focus();
  }

  get #summaryIsOpen() {
    return this.#pane !== null && (WIDE.matches ? this.#preferences.get("summary") : this.#drawer);
  }

  #layOut() {
    const open = this.#summaryIsOpen;
    this.#layout.dataset.pane = this.#route.case === null ? "desk" : "case";
    this.#layout.toggleAttribute("data-summary", open);
    this.#aside.hidden = !open;
    this.#pane?.showSummary(open);
  }

  #showTitle() {
    const waiting = this.cases.filter((one) => one.control === "waiting").length;
    const title = writeTitle(waiting, this.#pane?.name ?? null);
    if (document.title !== title) document.title = title;
  }

  #showConnection() {
    this.#dot.update([this.#desk.status, this.#pane?.status ?? null]);
  }

  #showSound() {
    const on = this.#preferences.get("sound");
    fill(this.#sound, icon(on ? "sound" : "mute"));
    this.#sound.setAttribute("aria-label", "Sound");
    this.#sound.setAttribute("aria-pressed", String(on));
    this.#sound.title = on ? "Sound is on" : "Sound is off";
  }

  /** @param {Closed} why */
  async #close(why) {
    this.#desk.stop();
    this.#unsent.stop();
    this.#pane?.stop();
    this.#pane = null;
    const { dev } = this.#config;
    const home = why === "patient" && dev ? await ownPage(this.#session.identity) : "/";
    showGate(this.#app, gate(why, { dev, home, onRetry: () => location.reload() }));
  }

  // Keys ---------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.defaultPrevented || event.isComposing) return;
    // A dialog or a menu that is open has keys of its own.
    if (document.querySelector("dialog[open], :popover-open") !== null) return;
    const where = { typing: takesText(event.target), now: performance.now() };
    if (this.#shortcuts.press(event, where)) event.preventDefault();
  }

  #addShortcuts() {
    const inCase = (/** @type {(pane: CasePane) => boolean | void} */ run) => () =>
      this.#pane === null ? false : run(this.#pane);
    addShortcuts(this.#shortcuts, {
      next: () => this.#list.move(1),
      previous: () => this.#list.move(-1),
      // A row is a link, and opens by itself.
      open: () => false,
      search: () => this.#goToSearch(),
      desk: () => this.#goToDesk(),
      openPrevious: () => this.#openBeside(-1),
      openNext: () => this.#openBeside(1),
      accept: inCase((pane) => void pane.accept()),
      release: inCase((pane) => pane.release()),
      status: inCase((pane) => pane.openStatus()),
      timeline: inCase(() => this.#toggleTimeline()),
      summary: inCase(() => this.#toggleSummary()),
      stop: inCase((pane) => void pane.stopAnswer()),
      reply: inCase((pane) => pane.write("reply")),
      note: inCase((pane) => pane.write("note")),
      canned: inCase((pane) => pane.openCanned()),
      send: inCase((pane) => pane.submit()),
      leave: () => this.#leave(),
      keys: () => this.#openKeys(),
    });
  }

  #openKeys() {
    openKeysDialog({ shortcuts: this.#shortcuts.list, preferences: this.#preferences });
  }

  #goToSearch() {
    if (NARROW.matches && this.#route.case !== null) this.#go({ case: null, view: "conversation" });
    this.#list.focusSearch();
  }

  #goToDesk() {
    if (NARROW.matches) this.#go({ case: null, view: "conversation" });
    return this.#list.focusRow();
  }

  /** @param {number} step */
  #openBeside(step) {
    const id = this.#list.beside(step);
    if (id === null) return false;
    this.#go({ case: id, view: "conversation" });
    return true;
  }

  #toggleTimeline() {
    const { case: id, view } = this.#route;
    this.#go({ case: id, view: view === "timeline" ? "conversation" : "timeline" });
  }

  /** One step out: of the field, of the drawer, of the timeline. */
  #leave() {
    const focused = document.activeElement;
    if (takesText(focused) && focused instanceof HTMLElement) {
      focused.blur();
      this.#pane?.focus();
      return true;
    }
    if (!WIDE.matches && this.#drawer) {
      this.#toggleSummary(false);
      this.#pane?.focus();
      return true;
    }
    return false;
  }

  /** @param {MouseEvent} event */
  #onBrand = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#go({ case: null, view: "conversation" });
  };

  // Pieces -------------------------------------------------------------------------------------

  /** @returns {HTMLElement} */
  #makeWho() {
    const { signOut } = this.#session;
    return h(
      "div",
      { class: "desk-foot" },
      icon("person"),
      this.#who,
      signOut === null ? null : h("button", { class: "link", type: "button", onclick: signOut }, "Sign out"),
    );
  }
}

/**
 * The page of a development identity; the hub tells nobody else which case is theirs.
 * @param {string | null} identity
 * @returns {Promise<string>}
 */
async function ownPage(identity) {
  try {
    const { identities } = await (await fetch("/dev/identities")).json();
    const own = identities.find((/** @type {{ identity: string }} */ one) => one.identity === identity);
    return own === undefined ? "/" : `${own.page}?as=${encodeURIComponent(own.identity)}`;
  } catch {
    return "/";
  }
}

wearTheme();
const app = document.getElementById("app");
await speak([LOCALE]);
if (app !== null) new Console(app).start();
