// @ts-check
/**
 * Says new messages to screen readers. The list is no live region: its rows come and go as one scrolls.
 *
 * @import { Message } from "./timeline.js"
 */

/** More at once are only counted. */
const SAID_MAX = 3;
/** Longer, and screen readers would find it beside the list, a second time. */
const KEPT_MS = 5_000;

export class Announcer {
  #region;
  #username;
  /** @type {Set<ReturnType<typeof setTimeout>>} */
  #timers = new Set();

  /**
   * @param {HTMLElement} region  live, and hidden from the eye
   * @param {string} username  the user's own
   */
  constructor(region, username) {
    this.#region = region;
    this.#username = username;
  }

  /** @param {readonly Message[]} messages */
  announce(messages) {
    const others = messages.filter(({ username }) => username !== this.#username);
    if (others.length < messages.length) this.#say("Sent.");
    if (others.length > SAID_MAX) this.#say(`${others.length} new messages`);
    else for (const { username, text } of others) this.#say(`${username}: ${text}`);
  }

  stop() {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** @param {string} words */
  #say(words) {
    const line = document.createElement("p");
    line.textContent = words;
    this.#region.append(line);
    const timer = setTimeout(() => {
      line.remove();
      this.#timers.delete(timer);
    }, KEPT_MS);
    this.#timers.add(timer);
  }
}
