import assert from "node:assert/strict";
import { test } from "node:test";

import { World, tokenOf } from "./world.js";

const states = ({ told }) => told.state.map(({ state }) => state);
const seqs = (events) => events.map(({ seq }) => seq);

test("a client enters by the first message, and never by the address", async () => {
  const world = new World();
  const { client } = await world.connected();
  assert.equal(world.hub.opened[0], "ws wss://hub.example/api/v1/cases/case-1/ws");
  const [auth] = world.hub.frames;
  assert.deepEqual(auth, { type: "auth", token: auth.token, tenant: "tenant-1", tail: 50 });
  assert.equal(client.me.id, "maria");
});

test("it is connected only when it has everything", async () => {
  const world = new World();
  const tab = world.open();
  const at = [];
  tab.client.on("event", () => at.push(tab.client.state));
  tab.client.start();
  await world.pass(100);
  assert.deepEqual(at, ["reconnecting", "reconnecting"]);
  assert.equal(tab.client.state, "connected");
  assert.deepEqual(states(tab), ["reconnecting", "connected"]);
});

test("after a cut it resumes: each event once, and in order", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.say("one");
  await world.pass(10);
  world.hub.socket.cut();
  world.hub.say("two");
  world.hub.say("three");
  await world.pass(1_000);
  assert.equal(tab.client.state, "connected");
  assert.deepEqual(seqs(tab.shown), [1, 2, 3, 4, 5]);
  const again = world.hub.frames.filter(({ type }) => type === "auth")[1];
  assert.equal(again.after, world.hub.log[2].cursor);
  assert.equal("tail" in again, false);
});

test("an event that it has already is not shown again", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.socket.deliver(world.hub.log[1]);
  await world.pass(100);
  assert.deepEqual(seqs(tab.shown), [1, 2]);
  assert.equal(tab.told.state.length, 2);
});

test("a hole makes it resume, and what was missing comes", async () => {
  const world = new World();
  const tab = await world.connected();
  const { socket } = world.hub;
  socket.live = false;
  world.hub.say("lost");
  socket.live = true;
  world.hub.say("seen");
  await world.pass(1_000);
  assert.deepEqual(seqs(tab.shown), [1, 2, 3, 4]);
  assert.equal(tab.client.state, "connected");
});

test("a reset tells the page, and the end of the new log follows", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.say("was never stored");
  await world.pass(10);
  world.hub.restore(2);
  world.hub.say("other");
  world.hub.socket.leave(4510);
  await world.pass(1_000);
  assert.equal(tab.told.reset.length, 1);
  assert.deepEqual(
    tab.shown.map(({ cursor }) => cursor),
    world.hub.log.map(({ cursor }) => cursor),
  );
  assert.equal(tab.client.state, "connected");
});

test("a ready that does not fit what it has is a reset", async () => {
  const world = new World();
  const tab = await world.connected();
  const { socket } = world.hub;
  socket.deliver(world.hub.ready({ you: { id: "maria" }, from: 9, resumed: true }));
  await world.pass(10);
  assert.equal(tab.told.reset.length, 1);
});

test("a ready that does not resume is a reset, even if none was told", async () => {
  const world = new World();
  const tab = await world.connected();
  const { socket } = world.hub;
  socket.deliver(world.hub.ready({ you: { id: "maria" }, from: 1, resumed: false }));
  for (const event of world.hub.log) socket.deliver(event);
  await world.pass(10);
  assert.equal(tab.told.reset.length, 1);
  assert.deepEqual(seqs(tab.shown), [1, 2]);
});

test("goodbye says how long to wait, and it waits so long", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.socket.leave(4503, { in_ms: 7_000 });
  await world.pass(6_900);
  assert.equal(tab.client.state, "reconnecting");
  assert.equal(tab.client.status.retryIn, 7_000);
  assert.equal(world.hub.opened.length, 1);
  await world.pass(200);
  assert.equal(tab.client.state, "connected");
  assert.deepEqual(tab.told.notice, [{ code: "goodbye", message: "So it is.", close: 4503 }]);
});

test("a goodbye whose close frame is lost is still a goodbye", async () => {
  const world = new World();
  const tab = await world.connected();
  const { socket } = world.hub;
  socket.deliver({ type: "goodbye", code: 4410, reason: "Archived.", reconnect: false, in_ms: 0 });
  await world.pass(10);
  socket.cut(1006);
  await world.pass(100_000);
  assert.equal(tab.client.status.reason, "archived");
  assert.equal(world.hub.opened.length, 1);
});

for (const [code, reason] of [[4400, "client_error"], [4403, "forbidden"], [4410, "archived"]]) {
  test(`after ${code} it stops until it is asked to try again`, async () => {
    const world = new World();
    const tab = await world.connected();
    world.hub.socket.leave(code);
    await world.pass(300_000);
    assert.deepEqual([tab.client.state, tab.client.status.reason], ["disconnected", reason]);
    assert.equal(world.hub.opened.length, 1);
    tab.page.hide();
    tab.page.show();
    tab.page.goOnline();
    await world.pass(1_000);
    assert.equal(world.hub.opened.length, 1);
    tab.client.reconnect();
    await world.pass(1_000);
    assert.equal(tab.client.state, "connected");
  });
}

for (const code of [1006, 1012, 4408, 4500, 4503, 4504, 4508, 4510]) {
  test(`after ${code} it comes back within half a second`, async () => {
    const world = new World();
    const tab = await world.connected();
    world.hub.socket.cut(code);
    await world.pass(600);
    assert.equal(tab.client.state, "connected");
  });
}

test("with too many sockets it says so, and comes back slowly", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.socket.leave(4409);
  await world.pass(100);
  assert.deepEqual([tab.client.state, tab.client.status.reason], ["disconnected", "too_many"]);
  assert.ok(tab.client.status.retryIn >= 10_000);
  await world.pass(20_000);
  assert.equal(tab.client.state, "connected");
});

test("a refused token is renewed once, at once", async () => {
  const world = new World();
  const good = world.token();
  world.hub.goodTokens = [good];
  world.token = ({ renew }) => (renew ? good : tokenOf({ sub: "maria", exp: 9e9, iat: 1 }));
  const tab = world.open();
  tab.client.start();
  await world.pass(200);
  assert.equal(tab.client.state, "connected");
  assert.deepEqual(tab.asked, [{ renew: false }, { renew: true }]);
});

test("if the renewed token is refused too, nobody is signed in", async () => {
  const world = new World();
  world.hub.goodTokens = [];
  const tab = world.open();
  tab.client.start();
  await world.pass(300_000);
  assert.deepEqual([tab.client.state, tab.client.status.reason], ["disconnected", "signed_out"]);
  assert.deepEqual(tab.asked, [{ renew: false }, { renew: true }]);
  world.hub.goodTokens = null;
  tab.client.reconnect();
  await world.pass(200);
  assert.equal(tab.client.state, "connected");
});

test("a token that expires while connected is renewed again each time", async () => {
  const world = new World();
  const tab = await world.connected();
  for (let i = 0; i < 3; i += 1) {
    world.hub.socket.leave(4401);
    await world.pass(100);
    assert.equal(tab.client.state, "connected");
  }
  assert.equal(tab.asked.filter(({ renew }) => renew).length, 3);
});

for (const [what, token] of [
  ["null", () => null],
  ["an error", () => Promise.reject(new Error("no"))],
  ["a throw", () => { throw new Error("no"); }],
]) {
  test(`${what} in place of a token means signed out, until somebody looks again`, async () => {
    const world = new World();
    const good = world.token;
    world.token = token;
    const tab = world.open();
    tab.client.start();
    await world.pass(60_000);
    assert.equal(tab.client.status.reason, "signed_out");
    assert.equal(tab.asked.length, 1);
    world.token = good;
    tab.page.show();
    await world.pass(100);
    assert.equal(tab.client.state, "connected");
  });
}

test("a token that cannot be had while offline does not mean signed out", async () => {
  const world = new World();
  const good = world.token;
  const tab = await world.connected();
  world.token = () => Promise.reject(new Error("offline"));
  world.hub.websocket = "refused";
  world.hub.http = "down";
  tab.page.goOffline();
  world.hub.socket.cut();
  await world.pass(60_000);
  assert.equal(tab.client.status.reason, "offline");
  world.token = good;
  world.hub.websocket = "ok";
  world.hub.http = "ok";
  tab.page.goOnline();
  await world.pass(100);
  assert.equal(tab.client.state, "connected");
});

test("a token is renewed a minute before it ends, without a reconnect", async () => {
  const world = new World();
  const tab = await world.connected();
  await world.pass(3_535_000);
  const before = world.hub.frames.filter(({ type }) => type === "token").length;
  await world.pass(10_000);
  const renewals = world.hub.frames.filter(({ type }) => type === "token");
  assert.equal(before, 0);
  assert.equal(renewals.length, 1);
  assert.notEqual(renewals[0].token, world.hub.frames[0].token);
  assert.equal(world.hub.opened.length, 1);
  assert.deepEqual(states(tab), ["reconnecting", "connected"]);
  await world.pass(3_600_000);
  assert.equal(world.hub.frames.filter(({ type }) => type === "token").length, 2);
});

test("a token of one minute is renewed when a fifth of its life is left", async () => {
  const world = new World();
  const good = world.token;
  world.token = () => {
    const now = Math.floor(world.clock.now / 1000);
    world.claims = { exp: now + 60 };
    return good();
  };
  await world.connected();
  await world.pass(47_000);
  assert.equal(world.hub.frames.filter(({ type }) => type === "token").length, 0);
  await world.pass(2_000);
  assert.equal(world.hub.frames.filter(({ type }) => type === "token").length, 1);
});

test("a clock that is wrong by hours changes nothing about renewal", async () => {
  const world = new World();
  const environment = world.environment(world.open().page);
  const tab = await world.connected({
    environment: { ...environment, now: () => world.clock.now - 7_200_000 },
  });
  await world.pass(3_535_000);
  assert.equal(world.hub.frames.filter(({ type }) => type === "token").length, 0);
  await world.pass(10_000);
  assert.equal(world.hub.frames.filter(({ type }) => type === "token").length, 1);
  assert.equal(tab.asked.length, 2);
});

test("forty seconds of silence raise a question, and three more end the connection", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.socket.deaf = true;
  await world.pass(39_000);
  assert.equal(world.hub.opened.length, 1);
  await world.pass(3_500);
  assert.equal(tab.client.state, "connected");
  assert.equal(world.hub.opened.length, 1);
  await world.pass(1_000);
  assert.equal(world.hub.opened.length, 2);
  assert.equal(tab.client.state, "connected");
});

test("a hub that has nothing to say but answers is not left", async () => {
  const world = new World();
  await world.connected();
  await world.pass(600_000);
  assert.equal(world.hub.opened.length, 1);
});

test("a ping of the hub is answered with how far the client has come", async () => {
  const world = new World();
  await world.connected();
  world.hub.socket.deliver({ type: "ping", cursor: "2.a" });
  await world.pass(20);
  assert.deepEqual(world.hub.frames.at(-1), { type: "pong", seq: 2 });
});

for (const wake of ["visibilitychange", "pageshow", "online"]) {
  test(`${wake}: a dead connection is found within three seconds`, async () => {
    const world = new World();
    const tab = await world.connected();
    world.hub.socket.deaf = true;
    if (wake === "visibilitychange") tab.page.show();
    else tab.page.window.fire(wake);
    await world.pass(2_900);
    assert.equal(world.hub.opened.length, 1);
    await world.pass(200);
    assert.equal(tab.client.state, "connected");
    assert.equal(world.hub.opened.length, 2);
  });

  test(`${wake}: a live connection stays`, async () => {
    const world = new World();
    const tab = await world.connected();
    if (wake === "visibilitychange") tab.page.show();
    else tab.page.window.fire(wake);
    await world.pass(10_000);
    assert.equal(world.hub.opened.length, 1);
    assert.deepEqual(states(tab), ["reconnecting", "connected"]);
  });
}

test("offline shows at once, and a connection that answers all the same is believed", async () => {
  const world = new World();
  const tab = await world.connected();
  tab.page.goOffline();
  assert.equal(tab.client.state, "reconnecting");
  await world.pass(100);
  assert.equal(tab.client.state, "connected");
  assert.equal(world.hub.opened.length, 1);
});

test("while the page is hidden an open connection stays, and a lost one is not sought", async () => {
  const world = new World();
  const tab = await world.connected();
  tab.page.hide();
  world.hub.say("heard");
  await world.pass(60_000);
  assert.equal(tab.shown.length, 3);
  world.hub.socket.cut();
  await world.pass(3_600_000);
  assert.equal(world.hub.opened.length, 1);
  assert.equal(tab.client.state, "reconnecting");
  tab.page.show();
  await world.pass(100);
  assert.equal(tab.client.state, "connected");
});

test("after three failed tries it is disconnected, and goes on without end", async () => {
  const world = new World();
  world.hub.websocket = "refused";
  world.hub.http = "down";
  const tab = world.open();
  tab.client.start();
  await world.pass(3_600_000);
  assert.deepEqual([tab.client.state, tab.client.status.reason], ["disconnected", "unreachable"]);
  const tries = world.hub.opened.filter((each) => each.startsWith("ws")).length;
  assert.ok(tries > 300 && tries < 420, `${tries} tries`);
  world.hub.websocket = "ok";
  world.hub.http = "ok";
  await world.pass(21_000);
  assert.equal(tab.client.state, "connected");
});

test("it is reconnecting for the first two failures and disconnected after the third", async () => {
  const world = new World();
  world.hub.websocket = "refused";
  world.hub.http = "down";
  const tab = world.open();
  tab.client.start();
  await world.pass(20_000);
  const first = tab.told.state.findIndex(({ state }) => state === "disconnected");
  const tries = tab.told.state.slice(0, first + 1).filter(({ retryIn }) => retryIn !== null);
  assert.equal(tries.length, 3);
});

test("a hub that lets in and drops at once is not hammered", async () => {
  const world = new World();
  const tab = world.open();
  tab.client.start();
  tab.client.on("caught_up", () => world.clock.setTimeout(() => world.hub.socket.cut(), 100));
  await world.pass(120_000);
  const tries = world.hub.opened.length;
  assert.ok(tries < 25, `${tries} tries`);
});

test("a connection that lasted is taken up quickly, whatever was before", async () => {
  const world = new World();
  const tab = world.open();
  tab.client.start();
  const off = tab.client.on("caught_up", () => world.hub.socket.cut());
  await world.pass(60_000);
  off();
  await world.until(() => tab.client.state === "connected");
  await world.pass(10_000);
  world.hub.socket.cut();
  await world.pass(600);
  assert.equal(tab.client.state, "connected");
});

test("a token from a cache that is no later is asked for anew", async () => {
  const world = new World();
  const good = world.token;
  const cached = good();
  world.token = ({ renew }) => (renew ? good() : cached);
  const tab = await world.connected();
  await world.pass(3_545_000);
  assert.equal(world.hub.frames.filter(({ type }) => type === "token").length, 1);
  assert.deepEqual(tab.asked, [{ renew: false }, { renew: false }, { renew: true }]);
});

test("reconnect tries at once, in place of the wait", async () => {
  const world = new World();
  world.random = () => 0.999;
  const tab = await world.connected();
  world.hub.socket.leave(4503, { in_ms: 60_000 });
  await world.pass(100);
  tab.client.reconnect();
  await world.pass(100);
  assert.equal(tab.client.state, "connected");
  await world.pass(100_000);
  assert.equal(world.hub.opened.length, 2);
});

test("stop leaves nothing behind: no timer, no listener, no socket", async () => {
  const world = new World();
  const tab = await world.connected();
  tab.client.read(2);
  void tab.client.send("accept");
  tab.client.stop();
  await world.pass(20);
  assert.equal(world.clock.waiting, 0);
  assert.equal(tab.page.document.listening + tab.page.window.listening, 0);
  assert.equal(world.hub.sockets.size, 0);
  assert.deepEqual([tab.client.state, tab.client.status.reason], ["disconnected", "stopped"]);
});

test("a client that was stopped while it asked for a token stays stopped", async () => {
  const world = new World();
  let give = () => {};
  const good = world.token;
  world.token = () => new Promise((resolve) => (give = () => resolve(good())));
  const tab = world.open();
  tab.client.start();
  await world.pass(10);
  tab.client.stop();
  give();
  await world.pass(10_000);
  assert.deepEqual(world.hub.opened, []);
});

test("it can be started again, and goes on where it was", async () => {
  const world = new World();
  const tab = await world.connected();
  tab.client.stop();
  world.hub.say("meanwhile");
  tab.client.start();
  await world.pass(100);
  assert.deepEqual(seqs(tab.shown), [1, 2, 3]);
});

test("another user who signs in begins with an empty page", async () => {
  const world = new World();
  const tab = await world.connected();
  world.user = "other";
  world.hub.socket.leave(4401);
  await world.pass(100);
  assert.equal(tab.client.me.id, "other");
  assert.equal(tab.told.reset[0].reason, "user");
  assert.equal("after" in world.hub.frames.filter(({ type }) => type === "auth")[1], false);
  assert.deepEqual(seqs(tab.shown), [1, 2]);
});

test("a listener that throws is reported, and harms nobody else", async () => {
  const world = new World();
  const tab = world.open();
  tab.client.on("event", () => {
    throw new Error("mine");
  });
  const seen = [];
  tab.client.on("event", (event) => seen.push(event.seq));
  tab.client.start();
  await world.pass(100);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(world.reported.length, 2);
  assert.equal(tab.client.state, "connected");
});

test("the room is as ready says, and then as the events say", async () => {
  const world = new World();
  world.hub.append({ kind: "control", data: { control: "waiting", fence: 1 } });
  world.hub.append({ kind: "status", data: { from: "intake", to: "active" } });
  world.hub.append({ kind: "control", data: { control: "human", owner: "Ravi", fence: 2 } });
  world.hub.control = "waiting";
  world.hub.append({ kind: "control", data: { control: "waiting", fence: 3 } });
  const tab = await world.connected();
  // The replay passes through states that are over; the page is not told of them.
  assert.deepEqual(tab.told.room, [{ control: "waiting", status: "active", coordinator: null }]);
  world.hub.append({ kind: "control", data: { control: "human", owner: "Priya", fence: 2 } });
  await world.pass(10);
  assert.deepEqual(tab.client.room, { control: "human", status: "active", coordinator: "Priya" });
});

test("frames of a kind that it does not know are ignored", async () => {
  const world = new World();
  const tab = await world.connected();
  world.hub.socket.deliver({ type: "something_new", case: "case-1" });
  await world.pass(100);
  assert.equal(tab.client.state, "connected");
  assert.deepEqual(world.reported, []);
});

test("a page that is looked at asks nothing of a hub that has not said hello", async () => {
  const world = new World();
  world.hub.websocket = "silent";
  const tab = world.open();
  tab.client.start();
  await world.pass(1_000);
  tab.page.show();
  tab.page.window.fire("online");
  await world.pass(4_000);
  assert.deepEqual(world.hub.frames, []);
  assert.equal(world.hub.opened.length, 1);
});
