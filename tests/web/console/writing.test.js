import assert from "node:assert/strict";
import { test } from "node:test";
import { CannedTexts, fillIn, search } from "../../../web/static/console/canned_texts.js";
import { Drafts, openingMode } from "../../../web/static/console/drafts.js";
import { messagesOfOthers, sayMissed } from "../../../web/static/console/missed_messages.js";
import { Preferences } from "../../../web/static/console/preferences.js";
import { quotedNote } from "../../../web/static/console/quoted_note.js";
import { Unsent } from "../../../web/static/console/unsent.js";
import { kept as storage } from "../kept.js";

const FORBIDDEN = {
  getItem() {
    throw new Error("forbidden");
  },
  setItem() {
    throw new Error("forbidden");
  },
  removeItem() {
    throw new Error("forbidden");
  },
};

test("the drafts of two cases, and of a reply and a note, stay apart through a reload", () => {
  const there = storage();
  const drafts = new Drafts(there, "priya");
  drafts.keep("a", { reply: "to Maria", seen: 4 });
  drafts.keep("a", { note: "about Maria" });
  drafts.keep("b", { reply: "to Ahmed" });
  const again = new Drafts(there, "priya");
  assert.deepEqual(again.of("a"), { mode: "reply", reply: "to Maria", note: "about Maria", seen: 4 });
  assert.equal(again.of("b").note, "");
  assert.equal(again.of("c").reply, "");
});

test("whoever is next in a tab finds no drafts of the one before", () => {
  const there = storage();
  new Drafts(there, "priya").keep("a", { note: "secret" });
  assert.equal(new Drafts(there, "pri").of("a").note, "");
  assert.equal(there.length, 0);
});

/** A client of a case, as far as it is needed here. */
class Sender {
  outbox = [{ state: "waiting" }];
  going = false;

  start() {
    this.going = true;
  }

  stop() {
    this.going = false;
  }

  on(_, told) {
    this.told = told;
  }

  async tell(...states) {
    this.outbox = states.map((state) => ({ state }));
    this.told(this.outbox);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

function sending(names) {
  const senders = new Map();
  const unsent = new Unsent({
    storage: storage(Object.fromEntries(names.map((name) => [`curaway.outbox/${name}`, "{}"]))),
    make: (id) => senders.set(id, new Sender()).get(id),
    onChange: () => {},
  });
  return { unsent, senders };
}

test("what was written in a case that is open no more is sent, and what is somebody else's is not", async () => {
  const { unsent, senders } = sending(["priya/a%2Fb/k1", "priya/open/k2", "ravi/c/k3"]);
  unsent.look("priya", "open");
  unsent.look("priya", "open");
  assert.deepEqual([[...senders.keys()], [...unsent.cases]], [["a/b"], ["a/b"]]);
  const [sender] = senders.values();
  await sender.tell("sending");
  assert.deepEqual([sender.going, unsent.cases.size], [true, 1]);
  await sender.tell();
  assert.deepEqual([sender.going, unsent.cases.size], [false, 0]);
});

test("what the hub has refused waits where its author sees why, and is no other case's concern", async () => {
  const { unsent, senders } = sending(["priya/a/k1"]);
  unsent.look("priya", null);
  const sender = senders.get("a");
  await sender.tell("refused");
  assert.deepEqual([sender.going, [...unsent.cases]], [false, ["a"]]);
  unsent.look("priya", "a");
  assert.equal(unsent.cases.size, 0);
});

test("what was sent leaves nothing behind", () => {
  const there = storage();
  const drafts = new Drafts(there, "priya");
  drafts.keep("a", { mode: "note", note: "secret" });
  drafts.keep("a", { note: "" });
  assert.equal(there.length, 0);
});

test("a case opens for a reply, and with a note only where one was left unfinished", () => {
  const draft = { mode: "reply", reply: "", note: "", seen: null };
  assert.equal(openingMode(draft), "reply");
  assert.equal(openingMode({ ...draft, mode: "note" }), "reply");
  assert.equal(openingMode({ ...draft, mode: "note", note: "half a note" }), "note");
  assert.equal(openingMode({ ...draft, note: "half a note" }), "reply");
});

test("a reply that says what a note says is found out", () => {
  const notes = ["Husband must not know of the diagnosis.\nCall after six."];
  assert.equal(
    quotedNote("husband must  not know of the diagnosis.", notes),
    "Husband must not know of the diagnosis.",
  );
  assert.equal(quotedNote("Dear Maria,\n> Husband must not know\nof the diagnosis.", notes), notes[0].split("\n")[0]);
  assert.equal(quotedNote("Call after six.", notes), null);
  assert.equal(quotedNote("Your husband may come along.", notes), null);
  assert.equal(quotedNote("", notes), null);
});

test("only messages of somebody else are missed", () => {
  const event = (kind, id) => ({ kind, actor: { type: "coordinator", id } });
  const events = [event("message", "ravi"), event("message", "me"), event("note", "ravi")];
  assert.deepEqual(messagesOfOthers(events, "me"), [events[0]]);
});

test("what was missed is counted in words", () => {
  assert.equal(sayMissed(1), "One new message since you began");
  assert.equal(sayMissed(2), "Two new messages since you began");
  assert.equal(sayMissed(12), "12 new messages since you began");
});

test("a canned reply has the names filled in, and nothing else", () => {
  const names = { name: "Maria", me: "Priya" };
  assert.equal(fillIn("{name}, I am {me}. {other}", names), "Maria, I am Priya. {other}");
  assert.equal(fillIn("{name}", { name: "{me}", me: "x" }), "{me}");
});

test("canned replies are found by title first, and one's own come first", () => {
  const there = storage();
  const texts = new CannedTexts(there);
  texts.keep({ id: "1", title: "Parking", text: "There is a visa office next to it." });
  const again = new CannedTexts(there);
  assert.equal(again.all[0].title, "Parking");
  const found = search(again.all, "visa").map((one) => one.title);
  assert.equal(found[0], "Visa: invitation letter");
  assert.ok(found.includes("Parking"));
  again.keep({ id: "1", title: "Parking lot", text: "…" });
  assert.equal(again.all.filter((one) => one.own).length, 1);
  again.remove("1");
  assert.ok(again.all.every((one) => !one.own));
});

test("without a storage, or with a broken one, everything still works", () => {
  for (const broken of [null, FORBIDDEN, storage({ "curaway.drafts/priya/": "{", "curaway.canned": "3", "curaway.console": "null" })]) {
    const drafts = new Drafts(broken, "priya");
    drafts.keep("a", { reply: "x" });
    assert.equal(drafts.of("a").reply, "x");
    new CannedTexts(broken).keep({ id: "1", title: "t", text: "x" });
    const preferences = new Preferences(broken);
    preferences.set("sound", false);
    assert.equal(preferences.get("sound"), false);
    assert.equal(preferences.get("enterSends"), false);
  }
});
