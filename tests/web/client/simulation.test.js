/**
 * Whatever is cut, lost or restarted, and whenever: each tab is shown the log, each event once and
 * in order; and all that was typed is in the log once, in the order of its author.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { World, seeded } from "./world.js";

const FAULTS = {
  cut: ({ hub }) => hub.sockets.forEach((socket) => socket.cut()),
  restart: ({ hub }) => hub.sockets.forEach((socket) => socket.leave(4503, { in_ms: 300 })),
  /** The hub hears nothing more, and the client hears nothing of it. */
  blackHole({ hub }) {
    for (const socket of hub.sockets) {
      socket.deaf = true;
      socket.deliver = () => {};
    }
  },
  /** Frames to the client are lost from here on, but for every third. */
  loseSome({ hub }) {
    for (const socket of hub.sockets) {
      const deliver = socket.deliver.bind(socket);
      let count = 0;
      socket.deliver = (frame) => (count += 1) % 3 === 0 && deliver(frame);
    }
  },
  /** Frames to the client come twice. */
  double({ hub }) {
    for (const socket of hub.sockets) {
      const deliver = socket.deliver.bind(socket);
      socket.deliver = (frame) => (deliver(frame), deliver(frame));
    }
  },
  blockSockets: ({ hub }) => (hub.websocket = "refused"),
  silentSockets: ({ hub }) => (hub.websocket = "silent"),
  openSockets: ({ hub }) => (hub.websocket = "ok"),
  down: ({ hub }) => (hub.http = "down"),
  busy: ({ hub }) => (hub.http = 503),
  up: ({ hub }) => (hub.http = "ok"),
  streamsOff: ({ hub }) => (hub.sse = "off"),
  streamsHeld: ({ hub }) => (hub.sse = "buffered"),
  streamsOn: ({ hub }) => (hub.sse = "ok"),
  cutStreams: ({ hub }) => hub.streams.forEach((stream) => stream.cut()),
  endStreams: ({ hub }) => hub.streams.forEach((stream) => stream.end()),
  tokenEnds: ({ hub }) => hub.sockets.forEach((socket) => socket.leave(4401)),
};

function heal({ hub }) {
  Object.assign(hub, { websocket: "ok", http: "ok", sse: "ok" });
  for (const socket of hub.sockets) socket.cut();
}

async function simulate(seed, { staff = false } = {}) {
  const world = new World();
  const random = seeded(seed);
  const below = (count) => Math.floor(random() * count);
  world.random = random;
  if (staff) world.claims = { org_role: "org:coordinator" };
  world.hub.latency = 1 + below(40);
  let tabs = [world.open(), world.open()];
  for (const { client } of tabs) client.start();
  const written = [];
  const names = Object.keys(FAULTS);

  const steps = {
    write() {
      const author = below(tabs.length);
      const text = `${tabs[author].name ?? author}-${written.length}`;
      written.push(text);
      void tabs[author].client.send("message", { text });
    },
    speak: () => void world.hub.say("…", { sender_type: "ai" }),
    fault: () => FAULTS[names[below(names.length)]](world),
    hide: () => tabs[below(tabs.length)].page.hide(),
    show: () => tabs[below(tabs.length)].page.show(),
    network: () => {
      const { page } = tabs[below(tabs.length)];
      if (page.online) page.goOffline();
      else page.goOnline();
    },
    /** A reload: what the page knew is gone, without a farewell. */
    reload() {
      const index = below(tabs.length);
      tabs[index].client.stop();
      check(world, tabs[index]);
      tabs[index] = world.open();
      tabs[index].client.start();
    },
  };
  const kinds = Object.keys(steps);
  for (let i = 0; i < 60; i += 1) {
    steps[random() < 0.4 ? "write" : kinds[below(kinds.length)]]();
    await world.pass(random() < 0.7 ? below(60) : below(15_000));
  }

  heal(world);
  for (const { page } of tabs) {
    page.show();
    page.goOnline();
  }
  const done = () => tabs.every(({ client }) => client.state === "connected" && client.outbox.length === 0);
  await world.until(done, 400_000).catch(() => {
    const left = tabs.map(({ client }) => [client.status, client.outbox.length]);
    assert.fail(`seed ${seed}: ${JSON.stringify(left)}`);
  });
  await world.pass(15_000);

  const mine = world.hub.log.filter(({ key }) => key !== undefined).map(({ data }) => data.text);
  assert.deepEqual([...mine].sort(), [...written].sort(), `seed ${seed}: all, and each once`);
  for (const tab of tabs) {
    check(world, tab, seed);
    assert.equal(tab.shown.at(-1)?.seq, world.hub.log.length, `seed ${seed}: to the end`);
    tab.client.stop();
  }
  assert.deepEqual(world.storage.keys, [], `seed ${seed}`);
  assert.deepEqual(world.reported, [], `seed ${seed}`);
}

/** What a tab was shown is a part of the log without a hole. */
function check(world, { shown }, seed) {
  if (shown.length === 0) return;
  const first = shown[0].seq;
  const part = world.hub.log.slice(first - 1, first - 1 + shown.length);
  assert.deepEqual(
    shown.map(({ seq, id }) => [seq, id]),
    part.map(({ seq, id }) => [seq, id]),
    `seed ${seed}`,
  );
}

const RUNS = 5;
for (let part = 0; part < 12; part += 1) {
  test(`sixty disturbed conversations, part ${part + 1}`, async () => {
    for (let i = 0; i < RUNS; i += 1) await simulate(part * RUNS + i, { staff: part % 3 === 2 });
  });
}

test("one author's words stay in their order, whatever is disturbed", async () => {
  for (let seed = 1_000; seed < 1_020; seed += 1) {
    const world = new World();
    const random = seeded(seed);
    world.random = random;
    let tab = world.open();
    tab.client.start();
    const names = Object.keys(FAULTS);
    for (let i = 0; i < 25; i += 1) {
      void tab.client.send("message", { text: `${i}` });
      await world.pass(Math.floor(random() * 2_000));
      FAULTS[names[Math.floor(random() * names.length)]](world);
      if (random() < 0.2) {
        tab.client.stop();
        tab = world.open();
        tab.client.start();
        await world.pass(1);
      }
    }
    heal(world);
    tab.page.goOnline();
    await world.until(() => tab.client.outbox.length === 0 && tab.client.state === "connected", 400_000);
    assert.deepEqual(world.hub.texts, Array.from({ length: 25 }, (_, i) => `${i}`), `seed ${seed}`);
    tab.client.stop();
  }
});
