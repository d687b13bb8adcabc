// @ts-check
/** How long to wait before the next try: exponential, capped, with full jitter. */

export const BASE_MS = 1_000;
export const CAP_MS = 30_000;
/** A server that asks for more is asked again all the same, and may say so again. */
export const RETRY_AFTER_SECS_MAX = 300;

/**
 * Full jitter (anything from nothing to the bound) spreads the clients of a restarted server best.
 * @param {number} failures  tries that have failed in a row; 0 for the first wait
 * @param {() => number} [random]
 */
export function backOffMs(failures, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** failures);
}

/**
 * The same where the server has said when to come again: not before that.
 * @param {number | null} retryAfterSecs
 * @param {number} failures
 * @param {() => number} [random]
 */
export function retryMs(retryAfterSecs, failures, random = Math.random) {
  const toldMs = Math.min(retryAfterSecs ?? 0, RETRY_AFTER_SECS_MAX) * 1_000;
  return Math.max(toldMs, backOffMs(failures, random));
}

/**
 * @param {number} ms
 * @returns {Promise<void>}
 */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
