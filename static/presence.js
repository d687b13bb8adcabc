// @ts-check
/**
 * Who is here. The server says it when asked, and in a small room also when somebody comes or goes. What fails is asked
 * again later; a server that does not know is left alone.
 *
 * Fires "change".
 *
 * @import { Api } from "./api.js"
 * @import { ChatSocket } from "./socket.js"
 * @typedef {{event: "joined" | "left", username: string}} Change
 */
import { ApiError } from "./api.js";

/** In a large room nobody is told who comes and goes. */
export const ASK_EVERY_MS = 60_000;

export class Presence extends EventTarget {
  /** Whether more names are being asked for. */
  loadingMore = false;
  /** Whether the last try to get them failed. */
  moreFailed = false;
  /** Whether there is anything to be shown. */
  known = false;
  /** Whether the server has been heard not to know. */
  unsupported = false;
  /** How many people are here. */
  count = 0;
  /** Their names in alphabetical order, as far as they are known. @type {readonly string[]} */
  users = [];
  /** Whether the server has more of them. */
  hasMore = false;
  #api;
  #socket;
  #isInSight;
  #listening = new AbortController();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** How many names have to be known, if there are so many; they come by pages. */
  #wanted = 1;
  /** What has changed since the question under way was put; null when none is. @type {Change[] | null} */
  #meanwhile = null;

  /**
   * @param {object} deps
   * @param {Pick<Api, "presence">} deps.api
   * @param {ChatSocket} deps.socket
   * @param {() => boolean} [deps.isInSight]  whether anybody can see the answer
   */
  constructor({ api, socket, isInSight = () => true }) {
    super();
    this.#api = api;
    this.#socket = socket;
    this.#isInSight = isInSight;
  }

  start() {
    const { signal } = this.#listening;
    this.#socket.addEventListener("open", () => this.ask(), { signal });
    this.#socket.addEventListener("frame", (event) => this.#received(/** @type {CustomEvent} */ (event).detail), { signal });
    this.#timer = setInterval(() => this.#isInSight() && this.#socket.isOpen && this.ask(), ASK_EVERY_MS);
  }

  stop() {
    this.#listening.abort();
    clearInterval(this.#timer);
  }

  /** Asks for everybody who is shown. */
  async ask() {
    if (!this.unsupported) await this.#askAfter([]);
  }

  /** Shows the next names, too, from now on. */
  async showMore() {
    this.#wanted = this.users.length + 1;
    this.loadingMore = true;
    this.moreFailed = false;
    this.dispatchEvent(new Event("change"));
    await this.#askAfter(this.users);
  }

  /** @param {readonly string[]} known  the first names */
  async #askAfter(known) {
    // A question under way goes on until it has all that is wanted.
    if (this.#meanwhile !== null) return;
    this.#meanwhile = [];
    try {
      Object.assign(this, await this.#pages(known));
      this.known = true;
      this.moreFailed = false;
      for (const change of this.#meanwhile) this.#apply(change);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.unsupported = true;
      else if (this.loadingMore) this.moreFailed = true;
      else return;
    } finally {
      this.#meanwhile = null;
      this.loadingMore = false;
    }
    if (!this.#listening.signal.aborted) this.dispatchEvent(new Event("change"));
  }

  /** @param {readonly string[]} known */
  async #pages(known) {
    const users = new Set(known);
    for (;;) {
      const before = users.size;
      const page = await this.#api.presence([...users].at(-1));
      for (const user of page.users) users.add(user);
      // A page that brings nothing would be followed by the same for ever.
      if (!page.hasMore || users.size >= this.#wanted || users.size === before) {
        return { ...page, users: [...users] };
      }
    }
  }

  /** @param {any} frame */
  #received({ type, event, username }) {
    if (type !== "presence" || typeof username !== "string" || (event !== "joined" && event !== "left")) return;
    // The answer that is on its way may be older than this.
    this.#meanwhile?.push({ event, username });
    if (!this.known) return;
    this.#apply({ event, username });
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Change} change */
  #apply({ event, username }) {
    const isHere = this.users.includes(username);
    // Where not all names are known, only the server can count.
    if (this.users.length < this.count && !isHere) return;
    if (event === "joined" && !isHere) {
      this.users = [...this.users, username].sort();
      this.count += 1;
    } else if (event === "left" && isHere) {
      this.users = this.users.filter((user) => user !== username);
      this.count -= 1;
    }
  }
}
