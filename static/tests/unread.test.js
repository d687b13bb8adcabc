// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Unread } from "../unread.js";

/** @param {string} authors  one letter each, "a" for the user */
const messages = (authors, firstId = 1) => [...authors].map((author, index) => ({
  id: firstId + index, username: author, text: "x", sent_at: "2026-11-23T10:15:43.377Z",
}));

/**
 * Steps: what there is and whether it is read. Then how many are unread, and before which message the divider stands.
 * @type {{name: string, readId?: number, steps: ([authors: string, reading: boolean] | "answered")[], count: number, first: number | null}[]}
 */
const CASES = [
  { name: "an empty room", steps: [["", true]], count: 0, first: null },
  { name: "a first visit has read everything", steps: [["bbb", true]], count: 0, first: null },
  { name: "also one that begins out of sight", steps: [["bbb", false]], count: 0, first: null },
  { name: "what comes while reading is read", steps: [["b", true], ["bbb", true]], count: 0, first: null },
  { name: "what comes out of sight is not", steps: [["b", true], ["bcb", false]], count: 2, first: 2 },
  { name: "more of it moves no divider", steps: [["b", true], ["bb", false], ["bbbb", false]], count: 3, first: 2 },
  { name: "own messages from elsewhere don't count", steps: [["b", true], ["baab", false]], count: 1, first: 4 },
  { name: "only own ones", steps: [["b", true], ["baa", false]], count: 0, first: null },
  { name: "coming back reads all and keeps the divider", steps: [["b", true], ["bbb", false], ["bbb", true]], count: 0, first: 2 },
  { name: "as it is read on", steps: [["b", true], ["bbb", false], ["bbb", true], ["bbbb", true]], count: 0, first: 2 },
  { name: "and moves it the next time", steps: [["b", true], ["bbb", false], ["bbb", true], ["bbbb", false]], count: 1, first: 4 },
  { name: "an answer takes the divider away", steps: [["b", true], ["bbb", false], ["bbb", true], "answered", ["bbba", true]], count: 0, first: null },
  { name: "where reading stopped the last time", readId: 1, steps: [["bbb", true]], count: 0, first: 2 },
  { name: "and out of sight", readId: 1, steps: [["bbb", false]], count: 2, first: 2 },
  { name: "nothing new since the last time", readId: 3, steps: [["bbb", true]], count: 0, first: null },
  { name: "a room restored from a backup", readId: 9, steps: [["bb", false], ["bbb", false]], count: 1, first: 3 },
];

for (const { name, readId, steps, count, first } of CASES) {
  test(name, () => {
    const unread = new Unread("a", readId ?? null);
    let last = messages("");
    for (const step of steps) {
      if (step === "answered") unread.answered();
      else unread.look(last = messages(step[0]), step[1]);
    }
    assert.equal(unread.count, count);
    assert.equal(unread.firstNewId(last), first);
  });
}

test("the divider waits until the message before it is there", () => {
  const unread = new Unread("a", 10);
  unread.look(messages("bbb", 50), true);
  assert.equal(unread.firstNewId(messages("bbb", 50)), null);
  assert.equal(unread.firstNewId(messages("bbb", 12)), null);
  assert.equal(unread.firstNewId(messages("bbb", 11)), 11);
  assert.equal(unread.firstNewId(messages("bbbb", 9)), 11);
});

test("what is read in another tab is read", () => {
  const unread = new Unread("a", null);
  unread.look(messages("b"), true);
  unread.look(messages("bbbb"), false);
  unread.readElsewhere(3);
  unread.look(messages("bbbb"), false);
  assert.equal(unread.count, 1);
  unread.readElsewhere(2);
  unread.look(messages("bbbb"), false);
  assert.deepEqual([unread.count, unread.readId], [1, 3]);
});

test("what came while the line was away begins with the divider", () => {
  const unread = new Unread("a", null);
  const first = (/** @type {string} */ authors) => unread.firstNewId(messages(authors));
  unread.look(messages("bb"), true);
  unread.missedAfter(2);
  unread.look(messages("bbab"), true);
  assert.deepEqual([unread.count, first("bbab")], [0, 4]);
  // It stays as it is read on, until the line is away again.
  unread.look(messages("bbabb"), true);
  assert.equal(first("bbabb"), 4);
  unread.missedAfter(5);
  assert.equal(first("bbabbb"), 6);
});

test("what another tab has shown while the line was away is not marked", () => {
  const unread = new Unread("a", null);
  unread.look(messages("bb"), true);
  unread.readElsewhere(4);
  unread.missedAfter(2);
  unread.look(messages("bbbbb"), true);
  assert.equal(unread.firstNewId(messages("bbbbb")), 5);
});

test("what was not read before the line was away is marked with the rest", () => {
  const unread = new Unread("a", null);
  unread.look(messages("b"), true);
  unread.look(messages("bbb"), false);
  unread.missedAfter(3);
  unread.look(messages("bbbbb"), true);
  assert.equal(unread.firstNewId(messages("bbbbb")), 2);
});
