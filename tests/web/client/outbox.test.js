import assert from "node:assert/strict";
import { test } from "node:test";

import { HubError, casesOf } from "../../../web/static/hub-client.js";
import { World } from "./world.js";

const messages = (world) => world.hub.frames.filter(({ type }) => type === "message");
const typed = ({ client }) => client.outbox.map(({ body }) => body.text);
const refusal = async (promise) => promise.then(() => assert.fail("it was not refused"), (error) => error);

test("a message is in the storage before it is on the wire", async () => {
  const world = new World();
  const tab = await world.connected();
  const socket = world.hub.socket;
  const stored = [];
  const send = socket.send.bind(socket);
  socket.send = (text) => {
    stored.push(world.storage.keys);
    send(text);
  };
  void tab.client.send("message", { text: "Hello" });
  assert.deepEqual(stored, [["curaway.outbox/maria/case-1/k1"]]);
});

test("with the ack it is gone from the storage, and the promise is kept", async () => {
  const world = new World();
  const tab = await world.connected();
  const sent = tab.client.send("message", { text: "Hello" }, { key: "mine" });
  await world.pass(100);
  const ack = await sent;
  assert.deepEqual([ack.type, ack.key, ack.seq], ["ack", "mine", 3]);
  assert.deepEqual(world.storage.keys, []);
  assert.deepEqual(tab.client.outbox, []);
});

test("the event alone is enough, if the ack was lost", async () => {
  const world = new World();
  const tab = await world.connected();
  const { socket } = world.hub;
  const deliver = socket.deliver.bind(socket);
  socket.deliver = (frame) => frame.type !== "ack" && deliver(frame);
  const sent = tab.client.send("message", { text: "Hello" });
  await world.pass(100);
  assert.equal((await sent).seq, 3);
  assert.deepEqual(world.storage.keys, []);
});

test("somebody else's event with the same key is not the answer", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.errors.set("same", { code: "unavailable" });
  void tab.client.send("message", { text: "Mine" }, { key: "same" });
  world.hub.append({ key: "same", actor: { type: "patient", id: "another" }, data: { text: "Theirs" } });
  await world.pass(50);
  assert.deepEqual(typed(tab), ["Mine"]);
});

// Where a page can die: before it is sent, while it is on the way, stored but not acked, acked.
for (const [moment, die] of [
  ["before it was sent", ({ hub }) => (hub.websocket = "refused")],
  ["while it was on its way", async (world) => world.pass(3)],
  ["when it was stored and not acked", async (world) => world.pass(7)],
  ["when it was acked", async (world) => world.pass(100)],
]) {
  test(`a page that dies ${moment} loses nothing, and says nothing twice`, async () => {
    const world = new World();
    const tab = moment === "before it was sent" ? world.open() : await world.connected();
    void tab.client.send("message", { text: "one" });
    void tab.client.send("message", { text: "two" });
    if (moment === "before it was sent") {
      world.hub.websocket = "refused";
      world.hub.http = "down";
      tab.client.start();
      await world.pass(100);
    }
    await die(world);
    // A page that dies says nothing to anybody.
    for (const socket of world.hub.sockets) {
      socket.deaf = true;
      socket.onmessage = null;
      socket.onclose = null;
    }
    world.hub.websocket = "ok";
    world.hub.http = "ok";
    const again = await world.connected();
    await world.pass(1_000);
    assert.deepEqual(world.hub.texts, ["one", "two"]);
    assert.deepEqual(again.client.outbox, []);
    assert.deepEqual(world.storage.keys, []);
  });
}

test("what was typed before anybody was known is stored as soon as somebody is", async () => {
  const world = new World();
  let give = () => {};
  const good = world.token;
  world.token = () => new Promise((resolve) => (give = () => resolve(good())));
  const tab = world.open();
  tab.client.start();
  void tab.client.send("message", { text: "early" });
  assert.deepEqual(world.storage.keys, []);
  await world.pass(10);
  give();
  await world.pass(1);
  assert.equal(world.storage.keys.length, 1);
  await world.pass(200);
  assert.deepEqual(world.hub.texts, ["early"]);
});

test("what is typed after a reload without a network survives a second one", async () => {
  const world = new World();
  const { page, client } = await world.connected();
  client.stop();
  const token = world.token;
  world.token = () => Promise.reject(new Error("There is no network."));
  page.online = false;
  const reloaded = () => {
    const tab = world.open({ environment: world.environment(page) });
    tab.client.start();
    return tab;
  };
  const second = reloaded();
  await world.pass(100);
  void second.client.send("message", { text: "on the train" });
  second.client.stop();
  const third = reloaded();
  await world.pass(100);
  assert.deepEqual(typed(third), ["on the train"]);
  world.token = token;
  page.online = true;
  third.client.reconnect();
  await world.until(() => third.client.state === "connected");
  await world.pass(100);
  assert.deepEqual(world.hub.texts, ["on the train"]);
});

test("whoever comes to the same tab next never sends what another has typed", async () => {
  const world = new World();
  const { page, client } = await world.connected();
  world.hub.websocket = "refused";
  world.hub.http = "down";
  world.hub.socket.cut(1006);
  void client.send("message", { text: "mine" });
  await world.pass(10);
  client.stop();
  world.hub.websocket = "ok";
  world.hub.http = "ok";
  world.user = "another";
  const tab = world.open({ environment: world.environment(page) });
  tab.client.start();
  await world.until(() => tab.client.state === "connected");
  await world.pass(1_000);
  assert.deepEqual([tab.client.outbox, world.hub.texts], [[], []]);
  assert.equal(world.storage.keys.length, 1);
});

test("after a cut the same key goes again, and is stored once", async () => {
  const world = new World();
  const tab = await world.connected();
  const sent = tab.client.send("message", { text: "Hello" });
  await world.pass(7);
  world.hub.socket.cut();
  await world.pass(1_000);
  assert.equal((await sent).seq, 3);
  assert.deepEqual(world.hub.texts, ["Hello"]);
  assert.equal(new Set(messages(world).map(({ key }) => key)).size, 1);
});

test("order holds when the first of many is refused for a while", async () => {
  const world = new World();
  const tab = await world.connected();
  let times = 0;
  world.hub.errors.set("first", () => {
    times += 1;
    return times <= 2 && { code: times === 1 ? "rate_limited" : "unavailable", retry_after: 1.5 };
  });
  void tab.client.send("message", { text: "1" }, { key: "first" });
  for (const text of ["2", "3", "4"]) void tab.client.send("message", { text });
  await world.pass(1_400);
  assert.deepEqual(world.hub.texts, []);
  await world.pass(5_000);
  assert.deepEqual(world.hub.texts, ["1", "2", "3", "4"]);
});

test("order holds whatever the keys are, and when the clock is set back", async () => {
  const world = new World();
  world.hub.websocket = "refused";
  world.hub.http = "down";
  const tab = world.open();
  tab.client.start();
  await world.pass(10);
  for (const key of ["z", "a", "m"]) void tab.client.send("message", { text: key }, { key });
  world.clock.now -= 3_600_000;
  void tab.client.send("message", { text: "b" }, { key: "b" });
  tab.client.stop();
  world.hub.websocket = "ok";
  const again = await world.connected();
  void again.client.send("message", { text: "last" }, { key: "0" });
  await world.pass(1_000);
  assert.deepEqual(world.hub.texts, ["z", "a", "m", "b", "last"]);
});

test("notes, escalations and retries wait as messages do", async () => {
  const world = new World();
  world.hub.websocket = "refused";
  world.hub.http = "down";
  const tab = world.open();
  tab.client.start();
  await world.pass(10);
  for (const type of ["note", "escalate", "retry"]) void tab.client.send(type, {});
  await world.pass(120_000);
  assert.deepEqual(world.storage.values.map(({ type }) => type), ["note", "escalate", "retry"]);
  world.hub.websocket = "ok";
  world.hub.http = "ok";
  tab.client.reconnect();
  await world.pass(1_000);
  const sent = world.hub.frames.map(({ type }) => type).filter((type) => type !== "auth");
  assert.deepEqual(sent, ["note", "escalate", "retry"]);
});

for (const code of ["closed", "invalid", "forbidden", "key_reused", "not_found", "too_large", "conflict"]) {
  test(`${code} is final: it is kept for the user, and the next one goes on`, async () => {
    const world = new World();
    const tab = await world.connected();
    world.hub.errors.set("bad", { code });
    const bad = refusal(tab.client.send("message", { text: "bad" }, { key: "bad" }));
    const good = tab.client.send("message", { text: "good" });
    await world.pass(100);
    const error = await bad;
    assert.ok(error instanceof HubError);
    assert.equal(error.code, code);
    await good;
    const [item, ...more] = tab.client.outbox;
    assert.deepEqual(more, []);
    assert.deepEqual([item.key, item.state, item.error.code], ["bad", "refused", code]);
    world.hub.socket.cut();
    await world.pass(1_000);
    assert.equal(messages(world).filter(({ key }) => key === "bad").length, 1);
  });
}

test("what was refused survives a reload, and is not sent by itself", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.errors.set("bad", { code: "closed" });
  void tab.client.send("message", { text: "bad" }, { key: "bad" });
  await world.pass(100);
  tab.client.stop();
  const again = await world.connected();
  await world.pass(10_000);
  assert.deepEqual(again.client.outbox.map(({ state }) => state), ["refused"]);
  assert.equal(messages(world).length, 1);
});

test("the user can send it again, by the same key, or discard it", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.errors.set("bad", { code: "closed" });
  world.hub.errors.set("worse", { code: "closed" });
  void tab.client.send("message", { text: "bad" }, { key: "bad" });
  void tab.client.send("message", { text: "worse" }, { key: "worse" });
  await world.pass(100);
  world.hub.errors.clear();
  tab.client.resend("bad");
  tab.client.discard("worse");
  await world.pass(100);
  assert.deepEqual(world.hub.texts, ["bad"]);
  assert.deepEqual(world.storage.keys, []);
  assert.deepEqual(tab.client.outbox, []);
});

test("what is stale says what was missed, and goes by force", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.errors.set("s", ({ force }) => !force && { code: "stale", missed: [world.hub.log[1]] });
  const error = await (async () => {
    const refused = refusal(tab.client.send("message", { text: "late", seen: 1 }, { key: "s" }));
    await world.pass(100);
    return refused;
  })();
  assert.deepEqual(error.missed.map(({ seq }) => seq), [2]);
  assert.equal(tab.client.outbox[0].error.missed.length, 1);
  tab.client.resend("s");
  await world.pass(100);
  assert.deepEqual(world.hub.texts, ["late"]);
  const other = tab.client.send("message", { text: "forced" }, { key: "s2", force: true });
  await world.pass(100);
  await other;
  assert.equal(messages(world).at(-1).force, true);
});

test("a fault of the hub is tried again, but not for ever", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.errors.set("f", { code: "internal" });
  const refused = refusal(tab.client.send("message", { text: "x" }, { key: "f" }));
  await world.pass(300_000);
  assert.equal((await refused).code, "internal");
  assert.equal(messages(world).length, 5);
});

test("an unavailable hub is asked as long as it takes, ever more rarely", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.errors.set("f", { code: "unavailable" });
  const sent = tab.client.send("message", { text: "x" }, { key: "f" });
  await world.pass(600_000);
  const tries = messages(world).length;
  assert.ok(tries > 20 && tries < 80, `${tries}`);
  world.hub.errors.clear();
  await world.pass(21_000);
  await sent;
  assert.deepEqual(world.hub.texts, ["x"]);
});

test("an answer that does not come is asked for again on a live connection", async () => {
  const world = new World();
  const tab = await world.connected();
  const { socket } = world.hub;
  const deliver = socket.deliver.bind(socket);
  let lost = 0;
  socket.deliver = (frame) => {
    if (frame.seq === 3 && (lost += 1) <= 2) return;
    deliver(frame);
  };
  const sent = tab.client.send("message", { text: "x" });
  await world.pass(16_000);
  assert.equal((await sent).dup, true);
});

test("what is too long is refused before it can close the connection", async () => {
  const world = new World();
  const tab = await world.connected();
  const sent = refusal(tab.client.send("message", { text: "漢".repeat(22_000) }));
  await world.pass(100);
  assert.equal((await sent).code, "too_large");
  assert.equal(messages(world).length, 0);
  await tab.client.send("message", { text: "short" }).constructor;
  await world.pass(100);
  assert.deepEqual(world.hub.texts, ["short"]);
});

test("a close for a frame that was too large does not come again and again", async () => {
  const world = new World();
  const tab = await world.connected();
  const sent = refusal(tab.client.send("message", { text: "large" }));
  world.hub.socket.cut(1009);
  await world.pass(5_000);
  assert.equal((await sent).code, "too_large");
  assert.equal(tab.client.state, "connected");
  assert.equal(world.hub.opened.length, 2);
});

test("nobody sends what another user has typed, or for another case", async () => {
  const world = new World();
  world.hub.websocket = "refused";
  world.hub.http = "down";
  const tab = world.open();
  tab.client.start();
  await world.pass(10);
  void tab.client.send("message", { text: "of Maria" });
  tab.client.stop();
  world.hub.websocket = "ok";
  world.hub.http = "ok";
  world.user = "another";
  const other = await world.connected();
  await world.pass(10_000);
  assert.deepEqual(other.client.outbox, []);
  assert.deepEqual(world.hub.texts, []);
  assert.equal(world.storage.keys.length, 1);
  other.client.stop();
  world.user = "maria";
  const elsewhere = world.open({ case: "case-2" });
  elsewhere.client.start();
  await world.pass(10_000);
  assert.deepEqual(elsewhere.client.outbox, []);
  elsewhere.client.stop();
  await world.connected();
  await world.pass(100);
  assert.deepEqual(world.hub.texts, ["of Maria"]);
});

test("a change of the user in one page leaves the text with its author", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.errors.set("k", { code: "unavailable" });
  void tab.client.send("message", { text: "of Maria" }, { key: "k" });
  await world.pass(100);
  world.user = "another";
  world.hub.socket.leave(4401);
  await world.pass(1_000);
  world.hub.errors.clear();
  await world.pass(60_000);
  assert.deepEqual(world.hub.texts, []);
  assert.deepEqual(tab.client.outbox, []);
  assert.deepEqual(world.storage.keys, ["curaway.outbox/maria/case-1/k"]);
});

test("names with slashes do not reach into each other's outbox", async () => {
  const world = new World();
  world.user = "a/b";
  const tab = world.open({ case: "c" });
  tab.client.start();
  await world.pass(2);
  void tab.client.send("message", { text: "x" });
  assert.match(world.storage.keys[0], /^curaway\.outbox\/a%2Fb\/c\/k\d+$/);
});

for (const [what, options, spoil] of [
  ["full", {}, (world) => (world.storage.full = true)],
  ["missing", { storage: null }, () => {}],
  [
    "forbidden",
    { storage: new Proxy({}, { get: () => { throw new Error("SecurityError"); } }) },
    () => {},
  ],
]) {
  test(`if the storage is ${what}, it is said once, and the text is sent all the same`, async () => {
    const world = new World();
    spoil(world);
    const tab = await world.connected(options);
    const sent = [tab.client.send("message", { text: "a" }), tab.client.send("message", { text: "b" })];
    await world.pass(100);
    await Promise.all(sent);
    assert.deepEqual(tab.told.notice.map(({ code }) => code), ["not_stored"]);
    assert.deepEqual(world.hub.texts, ["a", "b"]);
  });
}

test("what in the storage is not ours, or is broken, is left alone", async () => {
  const world = new World();
  const storage = world.storage.tab({ fire() {} });
  storage.setItem("curaway.outbox/maria/case-1/broken", "{");
  storage.setItem("curaway.outbox/maria/case-1/null", "null");
  storage.setItem("curaway.outbox/maria/case-1/odd", '{"type":1}');
  storage.setItem("something else", "x");
  const tab = await world.connected();
  assert.deepEqual(tab.client.outbox, []);
  assert.equal(world.storage.keys.length, 4);
});

test("text of last week is not sent without a word from its author", async () => {
  const world = new World();
  const storage = world.storage.tab({ fire() {} });
  const old = { type: "message", body: { text: "old" }, at: world.clock.now - 8 * 24 * 3_600_000 };
  storage.setItem("curaway.outbox/maria/case-1/old", JSON.stringify({ ...old, state: "waiting" }));
  const tab = await world.connected();
  await world.pass(1_000);
  assert.deepEqual(world.hub.texts, []);
  assert.deepEqual(tab.client.outbox.map(({ error }) => error.code), ["expired"]);
  tab.client.resend("old");
  await world.pass(100);
  assert.deepEqual(world.hub.texts, ["old"]);
});

test("two tabs show the same outbox, and only the one that was typed in sends it", async () => {
  const world = new World();
  const [one, two] = [await world.connected(), await world.connected()];
  world.hub.errors.set("k", { code: "rate_limited", retry_after: 2 });
  void one.client.send("message", { text: "x" }, { key: "k" });
  await world.pass(100);
  assert.deepEqual(typed(two), ["x"]);
  world.hub.errors.clear();
  await world.pass(3_000);
  assert.deepEqual([typed(one), typed(two)], [[], []]);
  assert.deepEqual(world.hub.texts, ["x"]);
  assert.equal(messages(world).length, 2);
});

test("a tab sends what a closed one has left", async () => {
  const world = new World();
  const [one, two] = [await world.connected(), await world.connected()];
  const first = [...world.hub.sockets][0];
  first.deaf = true;
  void one.client.send("message", { text: "left behind" });
  one.client.stop();
  await world.pass(3_000);
  assert.deepEqual(world.hub.texts, []);
  await world.pass(2_000);
  assert.deepEqual(world.hub.texts, ["left behind"]);
  assert.deepEqual(typed(two), []);
});

test("what is refused or discarded in one tab is so in the other", async () => {
  const world = new World();
  const [one, two] = [await world.connected(), await world.connected()];
  world.hub.errors.set("k", { code: "closed" });
  void one.client.send("message", { text: "x" }, { key: "k" });
  await world.pass(100);
  assert.deepEqual(two.client.outbox.map(({ state }) => state), ["refused"]);
  two.client.discard("k");
  assert.deepEqual([typed(one), typed(two)], [[], []]);
  await world.pass(10_000);
  assert.equal(messages(world).length, 1);
});

test("other commands are repeated with their key after a cut", async () => {
  const world = new World();
  const tab = await world.connected();
  const sent = tab.client.send("accept");
  await world.pass(7);
  world.hub.socket.cut();
  await world.pass(1_000);
  assert.equal((await sent).dup, true);
  assert.deepEqual(world.storage.keys, []);
});

test("other commands fail after twenty seconds without a connection", async () => {
  const world = new World();
  world.hub.websocket = "refused";
  world.hub.http = "down";
  const tab = world.open();
  tab.client.start();
  let error = null;
  tab.client.send("release").catch((why) => (error = why));
  await world.pass(19_000);
  assert.equal(error, null);
  await world.pass(2_000);
  assert.equal(error.code, "disconnected");
  world.hub.websocket = "ok";
  tab.client.reconnect();
  await world.pass(1_000);
  assert.equal(world.hub.frames.filter(({ type }) => type === "release").length, 0);
});

test("a command without an answer is given up twenty seconds after the connection was lost", async () => {
  const world = new World();
  const tab = await world.connected();
  const began = world.clock.now;
  let error = null;
  tab.client.send("accept").catch((why) => (error = why));
  await world.pass(3);
  world.hub.socket.deaf = true;
  await world.pass(10_000);
  world.hub.websocket = "refused";
  world.hub.http = "down";
  world.hub.socket.cut();
  await world.until(() => error !== null);
  assert.equal(error.code, "disconnected");
  assert.ok(world.clock.now - began >= 30_000);
});

test("a conflict is told with its owner", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.errors.set("accept", { code: "conflict", owner: "Ravi" });
  const refused = refusal(tab.client.send("accept"));
  await world.pass(100);
  assert.deepEqual([(await refused).code, (await refused).owner], ["conflict", "Ravi"]);
});

test("older events come as a page, with the events in order", async () => {
  const world = new World();
  for (let i = 0; i < 100; i += 1) world.hub.say(`${i}`);
  const tab = await world.connected({ tail: 10 });
  assert.equal(tab.shown[0].seq, 93);
  const asked = tab.client.history({ before: 93, limit: 20 });
  await world.pass(100);
  const { events, more } = await asked;
  assert.deepEqual([events[0].seq, events.at(-1).seq, more], [73, 92, true]);
});

test("no text of a user is in an address, or in what is reported", async () => {
  const world = new World();
  const tab = await world.connected({ transport: "polling" });
  void tab.client.send("message", { text: "SECRET" });
  await world.pass(5_000);
  assert.equal(world.hub.opened.some((each) => each.includes("SECRET")), false);
});

test("another user's outbox is not seen at the reset that their token brings", async () => {
  const world = new World();
  world.claims = { exp: Math.floor(world.clock.now / 1000) + 120 };
  const tab = await world.connected();
  world.hub.errors.set("mine", { code: "invalid" });
  const refused = refusal(tab.client.send("message", { text: "mine" }, { key: "mine" }));
  await world.pass(50);
  await refused;
  const seen = [];
  tab.client.on("reset", () => seen.push(typed(tab)));
  world.user = "another";
  world.claims = {};
  await world.pass(120_000);
  assert.deepEqual(seen, [[]]);
});

test("the cases of which something waits are found, for each user", async () => {
  const world = new World();
  const tab = await world.connected({ case: "a/b %" });
  world.hub.websocket = "refused";
  world.hub.http = "down";
  world.hub.socket.cut();
  void tab.client.send("message", { text: "waits" });
  const storage = world.storage.tab(tab.page.window);
  assert.deepEqual([...casesOf(storage, "maria")], ["a/b %"]);
  assert.deepEqual([...casesOf(storage, "another")], []);
});
