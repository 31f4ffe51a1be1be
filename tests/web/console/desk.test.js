import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, count, groupOf, isEmergency } from "../../../web/static/console/desk_groups.js";
import { describe } from "../../../web/static/console/desk_row.js";
import {
  EscalationWatch,
  sayAlert,
  writeTitle,
} from "../../../web/static/console/escalation_watch.js";
import { initials } from "../../../web/static/initials.js";
import { sayWait, writeWait } from "../../../web/static/console/waiting_time.js";

const NOW = Date.parse("2026-11-21T10:00:00Z");
const ME = "user_priya";
const MINUTE = 60_000;

function ago(ms) {
  return new Date(NOW - ms).toISOString();
}

function make(id, more = {}) {
  return {
    case: id,
    patient: id,
    control: "ai",
    owner: null,
    owner_id: null,
    status: "intake",
    waiting_since: null,
    escalation: null,
    reminders: 0,
    last_message_at: ago(MINUTE),
    preview: "Hello",
    unread: 0,
    ...more,
  };
}

function waiting(id, ms, more = {}) {
  return make(id, { control: "waiting", waiting_since: ago(ms), escalation: "phrase", ...more });
}

function arranged(cases, look = {}) {
  const groups = arrange(cases, { me: ME, filter: "all", query: "", ...look });
  return Object.fromEntries(groups.map((group) => [group.id, group.cases.map((one) => one.case)]));
}

test("a case stands in the group of whoever leads it", () => {
  assert.equal(groupOf(make("a"), ME), "assistant");
  assert.equal(groupOf(waiting("a", 0), ME), "waiting");
  assert.equal(groupOf(make("a", { control: "human", owner_id: ME }), ME), "mine");
  assert.equal(groupOf(make("a", { control: "human", owner_id: "user_ravi" }), ME), "others");
  assert.equal(groupOf(make("a", { control: "human", owner_id: null }), null), "others");
});

test("an emergency stands above whoever waits longer, and the longest wait above the rest", () => {
  const cases = [
    waiting("short", 1 * MINUTE),
    waiting("long", 9 * MINUTE),
    waiting("emergency", 0, { escalation: "red_flag" }),
  ];
  assert.deepEqual(arranged(cases), { waiting: ["emergency", "long", "short"] });
});

test("elsewhere whoever wrote last stands on top", () => {
  const cases = [
    make("old", { last_message_at: ago(50) }),
    make("never", { last_message_at: null }),
    make("new", { last_message_at: ago(10) }),
  ];
  assert.deepEqual(arranged(cases).assistant, ["new", "old", "never"]);
});

test("an emergency is one until the assistant leads again", () => {
  assert.equal(isEmergency(waiting("a", 0, { escalation: "red_flag" })), true);
  assert.equal(isEmergency(make("a", { control: "human", escalation: "red_flag" })), true);
  assert.equal(isEmergency(make("a", { escalation: "red_flag" })), false);
});

test("filters and their numbers say the same", () => {
  const cases = [
    waiting("w", 0, { unread: 2 }),
    make("m", { control: "human", owner_id: ME }),
    make("a", { unread: 1 }),
  ];
  const many = count(cases, ME);
  assert.deepEqual(many, { all: 3, waiting: 1, mine: 1, unread: 2 });
  for (const [filter, number] of Object.entries(many)) {
    assert.equal(Object.values(arranged(cases, { filter })).flat().length, number);
  }
});

test("the search finds names, ids and previews, without regard to accents and order", () => {
  const cases = [
    make("case-1", { patient: "José Ávila", preview: "about the visa" }),
    make("case-2", { patient: "فاطمة الزهراء" }),
  ];
  for (const query of ["jose", "AVILA jo", "visa", "case-1", "  "]) {
    assert.ok(arranged(cases, { query }).assistant.includes("case-1"), query);
  }
  assert.deepEqual(arranged(cases, { query: "فاطمة" }).assistant, ["case-2"]);
  assert.deepEqual(arranged(cases, { query: "jose nobody" }), {});
});

test("a row says its name first, and in words that change once a minute", () => {
  const one = waiting("Maria", 125_000, { unread: 1, escalation: "red_flag" });
  assert.equal(
    describe(one, NOW),
    "Maria, emergency, waiting for 2 minutes, 1 message unread, Hello",
  );
  assert.equal(describe(one, NOW), describe(one, NOW + 50_000));
});

test("a wait counts in seconds for ten minutes, and then in minutes and hours", () => {
  assert.deepEqual(
    [0, 5_000, 272_000, 10 * MINUTE, 59.9 * MINUTE, 65 * MINUTE, 3 * 24 * 60 * MINUTE].map(writeWait),
    ["0:00", "0:05", "4:32", "10 min", "59 min", "1 h 05", "3 days"],
  );
  assert.deepEqual([1, MINUTE, 120 * MINUTE].map(sayWait), [
    "less than a minute",
    "1 minute",
    "2 hours",
  ]);
});

test("what waits when the page is opened is no news, and what begins to wait is", () => {
  const watch = new EscalationWatch();
  assert.deepEqual(watch.look([waiting("a", 0)]), []);
  assert.deepEqual(watch.look([waiting("a", 0)]), []);
  const [alert] = watch.look([waiting("a", 0), waiting("b", 0)]);
  assert.equal(alert.case.case, "b");
  assert.equal(sayAlert(alert), "b is waiting for a person.");
  assert.deepEqual(watch.look([waiting("a", 0), waiting("b", 0)]), []);
});

test("a wait that becomes an emergency is news, and so is one that begins anew", () => {
  const watch = new EscalationWatch();
  watch.look([waiting("a", 0)]);
  const [worse] = watch.look([waiting("a", 0, { escalation: "red_flag" })]);
  assert.equal(worse.emergency, true);
  assert.match(sayAlert(worse), /^Emergency: a/);
  watch.look([make("a")]);
  assert.equal(watch.look([waiting("a", 0)]).length, 1);
});

test("nobody has come: it is told again whenever the hub reminds of it", () => {
  const watch = new EscalationWatch();
  watch.look([waiting("a", 0, { reminders: 1 })]);
  assert.deepEqual(watch.look([waiting("a", 0, { reminders: 1 })]), []);
  const [again] = watch.look([waiting("a", 0, { reminders: 2 })]);
  assert.equal(again.reminder, true);
  assert.equal(sayAlert(again), "a is still waiting for a person.");
  assert.deepEqual(watch.look([waiting("a", 0, { reminders: 2 })]), []);
});

test("the title counts those who wait", () => {
  assert.equal(writeTitle(0, null), "Curaway desk");
  assert.equal(writeTitle(2, "Maria"), "(2) Maria · Curaway desk");
});

test("initials are whole letters of every script", () => {
  assert.deepEqual(["Ana Sofia Ferreira", "maria", "فاطمة الزهراء", "𝒜da", " "].map(initials), [
    "AF",
    "M",
    "فا",
    "𝒜",
    "",
  ]);
});
