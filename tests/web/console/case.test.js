import assert from "node:assert/strict";
import { test } from "node:test";
import { CaseFacts } from "../../../web/static/console/case_facts.js";
import { leadOf } from "../../../web/static/console/lead.js";
import { readRoute, writeRoute } from "../../../web/static/console/route.js";
import { Shortcuts, nameOf } from "../../../web/static/console/shortcuts.js";
import { channelOf } from "../../../web/static/console/timeline_entry.js";
import { writeMoment, writeWhen } from "../../../web/static/console/times.js";

function event(seq, kind, data) {
  return { type: "event", seq, kind, data, at: "2026-11-21T10:00:00Z", actor: { type: "system" } };
}

const EVENTS = [
  event(1, "patient", { event: "patient_registered", name: "Maria" }),
  event(2, "document", { event: "document_uploaded", document_id: "d1", name: "MRI.pdf", state: "processing" }),
  event(3, "consent", { event: "consent_granted", purpose: "Sharing" }),
  event(4, "document", { event: "document_parsed", document_id: "d1", state: "ready", pages: 3 }),
  event(5, "consent", { event: "consent_revoked", purpose: "Sharing" }),
  event(6, "escalation", { trigger: "red_flag", reason: "chest pain", reminder: 0 }),
  event(7, "control", { control: "waiting", reason: "escalated", fence: 1 }),
  event(8, "escalation", { trigger: "phrase", reason: "", reminder: 0 }),
  event(9, "escalation", { trigger: "red_flag", reason: "", reminder: 1 }),
];

function factsOf(events) {
  const facts = new CaseFacts();
  for (const one of events) facts.add(one);
  return facts.facts;
}

test("the facts of a case are the same in whatever order its events come, and however often", () => {
  const facts = factsOf(EVENTS);
  assert.deepEqual(factsOf([...EVENTS].reverse()), facts);
  assert.deepEqual(factsOf([...EVENTS, ...EVENTS]), facts);
  const [document] = facts.documents;
  assert.deepEqual(
    [document.name, document.state, document.pages, document.uploaded],
    ["MRI.pdf", "ready", 3, true],
  );
  assert.deepEqual(facts.consents.map((one) => one.data.event), ["consent_revoked"]);
});

test("the escalation that stands is the emergency, and none once the assistant leads again", () => {
  assert.equal(factsOf(EVENTS).escalation.seq, 6);
  const released = event(10, "control", { control: "ai", reason: "released", fence: 3 });
  assert.equal(factsOf([...EVENTS, released]).escalation, null);
});

test("whoever looks at a case is offered what the hub would let them do", () => {
  const standing = {
    control: "ai",
    status: "active",
    owner: null,
    mine: false,
    supervisor: false,
    emergency: false,
    escalation: null,
  };
  const may = (change) => {
    const { accept, release, shut } = leadOf({ ...standing, ...change }, "Maria");
    return [accept, release, shut];
  };
  assert.deepEqual(may({}), [true, false, false]);
  assert.deepEqual(may({ control: "waiting" }), [true, false, false]);
  assert.deepEqual(may({ control: "human", mine: true }), [false, true, false]);
  assert.deepEqual(may({ control: "human", owner: "Ravi" }), [false, false, false]);
  assert.deepEqual(may({ control: "human", owner: "Ravi", supervisor: true }), [false, true, false]);
  assert.deepEqual(may({ status: "closed" }), [false, false, true]);
  assert.deepEqual(may({ status: "archived", control: "human", mine: true }), [false, false, true]);
  assert.equal(leadOf({ ...standing, control: "human", owner: "Ravi" }, "Maria").words, "Ravi leads this case");
  assert.equal(leadOf({ ...standing, control: "waiting", emergency: true }, "Maria").tone, "emergency");
});

test("an address leads to its case and back, and keeps the rest of the query", () => {
  const route = readRoute("/admin/cases/case%2F1", "?as=priya&view=timeline");
  assert.deepEqual(route, { case: "case/1", view: "timeline" });
  assert.equal(writeRoute(route, "?as=priya"), "/admin/cases/case%2F1?as=priya&view=timeline");
  assert.equal(writeRoute({ case: null, view: "timeline" }, "?view=timeline"), "/admin");
  assert.deepEqual(readRoute("/admin", ""), { case: null, view: "conversation" });
  assert.equal(readRoute("/admin/cases/%E0%A4%A", "").case, "%E0%A4%A");
});

function press(key, more = {}) {
  return { key, ctrlKey: false, metaKey: false, altKey: false, ...more };
}

function shortcuts({ singles = true } = {}) {
  const done = [];
  const all = new Shortcuts(() => singles);
  for (const keys of ["j", "g d", "d", "mod+Enter", "Escape", "?"]) {
    all.add({ keys, does: keys, group: "", run: () => void done.push(keys) });
  }
  const at = (key, where = {}) => all.press(press(key, where.press), { typing: false, now: 0, ...where });
  return { at, done };
}

test("a single character does nothing while somebody types, or with a modifier, or turned off", () => {
  const on = shortcuts();
  assert.equal(on.at("j"), true);
  assert.equal(on.at("j", { typing: true }), false);
  assert.equal(on.at("j", { press: { ctrlKey: true } }), false);
  assert.equal(on.at("j", { press: { altKey: true } }), false);
  assert.deepEqual(on.done, ["j"]);
  const off = shortcuts({ singles: false });
  for (const key of ["j", "?", "g", "d"]) assert.equal(off.at(key), false);
  assert.equal(off.at("Enter", { typing: true, press: { metaKey: true } }), true);
  assert.equal(off.at("Escape", { typing: true }), true);
  assert.deepEqual(off.done, ["mod+Enter", "Escape"]);
});

test("two keys go together if the second comes soon", () => {
  const { at, done } = shortcuts();
  assert.equal(at("g", { now: 0 }), true);
  assert.equal(at("d", { now: 500 }), true);
  at("g", { now: 1_000 });
  at("d", { now: 9_000 });
  assert.deepEqual(done, ["g d", "d"]);
});

test("on a keyboard of another script a key does what its place says", () => {
  assert.equal(nameOf(press("ф", { code: "KeyA" })), "a");
  assert.equal(nameOf(press("é", { code: "Digit2" })), "é");
  assert.equal(nameOf(press("q", { code: "KeyA" })), "q");
});

test("a bracket that a keyboard makes with Alt is a bracket", () => {
  assert.equal(nameOf(press("[", { altKey: true, ctrlKey: true })), "[");
  assert.equal(nameOf(press("å", { altKey: true })), null);
  assert.equal(nameOf(press("Enter", { ctrlKey: true })), "mod+Enter");
});

test("an event stands on the channel of the timeline that the hub gives it", () => {
  assert.equal(channelOf(event(1, "note", {})), "internal_note");
  assert.equal(channelOf(event(1, "call", {})), "phone_call");
  assert.equal(channelOf(event(1, "message", { source: "phone" })), "phone_call");
  assert.equal(channelOf(event(1, "message", { source: "whatsapp" })), "whatsapp");
  assert.equal(channelOf(event(1, "document", {})), null);
});

test("a time is written as short as it is clear", () => {
  const now = new Date(2026, 10, 21, 12, 0).getTime();
  const at = (...parts) => new Date(...parts).toISOString();
  assert.equal(writeWhen(at(2026, 10, 21, 9, 41), now), "9:41");
  assert.equal(writeWhen(at(2026, 10, 17, 9, 41), now), "Tue");
  assert.equal(writeWhen(at(2026, 10, 3, 9, 41), now), "3 Nov");
  assert.equal(writeWhen(at(2025, 10, 3, 9, 41), now), "3 Nov 2025");
  assert.equal(writeMoment(at(2026, 10, 3, 9, 41), now), "3 Nov, 9:41");
});
