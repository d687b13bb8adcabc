// @ts-check
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";

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
