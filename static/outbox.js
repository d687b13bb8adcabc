// @ts-check
/**
 * Messages typed but not yet seen in the room, oldest first. The tab's storage keeps them over a reload; their `client_id`
 * makes it safe to send one again.
 *
 * @import { KeyValue } from "./session.js"
 * @typedef {object} Pending
 * @property {string} client_id
 * @property {string} text
 * @property {number} attempts
 * @property {string | null} refusal  why it is not sent any more, in words; null while it is tried
 * @property {number | null} id  its id in the room, once that is known; then it waits to be shown there
 */
import { keep, parseJson } from "./session.js";

export class Outbox {
  #storage;
  #key;
  #newClientId;
  /** @type {Pending[]} */
  #pending;

  /**
   * @param {KeyValue} storage
   * @param {string} username
   * @param {() => string} [newId]
   */
  constructor(storage, username, newId = newClientId) {
    this.#storage = storage;
    this.#key = `lambda-chat.outbox.${username}`;
    this.#newClientId = newId;
    this.#pending = restore(storage.getItem(this.#key));
  }

  /** @returns {readonly Pending[]} */
  get pending() {
    return this.#pending;
  }

  /** The one to send: in the order of typing, and those refused no more. */
  get next() {
    return this.#pending.find(({ refusal, id }) => refusal === null && id === null);
  }

  /** @param {string} text */
  add(text) {
    this.#pending.push({ client_id: this.#newClientId(), text, attempts: 0, refusal: null, id: null });
    this.#keep();
  }

  /** @param {string} clientId */
  find(clientId) {
    return this.#pending.find(({ client_id }) => client_id === clientId);
  }

  /** @param {string} clientId */
  remove(clientId) {
    const found = this.find(clientId);
    if (found) {
      this.#pending = this.#pending.filter((pending) => pending !== found);
      this.#keep();
    }
    return found;
  }

  /**
   * It is in the room.
   * @param {string} clientId
   * @param {number} id
   */
  arrive(clientId, id) {
    return this.#change(clientId, { refusal: null, id });
  }

  /** Forgets those that have arrived, up to this id. @param {number} lastId */
  removeShown(lastId) {
    for (const { client_id, id } of this.#pending) {
      if (id !== null && id <= lastId) this.remove(client_id);
    }
  }

  /**
   * @param {string} clientId
   * @param {string} refusal
   */
  refuse(clientId, refusal) {
    return this.#change(clientId, { refusal });
  }

  /** Tries a refused one again, under the same id: it may have arrived after all. @param {string} clientId */
  retry(clientId) {
    this.#change(clientId, { refusal: null, attempts: 0 });
  }

  clear() {
    this.#pending = [];
    this.#keep();
  }

  /**
   * @param {string} clientId
   * @param {Partial<Pending>} changes
   */
  #change(clientId, changes) {
    const found = this.find(clientId);
    if (found) {
      Object.assign(found, changes);
      this.#keep();
    }
    return found;
  }

  #keep() {
    keep(this.#storage, this.#key, this.#pending.length === 0 ? "" : JSON.stringify(this.#pending));
  }
}

/** Unique among one user's messages; `randomUUID` needs a secure origin. */
export function newClientId(crypto = globalThis.crypto) {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string | null} stored
 * @returns {Pending[]}
 */
function restore(stored) {
  const list = parseJson(stored);
  if (!Array.isArray(list)) return [];
  return list
    .filter((each) => typeof each?.client_id === "string" && typeof each?.text === "string")
    .map(({ client_id, text, refusal }) => ({
      client_id,
      text,
      attempts: 0,
      refusal: typeof refusal === "string" ? refusal : null,
      // Sent again, it is told its id again.
      id: null,
    }));
}
