/** What becomes of a text on its way to the page. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nextCut } from "../../../web/static/thread/answer.js";
import { lineKind, spans } from "../../../web/static/thread/prose.js";

/** @param {string} text */
const links = (text) => spans(text).filter(({ kind }) => kind === "link").map(({ text: part }) => part);

test("an address of https becomes a link that says where it leads", () => {
  assert.deepEqual(links("See https://curaway.example/papers?x=1."), ["https://curaway.example/papers?x=1"]);
  assert.deepEqual(links("(https://curaway.example/a)، https://b.example؟"), ["https://curaway.example/a", "https://b.example"]);
});

test("no other address becomes a link", () => {
  for (const text of ["javascript:alert(1)", "http://curaway.example", "data:text/html,x", "www.curaway.example", "//evil.example"]) {
    assert.deepEqual(links(text), []);
  }
});

test("an address that only looks like another one stays text", () => {
  assert.deepEqual(links("https://curaway.example@evil.example/"), []);
  assert.deepEqual(links("https://cur\u0430way.example/"), []);
});

test("bold words need both signs, and no space within them", () => {
  assert.deepEqual(spans("a **b c** d"), [
    { kind: "text", text: "a " },
    { kind: "bold", text: "b c" },
    { kind: "text", text: " d" },
  ]);
  for (const text of ["2 ** 3 ** 4", "**open", "****", "a * b * c"]) assert.deepEqual(spans(text), [{ kind: "text", text }]);
});

test("nothing of a text is lost or said twice", () => {
  const text = "<b>x</b> **y** https://a.example/1, **z**&amp; https://a@b.example end";
  assert.equal(spans(text).map((span) => span.text).join(""), text.replaceAll("**", ""));
});

test("a line is what its beginning says", () => {
  assert.equal(lineKind("- milk").kind, "item");
  assert.equal(lineKind("• milk").kind, "item");
  assert.deepEqual(lineKind("12. twelfth"), { kind: "number", skip: 4, number: 12 });
  assert.equal(lineKind("## Title").kind, "heading");
  assert.equal(lineKind("   ").kind, "blank");
  for (const line of ["-5 degrees", "3.5 mg", "#1", "**bold** first", "2026. "]) assert.equal(lineKind(line).kind, "plain");
});

test("an answer grows to its end in few steps, and never shows half of a character", () => {
  const text = `Good morning ${"👍".repeat(50)} नमस्ते`;
  let steps = 0;
  for (let shown = 0; shown < text.length; steps += 1) {
    shown = nextCut(text, shown);
    assert.ok(text.slice(0, shown).isWellFormed());
  }
  assert.ok(steps < 30);
  let shown = 0;
  for (let frame = 0; frame < 60; frame += 1) shown = nextCut("x".repeat(5_000), shown);
  assert.ok(shown > 4_990, "a second behind at most");
});
