// @ts-check
/**
 * Finds the addresses in a text. It makes no markup, and what it returns says the whole text.
 *
 * @typedef {{text: string, href: string | null}} Part  `href` is where it leads; null for what is only text
 */

/** A longer one is a text that only begins like an address. */
const ADDRESS_LENGTH_MAX = 2_048;
/** Up to white space, quotation marks, East Asia's punctuation, and characters that cannot be seen or turn the line around. */
const ADDRESS = new RegExp(
  String.raw`(?<!\w)https?://[^\s<>"“”„«»\\\p{Cc}\p{Cf}\p{Co}\u3000-\u303F\uFF01-\uFF0F\uFF1A\uFF1B\uFF1F]{1,${ADDRESS_LENGTH_MAX}}`,
  "giu",
);
/** They end the sentence, not the address. */
const PUNCTUATION = /[.,;:!?'’…*]/;
/** @type {Record<string, string>} */
const OPENINGS = { ")": "(", "]": "[", "}": "{" };

/**
 * @param {string} text
 * @returns {Part[]}  their texts joined are the text
 */
export function partsOf(text) {
  /** @type {Part[]} */
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = withoutTail(found);
    const href = hrefOf(address);
    if (href === null) continue;
    if (index > end) parts.push({ text: text.slice(end, index), href: null });
    parts.push({ text: address, href });
    end = index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: null });
  return parts;
}

/**
 * Without the sentence's punctuation, and brackets that were opened before the address.
 * @param {string} address
 */
function withoutTail(address) {
  /** @type {Record<string, number>} */
  const surplus = {};
  for (const [closing, opening] of Object.entries(OPENINGS)) {
    surplus[closing] = address.split(closing).length - address.split(opening).length;
  }
  let length = address.length;
  for (; length > 0; length -= 1) {
    const last = address[length - 1];
    if (surplus[last] > 0) surplus[last] -= 1;
    else if (!PUNCTUATION.test(last)) break;
  }
  return address.slice(0, length);
}

/**
 * Where an address leads, if it may be followed: with a name before the host, https://bank.example@evil.example would look
 * like the bank.
 * @param {string} address
 */
function hrefOf(address) {
  try {
    const { protocol, username, password, href } = new URL(address);
    return /^https?:$/.test(protocol) && username === "" && password === "" ? href : null;
  } catch {
    return null;
  }
}
