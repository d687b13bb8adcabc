// @ts-check
import assert from "node:assert/strict";
import { beforeEach, describe, mock, test } from "node:test";
import { ApiError, Unreachable } from "../api.js";
import { RETRY_AFTER_SECS_MAX } from "../backoff.js";
import { Outbox } from "../outbox.js";
import { ATTEMPTS_MAX, CATCH_UP_MESSAGES, ECHO_WITHIN_MS, Room } from "../room.js";
import { FakeSocket, fakeStorage, settle } from "./fakes.js";

/** @param {number} id */
const message = (id, username = "bob", client_id = /** @type {string | undefined} */ (undefined)) => ({
  id, username, text: `text ${id}`, sent_at: "2026-11-23T10:15:43.377Z", client_id,
});

function setUp() {
  const socket = new FakeSocket();
  /** What the server has stored. @type {ReturnType<typeof message>[]} */
  const stored = [];
  /** @type {object[]} */
  const asked = [];
  /** @type {Error | null} */
  let failure = null;
  const api = {
    /** @param {{limit: number, before?: number, after?: number}} cursor */
    async messages({ limit, before, after }) {
      asked.push({ limit, before, after });
      if (failure) throw failure;
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
    /** @param {Error | null} error */
    fail: (error) => { failure = error; },
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

test("several live messages in one frame are merged like as many frames", async () => {
  const { socket, asked, shown, store, room, sends } = setUp();
  store(3);
  socket.open();
  await settle();
  room.send("one");
  room.send("two");
  const frame = (/** @type {any[]} */ ...messages) => socket.frame({ type: "messages", messages });
  // Known, new, its own, and what is none.
  frame(message(3), message(4), message(5, "alice", "c1"), null, { id: 6 }, "text");
  assert.deepEqual(shown(), [1, 2, 3, 4, 5]);
  assert.deepEqual(sends(), ["c1", "c2"]);
  assert.deepEqual(room.pending.map(({ text }) => text), ["two"]);
  assert.equal(asked.length, 1);
  store(5);
  frame(message(7), message(8));
  await settle();
  assert.deepEqual(asked.at(-1), { limit: 200, before: undefined, after: 5 });
  assert.deepEqual(shown(), upTo(8));
  for (const messages of [undefined, null, {}, [], ["x"]]) socket.frame({ type: "messages", messages });
  assert.deepEqual(shown(), upTo(8));
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
  fail(new Unreachable());
  socket.open();
  await settle();
  assert.equal(room.catchUpFailed, true);
  fail(null);
  await pass(1_000);
  assert.equal(room.catchUpFailed, false);
  assert.deepEqual(shown(), [1, 2, 3]);
});

test("a server that is busy is asked for what is new when it says", async () => {
  const { socket, room, asked, shown, store, fail } = setUp();
  store(3);
  fail(new ApiError(503, "Busy.", [], 20));
  socket.open();
  await settle();
  fail(null);
  await pass(19_999);
  assert.equal(asked.length, 1);
  assert.equal(room.catchUpFailed, true);
  await pass(1);
  assert.deepEqual(shown(), [1, 2, 3]);
});

test("a server that answers with what is known already is not asked for ever", async () => {
  const { socket, stored, asked, store, room } = setUp();
  store(250);
  socket.open();
  await settle();
  const page = stored.slice(-CATCH_UP_MESSAGES);
  stored.filter = () => page;
  socket.close();
  socket.open();
  await settle();
  assert.equal(asked.length, 2);
  assert.equal(room.messages.length, 50);
});

test("older pages come before, once each", async () => {
  const { socket, room, asked, shown, store, fail } = setUp();
  store(120);
  socket.open();
  await settle();
  await Promise.all([room.loadOlder(), room.loadOlder()]);
  assert.deepEqual(shown(), upTo(120, 21));
  fail(new Unreachable());
  await room.loadOlder();
  assert.equal(room.olderFailed, true);
  fail(null);
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
  fail(new Unreachable());
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
  fail(null);
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

describe("a send that the server wants later", () => {
  const later = (/** @type {object} */ more) => ({ type: "error", code: "rate_limited", detail: "Too many.", ...more });

  test("is sent by itself when the time is over, before those after it", async () => {
    const { socket, room, sends } = setUp();
    room.addEventListener("refused", () => assert.fail("it is not refused"));
    socket.open();
    room.send("one");
    room.send("two");
    socket.frame(later({ client_id: "c1", retry_after: 7 }));
    assert.equal(room.waitSecs, 7);
    assert.equal(room.rateLimited, true);
    room.send("three");
    await pass(6_999);
    assert.deepEqual(sends(), ["c1"]);
    assert.equal(room.waitSecs, 1);
    await pass(1);
    assert.equal(room.waitSecs, 0);
    assert.deepEqual(sends(), ["c1", "c1"]);
    for (const [i, client_id] of ["c1", "c2", "c3"].entries()) socket.frame({ type: "message", ...message(i + 1, "alice", client_id) });
    assert.deepEqual(sends(), ["c1", "c1", "c2", "c3"]);
    assert.equal(room.unsent, 0);
    assert.equal(room.notice, "");
  });

  test("waits once, however often it is told, and over a reconnect", async () => {
    const { socket, room, sends } = setUp();
    socket.open();
    room.send("one");
    socket.frame(later({ client_id: "c1", retry_after: 7 }));
    await pass(3_000);
    socket.frame(later({ client_id: "c1", retry_after: 7 }));
    assert.equal(room.waitSecs, 4);
    socket.close();
    socket.open();
    await pass(3_999);
    assert.deepEqual(sends(), ["c1"]);
    await pass(1);
    assert.deepEqual(sends(), ["c1", "c1"]);
  });

  test("is sent with the next connection if there is none when the time is over", async () => {
    const { socket, room, sends } = setUp();
    socket.open();
    room.send("one");
    socket.frame(later({ retry_after: 2 }));
    socket.close();
    await pass(60_000);
    assert.deepEqual(sends(), ["c1"]);
    socket.open();
    assert.deepEqual(sends(), ["c1", "c1"]);
  });

  test("for its speed is never given up, as the server does answer", async () => {
    const { socket, room, sends } = setUp();
    socket.open();
    room.send("one");
    for (let i = 1; i <= 3 * ATTEMPTS_MAX; i += 1) {
      socket.frame(later({ client_id: "c1", retry_after: 1 }));
      await pass(1_000);
    }
    assert.equal(sends().length, 3 * ATTEMPTS_MAX + 1);
    assert.equal(room.pending[0].refusal, null);
  });

  test("because it is busy is asked less and less, and given up in the end", async () => {
    const { socket, room, sends } = setUp();
    socket.open();
    room.send("one");
    for (const waitMs of [2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      const before = sends().length;
      socket.frame(later({ code: "unavailable", client_id: "c1", retry_after: 1 }));
      assert.equal(room.rateLimited, false);
      assert.equal(room.waitSecs, waitMs / 1_000);
      await pass(waitMs - 1);
      assert.equal(sends().length, before);
      await pass(1);
    }
    assert.equal(sends().length, ATTEMPTS_MAX);
    assert.match(room.pending[0].refusal ?? "", /did not answer/);
  });

  test("is not waited for by a room that is left", async () => {
    const { socket, room, sends } = setUp();
    socket.open();
    room.send("one");
    socket.frame(later({ client_id: "c1", retry_after: 7 }));
    room.stop();
    await pass(60_000);
    assert.deepEqual(sends(), ["c1"]);
  });

  test("at a time that is none is sent as after any failure", async () => {
    for (const retry_after of [0, -1, 1.5, "7", null, [7], {}, 1e300]) {
      const { socket, room, sends } = setUp();
      socket.open();
      room.send("one");
      socket.frame(later({ client_id: "c1", retry_after }));
      assert.equal(room.waitSecs, 0, JSON.stringify(retry_after));
      await pass(2_000);
      assert.deepEqual(sends(), ["c1", "c1"]);
    }
  });

  test("in a year is tried in minutes", async () => {
    const { socket, room, sends } = setUp();
    socket.open();
    room.send("one");
    socket.frame(later({ client_id: "c1", retry_after: 31_536_000 }));
    assert.equal(room.waitSecs, RETRY_AFTER_SECS_MAX);
    await pass(RETRY_AFTER_SECS_MAX * 1_000);
    assert.deepEqual(sends(), ["c1", "c1"]);
  });

  test("is final if the frame itself is bad, whatever time is told", async () => {
    const { socket, room } = setUp();
    socket.open();
    room.send("one");
    socket.frame(later({ code: "text_too_long", client_id: "c1", retry_after: 7 }));
    assert.equal(room.pending[0].refusal, "Too many.");
    assert.equal(room.waitSecs, 0);
  });
});

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

test("what is newer than the first page is announced, once, in order and however it comes", async () => {
  const { socket, room, store, asked } = setUp();
  /** @type {number[][]} */
  const said = [];
  room.addEventListener("said", (event) => said.push(/** @type {CustomEvent} */ (event).detail.map((/** @type {{id: number}} */ { id }) => id)));
  store(60);
  socket.open();
  await settle();
  room.loadOlder();
  await settle();
  assert.deepEqual(said, []);
  socket.frame({ type: "message", ...message(61) });
  socket.frame({ type: "message", ...message(61) });
  socket.close();
  store(4);
  socket.open();
  await settle();
  assert.deepEqual(said, [[61], [62, 63, 64]]);
  assert.equal(asked.length, 3);
});

test("what is fetched after the line was away is told as missed, once it is all there", async () => {
  const { socket, store, room, fail, shown } = setUp();
  /** @type {[after: number, shown: number][]} */
  const missed = [];
  room.addEventListener("missed", (event) => missed.push([/** @type {CustomEvent} */ (event).detail, shown().at(-1) ?? 0]));
  store(3);
  socket.open();
  await settle();
  socket.close();
  socket.open();
  await settle();
  assert.deepEqual(missed, [], "nothing was said meanwhile");
  socket.close();
  store(450);
  fail(new Unreachable());
  socket.open();
  await settle();
  // Away again, before the server could be asked.
  socket.close();
  fail(null);
  socket.open();
  await settle();
  assert.deepEqual(missed, [[3, 453]]);
  // A live message that was overtaken by the next one has not been missed.
  store(2);
  socket.frame({ type: "message", ...message(455) });
  await settle();
  assert.deepEqual([shown().at(-1), missed.length], [455, 1]);
});

test("a server that does not know what typing is says nothing that the user should read", () => {
  const { socket, room } = setUp();
  socket.open();
  room.send("on its way");
  socket.frame({ type: "error", code: "unknown_action", detail: "action must be send or ping." });
  assert.equal(room.notice, "");
  assert.equal(room.pending.length, 1);
  assert.equal(room.pending[0].refusal, null);
});
