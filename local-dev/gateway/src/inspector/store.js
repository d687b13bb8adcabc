// @ts-check
/**
 * What is known of the gateway, from its live feed. No page in here; the views render from it.
 *
 * Fires "change" when something else is to be seen, and "feed" when the line is up or down.
 *
 * @typedef {{id: string, request_id: string, function: string, route: string, replay_of: string | null,
 *   program: string, connection_id: string | null, started_at: string, start: string,
 *   outcome: "running" | "ok" | "error", status: number | null, error: string | null, duration_ms: number | null,
 *   event_bytes: number, response_bytes: number | null, steps: number, parts: [string, number, number][],
 *   refused: string | null}} Invocation
 * @typedef {{id: string, stage: string, source_ip: string, user_agent: string | null, connected_at: string,
 *   last_active_at: string, queued_bytes: number}} Connection
 * @typedef {{total: number, connections: Connection[]}} Connections
 * @typedef {{name: string, waiting: number, in_flight: number, delayed: number, dead_letter_queue: string | null,
 *   is_dead_letter_queue: boolean}} Queue
 * @typedef {{title: string, aws: string, why: string, limit: string | null, assumption: string | null,
 *   source: string, count: number, last_at: string, subject: string}} Refusal
 * @typedef {{invocations: Invocation[], connections: Connections, queues: Queue[], refusals: Refusal[]}} View
 */

import { request } from "./api.js";

/** As many as the gateway remembers. */
export const INVOCATIONS_MAX = 200;
/** Until a feed is asked for again that the browser has given up. */
const RETRY_MS = 2_000;
/** How often it is asked at most which texts have the words of the filter. */
const SEARCH_MS = 300;

export class Store extends EventTarget {
  /** @type {"connecting" | "online" | "offline"} */
  feed = "connecting";
  /** Words that an invocation must have all of. */
  filter = "";
  /** How much time the bars show, in milliseconds; null is how long each took. @type {number | null} */
  stretch = 10_000;
  /** The id of the invocation whose details are shown. @type {string | null} */
  selected = null;

  /** @type {View} */
  #live = { invocations: [], connections: { total: 0, connections: [] }, queues: [], refusals: [] };
  /** What is shown while the page is paused. @type {View | null} */
  #frozen = null;
  /** The ids of invocations that have the words in their events, answers or steps. @type {Set<string>} */
  #found = new Set();
  #isSearching = false;
  #searchAgain = false;

  get view() {
    return this.#frozen ?? this.#live;
  }

  get invocations() {
    const words = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
    return this.view.invocations.filter((invocation) => {
      const text = describe(invocation);
      return words.every((word) => text.includes(word)) || this.#found.has(invocation.id);
    });
  }

  /** The selected one as it is now, paused or not. */
  get selectedInvocation() {
    return this.#live.invocations.find(({ id }) => id === this.selected) ?? null;
  }

  get paused() {
    return this.#frozen !== null;
  }

  /** How many invocations have begun since the pause. */
  get missed() {
    const seen = new Set(this.#frozen?.invocations.map(({ id }) => id));
    return this.#frozen ? this.#live.invocations.filter(({ id }) => !seen.has(id)).length : 0;
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.#frozen = paused ? { ...this.#live, invocations: [...this.#live.invocations] } : null;
    this.#changed();
  }

  /** @param {string} filter */
  setFilter(filter) {
    this.filter = filter;
    this.#found = new Set();
    this.#search();
    this.#changed();
  }

  /** @param {number | null} stretch */
  setStretch(stretch) {
    this.stretch = stretch;
    this.#changed();
  }

  /** @param {string | null} id */
  select(id) {
    this.selected = id;
    this.#changed();
  }

  follow() {
    const source = new EventSource("/_local/events");
    /** @param {string} kind @param {(document: any) => void} take */
    const on = (kind, take) => source.addEventListener(kind, (event) => {
      take(JSON.parse(/** @type {MessageEvent} */ (event).data));
      this.#changed();
    });
    // After a "reset" there is another snapshot.
    on("snapshot", (view) => {
      this.#live = view;
      this.#search();
    });
    on("invocation", (invocation) => {
      this.#put(invocation);
      this.#search();
    });
    on("refusals", (refusals) => { this.#live.refusals = refusals; });
    on("connections", (connections) => { this.#live.connections = connections; });
    on("queues", (queues) => { this.#live.queues = queues; });
    source.addEventListener("open", () => this.#line("online"));
    source.addEventListener("error", () => {
      this.#line("offline");
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.follow(), RETRY_MS);
    });
  }

  /** Asks which invocations have the filter's words in their texts; one question at a time. */
  async #search() {
    if (this.filter.trim() === "") return;
    this.#searchAgain = this.#isSearching;
    if (this.#isSearching) return;
    this.#isSearching = true;
    await new Promise((resolve) => setTimeout(resolve, SEARCH_MS));
    try {
      const found = await request("GET", `/invocations?text=${encodeURIComponent(this.filter.trim())}`);
      this.#found = new Set(found.map((/** @type {Invocation} */ { id }) => id));
      this.#changed();
    } catch {
      // The line is down, as the page says; the next change asks again.
    }
    this.#isSearching = false;
    if (this.#searchAgain) this.#search();
  }

  /** Puts an invocation in its place, the newest first. @param {Invocation} invocation */
  #put(invocation) {
    const list = this.#live.invocations;
    const known = list.findIndex(({ id }) => id === invocation.id);
    if (known >= 0) {
      list[known] = invocation;
      return;
    }
    const place = list.findIndex(({ started_at }) => started_at <= invocation.started_at);
    list.splice(place < 0 ? list.length : place, 0, invocation);
    list.length = Math.min(list.length, INVOCATIONS_MAX);
  }

  /** @param {"online" | "offline"} state */
  #line(state) {
    this.feed = state;
    this.dispatchEvent(new Event("feed"));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** How an invocation went, in a word. @param {Invocation} invocation */
export function outcome({ outcome, status }) {
  return outcome === "ok" && status !== null ? String(status) : outcome;
}

/** Whether that is good, bad or still open. @param {Invocation} invocation */
export function mood({ outcome, status }) {
  if (outcome === "running") return "open";
  if (outcome === "error" || (status ?? 200) >= 500) return "bad";
  return (status ?? 200) >= 400 ? "doubtful" : "good";
}

/** @param {Invocation} invocation */
function describe(invocation) {
  const { id, request_id, function: name, route, start, replay_of, connection_id, refused } = invocation;
  const replay = replay_of === null ? "" : "replay";
  const words = [name, route, outcome(invocation), invocation.outcome, start, replay, id, request_id, connection_id, refused];
  return words.join(" ").toLowerCase();
}
