// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { beginsDay, continuesGroup, dayWords } from "../times.js";

/**
 * At a time of this machine's day.
 * @param {string} time
 */
const message = (time, username = "alice") => ({ id: 1, username, text: "x", sent_at: time && new Date(time).toISOString() });

/** @type {{name: string, before: [string, string?] | null, then: [string, string?], day: boolean, group: boolean}[]} */
const CASES = [
  { name: "the very first", before: null, then: ["2026-11-23T10:15:00"], day: true, group: false },
  { name: "the same author at once", before: ["2026-11-23T10:15:00"], then: ["2026-11-23T10:15:01"], day: false, group: true },
  { name: "up to five minutes", before: ["2026-11-23T10:15:00"], then: ["2026-11-23T10:20:00"], day: false, group: true },
  { name: "but no longer", before: ["2026-11-23T10:15:00"], then: ["2026-11-23T10:20:01"], day: false, group: false },
  { name: "another author", before: ["2026-11-23T10:15:00"], then: ["2026-11-23T10:15:01", "bob"], day: false, group: false },
  { name: "a server's clock that is behind", before: ["2026-11-23T10:15:00"], then: ["2026-11-23T10:14:58"], day: false, group: true },
  { name: "over midnight", before: ["2026-11-23T23:59:59"], then: ["2026-11-24T00:00:01"], day: true, group: false },
  { name: "another day, as late", before: ["2026-11-22T10:15:00"], then: ["2026-11-23T10:15:00"], day: true, group: false },
];

for (const { name, before, then, day, group } of CASES) {
  test(name, () => {
    const previous = before === null ? undefined : message(...before);
    assert.equal(beginsDay(previous, message(...then)), day);
    assert.equal(continuesGroup(previous, message(...then)), group);
  });
}

test("what is no time begins no day and no group", () => {
  const odd = { ...message("2026-11-23T10:15:00"), sent_at: "soon" };
  assert.equal(beginsDay(undefined, odd), false);
  assert.equal(continuesGroup(odd, odd), false);
  assert.equal(dayWords("soon"), "");
});

/** @type {[sentAt: string, now: string, words: string][]} */
const DAYS = [
  ["2026-11-23T00:00:00", "2026-11-23T23:59:59", "Today"],
  ["2026-11-22T23:59:59", "2026-11-23T00:00:00", "Yesterday"],
  ["2026-10-31T12:00:00", "2026-11-01T12:00:00", "Yesterday"],
  ["2025-12-31T12:00:00", "2026-01-01T12:00:00", "Yesterday"],
  ["2026-11-21T23:59:59", "2026-11-23T00:00:00", "Saturday, November 21"],
  ["2025-11-23T12:00:00", "2026-11-23T12:00:00", "Sunday, November 23, 2025"],
  // By a reader's clock that is behind.
  ["2026-11-24T00:00:01", "2026-11-23T23:59:59", "Tuesday, November 24"],
];

for (const [sentAt, now, words] of DAYS) {
  test(`${sentAt}, read ${now}: ${words}`, () => assert.equal(dayWords(new Date(sentAt).toISOString(), new Date(now)), words));
}
