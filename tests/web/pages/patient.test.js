/** What the patient page knows without a browser. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Draft } from "../../../web/static/patient/draft.js";
import { leader, wish } from "../../../web/static/patient/leader.js";
import { initials } from "../../../web/static/initials.js";
import { isOwnSide, title } from "../../../web/static/thread/message.js";
import { sentence } from "../../../web/static/thread/lines.js";
import { characters, t, tame } from "../../../web/static/text.js";
import { refusalOf } from "../../../web/static/upload_check.js";
import { kept } from "../kept.js";

globalThis.document = /** @type {any} */ ({ documentElement: { dir: "ltr" } });

const NOBODY = { control: /** @type {const} */ ("ai"), coordinator: null, asking: false, refused: false };

test("the wish for a person is told as it stands at the hub, not as it was hoped", () => {
  assert.equal(wish(NOBODY), "idle");
  assert.equal(wish({ ...NOBODY, asking: true }), "asking");
  assert.equal(wish({ ...NOBODY, refused: true }), "refused");
  assert.equal(wish({ ...NOBODY, control: "waiting", asking: true }), "asked");
  assert.equal(wish({ ...NOBODY, control: "human", coordinator: "Priya", refused: true }), "with");
});

test("a coordinator who is away is not said to be with the patient", () => {
  const known = { ...NOBODY, control: /** @type {const} */ ("human"), coordinator: "Priya" };
  assert.deepEqual(leader(known, true, t), { title: "Priya from Curaway", more: "Priya is with you", strip: "" });
  assert.equal(leader(known, false, t).more, "Not here at the moment");
});

test("where nobody is available the page says so, and what to do", () => {
  assert.match(leader({ ...NOBODY, refused: true }, false, t).strip, /No one .* available .* emergency number/);
});

test("a name of the other direction does not turn the words beside it", () => {
  assert.equal(t("from_curaway", { name: "Priya" }), "Priya from Curaway");
  assert.equal(t("from_curaway", { name: "ليلى" }), "\u2068ليلى\u2069 from Curaway");
});

test("a name with a gap in it fills no other gap", () => {
  assert.equal(t("from_curaway", { name: "{count}$&" }), "{count}$& from Curaway");
});

test("a draft is kept for one person and one case, and a sent one is gone", () => {
  const storage = kept();
  new Draft("maria", "case-1", storage).text = "My knee";
  assert.equal(new Draft("maria", "case-1", storage).text, "My knee");
  assert.equal(new Draft("maria", "case-2", storage).text, "");
  new Draft("maria", "case-1", storage).text = "";
  assert.equal(storage.length, 0);
});

test("whoever is next in a tab finds no draft of the one before, and leaves none behind", () => {
  const storage = kept({ "curaway.identity": "amina" });
  new Draft("maria", "case-1", storage).text = "My knee";
  assert.equal(new Draft("maria2", "case-1", storage).text, "");
  assert.deepEqual([storage.length, storage.key(0)], [1, "curaway.identity"]);
});

test("a browser that keeps nothing stops nobody from writing", () => {
  const broken = () => {
    throw new Error("full");
  };
  const draft = new Draft("maria", "case-1", { getItem: broken, setItem: broken, removeItem: broken });
  draft.text = "x";
  assert.equal(draft.text, "");
});

test("characters are counted as the hub counts them", () => {
  assert.equal(characters("é👍न"), 3);
});

test("a name that turns its direction turns nothing but itself", () => {
  assert.equal(tame("Priya \u202ecnI\u2069"), "Priya cnI");
  assert.equal(t("from_curaway", { name: "\u202ePriya" }), "Priya from Curaway");
  assert.equal(title("patient", "\u2067Maria", false, t), "Maria");
});

test("a file that the hub would not take is found before it is sent", () => {
  assert.equal(refusalOf({ size: 10 }, 10), null);
  assert.equal(refusalOf({ size: 11 }, 10)?.code, "too_large");
  assert.equal(refusalOf({ size: 0 }, 10)?.code, "empty");
});

test("initials are whole letters in every script", () => {
  assert.equal(initials("Priya Sharma"), "PS");
  assert.equal(initials("  Ana María de la Cruz "), "AC");
  assert.equal(initials("😀 x"), "😀X");
  assert.equal(initials(""), "");
});

test("patients see their own words as theirs, and staff by name and house", () => {
  assert.equal(title("patient", "Maria", true, t), "You");
  assert.equal(title("coordinator", "Priya", false, t), "Priya from Curaway");
  assert.equal(title("patient", "Maria", false, t), "Maria");
  assert.ok(isOwnSide("patient", "patient") && isOwnSide("staff", "coordinator") && isOwnSide("staff", "ai"));
  assert.ok(!isOwnSide("patient", "ai") && !isOwnSide("staff", "patient"));
});

test("a takeover and its end are told in a sentence, and what nobody knows is not told", () => {
  /** @param {string} kind @param {Record<string, any>} data */
  const event = (kind, data) => /** @type {any} */ ({ kind, data, actor: { type: "coordinator", name: "Priya" } });
  assert.equal(sentence(event("control", { control: "human", owner: "Priya" }), "patient", t), "Priya from Curaway joined the conversation");
  assert.equal(sentence(event("control", { control: "ai", reason: "released" }), "patient", t), "The assistant is back");
  assert.equal(sentence(event("control", { control: "waiting", reason: "escalated" }), "patient", t), "Our team has been told");
  assert.equal(sentence(event("control", { control: "waiting", reason: "owner_away" }), "patient", t), "Someone from our team will join you here");
  assert.equal(sentence(event("something_new", {}), "patient", t), null);
});
