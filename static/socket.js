// @ts-check
/**
 * The live connection. It is expected to break (API Gateway closes it after 10 idle minutes and after 2 hours, laptops
 * sleep) and comes back by itself.
 *
 * Fires "state" when `state` changes, "open" and "close" for each connection, "frame" with the parsed JSON in `detail`, and
 * "refused" when handshakes fail although the server answers, with their number in `detail`.
 *
 * @typedef {"connecting" | "online" | "reconnecting" | "offline"} ConnectionState
 */
import { SessionEnded } from "./api.js";
import { backOffMs } from "./backoff.js";
import { parseJson } from "./session.js";

const PROTOCOL = "chat.v1";
/** Well below the 10 idle minutes after which API Gateway closes. */
export const PING_EVERY_MS = 4 * 60_000;
export const PONG_WITHIN_MS = 10_000;
const HANDSHAKE_WITHIN_MS = 20_000;
/** A connection that lived this long was a good one: the next wait starts small again. */
export const STABLE_AFTER_MS = 5_000;

export class ChatSocket extends EventTarget {
  #url;
  #accessToken;
  #probe;
  #isOnLine;
  #WebSocket;
  #random;

  /** @type {WebSocket | null} */
  #socket = null;
  isOpen = false;
  #openedAt = 0;
  #failures = 0;
  #refusals = 0;
  #probing = false;
  /** Counts attempts, so that one that was overtaken while it waited knows it. */
  #attempt = 0;
  #stopped = true;
  /** @type {ConnectionState} */
  state = "connecting";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #handshakeTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pingTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pongTimer;

  /**
   * @param {object} deps
   * @param {string} deps.url
   * @param {() => Promise<string>} deps.accessToken  a token fit for the handshake
   * @param {() => Promise<void>} deps.probe  called after a handshake that failed
   * @param {() => boolean} [deps.isOnLine]
   * @param {typeof globalThis.WebSocket} [deps.WebSocket]
   * @param {() => number} [deps.random]
   */
  constructor({ url, accessToken, probe, isOnLine = () => true, WebSocket = globalThis.WebSocket, random = Math.random }) {
    super();
    this.#url = url;
    this.#accessToken = accessToken;
    this.#probe = probe;
    this.#isOnLine = isOnLine;
    this.#WebSocket = WebSocket;
    this.#random = random;
  }

  start() {
    this.#stopped = false;
    this.#connect();
  }

  stop() {
    this.#stopped = true;
    this.#attempt += 1;
    this.#drop();
  }

  /**
   * Whether the frame was handed over; that does not mean that it arrives.
   * @param {object} frame
   */
  send(frame) {
    if (!this.isOpen || this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** The network came back: whatever is under way was begun on the old one. */
  networkUp() {
    if (this.#stopped) return;
    if (this.isOpen) this.#ping();
    else this.#connect();
  }

  /** The network is said to be gone. Only a ping can tell: with local-dev on this machine the chat goes on. */
  networkDown() {
    if (this.#stopped) return;
    this.#refreshState();
    if (this.isOpen) this.#ping();
  }

  /** The page was brought back, maybe from sleep: do not wait for timers that slept too. */
  wake() {
    if (this.#stopped) return;
    if (this.isOpen) this.#ping();
    else if (this.#retryTimer !== undefined || this.#probing) this.#connect();
  }

  async #connect() {
    this.#drop();
    const attempt = ++this.#attempt;
    this.#refreshState();

    let token;
    try {
      token = await this.#accessToken();
    } catch (error) {
      if (attempt === this.#attempt) this.#retryUnlessEnded(error);
      return;
    }
    if (attempt !== this.#attempt) return;

    // The token as an offered subprotocol stands in no address and so in no log.
    const socket = new this.#WebSocket(this.#url, [PROTOCOL, `bearer.${token}`]);
    this.#socket = socket;
    this.#handshakeTimer = setTimeout(() => this.#lost(), HANDSHAKE_WITHIN_MS);
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#received(event.data);
    // "error" is always followed by "close", and says nothing more.
    socket.onclose = () => this.#lost();
  }

  #opened() {
    clearTimeout(this.#handshakeTimer);
    this.isOpen = true;
    this.#openedAt = Date.now();
    this.#refusals = 0;
    this.#schedulePing();
    this.#refreshState();
    this.dispatchEvent(new Event("open"));
  }

  /** @param {unknown} text */
  #received(text) {
    // Any frame proves that the line is alive.
    clearTimeout(this.#pongTimer);
    this.#pongTimer = undefined;

    const frame = parseJson(String(text));
    if (typeof frame === "object" && frame !== null) {
      this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
    }
  }

  async #lost() {
    const wasOpen = this.isOpen;
    this.#drop();
    if (wasOpen) {
      if (Date.now() - this.#openedAt >= STABLE_AFTER_MS) this.#failures = 0;
      this.#retry();
      return;
    }

    this.#refusals += 1;
    this.#refreshState();
    const attempt = this.#attempt;
    this.#probing = true;
    try {
      await this.#probe();
    } catch (error) {
      if (attempt === this.#attempt) this.#retryUnlessEnded(error);
      return;
    }
    if (attempt !== this.#attempt) return;
    this.#retry();
    this.dispatchEvent(new CustomEvent("refused", { detail: this.#refusals }));
  }

  /** @param {unknown} error */
  #retryUnlessEnded(error) {
    if (error instanceof SessionEnded) this.stop();
    else this.#retry();
  }

  #retry() {
    this.#probing = false;
    const delayMs = backOffMs(this.#failures, this.#random);
    this.#failures += 1;
    this.#refreshState();
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
  }

  #schedulePing() {
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.#ping(), PING_EVERY_MS);
  }

  #ping() {
    this.#schedulePing();
    if (this.#pongTimer !== undefined) return;
    this.send({ action: "ping" });
    this.#pongTimer = setTimeout(() => this.#lost(), PONG_WITHIN_MS);
  }

  /** Lets go of the connection at once: on a dead network its own "close" may take a minute. */
  #drop() {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#handshakeTimer);
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#pongTimer);
    this.#retryTimer = undefined;
    this.#pongTimer = undefined;
    this.#probing = false;

    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    if (this.isOpen) {
      this.isOpen = false;
      this.dispatchEvent(new Event("close"));
    }
  }

  #refreshState() {
    const state = this.#currentState();
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  /** @returns {ConnectionState} */
  #currentState() {
    if (this.isOpen) return "online";
    if (!this.#isOnLine()) return "offline";
    return this.#failures === 0 && this.#openedAt === 0 && this.#refusals === 0 ? "connecting" : "reconnecting";
  }
}
