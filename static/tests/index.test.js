// @ts-check
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { brotliCompressSync, constants } from "node:zlib";

/** All that the first visit may cost over the wire, headers included. */
const PAGE_BYTES_MAX = 50_000;
/** What HTTP/2 adds to each answer once CloudFront's headers have been seen: frames, and those that are never the same. */
const ANSWER_BYTES = 130;
/** All headers in full, as the first answer has them. */
const HEADER_BYTES = 750;
/** As CloudFront compresses. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };

const folder = new URL("../", import.meta.url);
/** @param {string} name */
const read = (name) => readFile(new URL(name, folder), "utf8");

/**
 * The modules that a module needs, itself included.
 * @param {string} name
 * @param {Set<string>} found
 */
async function needed(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const [, next] of (await read(name)).matchAll(/^import [^"]*"\.\/([^"]+)";$/gm)) await needed(next, found);
  return found;
}

test("the page asks for all of its modules at once, but for the one that a deployment may change", async () => {
  const preloaded = [...(await read("index.html")).matchAll(/<link rel="modulepreload" href="([^"]+)">/g)];
  const modules = await needed("app.js");
  assert.deepEqual(["app.js", "config.js", ...preloaded.map(([, name]) => name)].sort(), [...modules].sort());
  const files = (await readdir(folder)).filter((name) => name.endsWith(".js"));
  assert.deepEqual(files.sort(), [...modules].sort(), "a module that nobody needs");
});

test("the page loads in less than 50 KB over the wire", async () => {
  const files = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
  const bodies = await Promise.all(files.map(async ({ name }) => brotliCompressSync(await readFile(new URL(name, folder)), BROTLI).length));
  const bytes = bodies.reduce((sum, body) => sum + body + ANSWER_BYTES, HEADER_BYTES);
  assert.ok(bytes < PAGE_BYTES_MAX, `${bytes} bytes`);
});
