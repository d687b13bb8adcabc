// @ts-check
/**
 * Who is signed in, and what the browser keeps. The tokens are only in the storage that all tabs share, so what another tab renews is seen at once.
 *
 * Fires "change" with `detail.reason` when the user changes: "expired" if the server refused to renew, "elsewhere" if it
 * was in another tab.
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
   * Replaces the tokens, unless the session has ended or changed hands meanwhile.
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

  /** Whether the user has changed unnoticed, which listeners hear now: a page that slept gets no `storage` event. */
  check() {
    return this.#announce("elsewhere");
  }

  /** @param {{key: string | null}} event  a `storage` event; without a key after `localStorage.clear()` */
  storageChanged({ key }) {
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
 * As a subprotocol of the socket, an access token may have no other characters than a JWT's.
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
 * @param {Tokens} tokens
 * @param {number} secs
 */
export function expiresWithin({ access_token }, secs) {
  const exp = claimsOf(access_token)?.exp;
  return typeof exp === "number" && exp * 1_000 <= Date.now() + secs * 1_000;
}

/**
 * The claims of a JWT, which only the server can verify.
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
 * The storage, or one in memory where the browser forbids it.
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

/**
 * Keeps what memory has, too: a full storage is no reason to fail.
 * @param {KeyValue} storage
 * @param {string} key
 * @param {string} text  "" for nothing
 */
export function keep(storage, key, text) {
  try {
    if (text === "") storage.removeItem(key);
    else storage.setItem(key, text);
  } catch {
    // It is kept until the page is left.
  }
}

/** What the text says, or null. @param {string | null} text */
export function parseJson(text) {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
}
