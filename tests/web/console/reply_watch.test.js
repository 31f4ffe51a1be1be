import assert from "node:assert/strict";
import { test } from "node:test";
import { ReplyWatch } from "../../../web/static/console/reply_watch.js";

const ME = "user_priya";

function message(seq, id = "user_maria", kind = "message") {
  return { seq, kind, actor: { type: "patient", id } };
}

test("a reply says what its author had before them when they began it", () => {
  const watch = new ReplyWatch(null);
  watch.apply(message(4), ME);
  assert.equal(watch.seen, 4);
  watch.write("D");
  assert.equal(watch.apply(message(5), ME), true);
  watch.write("Dear Maria");
  assert.equal(watch.apply(message(6), ME), true);
  assert.deepEqual([watch.seen, watch.missed], [4, 2]);
});

test("one's own messages, notes and all that is no message are not missed", () => {
  const watch = new ReplyWatch(null);
  watch.write("D");
  assert.equal(watch.apply(message(1, ME), ME), false);
  assert.equal(watch.apply(message(2, "user_ravi", "note"), ME), false);
  assert.equal(watch.missed, 0);
});

test("whoever has read on misses only what is newer", () => {
  const watch = new ReplyWatch(null);
  watch.write("D");
  watch.apply(message(1), ME);
  watch.readOn();
  assert.deepEqual([watch.seen, watch.missed], [1, 0]);
  watch.apply(message(2), ME);
  assert.deepEqual([watch.seen, watch.missed], [1, 1]);
});

test("an empty field is a reply that is not begun", () => {
  const watch = new ReplyWatch(null);
  watch.write("D");
  watch.apply(message(1), ME);
  watch.write("");
  assert.deepEqual([watch.begun, watch.missed, watch.seen], [null, 0, 1]);
  watch.write("E");
  assert.equal(watch.begun, 1);
});

test("a draft that was left remembers what had been read, also when the log is told anew", () => {
  const watch = new ReplyWatch(3);
  for (const seq of [2, 3, 4, 5]) watch.apply(message(seq), ME);
  assert.deepEqual([watch.seen, watch.missed], [3, 2]);
});

test("what the hub has held is missed once, although it then comes as an event too", () => {
  const watch = new ReplyWatch(null);
  watch.apply(message(1), ME);
  watch.held(1, [message(2), message(3, ME)], ME);
  assert.deepEqual([watch.seen, watch.missed], [1, 1]);
  assert.equal(watch.apply(message(2), ME), false);
  assert.equal(watch.missed, 1);
});

test("after a reset nothing of the old numbers counts", () => {
  const watch = new ReplyWatch(7);
  watch.reset("still writing");
  assert.equal(watch.seen, 0);
  watch.apply(message(1), ME);
  assert.equal(watch.missed, 1);
  watch.reset("");
  assert.equal(watch.begun, null);
});
