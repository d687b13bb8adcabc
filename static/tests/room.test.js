// @ts-check
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Unreachable } from "../api.js";
import { Outbox } from "../outbox.js";
import { ATTEMPTS_MAX, ECHO_WITHIN_MS, Room } from "../room.js";
import { fakeStorage, settle } from "./fakes.js";

/** @param {number} id */
const message = (id, username = "bob", client_id = /** @type {string | undefined} */ (undefined)) => ({
  id, username, text: `text ${id}`, sent_at: "2026-11-23T10:15:43.377Z", client_id,
});

class FakeSocket extends EventTarget {
  state = "connecting";
  isOpen = false;
  /** @type {any[]} */
  sent = [];
  start() {}
  stop() {}

  /** @param {any} frame */
  send(frame) {
    if (this.isOpen) this.sent.push(frame);
    return this.isOpen;
  }

  open() {
    this.isOpen = true;
    this.dispatchEvent(new Event("open"));
  }

  close() {
    this.isOpen = false;
    this.dispatchEvent(new Event("close"));
  }

  /** @param {any} frame */
  frame(frame) {
    this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
  }
}

function setUp() {
  const socket = new FakeSocket();
  /** What the server has stored. @type {ReturnType<typeof message>[]} */
  const stored = [];
  /** @type {object[]} */
  const asked = [];
  let failing = false;
  const api = {
    /** @param {{limit: number, before?: number, after?: number}} cursor */
    async messages({ limit, before, after }) {
      asked.push({ limit, before, after });
      if (failing) throw new Unreachable();
      if (after !== undefined) return stored.filter(({ id }) => id > after).slice(0, limit);
      return stored.filter(({ id }) => before === undefined || id < before).slice(-limit);
    },
  };
  let ids = 0;
  const outbox = new Outbox(fakeStorage(), "alice", () => `c${(ids += 1)}`);
  const room = new Room({ api, socket: /** @type {any} */ (socket), outbox, username: "alice", random: () => 1 });
  room.start();
  return {
    socket, stored, asked, room,
    /** @param {boolean} value */
    fail: (value) => { failing = value; },
    shown: () => room.messages.map(({ id }) => id),
    sends: () => socket.sent.map(({ client_id }) => client_id),
    /** @param {number} count */
    store: (count) => { for (let i = 0; i < count; i += 1) stored.push(message(stored.length + 1)); },
  };
}

/** @param {number} ms */
async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

/** @param {number} count */
const upTo = (count, from = 1) => Array.from({ length: count - from + 1 }, (_, i) => from + i);

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

test("nothing is fetched before the socket is open; then the newest page, later what is newer", async () => {
  const { socket, asked, shown, store } = setUp();
  store(60);
  await settle();
  assert.deepEqual(asked, []);
  socket.open();
  await settle();
  assert.deepEqual(shown(), upTo(60, 11));
  socket.close();
  store(450);
  socket.open();
  await settle();
  assert.deepEqual(shown(), upTo(510, 11));
  assert.deepEqual(asked, [
    { limit: 50, before: undefined, after: undefined },
    { limit: 200, before: undefined, after: 60 },
    { limit: 200, before: undefined, after: 260 },
    { limit: 200, before: undefined, after: 460 },
  ]);
});

test("a gap in the live messages is fetched", async () => {
  const { socket, asked, shown, store } = setUp();
  store(16);
  socket.open();
  await settle();
  store(2);
  socket.frame({ type: "message", ...message(18) });
  assert.deepEqual(shown(), upTo(16));
  await settle();
  assert.deepEqual(shown(), upTo(18));
  assert.deepEqual(asked.at(-1), { limit: 200, before: undefined, after: 16 });
});

test("a gap that cannot be filled does not hold up the rest for ever", async () => {
  const { socket, shown, store } = setUp();
  store(2);
  socket.open();
  await settle();
  socket.frame({ type: "message", ...message(4) });
  await settle();
  assert.deepEqual(shown(), [1, 2]);
  for (let i = 0; i < 3; i += 1) await pass(30_000);
  assert.deepEqual(shown(), [1, 2, 4]);
});

test("a fetch that fails is repeated", async () => {
  const { socket, room, shown, store, fail } = setUp();
  store(3);
  fail(true);
  socket.open();
  await settle();
  assert.equal(room.catchUpFailed, true);
  fail(false);
  await pass(1_000);
  assert.equal(room.catchUpFailed, false);
  assert.deepEqual(shown(), [1, 2, 3]);
});

test("older pages come before, once each", async () => {
  const { socket, room, asked, shown, store, fail } = setUp();
  store(120);
  socket.open();
  await settle();
  await Promise.all([room.loadOlder(), room.loadOlder()]);
  assert.deepEqual(shown(), upTo(120, 21));
  fail(true);
  await room.loadOlder();
  assert.equal(room.olderFailed, true);
  fail(false);
  await room.loadOlder();
  await room.loadOlder();
  assert.deepEqual(shown(), upTo(120));
  assert.equal(room.hasOlder, false);
  assert.equal(asked.length, 4);
});

test("sends go one at a time, in order, each until its echo", async () => {
  const { socket, room, sends } = setUp();
  room.send("one");
  room.send("two");
  assert.deepEqual(sends(), []);
  socket.open();
  await settle();
  assert.deepEqual(socket.sent, [{ action: "send", text: "one", client_id: "c1" }]);
  socket.frame({ type: "message", ...message(1, "bob", "c1") });
  assert.equal(room.pending.length, 2, "another user's id is not ours");
  socket.frame({ type: "message", ...message(2, "alice", "c1") });
  assert.deepEqual(sends(), ["c1", "c2"]);
  assert.deepEqual(room.pending.map(({ text }) => text), ["two"]);
});

test("a send without an echo is repeated under the same id: later, and after a reconnect", async () => {
  const { socket, room, sends } = setUp();
  socket.open();
  room.send("one");
  await pass(ECHO_WITHIN_MS);
  assert.deepEqual(sends(), ["c1", "c1"]);
  socket.close();
  socket.open();
  assert.deepEqual(sends(), ["c1", "c1", "c1"]);
});

test("a page that shows the message acknowledges it, too", async () => {
  const { socket, room, stored } = setUp();
  socket.open();
  await settle();
  room.send("one");
  stored.push(message(1, "alice", "c1"));
  socket.close();
  socket.open();
  await settle();
  assert.equal(room.pending.length, 0);
  assert.equal(room.messages.length, 1);
});

test("what has arrived stays pending until the room shows it, and holds nothing up", async () => {
  const { socket, room, stored, sends, shown, store, fail } = setUp();
  store(2);
  fail(true);
  socket.open();
  await settle();
  room.send("one");
  room.send("two");
  stored.push(message(3, "alice", "c1"));
  socket.frame({ type: "message", ...message(3, "alice", "c1") });
  assert.deepEqual(sends(), ["c1", "c2"]);
  assert.deepEqual(room.pending.map(({ text }) => text), ["one", "two"], "history is not loaded yet");
  assert.equal(room.unsent, 1);
  await pass(ECHO_WITHIN_MS);
  assert.deepEqual(sends(), ["c1", "c2", "c2"]);
  fail(false);
  await pass(30_000);
  assert.deepEqual(shown(), [1, 2, 3]);
  assert.deepEqual(room.pending.map(({ text }) => text), ["two"]);
  socket.frame({ type: "message", ...message(5, "alice", "c2") });
  await settle();
  assert.deepEqual(room.pending.map(({ text }) => text), ["two"], "a gap is open");
  assert.equal(room.unsent, 0);
  for (let i = 0; i < 3; i += 1) await pass(30_000);
  assert.deepEqual(shown(), [1, 2, 3, 5]);
  assert.equal(room.pending.length, 0);
});

test("a refused send leaves the queue, and its text is kept until the view takes it", async () => {
  const { socket, room, sends } = setUp();
  /** @type {object[]} */
  const refused = [];
  room.addEventListener("refused", (event) => refused.push(/** @type {CustomEvent} */ (event).detail));
  socket.open();
  room.send("one");
  room.send("two");
  socket.frame({ type: "error", code: "text_too_long", detail: "Too long.", client_id: "c1" });
  assert.deepEqual(refused, [{ client_id: "c1", text: "one", reason: "Too long." }]);
  assert.deepEqual(sends(), ["c1", "c2"]);
  assert.equal(room.pending[0].refusal, "Too long.");
  room.discard("c1");
  assert.deepEqual(room.pending.map(({ text }) => text), ["two"]);
});

test("the gateway's own error frame repeats the send soon", async () => {
  const { socket, room, sends } = setUp();
  socket.open();
  room.send("one");
  socket.frame({ message: "Internal server error", connectionId: "c=", requestId: "r=" });
  await pass(2_000);
  assert.deepEqual(sends(), ["c1", "c1"]);
});

for (const code of ["unavailable", "internal", "rate_limited"]) {
  for (const client_id of ["c1", undefined]) {
    test(`${code} ${client_id ? "with" : "without"} a client_id repeats the send under the same id`, async () => {
      const { socket, room, sends } = setUp();
      room.addEventListener("refused", () => assert.fail("it is not refused"));
      socket.open();
      room.send("one");
      for (let i = 1; i < ATTEMPTS_MAX; i += 1) {
        socket.frame({ type: "error", code, detail: "In a moment.", client_id });
        await pass(30_000);
      }
      assert.deepEqual(sends(), Array(ATTEMPTS_MAX).fill("c1"));
      socket.frame({ type: "error", code, detail: "In a moment.", client_id: "c9" });
      socket.frame({ type: "message", ...message(1, "alice", "c1") });
      assert.equal(room.pending.length, 0);
      assert.equal(room.notice, "");
    });
  }
}

test("after many tries without an answer it is the user's turn", async () => {
  const { socket, room, sends } = setUp();
  socket.open();
  room.send("one");
  room.send("two");
  for (let i = 0; i < ATTEMPTS_MAX; i += 1) await pass(ECHO_WITHIN_MS);
  assert.deepEqual(sends(), [...Array(ATTEMPTS_MAX).fill("c1"), "c2"]);
  assert.match(room.pending[0].refusal ?? "", /did not answer/);
  room.retry("c1");
  socket.frame({ type: "message", ...message(1, "alice", "c2") });
  assert.equal(sends().at(-1), "c1");
});

test("without a socket the history is fetched once, and the lack told until it opens", async () => {
  const { socket, room, asked, shown, store } = setUp();
  store(3);
  const refuse = async (/** @type {number} */ detail) => {
    socket.dispatchEvent(new CustomEvent("refused", { detail }));
    await settle();
  };
  await refuse(1);
  assert.deepEqual(shown(), [1, 2, 3]);
  await refuse(2);
  assert.equal(room.liveRefused, false);
  await refuse(3);
  assert.equal(room.liveRefused, true);
  assert.equal(asked.length, 1);
  store(1);
  socket.open();
  await settle();
  assert.equal(room.liveRefused, false);
  assert.deepEqual(shown(), [1, 2, 3, 4]);
});

test("a notice goes away with the next message, or the next connection", async () => {
  const { socket, room } = setUp();
  for (const next of [() => socket.open(), () => socket.frame({ type: "message", ...message(1) })]) {
    socket.frame({ type: "error", code: "internal", detail: "Something went wrong." });
    assert.notEqual(room.notice, "");
    next();
    assert.equal(room.notice, "");
  }
  await settle();
});

test("errors of no message are told, unknown frames ignored", async () => {
  const { socket, room } = setUp();
  socket.open();
  await settle();
  for (const frame of [{}, { type: "typing" }, { type: "message", id: "x" }, { message: "Forbidden" }]) socket.frame(frame);
  assert.equal(room.notice, "");
  socket.frame({ type: "error", code: "bad_frame", detail: "Not understood." });
  assert.equal(room.notice, "Not understood.");
});
