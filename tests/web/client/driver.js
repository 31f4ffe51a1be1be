/**
 * The client library in a process of its own, which can be killed: it does what the lines on its
 * input say, and tells on its output what it is told. Its storage is a file.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { HubClient } from "../../../web/static/hub-client.js";

const { storage: file, ...options } = JSON.parse(process.argv[2]);
let token = options.token;
const items = new Map(existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : []);
const save = () => writeFileSync(file, JSON.stringify([...items]));

const hub = new HubClient({
  ...options,
  token: () => token,
  // The waits are as short as they may be by chance, but for the first.
  environment: { random: () => 0.05 },
  storage: {
    get length() {
      return items.size;
    },
    key: (index) => [...items.keys()][index] ?? null,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => (items.set(key, value), save()),
    removeItem: (key) => (items.delete(key), save()),
  },
});

const say = (name, data) => process.stdout.write(`${JSON.stringify({ name, data })}\n`);
for (const name of ["state", "ready", "reset", "event", "caught_up", "answer", "typing", "presence", "read", "outbox", "notice"]) {
  hub.on(name, (data) => say(name, data));
}
hub.start();

/** @type {Record<string, (...values: any[]) => unknown>} */
const does = {
  send: (type, body, how) =>
    hub.send(type, body, how).then(
      (ack) => say("ack", ack),
      ({ code }) => say("refused", code),
    ),
  history: async (which) => say("page", await hub.history(which)),
  typing: (on) => hub.typing(on),
  read: (seq) => hub.read(seq),
  token: (next) => (token = next),
  stop: () => (hub.stop(), process.exit(0)),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...values] = JSON.parse(line);
  does[name](...values);
}
