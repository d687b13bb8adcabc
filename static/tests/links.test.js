// @ts-check
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { partsOf } from "../links.js";

/** Texts, and the addresses that are found in them. @type {[text: string, links: string[]][]} */
const FOUND = [
  ["https://example.com", ["https://example.com"]],
  ["http://example.com/a?b=c&d=%20#e", ["http://example.com/a?b=c&d=%20#e"]],
  ["HTTPS://EXAMPLE.COM/A", ["HTTPS://EXAMPLE.COM/A"]],
  ["see https://example.com and http://example.org/x", ["https://example.com", "http://example.org/x"]],
  ["https://a.example\nhttps://b.example", ["https://a.example", "https://b.example"]],
  // The sentence's own signs stay outside.
  ["Look: https://example.com.", ["https://example.com"]],
  ["https://example.com/?q=1, or not", ["https://example.com/?q=1"]],
  ["Really https://example.com/a?!…", ["https://example.com/a"]],
  ["'https://example.com'", ["https://example.com"]],
  ["**https://example.com**", ["https://example.com"]],
  ["“https://example.com”", ["https://example.com"]],
  ["\"https://example.com\"", ["https://example.com"]],
  ["<https://example.com>", ["https://example.com"]],
  ["(https://example.com)", ["https://example.com"]],
  ["(see https://example.com/a_(b))", ["https://example.com/a_(b)"]],
  ["https://example.com/a_(b)", ["https://example.com/a_(b)"]],
  ["[https://example.com/].", ["https://example.com/"]],
  ["https://[2001:db8::1]:8080/", ["https://[2001:db8::1]:8080/"]],
  ["見てhttps://example.com。次", ["https://example.com"]],
  ["https://exämple.com/ü", ["https://exämple.com/ü"]],
  // What leads somewhere else than it seems, or nowhere, is a text.
  ["", []],
  ["example.com, www.example.com", []],
  ["javascript:alert(1)", []],
  ["data:text/html,<b>x</b> ftp://example.com file:///etc/passwd", []],
  ["https://", []],
  ["https://.", []],
  ["https:///", []],
  ["http://:80", []],
  ["xhttps://example.com", []],
  ["_https://example.com", []],
  ["https://bank.example@evil.example", []],
  ["https://user:secret@example.com", []],
  ["http\u017F://example.com", []],
  // Nothing in it turns the line around, hides, or ends an attribute.
  ["https://example.com/\u202Egpj.exe", ["https://example.com/"]],
  ["https://example.com\u200B.evil.example", ["https://example.com"]],
  ["https://evil.example/?\"onmouseover=\"alert(1)", ["https://evil.example/"]],
  ["https://evil.example\\@bank.example", ["https://evil.example"]],
  ["javascript:https://example.com", ["https://example.com"]],
];

describe("links are found", () => {
  for (const [text, links] of FOUND) {
    test(JSON.stringify(text), () => {
      const parts = partsOf(text);
      assert.equal(parts.map((part) => part.text).join(""), text);
      assert.deepEqual(parts.filter(({ href }) => href !== null).map((part) => part.text), links);
      for (const { href } of parts) if (href !== null) assert.match(href, /^https?:\/\//);
    });
  }
});

test("a link leads where the browser would go", () => {
  assert.deepEqual(partsOf("a HTTP://Example.com:80/b c"), [
    { text: "a ", href: null },
    { text: "HTTP://Example.com:80/b", href: "http://example.com/b" },
    { text: " c", href: null },
  ]);
  assert.equal(partsOf("https://exämple.com")[0].href, "https://xn--exmple-cua.com/");
});

test("a long text takes no longer than it is", { timeout: 20_000 }, () => {
  for (const tail of [")", "(", ".", "https://", "https://a)", "a@", "]}"]) {
    const text = `https://${tail.repeat(1_000_000 / tail.length)}`;
    assert.equal(partsOf(text).map((part) => part.text).join("").length, text.length, tail);
  }
});
