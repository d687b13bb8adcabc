// @ts-check
/** How long to wait before the next try: exponential, capped, with full jitter. */

export const BASE_MS = 1_000;
export const CAP_MS = 30_000;

/**
 * Full jitter (anything from nothing to the bound) spreads the clients of a restarted server best.
 * @param {number} failures  tries that have failed in a row; 0 for the first wait
 * @param {() => number} [random]
 */
export function backOffMs(failures, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** failures);
}
