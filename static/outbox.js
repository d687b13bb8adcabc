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
import { keep } from "./session.js";

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
    const found = this.find(clientId);
    if (found) {
      found.refusal = null;
      found.id = id;
    }
    return found;
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
    const found = this.find(clientId);
    if (found) {
      found.refusal = refusal;
      this.#keep();
    }
    return found;
  }

  /** Tries a refused one again, under the same id: it may have arrived after all. @param {string} clientId */
  retry(clientId) {
    const found = this.find(clientId);
    if (found) {
      found.refusal = null;
      found.attempts = 0;
      this.#keep();
    }
  }

  clear() {
    this.#pending = [];
    this.#keep();
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
  try {
    const list = JSON.parse(stored ?? "[]");
    return list
      .filter((/** @type {any} */ each) => typeof each?.client_id === "string" && typeof each?.text === "string")
      .map((/** @type {any} */ { client_id, text, refusal }) => ({
        client_id,
        text,
        attempts: 0,
        refusal: typeof refusal === "string" ? refusal : null,
        // Sent again, it is told its id again.
        id: null,
      }));
  } catch {
    return [];
  }
}
