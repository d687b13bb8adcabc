// @ts-check
/**
 * The room's messages in the order of their ids, which have no gaps. So a live message whose id is not the next one shows
 * that something is missing; it is held back until a page fetched with `after=lastId` has filled the gap.
 *
 * @typedef {{id: number, username: string, text: string, sent_at: string, client_id?: string}} Message
 */

/**
 * @param {any} value
 * @returns {value is Message}
 */
export function isMessage(value) {
  return (
    Number.isSafeInteger(value?.id) && value.id > 0 &&
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
  /** Whether the newest page has arrived. */
  loaded = false;
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

  /** Whether there are older messages to fetch with `before=firstId`. */
  get hasOlder() {
    return this.firstId > 1 && !this.#startReached;
  }

  /** Whether a live message waits for the ones before it. */
  get hasGap() {
    return this.loaded && this.#held.size > 0;
  }

  /** @param {Message} message  a live one */
  receive(message) {
    if (message.id <= this.lastId) return;
    this.#held.set(message.id, message);
    if (this.loaded) this.#release();
  }

  /** An answer to "the newest" or `after=lastId`: even with ids left out, it is what exists. @param {Message[]} page */
  addNewer(page) {
    for (const message of ascending(page)) {
      if (message.id > this.lastId) this.#shown.push(message);
    }
    this.loaded = true;
    this.#release();
  }

  /** An answer to `before=firstId`. @param {Message[]} page */
  addOlder(page) {
    const older = ascending(page).filter((message) => message.id < this.firstId);
    if (older.length === 0) this.#startReached = true;
    this.#shown.unshift(...older);
  }

  /** A lasting hole must not hide what came later. */
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
