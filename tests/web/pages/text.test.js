/** The words of the patient page. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { choose, day } from "../../../web/static/text.js";
import { en } from "../../../web/static/text/en.js";

const STATIC = new URL("../../../web/static/", import.meta.url);
const OTHERS = ["es", "pt", "fr", "de", "ar", "hi"];

/** @param {string} text */
const gaps = (text) => [...text.matchAll(/\{\w+\}/g)].map(([gap]) => gap).sort();

for (const language of OTHERS) {
  test(`${language} says all that English says, with the same gaps`, async () => {
    const words = (await import(new URL(`text/${language}.js`, STATIC).href)).default;
    assert.deepEqual(Object.keys(words).sort(), Object.keys(en).sort());
    for (const [key, text] of Object.entries(en)) {
      assert.deepEqual(gaps(words[key]), gaps(text), key);
      assert.notEqual(words[key].trim(), "", key);
    }
  });
}

test("every word that the pages ask for is there", () => {
  const asked = ["thread", "patient"].flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, STATIC))
      .filter((name) => name.endsWith(".js"))
      .flatMap((name) => [...readFileSync(new URL(`${folder}/${name}`, STATIC), "utf8").matchAll(/\bt\("(\w+)"/g)]),
  );
  assert.ok(asked.length > 50);
  for (const [, key] of asked) assert.ok(Object.hasOwn(en, key), key);
});

test("the first language that both sides know is spoken, with the reader's own numbers", () => {
  assert.deepEqual(choose(["ar-EG", "en"]), { language: "ar", locale: "ar-EG" });
  assert.deepEqual(choose(["zh-CN", "pt-BR", "en"]), { language: "pt", locale: "pt-BR" });
  assert.deepEqual(choose(["ja"]), { language: "en", locale: "en" });
  assert.deepEqual(choose([]), { language: "en", locale: "en" });
});

test("a day is named as people name it", () => {
  const now = new Date(2026, 10, 21, 0, 30);
  assert.equal(day(new Date(2026, 10, 21, 0, 1), now), "Today");
  assert.equal(day(new Date(2026, 10, 20, 23, 59), now), "Yesterday");
  assert.match(day(new Date(2026, 10, 19, 12), now), /Thursday/);
  assert.match(day(new Date(2025, 10, 20, 12), now), /2025/);
});
