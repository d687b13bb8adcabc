// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { backOffMs } from "../backoff.js";

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

test("stays at the cap however often it failed", () => {
  assert.equal(backOffMs(100_000, () => 1), 30_000);
});
