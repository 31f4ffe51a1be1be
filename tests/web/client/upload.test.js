import assert from "node:assert/strict";
import { File } from "node:buffer";
import { test } from "node:test";

import { World } from "./world.js";

globalThis.File ??= File;

/** A hub that takes files and loses the answers that it is told to lose. */
function files(world) {
  const sent = [];
  const lost = [];
  const fetch = async (url, { headers, body }) => {
    const path = new URL(url).pathname;
    sent.push([path, headers["Idempotency-Key"], body]);
    if (lost.includes(path)) throw new TypeError("The line is cut.");
    return new Response(JSON.stringify({ id: "upload_1", name: "a.pdf" }), { status: 201 });
  };
  const { client } = world.open({ environment: { ...world.environment(world.open().page), fetch } });
  return { client, sent, lost };
}

const keys = (sent) => sent.filter(([path]) => path.endsWith("/uploads")).map(([, key]) => key);

for (const path of ["/api/v1/uploads", "/api/v1/uploads/confirm"]) {
  test(`a file whose answer from ${path} was lost is sent again with its key`, async () => {
    const { client, sent, lost } = files(new World());
    const file = new File(["%PDF-"], "a.pdf", { type: "application/pdf" });
    lost.push(path);
    await assert.rejects(client.upload(file), { code: "unavailable" });
    lost.pop();
    assert.equal((await client.upload(file)).id, "upload_1");
    const [first, second] = keys(sent);
    assert.ok(first);
    assert.equal(second, first);
    await client.upload(file);
    assert.notEqual(keys(sent)[2], first);
  });
}

test("the case stands before the file, and what was sent is confirmed", async () => {
  const { client, sent } = files(new World());
  await client.upload(new File(["%PDF-"], "a.pdf", { type: "application/pdf" }));
  const [[, , form], [path, , confirmation]] = sent;
  assert.deepEqual([...form.keys()], ["case", "file"]);
  assert.equal(path, "/api/v1/uploads/confirm");
  assert.deepEqual(JSON.parse(confirmation), { case: client.case, id: "upload_1" });
});
