// @ts-check
/**
 * The room's messages in the order of their ids. Pure logic: no network, no page.
 *
 * Ids count 1, 2, 3 … without gaps. So a live message whose id is not the next one shows that
 * something is missing; it is held back until a page fetched with `after=lastId` has filled the gap.
 *
 * @typedef {{id: number, username: string, text: string, sent_at: string, client_id?: string}} Message
 */

/**
 * @param {any} value
 * @returns {value is Message}
 */
export function isMessage(value) {
  return (
    typeof value === "object" && value !== null &&
    Number.isSafeInteger(value.id) && value.id > 0 &&
    typeof value.username === "string" &&
    typeof value.text === "string" &&
    typeof value.sent_at === "string"
  );
}

export class Timeline {
  /** @type {Message[]} */
  #shown = [];
  /** Live messages that came too early, by id. @type {Map<number, Message>} */
  #held = new Map();
  #loaded = false;
  #startReached = false;

  /** What may be shown, ascending by id, every id once. @returns {readonly Message[]} */
  get messages() {
    return this.#shown;
  }

  /** 0 while there is none. */
  get firstId() {
    return this.#shown[0]?.id ?? 0;
  }

  /** 0 while there is none. */
  get lastId() {
    return this.#shown.at(-1)?.id ?? 0;
  }

  /** Whether the newest page has arrived. */
  get loaded() {
    return this.#loaded;
  }

  /** Whether there are older messages to fetch with `before=firstId`. */
  get hasOlder() {
    return this.firstId > 1 && !this.#startReached;
  }

  /** Whether a live message waits for the ones before it. */
  get hasGap() {
    return this.#loaded && this.#held.size > 0;
  }

  /** A live message. Ones already known are dropped. @param {Message} message */
  receive(message) {
    if (message.id <= this.lastId) return;
    this.#held.set(message.id, message);
    if (this.#loaded) this.#release();
  }

  /**
   * An answer to "the newest" or `after=lastId`. Whatever order or overlap it has, and even if it
   * leaves ids out: what the server lists is what exists.
   * @param {Message[]} page
   */
  addNewer(page) {
    for (const message of ascending(page)) {
      if (message.id > this.lastId) this.#shown.push(message);
    }
    this.#loaded = true;
    this.#release();
  }

  /** An answer to `before=firstId`. @param {Message[]} page */
  addOlder(page) {
    const older = ascending(page).filter((message) => message.id < this.firstId);
    if (older.length === 0) this.#startReached = true;
    this.#shown.unshift(...older);
  }

  /** Shows what is held although ids are missing: a lasting hole must not hide what came later. */
  acceptGap() {
    this.addNewer([...this.#held.values()]);
  }

  #release() {
    for (const id of this.#held.keys()) {
      if (id <= this.lastId) this.#held.delete(id);
    }
    for (let next = this.#held.get(this.lastId + 1); next; next = this.#held.get(this.lastId + 1)) {
      this.#held.delete(next.id);
      this.#shown.push(next);
    }
  }
}

/** @param {Message[]} page */
function ascending(page) {
  const byId = new Map(page.map((message) => [message.id, message]));
  return [...byId.values()].sort((a, b) => a.id - b.id);
}
