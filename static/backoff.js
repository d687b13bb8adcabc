// @ts-check
/** How long to wait before the next try: full jitter spreads the clients of a restarted server best. */

export const BASE_MS = 1_000;
export const CAP_MS = 30_000;
export const RETRY_AFTER_SECS_MAX = 300;

/**
 * @param {number} failures  tries that have failed in a row; 0 for the first wait
 * @param {() => number} [random]
 */
export function backOffMs(failures, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** failures);
}

/**
 * Not before the server has said to come again.
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
