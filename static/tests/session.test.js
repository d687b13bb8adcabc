// @ts-check
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SESSION_KEY, Session, claimsOf, expiresWithin, openStorage } from "../session.js";
import { fakeStorage, fakeToken, fakeTokens } from "./fakes.js";

/** @param {Session} session */
function reasons(session) {
  /** @type {string[]} */
  const heard = [];
  session.addEventListener("change", (event) => heard.push(/** @type {CustomEvent} */ (event).detail.reason));
  return heard;
}

test("a session begins, is renewed silently, and ends", () => {
  const storage = fakeStorage();
  const session = new Session(storage);
  const heard = reasons(session);
  assert.equal(session.username, null);

  const first = fakeTokens(1);
  session.begin(first);
  assert.equal(session.username, "alice");
  assert.deepEqual(JSON.parse(storage.values.get(SESSION_KEY) ?? ""), first);

  const second = fakeTokens(2);
  session.renew(first, second);
  assert.deepEqual(session.tokens, second);

  session.end("expired");
  assert.equal(session.tokens, null);
  assert.deepEqual(heard, ["signed-in", "expired"]);
});

test("a renewal that comes after the end revives nothing", () => {
  const session = new Session(fakeStorage());
  const first = fakeTokens(1);
  session.begin(first);
  session.end("signed-out");
  session.renew(first, fakeTokens(2));
  assert.equal(session.tokens, null);
});

test("another tab's sign-in and sign-out are followed", () => {
  const storage = fakeStorage();
  const here = new Session(storage);
  const there = new Session(storage);
  const heard = reasons(here);

  there.begin(fakeTokens(1));
  here.storageChanged({ key: SESSION_KEY });
  there.renew(fakeTokens(1), fakeTokens(2));
  here.storageChanged({ key: SESSION_KEY });
  here.storageChanged({ key: "something else" });
  there.end("signed-out");
  there.begin(fakeTokens(3, { sub: "bob" }));
  here.storageChanged({ key: SESSION_KEY });
  storage.values.clear();
  here.storageChanged({ key: null });
  assert.deepEqual(heard, ["elsewhere", "elsewhere", "elsewhere"]);
  assert.equal(here.username, null);
});

test("a change of which no event has come is found by a look", () => {
  const storage = fakeStorage();
  const here = new Session(storage);
  const there = new Session(storage);
  const heard = reasons(here);

  assert.equal(here.check(), false);
  there.begin(fakeTokens(1));
  assert.equal(here.check(), true);
  there.renew(fakeTokens(1), fakeTokens(2));
  assert.equal(here.check(), false);
  there.begin(fakeTokens(3, { sub: "bob" }));
  assert.equal(here.check(), true);
  storage.values.clear();
  assert.equal(here.check(), true);
  here.storageChanged({ key: null });
  assert.deepEqual(heard, ["elsewhere", "elsewhere", "elsewhere"]);
});

describe("what is not a session is none", () => {
  for (const stored of ["", "{", "null", "[]", '{"access_token":"a.b.c","refresh_token":"r"}', '{"access_token":1}']) {
    test(stored, () => {
      const storage = fakeStorage();
      storage.setItem(SESSION_KEY, stored);
      assert.equal(new Session(storage).username, null);
    });
  }
});

test("claims are read as UTF-8 from base64url", () => {
  assert.deepEqual(claimsOf(fakeToken({ sub: "zoë>?~" })), { sub: "zoë>?~" });
  assert.equal(claimsOf("no token"), null);
});

describe("a token's end", () => {
  /** @type {[number, number, boolean][]} */
  const cases = [[900, 60, false], [61, 60, false], [59, 60, true], [0, 0, true], [-10, 0, true]];
  for (const [lifeSecs, withinSecs, expected] of cases) {
    test(`${lifeSecs} s left, within ${withinSecs} s`, () => {
      assert.equal(expiresWithin(fakeTokens(1, { lifeSecs: lifeSecs + (expected ? 0 : 1) }), withinSecs), expected);
    });
  }
  test("is unknown without exp", () => {
    assert.equal(expiresWithin({ access_token: fakeToken({}), refresh_token: "" }, 60), false);
  });
});

test("a forbidden storage is replaced by memory", () => {
  const storage = openStorage(() => {
    throw new Error("SecurityError");
  });
  storage.setItem("a", "1");
  assert.equal(storage.getItem("a"), "1");
  storage.removeItem("a");
  assert.equal(storage.getItem("a"), null);
});
