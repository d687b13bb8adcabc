// @ts-check
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Timeline, isMessage } from "../timeline.js";

/** @param {number} id */
const message = (id) => ({ id, username: "alice", text: `text ${id}`, sent_at: "2026-11-23T10:15:43.377Z" });

/**
 * Steps: `newer`/`older` are fetched pages, `live` comes over the socket.
 * @type {{name: string, steps: ({newer: number[]} | {older: number[]} | {live: number} | "acceptGap")[], shown: number[], gap?: boolean, older?: boolean}[]}
 */
const CASES = [
  { name: "nothing yet", steps: [], shown: [] },
  { name: "an empty room", steps: [{ newer: [] }], shown: [] },
  { name: "the first message of an empty room", steps: [{ newer: [] }, { live: 1 }], shown: [1] },
  { name: "the newest page need not begin at 1", steps: [{ newer: [951, 952, 953] }], shown: [951, 952, 953], older: true },
  { name: "a page that begins at 1 has nothing above", steps: [{ newer: [1, 2] }], shown: [1, 2], older: false },
  { name: "live messages wait for the first page", steps: [{ live: 4 }, { live: 5 }], shown: [] },
  { name: "and follow it", steps: [{ live: 4 }, { live: 5 }, { newer: [1, 2, 3] }], shown: [1, 2, 3, 4, 5] },
  { name: "and may be in it", steps: [{ live: 3 }, { live: 4 }, { newer: [1, 2, 3, 4] }], shown: [1, 2, 3, 4] },
  { name: "a live message in turn", steps: [{ newer: [16] }, { live: 17 }], shown: [16, 17], older: true },
  { name: "a repeated live message", steps: [{ newer: [1] }, { live: 2 }, { live: 2 }, { live: 1 }], shown: [1, 2] },
  { name: "a gap holds back what comes after it", steps: [{ newer: [1] }, { live: 3 }], shown: [1], gap: true },
  { name: "until a page fills it", steps: [{ newer: [1] }, { live: 3 }, { newer: [2, 3] }], shown: [1, 2, 3] },
  { name: "or the missing one arrives live", steps: [{ newer: [1] }, { live: 3 }, { live: 2 }], shown: [1, 2, 3] },
  { name: "live messages during a fetch of pages", steps: [{ newer: [1] }, { live: 6 }, { newer: [2, 3] }, { live: 7 }, { newer: [4, 5] }], shown: [1, 2, 3, 4, 5, 6, 7] },
  { name: "two gaps, one filled", steps: [{ newer: [1] }, { live: 3 }, { live: 5 }, { newer: [2] }], shown: [1, 2, 3], gap: true },
  { name: "a gap in an empty room", steps: [{ newer: [] }, { live: 2 }], shown: [], gap: true },
  { name: "a page in any order and with repetitions", steps: [{ newer: [3, 1, 2, 3] }], shown: [1, 2, 3] },
  { name: "a page that overlaps", steps: [{ newer: [1, 2] }, { newer: [2, 3] }], shown: [1, 2, 3] },
  { name: "a page is believed when ids are missing in it", steps: [{ newer: [1] }, { live: 4 }, { newer: [3, 4] }], shown: [1, 3, 4] },
  { name: "a lasting gap is accepted", steps: [{ newer: [1] }, { live: 4 }, { live: 3 }, "acceptGap"], shown: [1, 3, 4] },
  { name: "an older page", steps: [{ newer: [5, 6] }, { older: [3, 4] }], shown: [3, 4, 5, 6], older: true },
  { name: "an older page that overlaps", steps: [{ newer: [5, 6] }, { older: [3, 4, 5] }], shown: [3, 4, 5, 6], older: true },
  { name: "the oldest page", steps: [{ newer: [3] }, { older: [1, 2] }], shown: [1, 2, 3], older: false },
  { name: "nothing older although the first id is not 1", steps: [{ newer: [3] }, { older: [] }], shown: [3], older: false },
];

for (const { name, steps, shown, gap = false, older } of CASES) {
  test(name, () => {
    const timeline = new Timeline();
    for (const step of steps) {
      if (step === "acceptGap") timeline.acceptGap();
      else if ("live" in step) timeline.receive(message(step.live));
      else if ("newer" in step) timeline.addNewer(step.newer.map(message));
      else timeline.addOlder(step.older.map(message));
    }
    assert.deepEqual(timeline.messages.map(({ id }) => id), shown);
    assert.equal(timeline.hasGap, gap);
    if (older !== undefined) assert.equal(timeline.hasOlder, older);
    assert.equal(timeline.firstId, shown[0] ?? 0);
    assert.equal(timeline.lastId, shown.at(-1) ?? 0);
  });
}

test("every order of arrival ends in the same list", () => {
  for (const order of permutations([2, 3, 4, 5])) {
    const timeline = new Timeline();
    timeline.addNewer([message(1)]);
    for (const id of order) timeline.receive(message(id));
    assert.deepEqual(timeline.messages.map(({ id }) => id), [1, 2, 3, 4, 5], `order ${order}`);
    assert.equal(timeline.hasGap, false);
  }
});

describe("only whole messages are messages", () => {
  /** @type {[any, boolean][]} */
  const cases = [
    [message(1), true],
    [{ ...message(1), client_id: "c", type: "message" }, true],
    [{ ...message(1), id: 0 }, false],
    [{ ...message(1), id: 1.5 }, false],
    [{ ...message(1), id: "1" }, false],
    [{ ...message(1), text: undefined }, false],
    [{ ...message(1), username: null }, false],
    [null, false],
    ["text", false],
  ];
  for (const [value, expected] of cases) test(JSON.stringify(value), () => assert.equal(isMessage(value), expected));
});

/**
 * @param {number[]} list
 * @returns {number[][]}
 */
function permutations(list) {
  if (list.length < 2) return [list];
  return list.flatMap((first, i) => permutations(list.toSpliced(i, 1)).map((rest) => [first, ...rest]));
}
