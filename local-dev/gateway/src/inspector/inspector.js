// @ts-check
/** Wires the page: the store, the views, the bar. */
import { find, setText } from "./api.js";
import { mountDetails } from "./details.js";
import { mountConnections, mountInvocations, mountQueues } from "./lists.js";
import { mountRefusals } from "./refusals.js";
import { mountFaults, mountLimits } from "./settings.js";
import { Store } from "./store.js";

/** How often the counts are said at most. */
const COUNTS_MS = 2_000;
/** Below this width, the details are below the list. */
const NARROW = "(max-width: 63.99rem)";

const FEED = { connecting: "Connecting…", online: "Live", offline: "No gateway, trying again…" };

const store = new Store();
const filter = /** @type {HTMLInputElement} */ (find("#filter"));
const pause = find("#pause");

/** @param {string} id */
function select(id) {
  store.select(id);
  if (matchMedia(NARROW).matches) find("#details-title").focus();
}

const views = [
  mountConnections(store), mountQueues(store), mountRefusals(store), mountInvocations(store, select), mountDetails(store, select),
];
let drawing = false;

/** Draws once for all changes that come before the next frame. */
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const view of views) view();
  });
}

function sayCounts() {
  const { connections, invocations } = store.view;
  /** @param {number} number @param {string} noun */
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  setText(find("#counts"), `${count(connections.total, "connection")}, ${count(invocations.length, "invocation")}`);
}

store.addEventListener("change", draw);
// The first ones at once, so that nothing moves for them later.
store.addEventListener("change", sayCounts, { once: true });
store.addEventListener("feed", () => {
  const status = find("#feed-status");
  status.dataset.state = store.feed;
  setText(status, FEED[store.feed]);
});
find("#filter-form").addEventListener("submit", (event) => event.preventDefault());
filter.addEventListener("input", () => store.setFilter(filter.value));
pause.addEventListener("click", () => {
  store.pause(!store.paused);
  pause.setAttribute("aria-pressed", String(store.paused));
});

find("#stretch").addEventListener("change", (event) => {
  const { value } = /** @type {HTMLSelectElement} */ (event.target);
  store.setStretch(value === "each" ? null : Number(value));
});
document.addEventListener("keydown", (event) => {
  const isTyping = /** @type {Element} */ (event.target).closest("input, select, textarea") !== null;
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    filter.focus();
    filter.select();
  }
});

mountFaults();
mountLimits();
setInterval(sayCounts, COUNTS_MS);
store.follow();
