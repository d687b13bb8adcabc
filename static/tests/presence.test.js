// @ts-check
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { ApiError, Unreachable } from "../api.js";
import { ASK_EVERY_MS, Presence } from "../presence.js";
import { FakeSocket, settle } from "./fakes.js";

function setUp() {
  const socket = new FakeSocket();
  const server = {
    /** @type {{count: number, users: string[], hasMore?: boolean} | Error} */
    answer: { count: 1, users: ["alice"] },
    asked: 0,
    /** After whom. @type {(string | undefined)[]} */
    afters: [],
    inSight: true,
    /** Holds the answer back. @type {Promise<void>} */
    delay: Promise.resolve(),
  };
  const api = {
    /** @param {string} [after] */
    async presence(after) {
      server.asked += 1;
      server.afters.push(after);
      const { answer } = server;
      await server.delay;
      if (answer instanceof Error) throw answer;
      return { hasMore: false, ...answer };
    },
  };
  const presence = new Presence({ api, socket: /** @type {any} */ (socket), isInSight: () => server.inSight });
  let changes = 0;
  presence.addEventListener("change", () => { changes += 1; });
  presence.start();
  /** @param {string} event @param {unknown} username */
  const frame = (event, username) => socket.frame({ type: "presence", event, username });
  return { socket, server, presence, frame, changes: () => changes };
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setInterval"] });
});

test("nothing is known until the socket is open and the server has answered", async () => {
  const { socket, server, presence } = setUp();
  await settle();
  assert.deepEqual([server.asked, presence.known], [0, false]);
  socket.open();
  await settle();
  assert.deepEqual([presence.known, presence.count, presence.users], [true, 1, ["alice"]]);
});

test("who comes and goes is told by frames", async () => {
  const { socket, presence, frame, changes } = setUp();
  frame("joined", "early");
  socket.open();
  await settle();
  frame("joined", "carol");
  frame("joined", "bob");
  frame("joined", "bob");
  assert.deepEqual([presence.count, presence.users], [3, ["alice", "bob", "carol"]]);
  frame("left", "carol");
  frame("left", "nobody");
  assert.deepEqual([presence.count, presence.users], [2, ["alice", "bob"]]);
  const before = changes();
  for (const username of [null, 7, ["bob"], undefined]) frame("joined", username);
  frame("moved", "bob");
  socket.frame({ type: "message", event: "left", username: "bob" });
  assert.equal(changes(), before);
  assert.deepEqual(presence.users, ["alice", "bob"]);
});

test("what changes while a question is under way holds against its answer", async () => {
  const { socket, server, presence, frame } = setUp();
  server.answer = { count: 2, users: ["alice", "bob"] };
  let answer = () => {};
  server.delay = new Promise((resolve) => { answer = resolve; });
  socket.open();
  frame("left", "bob");
  frame("joined", "carol");
  answer();
  await settle();
  assert.deepEqual([presence.count, presence.users], [2, ["alice", "carol"]]);
});

test("where not all names are known only the server counts", async () => {
  const { socket, server, presence, frame } = setUp();
  server.answer = { count: 300, users: ["alice", "bob"] };
  socket.open();
  await settle();
  frame("joined", "carol");
  assert.deepEqual([presence.count, presence.users], [300, ["alice", "bob"]]);
  frame("left", "bob");
  assert.deepEqual([presence.count, presence.users], [299, ["alice"]]);
});

test("the server is asked after each reconnect, and every minute while the page is in sight and connected", async () => {
  const { socket, server, presence } = setUp();
  const tick = async () => {
    mock.timers.tick(ASK_EVERY_MS);
    await settle();
    return server.asked;
  };
  socket.open();
  await settle();
  assert.equal(server.asked, 1);
  assert.equal(await tick(), 2);
  server.inSight = false;
  assert.equal(await tick(), 2);
  server.inSight = true;
  socket.close();
  assert.equal(await tick(), 2);
  socket.open();
  await settle();
  assert.equal(server.asked, 3);
  presence.stop();
  assert.equal(await tick(), 3);
});

test("what fails is asked again, and what was known stays", async () => {
  const { socket, server, presence, changes } = setUp();
  socket.open();
  await settle();
  const before = changes();
  for (const failure of [new Unreachable(), new ApiError(503, "busy"), new Error("unforeseen")]) {
    server.answer = failure;
    mock.timers.tick(ASK_EVERY_MS);
    await settle();
    assert.deepEqual([presence.known, presence.users, changes()], [true, ["alice"], before]);
  }
  assert.equal(server.asked, 4);
});

test("a server that does not know the question is asked no more", async () => {
  const { socket, server, presence, frame } = setUp();
  server.answer = new ApiError(404, "Not Found");
  socket.open();
  await settle();
  mock.timers.tick(ASK_EVERY_MS);
  socket.close();
  socket.open();
  frame("joined", "bob");
  await settle();
  assert.deepEqual([server.asked, presence.known, presence.unsupported], [1, false, true]);
});

/** A room of people named a to z, of whom the server names three at a time. */
function alphabet() {
  const world = setUp();
  const names = [..."abcdefghijklmnopqrstuvwxyz"];
  const { server } = world;
  Object.defineProperty(server, "answer", {
    get: () => {
      const after = server.afters.at(-1) ?? "";
      const rest = names.filter((name) => name > after);
      return { count: names.length, users: rest.slice(0, 3), hasMore: rest.length > 3 };
    },
  });
  return { ...world, names, shown: () => world.presence.users.join("") };
}

test("more names come by pages, and all that are shown are asked for from then on", async () => {
  const { socket, server, presence, names, shown } = alphabet();
  socket.open();
  await settle();
  assert.deepEqual([presence.count, shown(), presence.hasMore], [26, "abc", true]);
  const more = presence.showMore();
  assert.equal(presence.loadingMore, true);
  await more;
  assert.deepEqual([shown(), presence.hasMore, presence.loadingMore], ["abcdef", true, false]);
  assert.deepEqual(server.afters, [undefined, "c"]);
  names.splice(1, 1);
  mock.timers.tick(ASK_EVERY_MS);
  await settle();
  assert.deepEqual([presence.count, shown()], [25, "acdefg"]);
  assert.deepEqual(server.afters.slice(2), [undefined, "d"]);
  while (presence.hasMore) await presence.showMore();
  assert.equal(shown(), "acdefghijklmnopqrstuvwxyz");
});

test("more names that are wanted while a question is under way come with its answer", async () => {
  const { socket, presence, shown } = alphabet();
  socket.open();
  await settle();
  const asking = presence.ask();
  presence.showMore();
  await asking;
  assert.deepEqual([shown(), presence.loadingMore], ["abcdef", false]);
});

test("more names that do not come can be asked for again", async () => {
  const { socket, server, presence } = setUp();
  server.answer = { count: 2, users: ["alice"], hasMore: true };
  socket.open();
  await settle();
  server.answer = new Unreachable();
  await presence.showMore();
  assert.deepEqual([presence.moreFailed, presence.loadingMore, presence.users], [true, false, ["alice"]]);
  server.answer = { count: 2, users: ["bob"] };
  await presence.showMore();
  assert.deepEqual([presence.moreFailed, presence.users, presence.hasMore], [false, ["alice", "bob"], false]);
});

test("a server that repeats its page is not asked for ever", async () => {
  const { socket, server, presence } = setUp();
  server.answer = { count: 9, users: ["alice"], hasMore: true };
  socket.open();
  await settle();
  await presence.showMore();
  assert.deepEqual([server.asked, presence.users], [2, ["alice"]]);
});
