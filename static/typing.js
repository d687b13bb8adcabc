// @ts-check
/**
 * Who is typing. Fires "change".
 *
 * @import { ChatSocket } from "./socket.js"
 */

/** The server passes on no more than this. */
export const TELL_EVERY_MS = 3_000;
export const TYPING_MS = 6_000;
const NAMES_MAX = 2;

export class Typing extends EventTarget {
  #socket;
  #listening = new AbortController();
  /** When each of them is taken to have stopped. @type {Map<string, number>} */
  #until = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #toldAt = -Infinity;
  #unsupported = false;

  /** @param {ChatSocket} socket */
  constructor(socket) {
    super();
    this.#socket = socket;
  }

  /** In the order of beginning. @returns {string[]} */
  get users() {
    return [...this.#until.keys()];
  }

  start() {
    const { signal } = this.#listening;
    this.#socket.addEventListener("frame", (event) => this.#received(/** @type {CustomEvent} */ (event).detail), { signal });
    this.#socket.addEventListener("close", () => this.#stopped(this.users), { signal });
  }

  stop() {
    this.#listening.abort();
    clearTimeout(this.#timer);
  }

  typed() {
    const now = Date.now();
    if (this.#unsupported || now - this.#toldAt < TELL_EVERY_MS) return;
    if (this.#socket.send({ action: "typing" })) this.#toldAt = now;
  }

  /** @param {any} frame */
  #received({ type, username, event, code, client_id, messages }) {
    if (type === "typing" && typeof username === "string") {
      this.#until.set(username, Date.now() + TYPING_MS);
      this.#schedule();
      this.dispatchEvent(new Event("change"));
    } else if (type === "message" || (type === "presence" && event === "left")) {
      this.#stopped([username]);
    } else if (type === "messages" && Array.isArray(messages)) {
      this.#stopped(messages.map((message) => message?.username));
    } else if (type === "error" && code === "unknown_action" && client_id === undefined) {
      // A server from before.
      this.#unsupported = true;
    }
  }

  /** @param {any[]} usernames */
  #stopped(usernames) {
    const stopped = usernames.filter((username) => this.#until.delete(username));
    if (stopped.length === 0) return;
    this.#schedule();
    this.dispatchEvent(new Event("change"));
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (this.#until.size === 0) return;
    const next = Math.min(...this.#until.values());
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, next - Date.now()));
  }

  #expire() {
    const now = Date.now();
    this.#stopped(this.users.filter((username) => Number(this.#until.get(username)) <= now));
    this.#schedule();
  }
}

/**
 * "alice is typing…", "alice and bob are typing…", or "" if nobody is.
 * @param {string[]} users
 */
export function typingWords(users) {
  if (users.length === 0) return "";
  if (users.length > NAMES_MAX) return "Several people are typing…";
  return `${users.join(" and ")} ${users.length === 1 ? "is" : "are"} typing…`;
}
