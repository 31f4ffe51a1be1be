import assert from "node:assert/strict";
import { test } from "node:test";

import { DeskClient, byUrgency } from "../../../web/static/hub-client.js";
import { Page, World } from "./world.js";

const entry = (name, more = {}) => ({
  case: name, patient: name, control: "ai", owner: null, owner_id: null, status: "active", waiting_since: null,
  escalation: null, last_message_at: null, preview: "", unread: 0, ...more,
});
const names = (cases) => cases.map((each) => each.case);

/** A desk over sockets and requests that the test holds in its hands. */
function desk(world, options = {}) {
  const page = new Page();
  const sockets = [];
  const answers = { cases: [] };
  class Socket {
    readyState = 1;
    sent = [];
    constructor(url) {
      this.url = url;
      sockets.push(this);
      if (options.blocked) world.clock.setTimeout(() => this.onclose({ code: 1006 }), 5);
      else world.clock.setTimeout(() => this.say({ type: "hello" }), 5);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    say(frame) {
      this.onmessage({ data: JSON.stringify(frame) });
    }
    close() {}
  }
  const client = new DeskClient({
    url: "https://hub.example",
    token: world.token,
    environment: {
      ...world.environment(page),
      WebSocket: Socket,
      fetch: async () => new Response(JSON.stringify({ cases: answers.cases }), { status: answers.status ?? 200 }),
    },
  });
  const told = { cases: [], case: [], case_closed: [], state: [] };
  for (const [name, list] of Object.entries(told)) client.on(name, (data) => list.push(data));
  client.start();
  return { client, page, sockets, told, answers };
}

const ready = (...cases) => ({ type: "ready", you: { id: "p", role: "coordinator", name: "P" }, cases });

test("those that wait are on top, the longest first; then the newest message", () => {
  const cases = [
    entry("quiet"),
    entry("old", { last_message_at: "2026-01-01T10:00:00Z" }),
    entry("new", { last_message_at: "2026-01-01T11:00:00Z" }),
    entry("waits", { control: "waiting", waiting_since: "2026-01-01T10:30:00Z", last_message_at: "2026-01-01T12:00:00Z" }),
    entry("waits longer", { control: "waiting", waiting_since: "2026-01-01T10:00:00Z" }),
    entry("led", { control: "human", last_message_at: "2026-01-01T10:30:00Z" }),
  ];
  const expected = ["waits longer", "waits", "new", "led", "old", "quiet"];
  assert.deepEqual(names([...cases].sort(byUrgency)), expected);
  assert.deepEqual(names([...cases].reverse().sort(byUrgency)), expected);
});

test("a desk enters by the first message and shows what there is", async () => {
  const world = new World();
  const { client, sockets, told } = desk(world);
  await world.pass(10);
  assert.equal(sockets[0].url, "wss://hub.example/api/v1/desk/ws");
  assert.deepEqual(Object.keys(sockets[0].sent[0]).sort(), ["tenant", "token", "type"]);
  sockets[0].say(ready(entry("a"), entry("b", { control: "waiting", waiting_since: "x" })));
  assert.equal(client.state, "connected");
  assert.deepEqual(names(client.cases), ["b", "a"]);
  assert.deepEqual(names(told.cases.at(-1)), ["b", "a"]);
  assert.deepEqual(told.case, []);
});

test("a change moves a case, a closed one goes, and many changes are shown as one", async () => {
  const world = new World();
  const { client, sockets, told } = desk(world);
  await world.pass(10);
  sockets[0].say(ready(entry("a"), entry("b")));
  const before = told.cases.length;
  sockets[0].say({ type: "case", ...entry("b", { control: "waiting", waiting_since: "x" }) });
  sockets[0].say({ type: "case", ...entry("c") });
  sockets[0].say({ type: "case_closed", case: "a" });
  await world.pass(50);
  assert.deepEqual(names(client.cases), ["b", "c"]);
  assert.equal(told.cases.length, before + 1);
  assert.deepEqual(names(told.case), ["b", "c"]);
  assert.deepEqual(told.case_closed, ["a"]);
});

test("after a reconnect the whole is new, and what happened meanwhile is told", async () => {
  const world = new World();
  const { client, sockets, told } = desk(world);
  await world.pass(10);
  sockets[0].say(ready(entry("a"), entry("b")));
  sockets[0].onclose({ code: 4503 });
  assert.equal(client.state, "reconnecting");
  await world.pass(1_000);
  sockets[1].say(ready(entry("b"), entry("c", { escalation: "phrase" })));
  assert.deepEqual(names(client.cases), ["b", "c"]);
  assert.deepEqual(names(told.case), ["c"]);
  assert.deepEqual(told.case_closed, ["a"]);
});

test("where WebSockets are blocked the desk is asked for every three seconds", async () => {
  const world = new World();
  const { client, told, answers } = desk(world, { blocked: true });
  answers.cases = [entry("a")];
  await world.until(() => client.state === "connected");
  assert.equal(client.status.transport, "polling");
  answers.cases = [entry("a", { unread: 1 }), entry("b")];
  await world.pass(3_100);
  assert.deepEqual(names(client.cases), ["a", "b"]);
  assert.deepEqual(names(told.case), ["a", "b"]);
  const shown = told.cases.length;
  client.stop();
  answers.cases = [];
  await world.pass(60_000);
  assert.equal(told.cases.length, shown);
});

test("who has no desk is told so, and it is not tried again", async () => {
  const world = new World();
  const { client, sockets } = desk(world);
  await world.pass(10);
  sockets[0].say({ type: "error", code: "forbidden", message: "No." });
  sockets[0].onclose({ code: 4403 });
  await world.pass(60_000);
  assert.deepEqual([client.state, client.status.reason], ["disconnected", "forbidden"]);
  assert.equal(sockets.length, 1);
});
