import assert from "node:assert/strict";
import { test } from "node:test";

import { Answers } from "../../../web/static/client/answer.js";
import { backoff } from "../../../web/static/client/backoff.js";
import { errorOfResponse } from "../../../web/static/client/errors.js";
import { Feed } from "../../../web/static/client/feed.js";
import { callsFor } from "../../../web/static/client/handlers.js";
import { Tokens, claimsOf, renewIn } from "../../../web/static/client/token.js";
import { World, tokenOf } from "./world.js";

// Backoff.

test("the wait is anything from nothing to a limit that doubles from 0.5 s to 20 s", () => {
  const most = (failures) => backoff(failures, () => 0.999999);
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 60, 10_000].map(most), [
    499, 999, 1999, 3999, 7999, 15999, 19999, 19999, 19999,
  ]);
  for (let failures = 0; failures < 100; failures += 1) {
    assert.equal(backoff(failures, () => 0), 0);
  }
});

// The feed.

test("a feed lets each event through once and in order, and tells of a hole", () => {
  const feed = new Feed();
  assert.ok(feed.begin(5));
  const take = (seq) => feed.take({ seq, cursor: `${seq}.x` });
  assert.deepEqual([5, 5, 6, 8, 7, 8, 3].map(take), ["next", "old", "next", "hole", "next", "next", "old"]);
  assert.equal(feed.cursor, "8.x");
  assert.deepEqual([feed.begin(9), feed.begin(4), feed.begin(10)], [true, true, false]);
  feed.forget();
  assert.ok(feed.begin(1));
  assert.equal(take(1), "next");
});

// Answers.

function answers() {
  const told = [];
  const answers = new Answers((answer) => told.push(answer));
  const signal = (type, members) => answers.signal({ type, run: "r", ...members });
  return { told, answers, signal };
}

const messageOf = (run, text, state = "final") => ({
  kind: "message",
  data: { run, text, state, message_id: `m-${run}` },
});

test("an answer grows piece by piece and ends with its message", () => {
  const { told, answers: one, signal } = answers();
  signal("run", { state: "thinking" });
  signal("run", { state: "writing" });
  signal("delta", { i: 0, text: "Good " });
  signal("delta", { i: 1, text: "morning" });
  one.event(messageOf("r", "Good morning"));
  signal("run", { state: "done", message: "m-r" });
  assert.deepEqual(told, [
    { run: "r", state: "thinking", text: "" },
    { run: "r", state: "writing", text: "" },
    { run: "r", state: "writing", text: "Good " },
    { run: "r", state: "writing", text: "Good morning" },
    { run: "r", state: "done", text: "Good morning", message: "m-r" },
  ]);
  assert.equal(one.current, null);
});

test("a piece twice, or out of order, or late, changes nothing", () => {
  const { told, answers: one, signal } = answers();
  signal("delta", { i: 0, text: "a" });
  signal("delta", { i: 0, text: "a" });
  signal("delta", { i: 2, text: "c" });
  assert.deepEqual(told.map(({ text }) => text), ["a"]);
  signal("draft", { i: 2, text: "abc" });
  signal("draft", { i: 1, text: "ab" });
  signal("delta", { i: 1, text: "b" });
  signal("delta", { i: 3, text: "d" });
  assert.equal(told.at(-1).text, "abcd");
  one.event(messageOf("r", "abcd", "interrupted"));
  assert.equal(told.at(-1).state, "stopped");
  const before = told.length;
  signal("delta", { i: 4, text: "e" });
  signal("draft", { i: 4, text: "abcde" });
  signal("run", { state: "writing" });
  assert.equal(told.length, before);
});

test("who comes in the middle waits for the draft", () => {
  const { told, signal } = answers();
  signal("delta", { i: 4, text: "e" });
  assert.deepEqual(told, []);
  signal("draft", { i: 4, text: "abcde" });
  signal("delta", { i: 5, text: "f" });
  assert.deepEqual(told.map(({ text }) => text), ["abcde", "abcdef"]);
});

test("an answer that was stopped before a word has no message", () => {
  const { told, signal } = answers();
  signal("run", { state: "thinking" });
  signal("run", { state: "stopped" });
  assert.deepEqual(told.at(-1), { run: "r", state: "stopped", text: "" });
});

test("a takeover drops what is left of an answer, and nothing of it comes after", () => {
  const { told, answers: one, signal } = answers();
  signal("delta", { i: 0, text: "a" });
  one.event({ kind: "control", data: { control: "human" } });
  signal("delta", { i: 1, text: "b" });
  assert.deepEqual(told.map((answer) => answer?.text ?? null), ["a", null]);
});

test("the next answer takes the place of one whose end was not heard", () => {
  const { told, signal } = answers();
  signal("delta", { i: 0, text: "a" });
  signal("run", { run: "r2", state: "thinking" });
  signal("delta", { i: 1, text: "b" });
  assert.deepEqual(told.map(({ run }) => run), ["r", "r2"]);
});

test("an old message with a run, from the replay, is no answer that is being written", () => {
  const { told, answers: one } = answers();
  one.event(messageOf("old", "text"));
  assert.deepEqual(told, []);
});

test("an answer whose end was missed is gone once the client has all events", async () => {
  const world = new World();
  world.hub.run = "r";
  const tab = await world.connected();
  world.hub.socket.deliver({ type: "draft", run: "r", i: 0, text: "Half of" });
  await world.pass(10);
  assert.equal(tab.told.answer.at(-1).text, "Half of");
  world.hub.run = null;
  world.hub.socket.cut();
  await world.pass(1_000);
  assert.equal(tab.told.answer.at(-1), null);
});

test("an answer goes on over a reconnect", async () => {
  const world = new World();
  world.hub.run = "r";
  const tab = await world.connected();
  world.hub.socket.deliver({ type: "draft", run: "r", i: 0, text: "Half " });
  await world.pass(10);
  world.hub.socket.cut();
  await world.pass(1_000);
  world.hub.socket.deliver({ type: "draft", run: "r", i: 1, text: "Half of" });
  await world.pass(10);
  assert.deepEqual(tab.told.answer.map(({ text }) => text), ["Half ", "Half of"]);
});

test("the event is told before the end of the answer that it holds", async () => {
  const world = new World();
  const tab = await world.connected();
  const order = [];
  tab.client.on("event", () => order.push("event"));
  tab.client.on("answer", (answer) => order.push(answer?.state));
  world.hub.socket.deliver({ type: "delta", run: "r", i: 0, text: "Yes" });
  world.hub.say("Yes", { run: "r" });
  await world.pass(10);
  assert.deepEqual(order, ["writing", "event", "done"]);
});

// Tokens.

test("a tenant is read from where it may stand", () => {
  const tenant = (claims) => claimsOf(tokenOf({ sub: "u", ...claims })).tenant;
  assert.equal(tenant({ tenant_id: "a", o: { id: "b" }, org_id: "c" }), "a");
  assert.equal(tenant({ o: { id: "b" }, org_id: "c" }), "b");
  assert.equal(tenant({ org_id: "c" }), "c");
  assert.equal(tenant({}), null);
});

test("a role is read from both versions of a token", () => {
  const role = (claims) => claimsOf(tokenOf({ sub: "u", ...claims })).role;
  assert.equal(role({ org_role: "org:coordinator" }), "coordinator");
  assert.equal(role({ o: { id: "x", rol: "admin" } }), "supervisor");
  assert.equal(role({ o: { id: "x" }, org_role: "org:coordinator" }), "patient");
  assert.equal(role({}), "patient");
});

test("names in other scripts are read, and what is no token is none", () => {
  assert.equal(claimsOf(tokenOf({ sub: "u", name: "María ليلى 漢" })).name, "María ليلى 漢");
  for (const bad of ["", "a", "a.b.c", "..", tokenOf({}), tokenOf({ sub: 5 }), "a.bnVsbA.c"]) {
    assert.equal(claimsOf(bad), null);
  }
});

test("renewal is due 60 s before the end, or with a fifth of a short life left", () => {
  const due = (issued, expires, now) => renewIn({ issued, expires }, now);
  assert.equal(due(0, 3_600_000, 0), 3_540_000);
  assert.equal(due(0, 60_000, 0), 48_000);
  assert.equal(due(0, 60_000, 59_000), 0);
  assert.equal(due(0, null, 0), null);
});

test("many who ask for a token at once ask once", async () => {
  let asked = 0;
  const environment = new World().environment({});
  const tokens = new Tokens(async () => tokenOf({ sub: "u", exp: 9e9, n: (asked += 1) }), environment);
  await Promise.all([tokens.fresh(), tokens.fresh(), tokens.valid()]);
  assert.equal(asked, 1);
  await tokens.valid();
  assert.equal(asked, 1);
});

test("a renewal does not make do with an answer to an ordinary question", async () => {
  const asked = [];
  const world = new World();
  const give = [];
  const tokens = new Tokens(({ renew }) => {
    asked.push(renew);
    return new Promise((resolve) => give.push(resolve));
  }, world.environment({}));
  const both = Promise.all([tokens.fresh(), tokens.fresh(true), tokens.fresh()]);
  give.forEach((resolve, i) => resolve(tokenOf({ sub: `u${i}` })));
  await both;
  assert.deepEqual(asked, [false, true]);
});

test("a token that never comes is given up", async () => {
  const world = new World();
  const tokens = new Tokens(() => new Promise(() => {}), world.environment({}));
  const asked = assert.rejects(tokens.fresh());
  await world.pass(21_000);
  await asked;
});

// Errors.

test("an answer that is not the hub's own has a code all the same", async () => {
  const html = (status, headers) => errorOfResponse(new Response("<html>", { status, headers }));
  assert.equal((await html(502)).code, "unavailable");
  assert.equal((await html(413)).code, "too_large");
  const busy = await html(429, { "Retry-After": "7" });
  assert.deepEqual([busy.code, busy.retry_after, busy.passing], ["rate_limited", 7, true]);
});

// Handlers.

test("each kind reaches its handler, with its data and the event", () => {
  const called = [];
  const names = ["onMessage", "onDocumentUpdate", "onEHRUpdate", "onIntakeProgress", "onMatchProgress", "onAgentResponse"];
  const handlers = Object.fromEntries(
    names.map((name) => [name, (data, event) => called.push([name, data, event.kind])]),
  );
  const actor = { type: "coordinator", name: "Priya" };
  const run = (kind, data) => callsFor(handlers, { kind, data, actor }).forEach((call) => call());
  for (const kind of ["document", "ehr", "intake", "match"]) run(kind, { event: kind });
  for (const kind of ["note", "control", "status", "escalation", "patient", "consent"]) run(kind, {});
  run("message", { text: "a", sender_type: "patient" });
  run("message", { text: "b", sender_type: "coordinator", message_id: "m", state: "final" });
  assert.deepEqual(called.map(([name]) => name), [
    "onDocumentUpdate", "onEHRUpdate", "onIntakeProgress", "onMatchProgress", "onMessage", "onMessage", "onAgentResponse",
  ]);
  assert.deepEqual(called.at(-1)[1], {
    text: "b", sender_type: "coordinator", sender_name: "Priya", message_id: "m", state: "final", cards: [], attachments: [],
  });
});

test("handlers are called once for each event, also over a reconnect", async () => {
  const world = new World();
  const texts = [];
  const tab = await world.connected({ handlers: { onMessage: ({ text }) => texts.push(text) } });
  world.hub.say("one");
  await world.pass(10);
  world.hub.socket.cut();
  world.hub.say("two");
  await world.pass(1_000);
  assert.deepEqual(texts, ["one", "two"]);
  assert.equal(tab.shown.length, 4);
});

// Signals of the user.

test("typing is told at most every three seconds, and its end at once", async () => {
  const world = new World();
  const tab = await world.connected();
  for (let i = 0; i < 50; i += 1) {
    tab.client.typing(true);
    await world.pass(100);
  }
  tab.client.typing(false);
  tab.client.typing(false);
  await world.pass(10);
  const told = world.hub.frames.filter(({ type }) => type === "typing").map(({ on }) => on);
  assert.deepEqual(told, [true, true, false]);
});

test("typing a note says so", async () => {
  const world = new World();
  const tab = await world.connected();
  tab.client.typing(true, "note");
  await world.pass(10);
  assert.deepEqual(world.hub.frames.at(-1), { type: "typing", on: true, in: "note" });
});

test("of many read marks the furthest is told, and again after a reconnect", async () => {
  const world = new World();
  const tab = await world.connected();
  for (const seq of [1, 2, 1]) tab.client.read(seq);
  await world.pass(1_000);
  tab.client.read(2);
  await world.pass(1_000);
  const reads = () => world.hub.frames.filter(({ type }) => type === "read").map(({ seq }) => seq);
  assert.deepEqual(reads(), [2]);
  world.hub.socket.cut();
  await world.pass(1_000);
  assert.deepEqual(reads(), [2, 2]);
});
