import assert from "node:assert/strict";
import { test } from "node:test";

import { EventStreamParser, NoStream, readEventStream } from "../../../web/static/client/sse.js";

const bytesOf = (text) => (typeof text === "string" ? new TextEncoder().encode(text) : text);

function parse(...chunks) {
  const events = [];
  const retries = [];
  const parser = new EventStreamParser((event) => events.push(event), (ms) => retries.push(ms));
  for (const chunk of chunks) parser.push(bytesOf(chunk));
  return { events, retries, last: parser.lastEventId };
}

const datas = (...chunks) => parse(...chunks).events.map(({ data }) => data);

// Streams and what WHATWG HTML 9.2.6 makes of them: [type, data, last event id] each.
const CASES = [
  ["a message", "data: YHOO\ndata: +2\ndata: 10\n\n", [["message", "YHOO\n+2\n10", ""]]],
  [
    "the four blocks of the standard",
    ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
    [["message", "first event", "1"], ["message", "second event", ""], ["message", " third event", ""]],
  ],
  ["the empty events of the standard", "data\n\ndata\ndata\n\ndata:", [["message", "", ""], ["message", "\n", ""]]],
  ["one space and no space alike", "data:test\n\ndata: test\n\n", [["message", "test", ""], ["message", "test", ""]]],
  ["CR alone", "data: a\rdata: b\r\r", [["message", "a\nb", ""]]],
  ["CRLF", "data: a\r\ndata: b\r\n\r\n", [["message", "a\nb", ""]]],
  ["a mixture", "data: a\rdata: b\ndata: c\r\n\ndata: d\r\n\r", [["message", "a\nb\nc", ""], ["message", "d", ""]]],
  ["LF CR, which are two ends", "data: a\n\rdata: b\n\n", [["message", "a", ""], ["message", "b", ""]]],
  ["a byte order mark", "\ufeffdata: a\n\n", [["message", "a", ""]]],
  ["a second one, which is text", "\ufeff\ufeffdata: a\n\ndata: b\n\n", [["message", "b", ""]]],
  ["a byte order mark within", "data: \ufeffa\n\n", [["message", "\ufeffa", ""]]],
  ["characters of two, three and four bytes", "data: é漢😀\n\n", [["message", "é漢😀", ""]]],
  ["line ends of Unicode, which are none", "data: a\u2028b\u2029c\u0085d\v\f\n\n", [["message", "a\u2028b\u2029c\u0085d\v\f", ""]]],
  ["an event without data, whose name is forgotten", "event: x\n\ndata: a\n\n", [["message", "a", ""]]],
  ["a named event", "event: x\ndata: a\n\ndata: b\n\n", [["x", "a", ""], ["message", "b", ""]]],
  ["an empty name", "event: x\nevent:\ndata: a\n\n", [["message", "a", ""]]],
  ["an id that stays", "id: 7\ndata: a\n\ndata: b\n\n", [["message", "a", "7"], ["message", "b", "7"]]],
  ["an id without data", "id: 7\n\ndata: b\n\n", [["message", "b", "7"]]],
  ["an id with NUL, which is ignored", "id: 7\ndata: a\n\nid: 8\0\ndata: b\n\n", [["message", "a", "7"], ["message", "b", "7"]]],
  ["an id that is taken back", "id: 7\ndata: a\n\nid\ndata: b\n\n", [["message", "a", "7"], ["message", "b", ""]]],
  ["comments", ":\n: x\ndata: a\n:y\n\n", [["message", "a", ""]]],
  ["unknown fields, and known ones in capitals", "foo: x\nDATA: x\n data: x\ndata : x\ndata: a\n\n", [["message", "a", ""]]],
  ["colons in the value", "data: a:b: c\n\n", [["message", "a:b: c", ""]]],
  ["an event that never ended", "data: a\n\ndata: b\n", [["message", "a", ""]]],
  ["an event whose last line never ended", "data: a\n\ndata: b", [["message", "a", ""]]],
  ["nothing at all", "", []],
];

for (const [what, stream, expected] of CASES) {
  test(`${what}: the same however the bytes are cut`, () => {
    const bytes = bytesOf(stream);
    const wanted = expected.map(([type, data, lastEventId]) => ({ type, data, lastEventId }));
    assert.deepEqual(parse(bytes).events, wanted);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const { events } = parse(bytes.slice(0, cut), bytes.slice(cut));
      assert.deepEqual(events, wanted, `cut at ${cut}`);
    }
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 1) {
        const { events } = parse(bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second));
        assert.deepEqual(events, wanted, `cut at ${first} and ${second}`);
      }
    }
    assert.deepEqual(parse(...Array.from(bytes, (byte) => Uint8Array.of(byte))).events, wanted);
  });
}

test("an event is given as soon as its empty line is there, even if that ends in CR", () => {
  assert.deepEqual(datas("data: a\r\r"), ["a"]);
  assert.deepEqual(datas("data: a\r\r", "\ndata: b\r", "\r"), ["a", "b"]);
});

test("what is not UTF-8 becomes the replacement character, also where it is cut", () => {
  const bytes = Uint8Array.of(...bytesOf("data: "), 0xe6, 0xbc, ...bytesOf("x\n\n"));
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    assert.deepEqual(datas(bytes.slice(0, cut), bytes.slice(cut)), ["\ufffdx"]);
  }
});

test("only a retry of digits counts", () => {
  const { retries } = parse("retry: 10\nretry: 1x\nretry: -1\nretry:\nretry: 1.5\nretry:250\n\n");
  assert.deepEqual(retries, [10, 250]);
});

test("the last event id is that of the last whole block, with or without data", () => {
  assert.equal(parse("id: 1\ndata: a\n\nid: 2\n\nid: 3\ndata: c\n").last, "2");
});

test("a line of a million characters in small pieces takes no longer than one", () => {
  const piece = bytesOf("x".repeat(16));
  let length = 0;
  const parser = new EventStreamParser(({ data }) => (length = data.length));
  const began = performance.now();
  parser.push(bytesOf("data: "));
  for (let i = 0; i < 65_536; i += 1) parser.push(piece);
  parser.push(bytesOf("\n\n"));
  assert.equal(length, 1_048_576);
  assert.ok(performance.now() - began < 2_000);
});

const answer = (body, init = {}) =>
  new Response(body, { headers: { "Content-Type": "text/event-stream" }, ...init });

test("a stream is read to its end, and every piece of it is a sign of life", async () => {
  const events = [];
  let heard = 0;
  const body = new ReadableStream({
    start(controller) {
      for (const text of [": ping\n\n", "data: a\n", "\n"]) controller.enqueue(bytesOf(text));
      controller.close();
    },
  });
  const parser = new EventStreamParser((event) => events.push(event.data));
  await readEventStream(answer(body), parser, () => (heard += 1));
  assert.deepEqual(events, ["a"]);
  assert.equal(heard, 3);
});

for (const [what, response] of [
  ["another type", answer("data: a\n\n", { headers: { "Content-Type": "text/html" } })],
  ["no type", answer(new Uint8Array(), { headers: {} })],
  ["another status", answer("data: a\n\n", { status: 503 })],
  ["no content", answer(null, { status: 204 })],
]) {
  test(`${what} is no stream`, async () => {
    const parser = new EventStreamParser(() => assert.fail());
    await assert.rejects(readEventStream(response, parser), NoStream);
  });
}

test("a type with parameters, or in capitals, is a stream", async () => {
  for (const type of ["text/event-stream;charset=utf-8", "Text/Event-Stream ; x=y"]) {
    const response = answer("data: a\n\n", { headers: { "Content-Type": type } });
    await readEventStream(response, new EventStreamParser(() => {}));
  }
});
