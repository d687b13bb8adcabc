// @ts-check
/**
 * The HTTP side of the chat: JSON over fetch, and the one place where tokens are renewed.
 *
 * @import { Session, Tokens } from "./session.js"
 * @import { Message } from "./timeline.js"
 * @typedef {typeof globalThis.fetch} Fetch
 * @typedef {{limit: number, before?: number, after?: number}} Cursor
 * @typedef {{request<T>(name: string, options: {signal: AbortSignal}, callback: () => Promise<T>): Promise<T>}} Locks
 */
import { pause, retryMs } from "./backoff.js";
import { claimsOf, expiresWithin, isTokens, parseJson } from "./session.js";
import { isMessage } from "./timeline.js";

/** API Gateway gives up after 29 s. */
const REQUEST_TIMEOUT_MS = 35_000;
/** Longer than another tab's renewal takes, unless it is frozen. */
const LOCK_TIMEOUT_MS = 40_000;
/** So close to its end a token might be over before the handshake arrives. */
const RENEW_BEFORE_SECS = 60;
export const RETRIES_MAX = 3;
/** Of a longer wait the user should hear. */
export const RETRY_UNHEARD_SECS_MAX = 10;
/** How many names the server gives at once. */
const USERS_MAX = 200;
/** RFC 8288, as the server writes it. */
const NEXT_LINK = /; rel="next"/;
const DETAIL_LENGTH_MAX = 1_000;

/** The server answered with an error. The message is fit to be shown. */
export class ApiError extends Error {
  name = "ApiError";

  /**
   * @param {number} status
   * @param {string} detail
   * @param {{field: string, detail: string}[]} [fields]  what is wrong with which field (422)
   * @param {number | null} [retryAfterSecs]
   */
  constructor(status, detail, fields = [], retryAfterSecs = null) {
    super(detail);
    this.status = status;
    this.fields = fields;
    this.retryAfterSecs = retryAfterSecs;
  }
}

/** No answer, or none of ours (a captive portal, say). The message is fit to be shown. */
export class Unreachable extends Error {
  name = "Unreachable";

  /** @param {unknown} [cause] */
  constructor(cause) {
    super("The server cannot be reached. Check your connection and try again.", { cause });
  }
}

/** Who was signed in is so no more; the session has told its listeners already. */
export class SessionEnded extends Error {
  name = "SessionEnded";
}

export class Api {
  #base;
  #session;
  #fetch;
  #locks;
  #random;
  /** The renewal under way in this tab. @type {Promise<Tokens> | null} */
  #renewal = null;

  /**
   * @param {object} deps
   * @param {string} deps.base  prefix of every path, "" for the page's own origin
   * @param {Session} deps.session
   * @param {Fetch} deps.fetch
   * @param {Locks | undefined} deps.locks  `navigator.locks`, which insecure origins do not have
   * @param {() => number} [deps.random]
   */
  constructor({ base, session, fetch, locks, random = Math.random }) {
    this.#base = base;
    this.#session = session;
    this.#fetch = fetch;
    this.#locks = locks;
    this.#random = random;
  }

  /**
   * @param {string} username
   * @param {string} password
   */
  async register(username, password) {
    const { json } = await this.#send("POST", "/auth/register", { body: { username, password } });
    // A captive portal says 200 to everything; that is no account.
    if (typeof json?.message !== "string") throw new Unreachable();
  }

  /**
   * Begins the session.
   * @param {string} username
   * @param {string} password
   */
  async login(username, password) {
    const { json: tokens } = await this.#send("POST", "/auth/login", { body: { username, password } });
    if (!isTokens(tokens) || typeof claimsOf(tokens.access_token)?.sub !== "string") throw new Unreachable();
    this.#session.begin(tokens);
  }

  /** Ends the session, here first: whoever signs out must not stay in for want of a network. */
  async logout() {
    // Another tab's user is shown now, and was not the one to sign out.
    if (this.#session.check()) return;
    const { tokens } = this.#session;
    this.#session.end("signed-out");
    if (!tokens) return;
    try {
      const body = { refresh_token: tokens.refresh_token };
      await this.#send("POST", "/auth/logout", { body, keepalive: true });
    } catch (error) {
      console.warn("The server was not told of the sign-out.", error);
    }
  }

  /**
   * @param {Cursor} cursor
   * @returns {Promise<Message[]>}
   */
  async messages(cursor) {
    const query = new URLSearchParams(Object.entries(cursor).map(([name, value]) => [name, String(value)]));
    const { json: page } = await this.#get(`/auth/messages?${query}`);
    if (!Array.isArray(page) || page.length > cursor.limit) throw new Unreachable();
    return page.filter(isMessage);
  }

  /**
   * How many people are here, and the first names, or the next ones after a name.
   * @param {string} [after]
   * @returns {Promise<{count: number, users: string[], hasMore: boolean}>}
   */
  async presence(after) {
    const query = new URLSearchParams({ limit: String(USERS_MAX) });
    if (after !== undefined) query.set("after", after);
    const { json, headers } = await this.#get(`/auth/presence?${query}`);
    if (!isPresence(json)) throw new Unreachable();
    return { count: json.count, users: json.users, hasMore: NEXT_LINK.test(headers.get("link") ?? "") };
  }

  /** An access token good for a handshake, which cannot tell a browser why it was refused. */
  async accessToken() {
    const tokens = this.#tokens();
    if (!expiresWithin(tokens, RENEW_BEFORE_SECS)) return tokens.access_token;
    return (await this.renew(tokens.access_token)).access_token;
  }

  /** Finds out why a handshake failed, by what a browser can read: a request is refused as well. */
  async probe() {
    await this.messages({ limit: 1 });
  }

  /**
   * Replaces a token that was refused or is about to end. Callers in this tab share one renewal, other tabs wait for it.
   * @param {string} staleToken
   * @returns {Promise<Tokens>}
   */
  renew(staleToken) {
    this.#renewal ??= this.#locked(() => this.#renewLocked(staleToken)).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  /**
   * Without the lock two tabs may renew at once: for 30 s the server leads both to the same new token.
   * @param {() => Promise<Tokens>} callback
   * @returns {Promise<Tokens>}
   */
  async #locked(callback) {
    if (!this.#locks) return callback();
    let locked = false;
    try {
      return await this.#locks.request("lambda-chat.renew", { signal: AbortSignal.timeout(LOCK_TIMEOUT_MS) }, () => {
        locked = true;
        return callback();
      });
    } catch (error) {
      if (locked) throw error;
      return callback();
    }
  }

  /** @param {string} staleToken */
  async #renewLocked(staleToken) {
    const held = this.#tokens();
    // Another tab was first.
    if (held.access_token !== staleToken && !expiresWithin(held, 0)) return held;

    try {
      const { json: tokens } = await this.#send("POST", "/auth/refresh", { body: { refresh_token: held.refresh_token } });
      if (!isTokens(tokens)) throw new Unreachable();
      this.#session.renew(held, tokens);
    } catch (error) {
      if (!isUnauthorized(error)) throw error;
      // Only if it is still the refused session: without locks another tab may hold a newer token.
      if (this.#session.tokens?.refresh_token === held.refresh_token) this.#session.end("expired");
    }
    return this.#tokens();
  }

  /** The tokens of the user who is shown. */
  #tokens() {
    const changed = this.#session.check();
    const { tokens } = this.#session;
    if (changed || !tokens) throw new SessionEnded();
    return tokens;
  }

  /**
   * Asks again, a few times, if the server says when.
   * @param {string} path
   */
  async #get(path) {
    for (let retries = 0; ; retries += 1) {
      try {
        return await this.#sendAuthorised("GET", path);
      } catch (error) {
        const secs = error instanceof ApiError && [429, 503].includes(error.status) ? error.retryAfterSecs : null;
        if (secs === null || secs > RETRY_UNHEARD_SECS_MAX || retries === RETRIES_MAX) throw error;
        await pause(retryMs(secs, retries, this.#random));
      }
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   */
  async #sendAuthorised(method, path) {
    const tokens = this.#tokens();
    try {
      return await this.#send(method, path, { token: tokens.access_token });
    } catch (error) {
      if (!isUnauthorized(error)) throw error;
      const renewed = await this.renew(tokens.access_token);
      return this.#send(method, path, { token: renewed.access_token });
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{body?: object, token?: string, keepalive?: boolean}} options
   * @returns {Promise<{json: any, headers: Headers}>} the parsed body, and what came with it
   */
  async #send(method, path, { body, token, keepalive = false }) {
    /** @type {Record<string, string>} */
    const headers = { accept: "application/json, application/problem+json" };
    if (body) headers["content-type"] = "application/json";
    if (token) headers["authorization"] = `Bearer ${token}`;

    let response, text;
    try {
      response = await this.#fetch(this.#base + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
        cache: "no-store",
        credentials: "omit",
        // The API redirects nowhere; whoever does shall not get the tokens.
        redirect: "error",
        keepalive,
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      text = await response.text();
    } catch (cause) {
      throw new Unreachable(cause);
    }

    const json = parseJson(text);
    if (!response.ok) throw apiError(response, json);
    return { json, headers: response.headers };
  }
}

/**
 * From problem+json (`detail`, `errors`) or the gateway's own form (`message`).
 * @param {Response} response
 * @param {any} json
 */
function apiError(response, json) {
  const fields = response.status === 422 && Array.isArray(json?.errors) ? json.errors.filter(isFieldError) : [];
  const said = [json?.detail, json?.message, json?.title].find((words) => typeof words === "string" && words !== "");
  const detail = response.status >= 500 || !said || said.length > DETAIL_LENGTH_MAX
    ? `The server could not do this (${response.status}). Please try again in a moment.`
    : said;
  return new ApiError(response.status, detail, fields, retryAfterSecs(response));
}

/** @param {any} value */
function isPresence(value) {
  return (
    Number.isSafeInteger(value?.count) && Array.isArray(value.users) &&
    value.users.length <= Math.min(value.count, USERS_MAX) &&
    value.users.every((/** @type {any} */ user) => typeof user === "string")
  );
}

/** @param {any} value */
function isFieldError(value) {
  return typeof value?.field === "string" && typeof value?.detail === "string";
}

/** @param {Response} response */
function retryAfterSecs(response) {
  const header = response.headers.get("retry-after") ?? "";
  return /^\d{1,9}$/.test(header) ? Number(header) : null;
}

/** @param {unknown} error */
function isUnauthorized(error) {
  return error instanceof ApiError && error.status === 401;
}
