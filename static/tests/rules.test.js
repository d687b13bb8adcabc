// @ts-check
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { passwordProblem, textCharacters, textProblem, usernameProblem } from "../rules.js";

/**
 * @param {(value: string) => string | null} problem
 * @param {{good: string[], bad: string[]}} cases
 */
function check(problem, { good, bad }) {
  for (const value of good) test(`good: ${name(value)}`, () => assert.equal(problem(value), null));
  for (const value of bad) test(`bad: ${name(value)}`, () => assert.match(problem(value) ?? "", /^[A-Z].+/));
}

/** @param {string} value */
const name = (value) => `${JSON.stringify(value.slice(0, 12))}, length ${value.length}`;

describe("usernames", () =>
  check(usernameProblem, {
    good: ["abc", "Alice", "0.x", "a_-.", "a".repeat(32), "systems"],
    bad: [
      "", "ab", "a".repeat(33), "_abc", ".abc", "-abc", "a b", "zoë", "a@b", "system", "SYSTEM", "abc\n",
      // What Unicode folds to ASCII, or shows like it.
      "\u212aelvin", "li\u0131", "\u0130pek", "\u017fam", "\uff41lice", "\u0430lice", "ali\u200bce", "\u202ealice",
    ],
  }));

describe("passwords", () =>
  check(passwordProblem, {
    good: ["12345678", " ".repeat(8), "é".repeat(4), "x".repeat(72), "😀".repeat(18)],
    bad: ["", "1234567", "x".repeat(73), "é".repeat(37), "😀".repeat(19)],
  }));

describe("texts", () =>
  check(textProblem, {
    // What is not seen but is no white space by Unicode is a text, as for the server.
    good: ["a", "  a  ", "\n.\n", "x".repeat(4_096), "😀".repeat(4_096), "\u200b", "\u180e", "\ufeff", "\u202e", "\u3164"],
    bad: ["", " ", " \t\r\n\u00a0\u2003\u3000\u0085", "x".repeat(4_097), "😀".repeat(4_097), "half \ud83d of a pair", "\ude00"],
  }));

test("characters are code points", () => {
  assert.equal(textCharacters("a😀é"), 3);
});
