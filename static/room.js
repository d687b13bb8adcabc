// @ts-check
/**
 * The state of the chat: what was said, what is being sent, how the line is. The view renders from it.
 *
 * Fires "change"; "said" with `detail: Message[]` for those newer than the first page; "missed" with the id after which
 * others spoke while the line was away; "refused" with `detail: {client_id, text, reason}` when the server would not take a
 * message; "wait" when it wants them later.
 *
 * @import { Api } from "./api.js"
 * @import { ChatSocket } from "./socket.js"
 * @import { Outbox } from "./outbox.js"
 * @import { Message } from "./timeline.js"
 */
import { ApiError, SessionEnded } from "./api.js";
import { RETRY_AFTER_SECS_MAX, backOffMs, pause, retryMs } from "./backoff.js";
import { Timeline, isMessage } from "./timeline.js";

export const PAGE_MESSAGES = 50;
export const CATCH_UP_MESSAGES = 200;
export const ECHO_WITHIN_MS = 10_000;
/** Then it is no longer the network. */
export const ATTEMPTS_MAX = 6;
const GAP_FETCHES_MAX = 3;
/** What the server refuses for now, and says for how long. */
const BUSY = "unavailable";
const RATE_LIMITED = "rate_limited";
/** So many handshakes refused in a row are more than a server that restarts. */
export const REFUSALS_MAX = 3;

export class Room extends EventTarget {
  username;
  #api;
  #socket;
  #outbox;
  #random;
  #timeline = new Timeline();
  #listening = new AbortController();

  loadingOlder = false;
  olderFailed = false;
  /** Whether the last try to get what is new failed. */
  catchUpFailed = false;
  /** Whether the server answers requests, but no handshake. */
  liveRefused = false;
  /** Words of the server that belong to no message, or "". */
  notice = "";

  /** The listeners know of all messages up to this one; null until the first page has come. @type {number | null} */
  #announcedId = null;

  /** The newest message when the line went, until all is caught up. @type {number | null} */
  #leftAtId = null;

  /** A run of catching up that is not the latest gives way. */
  #catchUpRun = 0;
  #catchingUp = false;

  /** The pending message under way. @type {string | null} */
  #inFlight = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #echoTimer;
  /** Runs while the server wants no sends. @type {ReturnType<typeof setTimeout> | undefined} */
  #waitTimer;
  #waitEndsAt = 0;
  /** Whether it is for sending too fast; else the server is busy. */
  rateLimited = false;

  /**
   * @param {object} deps
   * @param {Pick<Api, "messages">} deps.api
   * @param {ChatSocket} deps.socket
   * @param {Outbox} deps.outbox
   * @param {string} deps.username
   * @param {() => number} [deps.random]
   */
  constructor({ api, socket, outbox, username, random = Math.random }) {
    super();
    this.#api = api;
    this.#socket = socket;
    this.#outbox = outbox;
    this.username = username;
    this.#random = random;
  }

  get messages() {
    return this.#timeline.messages;
  }

  get loaded() {
    return this.#timeline.loaded;
  }

  get hasOlder() {
    return this.#timeline.hasOlder;
  }

  get pending() {
    return this.#outbox.pending;
  }

  /** How many messages would be lost if the tab were closed. */
  get unsent() {
    return this.#outbox.pending.filter(({ id }) => id === null).length;
  }

  /** In how many seconds the next message is sent, if it has to wait; else 0. */
  get waitSecs() {
    if (this.#waitTimer === undefined) return 0;
    const secs = Math.ceil((this.#waitEndsAt - Date.now()) / 1_000);
    // The timer decides, whatever becomes of the clock meanwhile.
    return Math.min(Math.max(secs, 1), RETRY_AFTER_SECS_MAX);
  }

  get connection() {
    return this.#socket.state;
  }

  start() {
    const { signal } = this.#listening;
    this.#socket.addEventListener("state", () => this.#changed(), { signal });
    this.#socket.addEventListener("open", () => this.#opened(), { signal });
    this.#socket.addEventListener("close", () => this.#closed(), { signal });
    this.#socket.addEventListener("refused", (event) => this.#refused(/** @type {CustomEvent} */ (event).detail), { signal });
    this.#socket.addEventListener("frame", (event) => this.#received(/** @type {CustomEvent} */ (event).detail), { signal });
    this.#socket.start();
  }

  stop() {
    this.#listening.abort();
    this.#socket.stop();
    this.#closed();
    clearTimeout(this.#waitTimer);
  }

  /** @param {string} text  keeps the rules */
  send(text) {
    this.notice = "";
    this.#outbox.add(text);
    this.#pump();
    this.#changed();
  }

  /** @param {string} clientId */
  retry(clientId) {
    this.#outbox.retry(clientId);
    this.#pump();
    this.#changed();
  }

  /** @param {string} clientId */
  discard(clientId) {
    this.#outbox.remove(clientId);
    this.#changed();
  }

  discardAll() {
    this.#outbox.clear();
    this.#changed();
  }

  async loadOlder() {
    if (this.loadingOlder || !this.hasOlder) return;
    this.loadingOlder = true;
    this.olderFailed = false;
    this.#changed();
    try {
      this.#timeline.addOlder(await this.#api.messages({ limit: PAGE_MESSAGES, before: this.#timeline.firstId }));
    } catch {
      this.olderFailed = true;
    }
    this.loadingOlder = false;
    this.#changed();
  }

  get #stopped() {
    return this.#listening.signal.aborted;
  }

  #changed() {
    if (this.#stopped) return;
    this.#announce();
    this.dispatchEvent(new Event("change"));
  }

  #announce() {
    if (!this.loaded) return;
    const announcedId = this.#announcedId;
    const { lastId } = this.#timeline;
    this.#announcedId = lastId;
    if (announcedId === null || announcedId === lastId) return;
    const after = this.messages.findLastIndex(({ id }) => id <= announcedId) + 1;
    this.dispatchEvent(new CustomEvent("said", { detail: this.messages.slice(after) }));
  }

  #opened() {
    this.notice = "";
    this.liveRefused = false;
    // The socket is open first, so nothing can fall between the fetched and the live messages.
    this.#catchUp();
    this.#pump();
    this.#changed();
  }

  /** Where no WebSocket can pass, there is at least the history. @param {number} refusals */
  #refused(refusals) {
    if (!this.loaded && !this.#catchingUp) this.#catchUp();
    this.liveRefused = refusals >= REFUSALS_MAX;
    this.#changed();
  }

  #closed() {
    if (this.loaded) this.#leftAtId ??= this.#timeline.lastId;
    clearTimeout(this.#echoTimer);
    this.#inFlight = null;
    // When the socket opens again, everything is asked for again.
    this.#catchUpRun += 1;
    this.#catchingUp = false;
  }

  /** @param {any} frame */
  #received(frame) {
    if (frame.type === "message") {
      this.#messagesReceived([frame]);
    } else if (frame.type === "messages" && Array.isArray(frame.messages)) {
      this.#messagesReceived(frame.messages);
    } else if (frame.type === "error") {
      this.#errorReceived(frame);
    } else if (frame.type === undefined && typeof frame.message === "string") {
      // API Gateway's own error frame names no message, but only one is under way at a time.
      this.#sendFailed();
    }
  }

  /** @param {any[]} values  what isn't a message is passed over */
  #messagesReceived(values) {
    const messages = values.filter(isMessage);
    if (messages.length === 0) return;
    this.notice = "";
    for (const message of messages) this.#timeline.receive(message);
    this.#acknowledge(messages);
    if (this.#timeline.hasGap && !this.#catchingUp) this.#catchUp();
    this.#changed();
  }

  /** @param {{code?: unknown, client_id?: unknown, detail?: unknown, retry_after?: unknown}} frame */
  #errorReceived({ code, client_id, detail, retry_after }) {
    if (!isFinal(code) && (typeof client_id === "string" || this.#inFlight !== null)) {
      // It may have been stored all the same: only under its own id is it safe to send again.
      if (typeof client_id !== "string" || client_id === this.#inFlight) {
        if (isWait(code, retry_after)) this.#wait(code, Number(retry_after));
        else this.#sendFailed();
      }
      return;
    }
    const reason = typeof detail === "string" && detail !== "" ? detail : "The server refused it.";
    if (typeof client_id !== "string") {
      // Of what the page sends, an older server knows all but that somebody is typing.
      if (code === "unknown_action") return;
      this.notice = reason;
      this.#changed();
      return;
    }
    const refused = this.#outbox.refuse(client_id, reason);
    if (!refused) return;
    this.#landed(client_id);
    this.dispatchEvent(new CustomEvent("refused", { detail: { client_id, text: refused.text, reason } }));
    this.#changed();
  }

  /** The one under way is tried again soon. */
  #sendFailed() {
    const attempts = (this.#inFlight && this.#outbox.find(this.#inFlight)?.attempts) || 0;
    if (attempts === 0) return;
    clearTimeout(this.#echoTimer);
    this.#echoTimer = setTimeout(() => this.#unanswered(), backOffMs(attempts, this.#random));
  }

  /**
   * The one under way, and all after it, are sent when the server's time is over.
   * @param {string} code
   * @param {number} secs
   */
  #wait(code, secs) {
    const pending = this.#inFlight === null ? undefined : this.#outbox.find(this.#inFlight);
    if (!pending) return;
    clearTimeout(this.#echoTimer);
    this.#inFlight = null;
    this.rateLimited = code === RATE_LIMITED;
    // Being told to wait one's turn is no failure.
    if (this.rateLimited) pending.attempts = 0;
    const ms = this.rateLimited ? retryMs(secs, 0, () => 0) : retryMs(secs, pending.attempts, this.#random);
    this.#waitEndsAt = Date.now() + ms;
    this.#waitTimer = setTimeout(() => this.#waited(), ms);
    this.dispatchEvent(new Event("wait"));
    this.#changed();
  }

  #waited() {
    this.#waitTimer = undefined;
    this.#pump();
    this.#changed();
  }

  /**
   * What has arrived stays among the pending until it is shown in the room.
   * @param {readonly Message[]} messages
   */
  #acknowledge(messages) {
    for (const { id, username, client_id } of messages) {
      if (username === this.username && client_id && this.#outbox.arrive(client_id, id)) this.#landed(client_id);
    }
    this.#outbox.removeShown(this.#timeline.lastId);
  }

  /** @param {string} clientId */
  #landed(clientId) {
    if (this.#inFlight !== clientId) return;
    clearTimeout(this.#echoTimer);
    this.#inFlight = null;
    this.#pump();
  }

  #unanswered() {
    this.#inFlight = null;
    this.#pump();
    this.#changed();
  }

  /** Sends the next one. One at a time: in the cloud, two under way at once could arrive in either order. */
  #pump() {
    if (this.#inFlight !== null || this.#waitTimer !== undefined) return;
    const next = this.#outbox.next;
    if (!next) return;
    if (next.attempts >= ATTEMPTS_MAX) {
      this.#outbox.refuse(next.client_id, "The server did not answer.");
      this.#pump();
      return;
    }
    if (!this.#socket.send({ action: "send", text: next.text, client_id: next.client_id })) return;
    next.attempts += 1;
    this.#inFlight = next.client_id;
    this.#echoTimer = setTimeout(() => this.#unanswered(), ECHO_WITHIN_MS);
  }

  /** Fetches what is new, while something is known to be lacking. */
  async #catchUp() {
    const run = ++this.#catchUpRun;
    this.#catchingUp = true;
    let failures = 0;
    let gapFetches = 0;
    for (let done = false; !done; ) {
      try {
        await this.#fetchNewer(run);
        if (run !== this.#catchUpRun) return;
        failures = 0;
        this.catchUpFailed = false;
        // Promised not to happen: whoever sees a message can fetch all before it.
        if (this.#timeline.hasGap && ++gapFetches >= GAP_FETCHES_MAX) this.#timeline.acceptGap();
        this.#outbox.removeShown(this.#timeline.lastId);
        done = !this.#timeline.hasGap;
        if (!done) await pause(backOffMs(gapFetches, this.#random));
      } catch (error) {
        if (run !== this.#catchUpRun || error instanceof SessionEnded) return;
        this.catchUpFailed = true;
        this.#changed();
        await pause(retryMs(error instanceof ApiError ? error.retryAfterSecs : null, failures++, this.#random));
      }
      if (run !== this.#catchUpRun) return;
    }
    this.#catchingUp = false;
    this.#caughtUp();
    this.#changed();
  }

  #caughtUp() {
    const leftAtId = this.#leftAtId;
    this.#leftAtId = null;
    if (leftAtId === null) return;
    const missed = this.messages.some(({ id, username }) => id > leftAtId && username !== this.username);
    if (missed) this.dispatchEvent(new CustomEvent("missed", { detail: leftAtId }));
  }

  /** @param {number} run */
  async #fetchNewer(run) {
    for (;;) {
      // From an empty room, too, the newest page is enough: what is older comes by scrolling back.
      const cursor = this.#timeline.lastId === 0
        ? { limit: PAGE_MESSAGES }
        : { limit: CATCH_UP_MESSAGES, after: this.#timeline.lastId };
      const lastId = this.#timeline.lastId;
      const page = await this.#api.messages(cursor);
      if (run !== this.#catchUpRun) return;
      this.#timeline.addNewer(page);
      this.#acknowledge(page);
      // A page of what is known already would be answered again and again.
      if (!("after" in cursor) || page.length < cursor.limit || this.#timeline.lastId === lastId) return;
      this.#changed();
    }
  }
}

/**
 * Whether an error judges the frame itself, so that it would be refused again.
 * @param {unknown} code
 */
function isFinal(code) {
  return typeof code === "string" && /^(text_|invalid_|unknown_action$)/.test(code);
}

/**
 * Whether the server only wants to be left alone for so many seconds.
 * @param {unknown} code
 * @param {unknown} retryAfter
 * @returns {code is string}
 */
function isWait(code, retryAfter) {
  return (code === RATE_LIMITED || code === BUSY) && Number.isSafeInteger(retryAfter) && Number(retryAfter) > 0;
}
