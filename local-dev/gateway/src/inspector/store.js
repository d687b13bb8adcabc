// @ts-check
/**
 * What is known of the gateway, from its live feed. No page in here; the views render from it.
 *
 * Fires "change" when something else is to be seen, and "feed" when the line is up or down.
 *
 * @typedef {{id: string, request_id: string, function: string, route: string, replay_of: string | null,
 *   started_at: string, start: string, outcome: "running" | "ok" | "error", status: number | null,
 *   error: string | null, duration_ms: number | null, event_bytes: number, response_bytes: number | null,
 *   lines: number}} Invocation
 * @typedef {{id: string, stage: string, source_ip: string, user_agent: string | null, connected_at: string,
 *   last_active_at: string, queued_bytes: number}} Connection
 * @typedef {{total: number, connections: Connection[]}} Connections
 * @typedef {{name: string, waiting: number, in_flight: number, delayed: number, dead_letter_queue: string | null,
 *   is_dead_letter_queue: boolean}} Queue
 * @typedef {{invocations: Invocation[], connections: Connections, queues: Queue[]}} View
 */

/** As many as the gateway remembers. */
export const INVOCATIONS_MAX = 200;
/** Until a feed is asked for again that the browser has given up. */
const RETRY_MS = 2_000;

export class Store extends EventTarget {
  /** @type {"connecting" | "online" | "offline"} */
  feed = "connecting";
  /** Words that an invocation must have all of. */
  filter = "";
  /** The id of the invocation whose details are shown. @type {string | null} */
  selected = null;

  /** @type {View} */
  #live = { invocations: [], connections: { total: 0, connections: [] }, queues: [] };
  /** What is shown while the page is paused. @type {View | null} */
  #frozen = null;

  get view() {
    return this.#frozen ?? this.#live;
  }

  get invocations() {
    const words = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
    return this.view.invocations.filter((invocation) => {
      const text = describe(invocation);
      return words.every((word) => text.includes(word));
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
    on("snapshot", (view) => { this.#live = view; });
    on("invocation", (invocation) => this.#put(invocation));
    on("connections", (connections) => { this.#live.connections = connections; });
    on("queues", (queues) => { this.#live.queues = queues; });
    source.addEventListener("open", () => this.#line("online"));
    source.addEventListener("error", () => {
      this.#line("offline");
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.follow(), RETRY_MS);
    });
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
  const { id, request_id, function: name, route, start, replay_of } = invocation;
  const replay = replay_of === null ? "" : "replay";
  return [name, route, outcome(invocation), invocation.outcome, start, replay, id, request_id].join(" ").toLowerCase();
}
