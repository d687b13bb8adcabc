// @ts-check
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { TELL_EVERY_MS, TYPING_MS, Typing, typingWords } from "../typing.js";
import { FakeSocket } from "./fakes.js";

function setUp() {
  const socket = new FakeSocket();
  const typing = new Typing(/** @type {any} */ (socket));
  let changes = 0;
  typing.addEventListener("change", () => { changes += 1; });
  typing.start();
  socket.open();
  /** @param {string} username */
  const types = (username) => socket.frame({ type: "typing", username });
  return { socket, typing, types, changes: () => changes };
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

test("somebody counts as typing for six seconds after the last word of it", () => {
  const { typing, types } = setUp();
  types("bob");
  mock.timers.tick(TYPING_MS - 1);
  types("bob");
  types("carol");
  mock.timers.tick(TYPING_MS - 1);
  assert.deepEqual(typing.users, ["bob", "carol"]);
  mock.timers.tick(1);
  assert.deepEqual(typing.users, []);
});

test("each one ends in their own time", () => {
  const { typing, types } = setUp();
  types("bob");
  mock.timers.tick(4_000);
  types("carol");
  mock.timers.tick(2_000);
  assert.deepEqual(typing.users, ["carol"]);
  mock.timers.tick(4_000);
  assert.deepEqual(typing.users, []);
});

/** @type {[name: string, ends: (socket: FakeSocket) => void, left: string[]][]} */
const ENDS = [
  ["their message", (socket) => socket.frame({ type: "message", id: 1, username: "bob", text: "x" }), ["carol"]],
  ["several messages at once", (socket) => socket.frame({ type: "messages", messages: [{ username: "bob" }, null, {}] }), ["carol"]],
  ["their going", (socket) => socket.frame({ type: "presence", event: "left", username: "bob" }), ["carol"]],
  ["a lost connection", (socket) => socket.close(), []],
];

for (const [name, ends, left] of ENDS) {
  test(`${name} ends it`, () => {
    const { socket, typing, types, changes } = setUp();
    types("bob");
    types("carol");
    ends(socket);
    assert.deepEqual(typing.users, left);
    assert.equal(changes(), 3);
  });
}

test("what is no word of typing changes nothing", () => {
  const { socket, typing, changes } = setUp();
  for (const username of [undefined, null, 7, {}]) socket.frame({ type: "typing", username });
  socket.frame({ type: "presence", event: "joined", username: "bob" });
  socket.frame({ type: "message", username: "bob" });
  assert.deepEqual([typing.users, changes()], [[], 0]);
});

test("the others are told at once, then every three seconds while something is typed", () => {
  const { socket, typing } = setUp();
  for (let ms = 0; ms < 7_000; ms += 100) {
    typing.typed();
    mock.timers.tick(100);
  }
  assert.deepEqual(socket.sent, [{ action: "typing" }, { action: "typing" }, { action: "typing" }]);
  mock.timers.tick(60_000);
  assert.equal(socket.sent.length, 3);
});

test("nobody is told while there is no connection, and at once when there is one", () => {
  const { socket, typing } = setUp();
  socket.close();
  typing.typed();
  socket.open();
  typing.typed();
  assert.equal(socket.sent.length, 1);
});

test("a server that knows nothing of it is told no more", () => {
  const { socket, typing } = setUp();
  typing.typed();
  socket.frame({ type: "error", code: "unknown_action", detail: "x" });
  mock.timers.tick(TELL_EVERY_MS);
  typing.typed();
  assert.equal(socket.sent.length, 1);
});

test("in words", () => {
  assert.equal(typingWords([]), "");
  assert.equal(typingWords(["alice"]), "alice is typing…");
  assert.equal(typingWords(["alice", "bob"]), "alice and bob are typing…");
  assert.equal(typingWords(["alice", "bob", "carol"]), "Several people are typing…");
});
