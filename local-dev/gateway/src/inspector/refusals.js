// @ts-check
/**
 * What was refused, and what AWS would have done.
 *
 * @import { Refusal, Store } from "./store.js"
 */
import { find, reconcile, setPart, setText, setTime } from "./api.js";

/** @param {Store} store */
export function mountRefusals(store) {
  const list = find("#refusals-list");

  return () => {
    const refusals = store.view.refusals.map((refusal) => ({ ...refusal, id: refusal.title }));
    const total = refusals.reduce((sum, { count }) => sum + count, 0);
    setText(find("#refusals-number"), String(total));
    find("#refusals-empty").hidden = total > 0;
    reconcile(list, refusals, "refusal", showRefusal);
  };
}

/** @param {HTMLElement} row @param {Refusal} refusal */
function showRefusal(row, refusal) {
  setPart(row, "title", refusal.title);
  setPart(row, "count", refusal.count === 1 ? "once" : `${refusal.count.toLocaleString("en")} times`);
  setTime(row, "last", refusal.last_at);
  setPart(row, "subject", refusal.subject);
  showNote(row, refusal);
}

/**
 * Says what AWS does, and why.
 * @param {HTMLElement} row
 * @param {Pick<Refusal, "aws" | "why" | "limit" | "assumption" | "source">} note
 */
export function showNote(row, { aws, why, limit, assumption, source }) {
  setPart(row, "aws", assumption === null ? aws : `not published, here ${aws} is assumed`);
  setPart(row, "why", why);
  setPart(row, "limit", [
    limit === null ? "" : `The limit here: --${limit}. `,
    assumption === null ? "" : `What is assumed: --assume ${assumption}=… `,
  ].join(""));
  /** @type {HTMLAnchorElement} */ (find("[data-part=source]", row)).href = source;
}
