// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Heights, MARGIN_ROWS, ROWS_MAX, ROW_PX, rowsAround } from "../viewport.js";

/** @param {number} start @param {number} end */
const range = (start, end) => ({ start, end });

/** @type {{name: string, kept: [number, number], sight: [number, number], count: number, rows: [number, number]}[]} */
const CASES = [
  { name: "nothing", kept: [0, 0], sight: [0, 0], count: 0, rows: [0, 0] },
  { name: "a small room", kept: [0, 0], sight: [40, 50], count: 50, rows: [0, 50] },
  { name: "as many as may be", kept: [0, 199], sight: [190, 200], count: 200, rows: [0, 200] },
  { name: "one more, at the end", kept: [0, 200], sight: [191, 201], count: 201, rows: [1, 201] },
  { name: "at the start", kept: [0, 0], sight: [0, 10], count: 10_000, rows: [0, 200] },
  { name: "in the middle", kept: [0, 200], sight: [5_000, 5_010], count: 10_000, rows: [4_905, 5_105] },
  { name: "near enough to the middle", kept: [4_905, 5_105], sight: [4_945, 4_955], count: 10_000, rows: [4_905, 5_105] },
  { name: "too near the edge above", kept: [4_905, 5_105], sight: [4_944, 4_954], count: 10_000, rows: [4_849, 5_049] },
  { name: "too near the edge below", kept: [4_905, 5_105], sight: [5_056, 5_066], count: 10_000, rows: [4_961, 5_161] },
  { name: "messages that come far below change nothing", kept: [0, 200], sight: [0, 10], count: 10_001, rows: [0, 200] },
  { name: "a very high window", kept: [0, 0], sight: [1_000, 1_100], count: 10_000, rows: [920, 1_180] },
];

for (const { name, kept, sight, count, rows } of CASES) {
  test(name, () => assert.deepEqual(rowsAround(range(...kept), range(...sight), count), range(...rows)));
}

test("wherever one looks, the rows there are in the page, with some around them, and few others", () => {
  let kept = range(0, 0);
  for (let step = 0; step < 5_000; step += 1) {
    const count = 1 + ((step * 7_919) % 3_000);
    const start = (step * 104_729) % count;
    const sight = range(start, Math.min(count, start + 12));
    kept = rowsAround(kept, sight, count);
    assert.ok(kept.end - kept.start <= ROWS_MAX && kept.end <= count);
    assert.ok(kept.start <= Math.max(0, sight.start - MARGIN_ROWS));
    assert.ok(kept.end >= Math.min(count, sight.end + MARGIN_ROWS));
  }
});

test("heights: the measured ones as they are, the others as high as those on average", () => {
  const rows = Array.from({ length: 10 }, (_, index) => ({ id: index + 1 }));
  const heights = new Heights();
  assert.equal(heights.sum(rows, range(0, 10)), 10 * ROW_PX);
  heights.set(1, 20);
  heights.set(2, 40);
  assert.equal(heights.sum(rows, range(0, 10)), 20 + 40 + 8 * 30);
  heights.set(2, 60);
  assert.equal(heights.average, 40);
  assert.deepEqual(heights.rowAt(rows, 0), { index: 0, top: 0 });
  assert.deepEqual(heights.rowAt(rows, 19.5), { index: 0, top: 0 });
  assert.deepEqual(heights.rowAt(rows, 20), { index: 1, top: 20 });
  assert.deepEqual(heights.rowAt(rows, 85), { index: 2, top: 80 });
  assert.deepEqual(heights.rowAt(rows, 1e9), { index: 9, top: 360 });
  heights.clear();
  assert.equal(heights.average, ROW_PX);
});
