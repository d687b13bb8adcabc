// @ts-check
import assert from "node:assert/strict";
import { beforeEach, describe, mock, test } from "node:test";
import { SessionEnded, Unreachable } from "../api.js";
import { ChatSocket, PING_EVERY_MS, PONG_WITHIN_MS, STABLE_AFTER_MS } from "../socket.js";
import { settle } from "./fakes.js";

class FakeWebSocket {
  /** @type {FakeWebSocket[]} */
  static all = [];
  readyState = 0;
  /** @type {any[]} */
  sent = [];
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((event: {data: string}) => void) | null} */
  onmessage = null;
  /** @type {(() => void) | null} */
  onclose = null;

  /**
   * @param {string} url
   * @param {string[]} protocols
   */
  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    FakeWebSocket.all.push(this);
  }

  static get last() {
    return /** @type {FakeWebSocket} */ (FakeWebSocket.all.at(-1));
  }

  /** @param {string} text */
  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }

  serverOpens() {
    this.readyState = 1;
    this.onopen?.();
  }

  serverCloses() {
    this.readyState = 3;
    this.onclose?.();
  }
}

/** @param {Partial<ConstructorParameters<typeof ChatSocket>[0]>} [deps] */
function start(deps) {
  const socket = new ChatSocket({
    url: "wss://chat.example.com/ws",
    accessToken: async () => "token",
    probe: async () => {},
    WebSocket: /** @type {any} */ (FakeWebSocket),
    random: () => 1,
    ...deps,
  });
  /** @type {string[]} */
  const states = [];
  socket.addEventListener("state", () => states.push(socket.state));
  socket.start();
  return { socket, states };
}

/** @param {number} ms */
async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  FakeWebSocket.all = [];
});

test("the token is offered as a subprotocol and stands in no address", async () => {
  const { socket, states } = start();
  await settle();
  assert.equal(FakeWebSocket.last.url, "wss://chat.example.com/ws");
  assert.deepEqual(FakeWebSocket.last.protocols, ["chat.v1", "bearer.token"]);
  assert.equal(socket.state, "connecting");
  FakeWebSocket.last.serverOpens();
  assert.deepEqual(states, ["online"]);
});

test("waits grow while connections do not last, and start again after one that did", async () => {
  start();
  await settle();
  for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    FakeWebSocket.last.serverOpens();
    await pass(STABLE_AFTER_MS - 1);
    FakeWebSocket.last.serverCloses();
    const before = FakeWebSocket.all.length;
    await pass(waitMs - 1);
    assert.equal(FakeWebSocket.all.length, before, `not before ${waitMs} ms`);
    await pass(1);
    assert.equal(FakeWebSocket.all.length, before + 1, `after ${waitMs} ms`);
  }
  FakeWebSocket.last.serverOpens();
  await pass(STABLE_AFTER_MS);
  FakeWebSocket.last.serverCloses();
  const before = FakeWebSocket.all.length;
  await pass(1_000);
  assert.equal(FakeWebSocket.all.length, before + 1);
});

describe("a handshake that fails", () => {
  test("is asked about, and tried again", async () => {
    const probe = mock.fn(async () => {});
    const { socket } = start({ probe });
    await settle();
    FakeWebSocket.last.serverCloses();
    await settle();
    await pass(1_000);
    FakeWebSocket.last.serverCloses();
    await settle();
    assert.equal(probe.mock.callCount(), 2);
    assert.equal(socket.state, "reconnecting");
    await pass(2_000);
    assert.equal(FakeWebSocket.all.length, 3);
  });

  test("is told if the server answers otherwise", async () => {
    let fail = true;
    const { socket } = start({ probe: async () => { if (fail) throw new Unreachable(); } });
    /** @type {number[]} */
    const refused = [];
    socket.addEventListener("refused", (event) => refused.push(/** @type {CustomEvent} */ (event).detail));
    await settle();
    for (const waitMs of [1_000, 2_000, 4_000]) {
      FakeWebSocket.last.serverCloses();
      await settle();
      await pass(waitMs);
      fail = false;
    }
    assert.deepEqual(refused, [2, 3]);
  });

  test("is tried again by a page that wakes while the question hangs", async () => {
    const { socket } = start({ probe: () => new Promise(() => {}) });
    await settle();
    FakeWebSocket.last.serverCloses();
    await pass(60_000);
    assert.equal(FakeWebSocket.all.length, 1);
    socket.wake();
    await settle();
    assert.equal(FakeWebSocket.all.length, 2);
    socket.wake();
    await settle();
    assert.equal(FakeWebSocket.all.length, 2, "one handshake is under way");
  });

  test("stops everything if the session has ended", async () => {
    start({ probe: () => Promise.reject(new SessionEnded()) });
    await settle();
    FakeWebSocket.last.serverCloses();
    await pass(120_000);
    assert.equal(FakeWebSocket.all.length, 1);
  });

  test("is given up when it takes too long", async () => {
    const probe = mock.fn(async () => {});
    start({ probe });
    await settle();
    await pass(20_000);
    assert.equal(probe.mock.callCount(), 1);
    await pass(1_000);
    assert.equal(FakeWebSocket.all.length, 2);
  });
});

test("no token for want of a network is tried again, too", async () => {
  let fail = true;
  start({ accessToken: async () => { if (fail) throw new Unreachable(); return "token"; } });
  await settle();
  assert.equal(FakeWebSocket.all.length, 0);
  fail = false;
  await pass(1_000);
  assert.equal(FakeWebSocket.all.length, 1);
});

describe("pings", () => {
  test("go out every 4 minutes while pongs come", async () => {
    const { socket } = start();
    await settle();
    const line = FakeWebSocket.last;
    line.serverOpens();
    for (let pings = 1; pings <= 3; pings += 1) {
      await pass(PING_EVERY_MS);
      assert.deepEqual(line.sent, Array(pings).fill({ action: "ping" }));
      line.onmessage?.({ data: '{"type":"pong"}' });
    }
    assert.equal(socket.state, "online");
    assert.equal(FakeWebSocket.all.length, 1);
  });

  test("without a pong end the connection", async () => {
    const { states } = start();
    await settle();
    FakeWebSocket.last.serverOpens();
    await pass(PING_EVERY_MS);
    await pass(PONG_WITHIN_MS);
    assert.deepEqual(states, ["online", "reconnecting"]);
    await pass(1_000);
    assert.equal(FakeWebSocket.all.length, 2);
  });
});

test("the network's return is used at once, and its loss shown", async () => {
  let onLine = true;
  const { socket, states } = start({ isOnLine: () => onLine });
  await settle();
  FakeWebSocket.last.serverOpens();
  onLine = false;
  socket.networkDown();
  assert.equal(socket.state, "online", "only a missing pong proves it");
  await pass(PONG_WITHIN_MS);
  onLine = true;
  socket.networkUp();
  await settle();
  assert.equal(FakeWebSocket.all.length, 2);
  FakeWebSocket.last.serverOpens();
  assert.deepEqual(states, ["online", "offline", "reconnecting", "online"]);
});

test("what is no JSON object is ignored", async () => {
  const { socket } = start();
  /** @type {unknown[]} */
  const frames = [];
  socket.addEventListener("frame", (event) => frames.push(/** @type {CustomEvent} */ (event).detail));
  await settle();
  FakeWebSocket.last.serverOpens();
  for (const data of ["", "alice: hi", "null", "17", '{"type":"pong"}']) FakeWebSocket.last.onmessage?.({ data });
  assert.deepEqual(frames, [{ type: "pong" }]);
});

test("stopped is stopped", async () => {
  const { socket } = start();
  await settle();
  const line = FakeWebSocket.last;
  line.serverOpens();
  socket.stop();
  assert.equal(line.readyState, 3);
  assert.equal(socket.send({}), false);
  socket.networkUp();
  socket.wake();
  await pass(PING_EVERY_MS);
  assert.equal(FakeWebSocket.all.length, 1);
});
