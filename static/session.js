// @ts-check
/**
 * Who is signed in. The tokens live in one place, the storage that all tabs share; nothing is
 * cached here, so what another tab has renewed is seen at once.
 *
 * Fires "change" with `detail.reason` whenever the user changes, also through another tab:
 *   "signed-in", "signed-out", "expired" (the server refused to renew), "elsewhere" (another tab).
 *
 * @typedef {{access_token: string, refresh_token: string}} Tokens
 * @typedef {"signed-in" | "signed-out" | "expired" | "elsewhere"} Reason
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} KeyValue
 */

export const SESSION_KEY = "lambda-chat.session";

export class Session extends EventTarget {
  #storage;
  /** The user the listeners know of. @type {string | null} */
  #announced;

  /** @param {KeyValue} storage */
  constructor(storage) {
    super();
    this.#storage = storage;
    this.#announced = this.username;
  }

  /** @returns {Tokens | null} */
  get tokens() {
    const stored = parseJson(this.#storage.getItem(SESSION_KEY));
    // Without a name in its token there is no session to go on with.
    return isTokens(stored) && typeof claimsOf(stored.access_token)?.sub === "string" ? stored : null;
  }

  /** The signed-in user's name, or null. */
  get username() {
    const tokens = this.tokens;
    return tokens ? /** @type {string} */ (claimsOf(tokens.access_token)?.sub) : null;
  }

  /** @param {Tokens} tokens */
  begin(tokens) {
    this.#store(tokens);
    this.#announce("signed-in");
  }

  /**
   * Replaces the tokens, unless the session has ended or changed hands while they were under way.
   * @param {Tokens} previous
   * @param {Tokens} tokens
   */
  renew(previous, tokens) {
    if (this.tokens?.refresh_token === previous.refresh_token) this.#store(tokens);
  }

  /** @param {Reason} reason */
  end(reason) {
    this.#storage.removeItem(SESSION_KEY);
    this.#announce(reason);
  }

  /**
   * Looks whether the stored user is still the one shown: a page that slept gets no `storage` event.
   * @returns {boolean}  whether it was not, which the listeners know now
   */
  check() {
    return this.#announce("elsewhere");
  }

  /** To be called with the window's `storage` events. @param {{key: string | null}} event */
  storageChanged({ key }) {
    // The key is null after `localStorage.clear()`.
    if (key === SESSION_KEY || key === null) this.check();
  }

  /** @param {Tokens} tokens */
  #store({ access_token, refresh_token }) {
    this.#storage.setItem(SESSION_KEY, JSON.stringify({ access_token, refresh_token }));
  }

  /** @param {Reason} reason */
  #announce(reason) {
    const username = this.username;
    if (username === this.#announced) return false;
    this.#announced = username;
    this.dispatchEvent(new CustomEvent("change", { detail: { reason } }));
    return true;
  }
}

/**
 * An access token is offered as a subprotocol of the socket, which other characters than a JWT's would break.
 * @param {any} value
 * @returns {value is Tokens}
 */
export function isTokens(value) {
  return (
    typeof value?.access_token === "string" && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(value.access_token) &&
    typeof value.refresh_token === "string"
  );
}

/**
 * Whether the access token is over in so many seconds, by this machine's clock.
 * @param {Tokens} tokens
 * @param {number} secs
 */
export function expiresWithin({ access_token }, secs) {
  const exp = claimsOf(access_token)?.exp;
  return typeof exp === "number" && exp * 1_000 <= Date.now() + secs * 1_000;
}

/**
 * The claims of a JWT, unverified: only the server can and must verify them.
 * @param {string} token
 * @returns {{sub?: unknown, exp?: unknown} | null}
 */
export function claimsOf(token) {
  try {
    const base64 = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

/**
 * The storage, or one in memory where the browser forbids it (blocked cookies, a full disk).
 * @param {() => Storage} open
 * @returns {KeyValue}
 */
export function openStorage(open) {
  try {
    const storage = open();
    const key = "lambda-chat.probe";
    storage.setItem(key, "");
    storage.removeItem(key);
    return storage;
  } catch {
    /** @type {Map<string, string>} */
    const memory = new Map();
    return {
      getItem: (key) => memory.get(key) ?? null,
      setItem: (key, value) => void memory.set(key, value),
      removeItem: (key) => void memory.delete(key),
    };
  }
}

/** @param {string | null} text */
function parseJson(text) {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
