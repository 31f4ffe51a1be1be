// Where the pages get their token. Run by test_session.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { choose, cookieValue, isFresh, safeNext, session, SignInError } from "../../web/static/session.js";

const HERE = "https://hub.example.org";
const APP = "https://app.example.org";

/** Make a token that nobody has signed. */
function token(claims = {}) {
  const now = Date.now() / 1000;
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({})}.${part({ sub: "user_maria", name: "María", tenant_id: "t1", iat: now, exp: now + 3600, ...claims })}.x`;
}

/** A window, as far as a session needs one; its time passes at once. */
class Page extends EventTarget {
  #now = 0;
  #last = 0;
  #ticking = false;

  constructor({ address = `${HERE}/admin`, cookie = "", parent = null, answers = [] } = {}) {
    super();
    this.parent = parent ?? this;
    this.document = { cookie };
    this.location = { href: address, replace: (to) => this.left(to) };
    this.gone = new Promise((resolve) => (this.left = resolve));
    this.kept = new Map();
    this.sessionStorage = {
      getItem: (key) => this.kept.get(key) ?? null,
      setItem: (key, value) => this.kept.set(key, value),
      removeItem: (key) => this.kept.delete(key),
      clear: () => this.kept.clear(),
    };
    this.answers = answers;
    this.requests = [];
    this.timers = new Map();
  }

  async fetch(address, options) {
    this.requests.push([address, options]);
    const answer = this.answers.shift();
    if (answer instanceof Error) throw answer;
    return { ok: answer.status === 200, status: answer.status, json: async () => answer.body };
  }

  setTimeout(call, ms, ...values) {
    return this.#set("timeout", () => call(...values), ms);
  }

  clearTimeout(id) {
    this.timers.delete(id);
  }

  setInterval(call, ms) {
    return this.#set("interval", call, ms);
  }

  clearInterval(id) {
    this.timers.delete(id);
  }

  // Time stands still while anything happens, and then goes on to the next timer.

  #set(kind, call, ms) {
    this.#last += 1;
    this.timers.set(this.#last, { kind, call, ms, at: this.#now + ms });
    this.#wind();
    return this.#last;
  }

  #wind() {
    if (this.#ticking || this.timers.size === 0) return;
    this.#ticking = true;
    setImmediate(() => this.#tick());
  }

  #tick() {
    this.#ticking = false;
    if (this.timers.size === 0) return;
    const [[id, timer]] = [...this.timers].sort(([, a], [, b]) => a.at - b.at);
    this.#now = timer.at;
    if (timer.kind === "interval") timer.at += timer.ms;
    else this.timers.delete(id);
    timer.call();
    this.#wind();
  }

  hear(data, origin, source = this.parent) {
    this.dispatchEvent(Object.assign(new Event("message"), { data, origin, source }));
  }
}

/** The app around a page: what it was asked, and how it answers. */
function app(answer = () => {}) {
  const asked = [];
  return { asked, postMessage: (data, origin) => (asked.push([data, origin]), answer(data, origin)) };
}

const dev = { dev: true, origins: [], cookie: "__session" };
const embedding = { dev: false, origins: [APP, "https://other.example"], cookie: "__session" };
const standalone = { dev: false, origins: [], cookie: "__session" };
const minted = (text) => ({ status: 200, body: { token: text } });
const signedOut = (error) => error instanceof SignInError && error.code === "signed_out";

// Development.

test("the identity in the address holds for this page alone", async () => {
  const page = new Page({ address: `${HERE}/admin?as=priya`, answers: [minted("t")] });
  choose("ravi", page);
  const mine = session(dev, page);
  assert.equal(await mine.token(), "t");
  assert.equal(mine.identity, "priya");
  assert.deepEqual(page.requests.map(([address, options]) => [address, options.body]), [["/dev/tokens", '{"identity":"priya"}']]);
  assert.deepEqual([...page.kept.values()], ["ravi"]);
});

test("the identity that was chosen holds for the tab", async () => {
  const page = new Page({ answers: [minted("t")] });
  choose("sam", page);
  assert.equal(await session(dev, page).token(), "t");
  assert.equal(page.requests[0][1].body, '{"identity":"sam"}');
});

test("whoever has not chosen is sent to the sign-in, and comes back", async () => {
  const page = new Page({ address: `${HERE}/admin/cases/c1?x=1` });
  session(dev, page).token();
  assert.equal(await page.gone, "/sign-in?next=%2Fadmin%2Fcases%2Fc1%3Fx%3D1");
});

test("who signs out chooses anew", async () => {
  const page = new Page({ address: `${HERE}/admin?as=priya` });
  choose("ravi", page);
  session(dev, page).signOut();
  assert.equal(await page.gone, "/sign-in?next=%2Fadmin");
  assert.equal(page.kept.size, 0);
});

test("a token is asked for again in the second half of its life, or when it was refused", async () => {
  const now = Date.now() / 1000;
  const [young, old] = [token(), token({ iat: now - 3000, exp: now + 600 })];
  const page = new Page({ address: `${HERE}/?as=maria`, answers: [minted(old), minted(young), minted("next")] });
  const mine = session(dev, page);
  assert.equal(await mine.token(), old);
  assert.equal(await mine.token(), young);
  assert.equal(await mine.token(), young);
  assert.equal(await mine.token({ renew: true }), "next");
  assert.equal(page.requests.length, 3);
});

test("whoever asks meanwhile gets the same token", async () => {
  const page = new Page({ address: `${HERE}/?as=maria`, answers: [minted("t")] });
  const mine = session(dev, page);
  assert.deepEqual(await Promise.all([mine.token(), mine.token()]), ["t", "t"]);
});

test("while the hub is down the last token is good enough, unless it was refused", async () => {
  const now = Date.now() / 1000;
  const old = token({ iat: now - 3000, exp: now + 600 });
  const down = [new TypeError("x"), { status: 503, body: {} }, new TypeError("x")];
  const page = new Page({ address: `${HERE}/?as=maria`, answers: [minted(old), ...down] });
  const mine = session(dev, page);
  assert.equal(await mine.token(), old);
  assert.equal(await mine.token(), old);
  assert.equal(await mine.token(), old);
  await assert.rejects(mine.token({ renew: true }), (error) => error.code === "unreachable");
});

test("an identity that is not there is told with the hub's words", async () => {
  const refused = { status: 422, body: { error: { message: "Nobody of that name." } } };
  const page = new Page({ address: `${HERE}/?as=eve`, answers: [refused] });
  await assert.rejects(session(dev, page).token(), (error) => signedOut(error) && error.message === "Nobody of that name.");
});

test("who it is stands in the token", async () => {
  const page = new Page({ address: `${HERE}/?as=maria`, answers: [minted(token())] });
  const mine = session(dev, page);
  assert.equal(mine.who, null);
  await mine.token();
  assert.deepEqual([mine.who.subject, mine.who.name, mine.who.role, mine.who.tenant], ["user_maria", "María", "patient", "t1"]);
});

test("where another person is signed in, the page begins anew and is given nothing", async () => {
  const page = new Page({ cookie: `__session=${token()}` });
  page.document.documentElement = { hidden: false };
  const mine = session(standalone, page);
  await mine.token();
  page.document.cookie = `__session=${token({ sub: "user_amina", exp: 1 })}`;
  const begun = new Promise((resolve) => (page.location.reload = resolve));
  mine.token({ renew: true }).then(() => assert.fail("a token of another person"));
  await begun;
  assert.equal(page.document.documentElement.hidden, true);
  assert.equal(mine.who.subject, "user_maria");
});

// Embedded.

test("the app around a page is asked for a token, and told whether the last one was refused", async () => {
  const parent = app((data, origin) => origin === APP && queueMicrotask(() => page.hear({ type: "curaway:token", token: "t" }, APP)));
  const page = new Page({ parent });
  const mine = session(embedding, page);
  assert.equal(await mine.token(), "t");
  assert.equal(await mine.token({ renew: true }), "t");
  assert.deepEqual(parent.asked.slice(0, 2), [
    [{ type: "curaway:token-request", renew: false }, APP],
    [{ type: "curaway:token-request", renew: false }, "https://other.example"],
  ]);
  assert.deepEqual(parent.asked.at(-1)[0], { type: "curaway:token-request", renew: true });
  assert.equal(mine.signOut, null);
  assert.equal(page.timers.size, 0);
});

test("a page within another site may be let keep nothing", async () => {
  const parent = app(() => queueMicrotask(() => page.hear({ type: "curaway:token", token: "t" }, APP)));
  const page = new Page({ parent });
  Object.defineProperty(page, "sessionStorage", { get: () => assert.fail("denied") });
  assert.equal(await session({ ...embedding, dev: true }, page).token(), "t");
  choose("maria", page);
});

test("only the parent is asked where the browser tells who that is", async () => {
  const parent = app(() => queueMicrotask(() => page.hear({ type: "curaway:token", token: "t" }, APP)));
  const page = new Page({ parent });
  page.location.ancestorOrigins = [APP];
  await session(embedding, page).token();
  assert.deepEqual(parent.asked.map(([, origin]) => origin), [APP]);
});

test("nobody else is believed", async () => {
  const parent = app();
  const page = new Page({ parent });
  const asking = session(embedding, page).token();
  page.hear({ type: "curaway:token", token: "evil" }, "https://evil.example");
  page.hear({ type: "curaway:token", token: "evil" }, APP, {});
  page.hear({ type: "other", token: "evil" }, APP);
  page.hear(null, APP);
  page.hear({ type: "curaway:token", token: "mine" }, APP);
  assert.equal(await asking, "mine");
});

test("an app that is still loading is asked again", async () => {
  const parent = app(() => parent.asked.length > 4 && queueMicrotask(() => page.hear({ type: "curaway:token", token: "t" }, APP)));
  const page = new Page({ parent });
  assert.equal(await session(embedding, page).token(), "t");
});

for (const answer of [null, "", 7, undefined]) {
  test(`an app that brings ${JSON.stringify(answer)} has signed the person out`, async () => {
    const parent = app(() => queueMicrotask(() => page.hear({ type: "curaway:token", token: answer }, APP)));
    const page = new Page({ parent, cookie: "__session=of somebody else" });
    await assert.rejects(session(embedding, page).token(), signedOut);
    assert.equal(page.timers.size, 0);
  });
}

test("after ten seconds without an answer the cookie is looked at, and then nobody is signed in", async () => {
  await assert.rejects(session(embedding, new Page({ parent: app() })).token(), signedOut);
  const page = new Page({ parent: app(), cookie: "__session=t" });
  assert.equal(await session(embedding, page).token(), "t");
});

test("a page that no app may embed asks no parent", async () => {
  const parent = app();
  const page = new Page({ parent, cookie: "__session=t" });
  assert.equal(await session(standalone, page).token(), "t");
  assert.deepEqual(parent.asked, []);
});

// The cookie of the identity provider.

test("the cookie is read anew each time", async () => {
  const page = new Page({ cookie: "a=1; __session=one" });
  const mine = session(standalone, page);
  assert.equal(await mine.token(), "one");
  page.document.cookie = "__session=two";
  assert.equal(await mine.token(), "two");
  assert.equal(page.requests.length, 0);
});

test("a token that was refused is waited for to be replaced", async () => {
  const page = new Page({ cookie: "__session=one" });
  const mine = session(standalone, page);
  await mine.token();
  page.setTimeout(() => (page.document.cookie = "__session=two"), 1_200);
  assert.equal(await mine.token({ renew: true }), "two");
  await assert.rejects(mine.token({ renew: true }), signedOut);
});

test("without a cookie nobody is signed in", async () => {
  await assert.rejects(session(standalone, new Page()).token(), signedOut);
  await assert.rejects(session(standalone, new Page({ cookie: "__session=" })).token(), signedOut);
});

for (const [cookies, name, value] of [
  ["__session=a.b.c", "__session", "a.b.c"],
  ["x=1; __session=a=b==; y=2", "__session", "a=b=="],
  ["x__session=1; __session2=2", "__session", null],
  ["__session", "__session", null],
  ["", "__session", null],
  ["__proto__=x", "__proto__", "x"],
]) {
  test(`${name} of ${JSON.stringify(cookies)} is ${value}`, () => assert.equal(cookieValue(cookies, name), value));
}

// Where to go on.

for (const next of [
  "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example",
  "javascript:alert(1)", " javascript:alert(1)", "https://evil.example/", "data:text/html,x", "evil", "",
  "/./\\/evil.example", "/..//evil.example", "/.//evil.example", "//", "///evil.example", "/%5c/../\\evil", null,
]) {
  test(`a sign-in never leads to ${JSON.stringify(next)}`, () => {
    assert.equal(safeNext(next, HERE, "/otherwise"), "/otherwise");
  });
}

for (const next of ["/", "/admin", "/admin/cases/c1?x=1#y", "/cases/a%20b"]) {
  test(`a sign-in leads back to ${next}`, () => assert.equal(safeNext(next, HERE, "/otherwise"), next));
}

test("what is no token is never fresh", () => {
  for (const text of ["", "a.b.c", "a", token({ exp: "x" })]) assert.equal(isFresh(text, Date.now()), false);
});
