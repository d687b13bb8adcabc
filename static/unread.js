// @ts-check
/**
 * What the user has not seen yet. Whoever shows the messages says what is being read.
 *
 * @import { Message } from "./timeline.js"
 */

export class Unread {
  /** How many messages of others have not been seen. */
  count = 0;
  /** Everything up to this id has been seen; null until anything is known. @type {number | null} */
  readId;
  #username;
  /** The divider stands after this id; null for none. @type {number | null} */
  #dividedId = null;
  #looked = false;
  /** Another tab has shown everything up to this id. */
  #elsewhereId = 0;

  /**
   * @param {string} username  whose own messages are never unread
   * @param {number | null} readId  where reading stopped the last time, if that is known
   */
  constructor(username, readId) {
    this.#username = username;
    this.readId = readId;
  }

  /**
   * @param {readonly Message[]} messages  ascending by id
   * @param {boolean} reading  whether the newest is in sight
   */
  look(messages, reading) {
    const lastId = messages.at(-1)?.id ?? 0;
    // An id above all others is of a time before the messages were restored from a backup.
    const readId = Math.min(this.readId ?? lastId, lastId);
    this.count = this.#othersAfter(messages, readId).length;
    if (this.count > 0 && !(reading && this.#looked)) this.#dividedId = readId;
    this.#looked = true;
    if (reading) this.count = 0;
    this.readId = reading ? lastId : readId;
  }

  /** Seen in another tab. @param {number} id */
  readElsewhere(id) {
    this.#elsewhereId = Math.max(this.#elsewhereId, id);
    if (this.readId !== null && id > this.readId) this.readId = id;
  }

  /** What came after this id was said while the line was away: here nobody has seen it come. @param {number} id */
  missedAfter(id) {
    this.#dividedId = Math.max(Math.min(this.readId ?? id, id), this.#elsewhereId);
  }

  /** The user has said something, and so has read what was there. */
  answered() {
    this.#dividedId = null;
  }

  /**
   * The id of the message that the divider stands before, or null.
   * @param {readonly Message[]} messages  ascending by id
   */
  firstNewId(messages) {
    const dividedId = this.#dividedId;
    // Ids have no gaps: with this one the message before the divider would be there.
    if (dividedId === null || messages.length === 0 || messages[0].id > dividedId + 1) return null;
    return this.#othersAfter(messages, dividedId)[0]?.id ?? null;
  }

  /**
   * @param {readonly Message[]} messages
   * @param {number} id
   */
  #othersAfter(messages, id) {
    const after = messages.findLastIndex((message) => message.id <= id) + 1;
    return messages.slice(after).filter(({ username }) => username !== this.#username);
  }
}
