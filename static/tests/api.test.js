// @ts-check
import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { Api, ApiError, RETRIES_MAX, RETRY_UNHEARD_SECS_MAX, SessionEnded, Unreachable } from "../api.js";
import { Session } from "../session.js";
import { fakeLocks, fakeStorage, fakeToken, fakeTokens, settle } from "./fakes.js";

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

describe("what another tab has stored in silence", () => {
  /** @type {[string, (there: Session) => void][]} */
  const cases = [
    ["nobody", (there) => there.end("signed-out")],
    ["another user", (there) => there.begin(fakeTokens(3, { sub: "bob" }))],
  ];
  for (const [name, change] of cases) {
    test(`${name}: nothing is asked as the one shown`, async () => {
      const server = fakeServer({ good: "none", refresh: () => ({ status: 401 }) });
      for (const ask of [(/** @type {Api} */ api) => api.accessToken(), (/** @type {Api} */ api) => api.messages({ limit: 1 })]) {
        const [here, there] = tabs(server, { tabs: 2 });
        /** @type {string[]} */
        const reasons = [];
        here.session.addEventListener("change", (event) => reasons.push(/** @type {CustomEvent} */ (event).detail.reason));
        change(there.session);
        await assert.rejects(ask(here.api), SessionEnded);
        assert.deepEqual(reasons, ["elsewhere"]);
      }
      assert.deepEqual(server.asked, []);
    });

    test(`${name}: a request under way is not repeated`, async () => {
      const server = fakeServer({ good: "none", refresh: () => ({ status: 401 }) });
      const [here, there] = tabs(server, { tabs: 2 });
      const request = here.api.messages({ limit: 1 });
      change(there.session);
      await assert.rejects(request, SessionEnded);
      assert.deepEqual(server.asked, ["/auth/messages"]);
      assert.equal(here.session.username, there.session.username);
    });
  }
});

test("a token that ends within a minute is renewed before a handshake", async () => {
  for (const [lifeSecs, renewals] of [[900, 0], [70, 0], [50, 1], [-10, 1]]) {
    const server = fakeServer({ good: "", refresh: () => ({ status: 200, json: second }) });
    const [{ api }] = tabs(server, { tokens: fakeTokens(1, { lifeSecs }) });
    await api.accessToken();
    assert.equal(server.count("/auth/refresh"), renewals, `${lifeSecs} s left`);
  }
});

test("a refused handshake is asked about, and a revoked session found out", async () => {
  const first = fakeTokens(1);
  const server = fakeServer({ good: first.access_token, refresh: () => ({ status: 401 }) });
  const [{ api, session }] = tabs(server, { tokens: first });
  await api.probe();
  assert.equal(session.username, "alice");
  assert.equal(server.count("/auth/refresh"), 0);
  server.good = "none";
  await assert.rejects(api.probe(), SessionEnded);
  assert.equal(session.username, null);
});

test("a renewal does not wait for ever for the lock", async (t) => {
  const never = new AbortController();
  t.mock.method(AbortSignal, "timeout", () => never.signal);
  const server = fakeServer({ good: second.access_token, refresh: () => ({ status: 200, json: second }) });
  const session = new Session(fakeStorage());
  session.begin(fakeTokens(1));
  const locks = {
    request: (/** @type {string} */ _name, /** @type {{signal: AbortSignal}} */ { signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  };
  const api = new Api({ base: "", session, fetch: server.fetch, locks: /** @type {any} */ (locks) });
  const request = api.messages({ limit: 1 });
  setTimeout(() => never.abort(), 20);
  assert.deepEqual(await request, []);
  assert.equal(server.count("/auth/refresh"), 1);
});

test("a renewal that fails under the lock is not repeated without it", async () => {
  const server = fakeServer({ good: "none", refresh: () => ({ status: 503 }) });
  const [{ api }] = tabs(server);
  await assert.rejects(api.messages({ limit: 1 }), { status: 503 });
  assert.equal(server.count("/auth/refresh"), 1);
});

describe("no sign-in", () => {
  const good = fakeToken({ sub: "bob" });
  /** @type {[string, unknown][]} */
  const cases = [
    ["without a name in its token", { access_token: "a.b.c", refresh_token: "r" }],
    ["with a name that is no text", { access_token: fakeToken({ sub: { name: "bob" } }), refresh_token: "r" }],
    ["with a token that no handshake could carry", { access_token: `${good}, chat.v2`, refresh_token: "r" }],
    ["with a token that no header could carry", { access_token: `${good}\r\nx: y`, refresh_token: "r" }],
    ["without a token to renew", { access_token: good, refresh_token: ["r"] }],
    ["from a list", [good, "r"]],
    ["from nothing", null],
  ];
  for (const [name, json] of cases) {
    test(name, async () => {
      const [{ session }] = tabs(fakeServer({ good: "", refresh: () => ({ status: 401 }) }));
      const api = new Api({ base: "", session, fetch: async () => Response.json(json), locks: undefined });
      await assert.rejects(api.login("bob", "password"), Unreachable);
      assert.equal(session.username, "alice");
    });
  }
});

test("a captive portal makes no account", async () => {
  for (const body of ["<!doctype html>", "", "null", "[]", '{"message":7}']) {
    const session = new Session(fakeStorage());
    const api = new Api({ base: "", session, fetch: async () => new Response(body), locks: undefined });
    await assert.rejects(api.register("alice", "password"), Unreachable, body);
  }
});

describe("a server that says when to come again", () => {
  /** @param {() => Response} answer */
  function ask(answer) {
    mock.timers.reset();
    mock.timers.enable({ apis: ["setTimeout"] });
    const session = new Session(fakeStorage());
    session.begin(fakeTokens(1));
    const fetch = mock.fn(async () => answer());
    const api = new Api({ base: "", session, fetch, locks: undefined, random: () => 0 });
    return { api, fetch, session };
  }

  /** @param {number} status @param {string} [retryAfter] */
  const busy = (status, retryAfter) =>
    Response.json({ detail: "Busy." }, { status, headers: retryAfter === undefined ? {} : { "retry-after": retryAfter } });

  for (const status of [429, 503]) {
    test(`${status}: is asked again then, and not before`, async () => {
      let isBusy = true;
      const { api, fetch } = ask(() => (isBusy ? busy(status, "7") : Response.json([])));
      const page = api.messages({ limit: 1 });
      await settle();
      isBusy = false;
      mock.timers.tick(6_999);
      await settle();
      assert.equal(fetch.mock.callCount(), 1);
      mock.timers.tick(1);
      assert.deepEqual(await page, []);
      assert.equal(fetch.mock.callCount(), 2);
    });
  }

  test("is asked a few times only", async () => {
    const { api, fetch } = ask(() => busy(503, "1"));
    const page = assert.rejects(api.messages({ limit: 1 }), { status: 503, retryAfterSecs: 1 });
    for (let i = 0; i < RETRIES_MAX; i += 1) {
      await settle();
      mock.timers.tick(1_000);
    }
    await page;
    assert.equal(fetch.mock.callCount(), RETRIES_MAX + 1);
  });

  test("is not asked again in silence if it is long, not told or not busy", async () => {
    for (const answer of [
      () => busy(503, String(RETRY_UNHEARD_SECS_MAX + 1)),
      () => busy(503),
      () => busy(429, "soon"),
      () => busy(500, "1"),
    ]) {
      const { api, fetch } = ask(answer);
      await assert.rejects(api.messages({ limit: 1 }), ApiError);
      assert.equal(fetch.mock.callCount(), 1);
    }
  });

  test("is not told anything twice", async () => {
    const { api, fetch } = ask(() => busy(503, "1"));
    await assert.rejects(api.login("alice", "password"), { status: 503, retryAfterSecs: 1 });
    await assert.rejects(api.register("alice", "password"), { status: 503, retryAfterSecs: 1 });
    assert.equal(fetch.mock.callCount(), 2);
  });

  test("is not asked for who has signed out meanwhile", async () => {
    const { api, fetch, session } = ask(() => busy(503, "1"));
    const page = assert.rejects(api.messages({ limit: 1 }), SessionEnded);
    await settle();
    session.end("signed-out");
    mock.timers.tick(1_000);
    await page;
    assert.equal(fetch.mock.callCount(), 1);
    mock.timers.reset();
  });
});

test("no request follows a redirect or takes cookies along", async () => {
  const session = new Session(fakeStorage());
  session.begin(fakeTokens(1));
  const fetch = mock.fn(async (/** @type {any} */ _input, /** @type {RequestInit} */ _init) => Response.json([]));
  const api = new Api({ base: "", session, fetch: /** @type {any} */ (fetch), locks: undefined });
  await api.messages({ limit: 1 });
  await api.logout();
  const inits = fetch.mock.calls.map(({ arguments: [, { redirect, credentials }] }) => [redirect, credentials]);
  assert.deepEqual(inits, [["error", "omit"], ["error", "omit"]]);
});

test("signing out clears even without a network", async () => {
  const server = fakeServer({ good: "", refresh: () => ({ status: 200 }) });
  const [{ session }] = tabs(server);
  const warn = console.warn;
  console.warn = () => {};
  const api = new Api({ base: "", session, fetch: () => Promise.reject(new TypeError("Failed to fetch")), locks: undefined });
  const done = api.logout();
  assert.equal(session.tokens, null, "at once");
  await done;
  console.warn = warn;
  assert.equal(session.tokens, null);
});

test("signing out is told to the server and ends no later session", async () => {
  /** @type {RequestInit[]} */
  const told = [];
  const storage = fakeStorage();
  const session = new Session(storage);
  session.begin(fakeTokens(1));
  const api = new Api({
    base: "",
    session,
    fetch: async (_input, init = {}) => { told.push(init); return new Response(null, { status: 204 }); },
    locks: undefined,
  });
  const done = api.logout();
  session.begin(second);
  await done;
  assert.deepEqual(session.tokens, second);
  assert.deepEqual(told.map(({ body, keepalive }) => [JSON.parse(String(body)), keepalive]), [[{ refresh_token: "refresh-1" }, true]]);

  new Session(storage).begin(fakeTokens(3, { sub: "bob" }));
  await api.logout();
  assert.equal(session.username, "bob", "it was alice who signed out");
  assert.equal(told.length, 1);
});

describe("errors tell what the server said", () => {
  /** @type {[number, unknown, Record<string, string>, Partial<ApiError>][]} */
  const cases = [
    [422, { detail: "Bad.", errors: [{ field: "username", detail: "Too short." }] }, {}, { message: "Bad.", fields: [{ field: "username", detail: "Too short." }] }],
    [409, { title: "Conflict", detail: "Taken." }, {}, { message: "Taken.", fields: [] }],
    [404, { message: "Not Found" }, {}, { message: "Not Found" }],
    [429, { detail: "Slow down." }, { "retry-after": "840" }, { message: "Slow down.", retryAfterSecs: 840 }],
    [429, {}, { "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT" }, { retryAfterSecs: null }],
    [429, {}, { "retry-after": "1e300" }, { retryAfterSecs: null }],
    [429, {}, { "retry-after": "-1" }, { retryAfterSecs: null }],
    [400, { detail: "x".repeat(5_000_000) }, {}, { message: "The server could not do this (400). Please try again in a moment." }],
    [400, { detail: { toString: "x" }, message: ["y"], title: "Bad Request" }, {}, { message: "Bad Request" }],
    [422, { detail: "Bad.", errors: [{ field: "__proto__", detail: "x" }, { field: 1, detail: "x" }, null] }, {}, { fields: [{ field: "__proto__", detail: "x" }] }],
    [502, { message: "Internal server error" }, {}, { message: "The server could not do this (502). Please try again in a moment." }],
    [400, "no json", {}, { message: "The server could not do this (400). Please try again in a moment." }],
  ];
  for (const [status, body, headers, expected] of cases) {
    test(`${status} ${JSON.stringify(body).slice(0, 100)}`, async () => {
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

describe("who is here", () => {
  /** @param {unknown} answer */
  const ask = (answer, link = "") => {
    const session = new Session(fakeStorage());
    session.begin(fakeTokens(1));
    const headers = link === "" ? undefined : { link };
    return new Api({ base: "", session, fetch: async () => Response.json(answer, { headers }), locks: undefined }).presence();
  };

  test("is a number and names, and whether there are more", async () => {
    const people = { count: 3, users: ["alice", "bob"] };
    assert.deepEqual(await ask({ ...people, more: 1 }), { ...people, hasMore: false });
    const next = '</auth/presence?limit=200&after=bob>; rel="next"';
    assert.deepEqual(await ask(people, next), { ...people, hasMore: true });
  });

  test("is asked for after a name", async () => {
    const session = new Session(fakeStorage());
    session.begin(fakeTokens(1));
    /** @type {string[]} */
    const asked = [];
    /** @param {RequestInfo | URL} input */
    const fetch = async (input) => {
      asked.push(String(input));
      return Response.json({ count: 0, users: [] });
    };
    const api = new Api({ base: "", session, fetch, locks: undefined });
    await api.presence();
    await api.presence("bob");
    assert.deepEqual(asked, ["/auth/presence?limit=200", "/auth/presence?limit=200&after=bob"]);
  });

  for (const answer of [
    null, 7, [], {}, { count: 1 }, { users: [] }, { count: "1", users: ["alice"] }, { count: -1, users: [] },
    { count: 1, users: "alice" }, { count: 2, users: ["alice", 7] }, { count: 1, users: ["alice", "bob"] },
    { count: 1e6, users: Array(201).fill("x") }, { count: 1e300, users: [] },
  ]) {
    test(`is not ${JSON.stringify(answer).slice(0, 40)}`, () => assert.rejects(ask(answer), Unreachable));
  }
});
