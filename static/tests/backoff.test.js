// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { RETRY_AFTER_SECS_MAX, backOffMs, retryMs } from "../backoff.js";

/** The bound doubles from 1 s to 30 s; the wait lies anywhere below it. */
const BOUNDS_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];

for (const [failures, bound] of BOUNDS_MS.entries()) {
  test(`after ${failures} failures: up to ${bound} ms`, () => {
    assert.equal(backOffMs(failures, () => 0), 0);
    assert.equal(backOffMs(failures, () => 0.5), bound / 2);
    assert.equal(backOffMs(failures, () => 1), bound);
    for (let i = 0; i < 100; i += 1) {
      const wait = backOffMs(failures);
      assert.ok(wait >= 0 && wait < bound, String(wait));
    }
  });
}

test("a server's own time is kept, up to a bound, and never shortens the wait", () => {
  /** @type {[number | null, number, number][]} */
  const cases = [[null, 0, 1_000], [0, 0, 1_000], [7, 0, 7_000], [7, 4, 16_000], [1e9, 0, RETRY_AFTER_SECS_MAX * 1_000]];
  for (const [secs, failures, expected] of cases) assert.equal(retryMs(secs, failures, () => 1), expected, `${secs} s`);
});

test("stays at the cap however often it failed", () => {
  assert.equal(backOffMs(100_000, () => 1), 30_000);
});
