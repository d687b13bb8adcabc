// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox, newClientId } from "../outbox.js";
import { fakeStorage } from "./fakes.js";

/** @param {ReturnType<typeof fakeStorage>} storage */
function outbox(storage, username = "alice") {
  let ids = 0;
  return new Outbox(storage, username, () => `id-${(ids += 1)}`);
}

test("the oldest is next, and refused ones are passed over", () => {
  const box = outbox(fakeStorage());
  box.add("one");
  box.add("two");
  assert.equal(box.next?.text, "one");
  box.refuse("id-1", "Too long.");
  assert.equal(box.next?.text, "two");
  box.remove("id-2");
  assert.equal(box.next, undefined);
  box.retry("id-1");
  assert.deepEqual(box.next, { client_id: "id-1", text: "one", attempts: 0, refusal: null, id: null });
});

test("it outlives a reload, each user's apart", () => {
  const storage = fakeStorage();
  const before = outbox(storage);
  before.add("  exactly\nas typed ");
  before.add("refused");
  before.refuse("id-2", "Too long.");
  const after = outbox(storage);
  assert.deepEqual(after.pending, before.pending);
  assert.deepEqual(outbox(storage, "bob").pending, []);
  after.clear();
  assert.deepEqual(outbox(storage).pending, []);
  assert.equal(storage.values.size, 0);
});

test("a full or spoiled storage does no harm", () => {
  const storage = fakeStorage();
  storage.setItem("lambda-chat.outbox.alice", '[1, {"client_id":"a"}, {"client_id":"b","text":"kept"}]');
  assert.deepEqual(outbox(storage).pending.map(({ text }) => text), ["kept"]);
  storage.setItem("lambda-chat.outbox.alice", "{");
  const box = new Outbox({ ...storage, setItem: () => { throw new Error("QuotaExceededError"); } }, "alice");
  box.add("in memory");
  assert.equal(box.next?.text, "in memory");
});

test("ids are unique and 1 to 64 characters, with or without randomUUID", () => {
  const getRandomValues = crypto.getRandomValues.bind(crypto);
  const insecure = /** @type {Crypto} */ (/** @type {unknown} */ ({ getRandomValues }));
  const ids = Array.from({ length: 200 }, (_, i) => (i % 2 ? newClientId() : newClientId(insecure)));
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[0-9a-f-]{32,36}$/);
});
