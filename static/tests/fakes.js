// @ts-check
/** Stand-ins for what the browser gives, shared by the tests. */

/** A storage that several "tabs" can share. */
export function fakeStorage() {
  /** @type {Map<string, string>} */
  const values = new Map();
  return {
    values,
    getItem: (/** @type {string} */ key) => values.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => void values.set(key, value),
    removeItem: (/** @type {string} */ key) => void values.delete(key),
  };
}

/** Web Locks: one holder at a time, in the order of asking. */
export function fakeLocks() {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  return {
    /**
     * @template T
     * @param {string} _name
     * @param {{signal: AbortSignal}} _options
     * @param {() => Promise<T>} callback
     * @returns {Promise<T>}
     */
    request(_name, _options, callback) {
      const result = last.then(callback);
      last = result.catch(() => {});
      return result;
    },
  };
}

/**
 * A token with these claims and no valid signature: nobody here verifies it.
 * @param {object} claims
 */
export function fakeToken(claims) {
  const part = (/** @type {object} */ json) => Buffer.from(JSON.stringify(json)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part(claims)}.signature`;
}

/**
 * @param {number} generation  makes the tokens different
 * @param {{sub?: string, lifeSecs?: number}} [options]
 */
export function fakeTokens(generation, { sub = "alice", lifeSecs = 900 } = {}) {
  const exp = Math.floor(Date.now() / 1_000) + lifeSecs;
  return { access_token: fakeToken({ sub, exp, jti: `a${generation}` }), refresh_token: `refresh-${generation}` };
}

/** Lets all promises that can settle do so. */
export async function settle() {
  for (let i = 0; i < 50; i += 1) await Promise.resolve();
}

/** The socket of the chat, without a network: it opens, closes and receives as it is told. */
export class FakeSocket extends EventTarget {
  state = "connecting";
  isOpen = false;
  /** @type {any[]} */
  sent = [];
  start() {}
  stop() {}

  /** @param {any} frame */
  send(frame) {
    if (this.isOpen) this.sent.push(frame);
    return this.isOpen;
  }

  open() {
    this.isOpen = true;
    this.dispatchEvent(new Event("open"));
  }

  close() {
    this.isOpen = false;
    this.dispatchEvent(new Event("close"));
  }

  /** @param {any} frame */
  frame(frame) {
    this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
  }
}
