import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

const seqs = (events) => events.map(({ seq }) => seq);
const states = ({ told }) => told.state.map(({ state }) => state);
const streams = (world) => world.hub.opened.filter((each) => each.endsWith("/stream")).length;
const sockets = (world) => world.hub.opened.filter((each) => each.startsWith("ws")).length;

async function fallen(world, transport) {
  world.hub.websocket = "refused";
  const tab = world.open();
  tab.client.start();
  await world.until(() => tab.client.state === "connected");
  assert.equal(tab.client.status.transport, transport);
  return tab;
}

for (const websocket of ["refused", "silent"]) {
  test(`where WebSockets are ${websocket} and HTTP is not, it takes the stream`, async () => {
    const world = new World();
    world.hub.websocket = websocket;
    const tab = world.open();
    tab.client.start();
    await world.until(() => tab.client.state === "connected");
    assert.equal(tab.client.status.transport, "sse");
    assert.equal(sockets(world), 2);
    assert.deepEqual(seqs(tab.shown), [1, 2]);
    assert.equal(tab.client.me.id, "maria");
  });
}

test("without WebSockets in the browser it takes the stream", async () => {
  const world = new World();
  const { environment } = { environment: world.environment(world.open().page) };
  const tab = world.open({ environment: { ...environment, WebSocket: undefined } });
  tab.client.start();
  await world.until(() => tab.client.state === "connected");
  assert.equal(tab.client.status.transport, "sse");
});

test("a hub that restarts is no reason to leave the WebSocket", async () => {
  const world = new World();
  const tab = await world.connected();
  for (let i = 0; i < 5; i += 1) {
    world.hub.websocket = "refused";
    world.hub.http = i % 2 === 0 ? "down" : 503;
    world.hub.socket.cut(1012);
    await world.pass(7_000);
    world.hub.websocket = "ok";
    world.hub.http = "ok";
    await world.until(() => tab.client.state === "connected");
  }
  assert.equal(tab.client.status.transport, "websocket");
  assert.equal(streams(world), 0);
});

test("on the stream it says and hears everything, in order", async () => {
  const world = new World();
  const tab = await fallen(world, "sse");
  world.hub.say("one");
  const sent = tab.client.send("message", { text: "two" }, { key: "k" });
  await world.pass(50);
  world.hub.say("three");
  await world.pass(50);
  assert.equal((await sent).seq, 4);
  assert.deepEqual(seqs(tab.shown), [1, 2, 3, 4, 5]);
  assert.deepEqual(tab.client.outbox, []);
  tab.client.typing(true);
  tab.client.read(5);
  const page = tab.client.history({ before: 3 });
  await world.pass(1_000);
  assert.deepEqual(seqs((await page).events), [1, 2]);
  const signals = world.hub.frames.filter(({ type }) => type === "typing" || type === "read");
  assert.deepEqual(signals.map(({ type, on, seq }) => [type, on ?? seq]), [["typing", true], ["read", 5]]);
});

test("the stream ends every few minutes, and nobody notices", async () => {
  const world = new World();
  const tab = await fallen(world, "sse");
  const before = tab.told.state.length;
  for (let i = 0; i < 3; i += 1) {
    world.hub.say("before");
    await world.pass(20_000);
    for (const stream of world.hub.streams) stream.end();
    world.hub.say("between");
    await world.pass(20_000);
  }
  assert.equal(tab.told.state.length, before);
  assert.deepEqual(seqs(tab.shown), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(streams(world), 4);
});

test("an answer that ended while the stream was between two is not left half", async () => {
  const world = new World();
  const tab = await fallen(world, "sse");
  world.hub.run = "r";
  world.hub.broadcast({ type: "delta", run: "r", i: 0, text: "Half" });
  await world.pass(10_000);
  world.hub.run = null;
  for (const stream of world.hub.streams) stream.end();
  await world.pass(100);
  assert.deepEqual(tab.told.answer.map((answer) => answer?.text ?? null), ["Half", null]);
});

test("a stream that breaks is taken up where it was", async () => {
  const world = new World();
  const tab = await fallen(world, "sse");
  await world.pass(20_000);
  for (const stream of world.hub.streams) stream.cut();
  world.hub.say("lost");
  await world.pass(1_000);
  assert.deepEqual(seqs(tab.shown), [1, 2, 3]);
  assert.equal(tab.client.status.transport, "sse");
});

test("a stream that is silent for forty seconds is asked, and taken up anew", async () => {
  const world = new World();
  const tab = await fallen(world, "sse");
  for (const stream of world.hub.streams) stream.write = () => {};
  world.hub.say("not heard");
  await world.pass(44_000);
  assert.deepEqual(seqs(tab.shown), [1, 2, 3]);
  assert.equal(tab.client.state, "connected");
});

test("a reset on the stream begins with the end of the new log", async () => {
  const world = new World();
  const tab = await fallen(world, "sse");
  world.hub.restore(1);
  world.hub.say("other");
  for (const stream of world.hub.streams) stream.cut();
  await world.pass(2_000);
  assert.equal(tab.told.reset.length, 1);
  assert.deepEqual(tab.shown.map(({ cursor }) => cursor), world.hub.log.map(({ cursor }) => cursor));
});

for (const sse of ["off", "buffered"]) {
  test(`where streams are ${sse}, it polls`, async () => {
    const world = new World();
    world.hub.sse = sse;
    const tab = await fallen(world, "polling");
    world.hub.say("one");
    await world.pass(2_100);
    assert.deepEqual(seqs(tab.shown), [1, 2, 3]);
    const sent = tab.client.send("message", { text: "two" });
    await world.pass(100);
    assert.equal((await sent).seq, 4);
    assert.deepEqual(seqs(tab.shown), [1, 2, 3, 4]);
  });
}

test("polling asks every two seconds, and every ten while the page is hidden", async () => {
  const world = new World();
  world.hub.sse = "off";
  const tab = await fallen(world, "polling");
  const asked = async () => {
    const before = world.hub.opened.filter((each) => each.endsWith("/events")).length;
    await world.pass(60_000);
    return world.hub.opened.filter((each) => each.endsWith("/events")).length - before;
  };
  const visible = await asked();
  assert.ok(visible >= 29 && visible <= 31, `${visible}`);
  tab.page.hide();
  const hidden = await asked();
  assert.ok(hidden >= 5 && hidden <= 7, `${hidden}`);
});

test("polling catches up with more than one page", async () => {
  const world = new World();
  const tab = await world.connected({ transport: "polling" });
  for (let i = 0; i < 1_200; i += 1) world.hub.say(`${i}`);
  await world.pass(3_000);
  assert.deepEqual(seqs(tab.shown), seqs(world.hub.log));
});

test("polling that begins again catches up with more than one page", async () => {
  const world = new World();
  const tab = await world.connected({ transport: "polling" });
  tab.client.stop();
  for (let i = 0; i < 1_200; i += 1) world.hub.say(`${i}`);
  tab.client.start();
  await world.pass(100);
  assert.deepEqual(seqs(tab.shown), seqs(world.hub.log));
});

test("a reset while polling begins with the end of the new log", async () => {
  const world = new World();
  const tab = await world.connected({ transport: "polling" });
  world.hub.restore(1);
  world.hub.say("other");
  await world.pass(5_000);
  assert.equal(tab.told.reset.length, 1);
  assert.deepEqual(tab.shown.map(({ cursor }) => cursor), world.hub.log.map(({ cursor }) => cursor));
});

for (const transport of ["sse", "polling"]) {
  test(`from ${transport} it goes back to the WebSocket when that is open, unnoticed`, async () => {
    const world = new World();
    world.hub.sse = transport === "sse" ? "ok" : "off";
    const tab = await fallen(world, transport);
    await world.pass(130_000);
    assert.equal(sockets(world), 3);
    world.hub.websocket = "ok";
    const before = tab.told.state.length;
    world.hub.say("one");
    await world.pass(121_000);
    assert.equal(tab.client.status.transport, "websocket");
    assert.deepEqual(states(tab).slice(before), ["connected"]);
    world.hub.say("two");
    await world.pass(100);
    assert.deepEqual(seqs(tab.shown), [1, 2, 3, 4]);
    assert.equal(world.hub.streams.size, 0);
    const requests = world.hub.opened.length;
    await world.pass(30_000);
    assert.equal(world.hub.opened.length, requests);
  });

  test(`what was sent by ${transport} in the moment of the change is stored once`, async () => {
    const world = new World();
    world.hub.sse = transport === "sse" ? "ok" : "off";
    const tab = await fallen(world, transport);
    world.hub.websocket = "ok";
    const count = sockets(world);
    await world.until(() => sockets(world) > count, 130_000);
    const sent = [];
    for (let i = 0; i < 10; i += 1) {
      sent.push(tab.client.send("message", { text: `${i}` }));
      await world.pass(2);
    }
    await world.pass(5_000);
    await Promise.all(sent);
    assert.deepEqual(world.hub.texts, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert.deepEqual(seqs(tab.shown), seqs(world.hub.log));
  });

  test(`from ${transport} it tries the WebSocket at once when a network comes`, async () => {
    const world = new World();
    world.hub.sse = transport === "sse" ? "ok" : "off";
    const tab = await fallen(world, transport);
    world.hub.websocket = "ok";
    tab.page.goOnline();
    await world.pass(1_000);
    assert.equal(tab.client.status.transport, "websocket");
  });

  test(`an answer that ${transport} did not bring before the change is asked for at once`, async () => {
    for (let wait = 0; wait < 20; wait += 1) {
      const world = new World();
      world.hub.sse = transport === "sse" ? "ok" : "off";
      const tab = await fallen(world, transport);
      world.hub.websocket = "ok";
      tab.page.goOnline();
      await world.pass(wait);
      let acked = false;
      void tab.client.send("message", { text: "x" }).then(() => (acked = true));
      await world.pass(1_000);
      assert.ok(acked, `sent after ${wait} ms`);
      assert.deepEqual(world.hub.texts, ["x"]);
    }
  });

  test(`by ${transport}, a token that is refused is renewed, and a second refusal is the end`, async () => {
    const world = new World();
    const tab = await world.connected({ transport });
    world.hub.goodTokens = [];
    const sent = tab.client.send("message", { text: "x" });
    await world.pass(10_000);
    assert.equal(tab.client.status.reason, "signed_out");
    world.hub.goodTokens = null;
    tab.client.reconnect();
    await world.pass(1_000);
    await sent;
    assert.deepEqual(world.hub.texts, ["x"]);
  });

  test(`by ${transport}, a busy hub is tried again and a refusal is final`, async () => {
    const world = new World();
    const tab = await world.connected({ transport });
    world.hub.errors.set("bad", { code: "closed" });
    let times = 0;
    world.hub.errors.set("busy", () => (times += 1) === 1 && { code: "rate_limited", retry_after: 1 });
    const bad = assert.rejects(tab.client.send("message", { text: "bad" }, { key: "bad" }), { code: "closed" });
    const busy = tab.client.send("message", { text: "busy" }, { key: "busy" });
    await world.pass(5_000);
    await bad;
    await busy;
    assert.deepEqual(world.hub.texts, ["busy"]);
  });
}

test("when nothing answers any more it begins from the top of the ladder", async () => {
  const world = new World();
  const tab = await fallen(world, "sse");
  await world.pass(15_000);
  world.hub.http = "down";
  for (const stream of world.hub.streams) stream.cut();
  await world.pass(30_000);
  assert.equal(tab.client.state, "disconnected");
  world.hub.websocket = "ok";
  world.hub.http = "ok";
  await world.until(() => tab.client.state === "connected");
  assert.equal(tab.client.status.transport, "websocket");
});

test("staff take events from their own view, with the stream as a bell", async () => {
  const world = new World();
  world.claims = { org_role: "org:coordinator" };
  const tab = await fallen(world, "sse");
  assert.equal(tab.client.me.role, "coordinator");
  world.hub.say("one");
  world.hub.broadcast({ type: "run", run: "r", state: "thinking" });
  world.hub.broadcast({ type: "presence", coordinator: null, online: false });
  await world.pass(100);
  assert.deepEqual(seqs(tab.shown), [1, 2, 3]);
  assert.deepEqual(tab.told.answer.map(({ state }) => state), ["thinking"]);
  // The stream tells who is here as patients may know it.
  assert.deepEqual(tab.told.presence, []);
  // What patients do not see rings no bell.
  for (const stream of world.hub.streams) stream.event = () => {};
  world.hub.append({ kind: "note", data: { text: "internal" } });
  await world.pass(3_200);
  assert.deepEqual(seqs(tab.shown), [1, 2, 3, 4]);
  const sent = tab.client.send("note", { text: "mine" });
  await world.pass(100);
  assert.equal((await sent).seq, 5);
  assert.deepEqual(seqs(tab.shown), [1, 2, 3, 4, 5]);
});

test("stop ends streams and polling for good", async () => {
  for (const transport of ["sse", "polling"]) {
    const world = new World();
    const tab = await world.connected({ transport });
    tab.client.stop();
    await world.pass(20);
    assert.equal(world.hub.streams.size, 0);
    assert.equal(world.clock.waiting, 0);
  }
});

test("a proxy that forbids streams says nothing about the case: it polls", async () => {
  const world = new World();
  world.hub.forbids = /stream/;
  const tab = await fallen(world, "polling");
  assert.deepEqual(seqs(tab.shown), [1, 2]);
});

test("a proxy that forbids a command does not decide what becomes of it", async () => {
  const world = new World();
  const tab = await fallen(world, "sse");
  world.hub.forbids = /POST/;
  const sent = tab.client.send("message", { text: "x" });
  await world.pass(10_000);
  assert.deepEqual(tab.client.outbox.map(({ state }) => state === "refused"), [false]);
  world.hub.forbids = /^$/;
  await world.pass(30_000);
  await sent;
  assert.deepEqual(world.hub.texts, ["x"]);
});
