// @ts-check
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Api, ApiError, SessionEnded, Unreachable } from "../api.js";
import { Session } from "../session.js";
import { fakeLocks, fakeStorage, fakeTokens } from "./fakes.js";

/**
 * A server that knows which access token is good and counts what it is asked.
 * @param {{good: string, refresh: (refreshToken: string) => {status: number, json?: unknown} | Error}} behaviour
 */
function fakeServer(behaviour) {
  const server = {
    ...behaviour,
    /** @type {string[]} */
    asked: [],
    /**
     * @param {RequestInfo | URL} input
     * @param {RequestInit} [init]
     */
    async fetch(input, init) {
      const path = String(input).split("?")[0];
      server.asked.push(path);
      // As on a network, others may run in between.
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (path === "/auth/refresh") {
        const answer = server.refresh(JSON.parse(String(init?.body)).refresh_token);
        if (answer instanceof Error) throw answer;
        return Response.json(answer.json ?? {}, { status: answer.status });
      }
      const { authorization } = /** @type {Record<string, string>} */ (init?.headers);
      if (authorization === `Bearer ${server.good}`) return Response.json([]);
      return Response.json({ detail: "Who are you?" }, { status: 401 });
    },
    /** @param {string} path */
    count: (path) => server.asked.filter((each) => each === path).length,
  };
  return server;
}

/**
 * @param {ReturnType<typeof fakeServer>} server
 * @param {{tabs?: number, withLocks?: boolean, tokens?: {access_token: string, refresh_token: string}}} [options]
 */
function tabs(server, { tabs: count = 1, withLocks = true, tokens = fakeTokens(1) } = {}) {
  const storage = fakeStorage();
  const locks = withLocks ? fakeLocks() : undefined;
  new Session(storage).begin(tokens);
  return Array.from({ length: count }, () => {
    const session = new Session(storage);
    return { session, api: new Api({ base: "", session, fetch: server.fetch, locks }) };
  });
}

const second = fakeTokens(2);

describe("a refused access token", () => {
  for (const { name, count, requestsEach } of [
    { name: "is renewed once", count: 1, requestsEach: 1 },
    { name: "is renewed once for many requests", count: 1, requestsEach: 5 },
    { name: "is renewed once for many tabs", count: 4, requestsEach: 3 },
  ]) {
    test(name, async () => {
      const server = fakeServer({ good: second.access_token, refresh: () => ({ status: 200, json: second }) });
      const all = tabs(server, { tabs: count });
      const requests = all.flatMap(({ api }) => Array.from({ length: requestsEach }, () => api.messages({ limit: 1 })));
      await Promise.all(requests);
      assert.equal(server.count("/auth/refresh"), 1);
      assert.equal(server.count("/auth/messages"), 2 * count * requestsEach);
      assert.deepEqual(all[0].session.tokens, second);
    });
  }

  test("that is refused again is not renewed again", async () => {
    const server = fakeServer({ good: "none", refresh: () => ({ status: 200, json: second }) });
    const [{ api, session }] = tabs(server);
    await assert.rejects(api.messages({ limit: 1 }), { name: "ApiError", status: 401 });
    assert.deepEqual(server.asked, ["/auth/messages", "/auth/refresh", "/auth/messages"]);
    assert.equal(session.username, "alice");
  });

  test("ends the session if the renewal is refused", async () => {
    const server = fakeServer({ good: "none", refresh: () => ({ status: 401 }) });
    const [{ api, session }] = tabs(server);
    /** @type {string[]} */
    const reasons = [];
    session.addEventListener("change", (event) => reasons.push(/** @type {CustomEvent} */ (event).detail.reason));
    const requests = [api.messages({ limit: 1 }), api.messages({ limit: 2 })];
    for (const request of requests) await assert.rejects(request, SessionEnded);
    assert.equal(server.count("/auth/refresh"), 1);
    assert.deepEqual(reasons, ["expired"]);
    assert.equal(session.tokens, null);
  });
});

describe("a renewal that fails otherwise keeps the session", () => {
  /** @type {[string, {status: number, json?: unknown} | Error, Function][]} */
  const cases = [
    ["no network", new TypeError("Failed to fetch"), Unreachable],
    ["500", { status: 500, json: { message: "Internal Server Error" } }, ApiError],
    ["503", { status: 503, json: { message: "Service Unavailable" } }, ApiError],
    ["429", { status: 429, json: { message: "Too Many Requests" } }, ApiError],
    ["a stranger's answer", { status: 200, json: { hello: "captive portal" } }, Unreachable],
  ];
  for (const [name, answer, expected] of cases) {
    test(name, async () => {
      const server = fakeServer({ good: second.access_token, refresh: () => answer });
      const [{ api, session }] = tabs(server);
      await assert.rejects(api.messages({ limit: 1 }), /** @type {any} */ (expected));
      assert.equal(session.username, "alice");
      server.refresh = () => ({ status: 200, json: second });
      assert.deepEqual(await api.messages({ limit: 1 }), []);
    });
  }
});

test("tokens that another tab has renewed already are used", async () => {
  const server = fakeServer({ good: second.access_token, refresh: () => ({ status: 401 }) });
  const [here, there] = tabs(server, { tabs: 2 });
  const request = here.api.messages({ limit: 1 });
  there.session.renew(fakeTokens(1), second);
  assert.deepEqual(await request, []);
  assert.equal(server.count("/auth/refresh"), 0);
});

test("tokens that another tab has renewed but that are over meanwhile are renewed", async () => {
  const third = fakeTokens(3);
  const server = fakeServer({ good: third.access_token, refresh: () => ({ status: 200, json: third }) });
  const [here, there] = tabs(server, { tabs: 2 });
  const request = here.api.messages({ limit: 1 });
  there.session.renew(fakeTokens(1), fakeTokens(2, { lifeSecs: -5 }));
  assert.deepEqual(await request, []);
  assert.equal(server.count("/auth/refresh"), 1);
});

test("without locks, a refusal does not end what another tab has renewed", async () => {
  const [here, there] = [0, 1];
  const server = fakeServer({ good: second.access_token, refresh: () => ({ status: 401 }) });
  const both = tabs(server, { tabs: 2, withLocks: false });
  server.refresh = () => {
    both[there].session.renew(fakeTokens(1), second);
    return { status: 401 };
  };
  assert.deepEqual(await both[here].api.messages({ limit: 1 }), []);
  assert.deepEqual(both[here].session.tokens, second);
});

test("a token that ends within a minute is renewed before a handshake", async () => {
  for (const [lifeSecs, renewals] of [[900, 0], [70, 0], [50, 1], [-10, 1]]) {
    const server = fakeServer({ good: "", refresh: () => ({ status: 200, json: second }) });
    const [{ api }] = tabs(server, { tokens: fakeTokens(1, { lifeSecs }) });
    await api.accessToken();
    assert.equal(server.count("/auth/refresh"), renewals, `${lifeSecs} s left`);
  }
});

test("the second refused handshake in a row asks for a renewal", async () => {
  const first = fakeTokens(1);
  const server = fakeServer({ good: first.access_token, refresh: () => ({ status: 401 }) });
  const [{ api, session }] = tabs(server, { tokens: first });
  await api.probe(1);
  assert.equal(session.username, "alice");
  await assert.rejects(api.probe(2), SessionEnded);
  assert.equal(session.username, null);
});

test("signing out clears even without a network", async () => {
  const server = fakeServer({ good: "", refresh: () => ({ status: 200 }) });
  const [{ session }] = tabs(server);
  const warn = console.warn;
  console.warn = () => {};
  const api = new Api({ base: "", session, fetch: () => Promise.reject(new TypeError("Failed to fetch")), locks: undefined });
  await api.logout();
  console.warn = warn;
  assert.equal(session.tokens, null);
});

describe("errors tell what the server said", () => {
  /** @type {[number, unknown, Record<string, string>, Partial<ApiError>][]} */
  const cases = [
    [422, { detail: "Bad.", errors: [{ field: "username", detail: "Too short." }] }, {}, { message: "Bad.", fields: [{ field: "username", detail: "Too short." }] }],
    [409, { title: "Conflict", detail: "Taken." }, {}, { message: "Taken.", fields: [] }],
    [404, { message: "Not Found" }, {}, { message: "Not Found" }],
    [429, { detail: "Slow down." }, { "retry-after": "840" }, { message: "Slow down.", retryAfterSecs: 840 }],
    [429, {}, { "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT" }, { retryAfterSecs: null }],
    [502, { message: "Internal server error" }, {}, { message: "The server could not do this (502). Please try again in a moment." }],
    [400, "no json", {}, { message: "The server could not do this (400). Please try again in a moment." }],
  ];
  for (const [status, body, headers, expected] of cases) {
    test(`${status} ${JSON.stringify(body)}`, async () => {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const api = new Api({
        base: "https://api.example.com",
        session: new Session(fakeStorage()),
        fetch: async () => new Response(text, { status, headers }),
        locks: undefined,
      });
      await assert.rejects(api.register("alice", "password"), { name: "ApiError", status, ...expected });
    });
  }
});
