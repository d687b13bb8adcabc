// @ts-check
/**
 * The lists: connections, queues and invocations.
 *
 * @import { Connection, Invocation, Queue, Store } from "./store.js"
 */
import { duration, find, reconcile, request, setPart, setText, setTime, size } from "./api.js";
import { mood, outcome } from "./store.js";
import { drawBar, stretchOf } from "./waterfall.js";

/** @param {Store} store */
export function mountConnections(store) {
  const list = find("#connections-list");
  const error = find("#connections-error");

  list.addEventListener("click", async (event) => {
    const button = /** @type {Element} */ (event.target).closest("button");
    const id = button?.closest("li")?.dataset.id;
    if (!id) return;
    setText(error, "");
    try {
      await request("DELETE", `/connections/${encodeURIComponent(id)}`);
    } catch (failure) {
      setText(error, `It was not cut. ${/** @type {Error} */ (failure).message}`);
    }
  });

  return () => {
    const { total, connections } = store.view.connections;
    setText(find("#connections-number"), String(total));
    find("#connections-empty").hidden = total > 0;
    const more = find("#connections-more");
    more.hidden = total <= connections.length;
    setText(more, `and ${total - connections.length} older`);
    reconcile(list, connections, "connection", showConnection);
  };
}

/** @param {HTMLElement} row @param {Connection} connection */
function showConnection(row, connection) {
  setPart(row, "id", connection.id);
  setPart(row, "stage", connection.stage);
  setPart(row, "source", connection.source_ip);
  setTime(row, "since", connection.connected_at);
  setTime(row, "active", connection.last_active_at);
  setPart(row, "queued", connection.queued_bytes > 0 ? ` · ${size(connection.queued_bytes)} wait` : "");
  setPart(row, "agent", connection.user_agent ?? "no user agent");
  find("[data-part=cut]", row).setAttribute("aria-label", `Cut ${connection.id}`);
}

/** @param {Store} store */
export function mountQueues(store) {
  const list = find("#queues-list");
  const error = find("#queues-error");

  list.addEventListener("click", async (event) => {
    const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("button"));
    const name = button?.closest("li")?.dataset.id;
    if (!button || !name) return;
    setText(error, "");
    try {
      await request("POST", `/queues/${encodeURIComponent(name)}/${button.dataset.part}`);
    } catch (failure) {
      setText(error, `That was not done. ${/** @type {Error} */ (failure).message}`);
    }
  });

  return () => {
    const queues = store.view.queues.map((queue) => ({ ...queue, id: queue.name }));
    find("#queues").hidden = queues.length === 0;
    reconcile(list, queues, "queue", showQueue);
  };
}

/** @param {HTMLElement} row @param {Queue} queue */
function showQueue(row, queue) {
  const { name, waiting, in_flight: inFlight, delayed, is_dead_letter_queue: isDead } = queue;
  setPart(row, "name", name);
  setPart(row, "counts", isDead ? `${waiting} dead letter${waiting === 1 ? "" : "s"}` : `${waiting} waiting · ${inFlight} in flight`);
  setPart(row, "delayed", delayed > 0 ? ` · ${delayed} delayed` : "");
  for (const [part, words] of [["redrive", "Redrive: move back the dead letters of"], ["purge", "Purge: delete all messages of"]]) {
    const button = /** @type {HTMLButtonElement} */ (find(`[data-part=${part}]`, row));
    button.hidden = part === "redrive" && !isDead;
    button.disabled = waiting + inFlight + delayed === 0;
    button.setAttribute("aria-label", `${words} ${name}`);
  }
}

/** @param {Store} store @param {(id: string) => void} select */
export function mountInvocations(store, select) {
  const list = find("#invocations-list");

  list.addEventListener("click", (event) => {
    const id = /** @type {Element} */ (event.target).closest("li")?.dataset.id;
    if (id) select(id);
  });
  list.addEventListener("keydown", (event) => {
    const rows = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(".row")]);
    const at = rows.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    /** @type {Record<string, number>} */
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
    const target = at < 0 ? undefined : rows[moves[event.key] ?? -1];
    if (!target) return;
    event.preventDefault();
    takeFocus(list, target);
    target.focus();
  });

  return () => {
    const invocations = store.invocations;
    const all = store.view.invocations.length;
    setText(find("#invocations-number"), invocations.length === all ? String(all) : `${invocations.length} of ${all}`);
    const empty = find("#invocations-empty");
    empty.hidden = invocations.length > 0;
    setText(empty, all > 0 ? "No invocation has these words." : "No function has run yet.");
    setText(find("#paused"), store.paused ? `Paused. ${store.missed} new since then.` : "");
    const stretch = store.stretch === null ? null : stretchOf(invocations, store.stretch);
    const longest = Math.max(...invocations.map(({ duration_ms }) => duration_ms ?? 0));
    reconcile(list, invocations, "invocation", (row, invocation) => {
      showInvocation(row, invocation);
      drawBar(find("[data-part=track]", row), invocation, stretch, longest);
      const button = find(".row", row);
      button.setAttribute("aria-current", String(invocation.id === store.selected));
    });
    const selected = /** @type {HTMLElement | null} */ (list.querySelector(".row[aria-current=true]"));
    if (!list.contains(document.activeElement)) {
      takeFocus(list, selected ?? /** @type {HTMLElement | null} */ (list.querySelector(".row")));
    }
  };
}

/** Makes one row the one that Tab comes to. @param {HTMLElement} list @param {HTMLElement | null} row */
function takeFocus(list, row) {
  list.querySelectorAll(".row[tabindex='0']").forEach((other) => other.setAttribute("tabindex", "-1"));
  row?.setAttribute("tabindex", "0");
}

/** @param {HTMLElement} row @param {Invocation} invocation */
function showInvocation(row, invocation) {
  const { duration_ms, start, replay_of, refused } = invocation;
  row.dataset.mood = mood(invocation);
  setPart(row, "outcome", outcome(invocation));
  setPart(row, "function", invocation.function);
  setPart(row, "route", invocation.route);
  const badges = [start === "cold" ? "cold" : "", replay_of === null ? "" : "replay", refused === null ? "" : "refused"];
  setPart(row, "badges", badges.filter(Boolean).join(" · "));
  setPart(row, "duration", duration(duration_ms));
  setTime(row, "time", invocation.started_at, 3);
}
