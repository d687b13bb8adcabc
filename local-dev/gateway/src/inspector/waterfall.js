// @ts-check
/**
 * Bars: when invocations ran beside each other, and what happened inside of one.
 *
 * @import { Invocation } from "./store.js"
 */
import { duration, find, fromTemplate, setPart } from "./api.js";

/** The kinds of steps that have a colour of their own. */
const KINDS = new Set(["sql", "post"]);
/** A longer label is shown whole only when somebody wants to see it. */
const LABEL_CHARACTERS_MAX = 90;

/**
 * The stretch of time that bars are drawn in, in milliseconds since the epoch.
 * @typedef {{from: number, to: number}} Stretch
 */

/**
 * The stretch that ends with what happened last.
 * @param {Invocation[]} invocations
 * @param {number} length  in milliseconds; Infinity is as long as it takes to show all
 * @returns {Stretch}
 */
export function stretchOf(invocations, length) {
  const to = Math.max(...invocations.map((invocation) => begun(invocation) + (invocation.duration_ms ?? 0)));
  const first = Math.min(...invocations.map(begun));
  const from = length === Infinity ? first : to - length;
  return { from, to: Math.max(to, from + 1) };
}

/** @param {Invocation} invocation */
const begun = ({ started_at }) => Date.parse(started_at);

/**
 * Draws an invocation's bar. Without a stretch, it is as long as the longest bar there is if it took `longest`.
 * @param {HTMLElement} track
 * @param {Invocation} invocation
 * @param {Stretch | null} stretch
 * @param {number} longest  in milliseconds
 */
export function drawBar(track, invocation, stretch, longest) {
  const took = invocation.duration_ms;
  const [start, length] = stretch === null
    ? [0, (took ?? longest) / Math.max(longest, 0.1)]
    : place(begun(invocation), took === null ? stretch.to : begun(invocation) + took, stretch);
  const fill = find("[data-part=fill]", track);
  track.dataset.before = String(start + length <= 0);
  const left = Math.max(start, 0);
  fill.style.setProperty("--start", percent(left));
  fill.style.setProperty("--length", percent(Math.min(start + length, 1) - left));
  const whole = took ?? Math.max(...invocation.parts.map(([, offset, time]) => offset + time), 1);
  const parts = JSON.stringify(invocation.parts) + whole;
  if (fill.dataset.parts === parts) return;
  fill.dataset.parts = parts;
  fill.replaceChildren(...invocation.parts.map(([kind, offset, time]) => {
    const part = document.createElement("span");
    part.dataset.kind = KINDS.has(kind) ? kind : "other";
    part.style.setProperty("--start", percent(offset / whole));
    part.style.setProperty("--length", percent(time / whole));
    return part;
  }));
}

/**
 * Where something lies in a stretch: its start and its length, as shares.
 * @param {number} from @param {number} to @param {Stretch} stretch
 */
function place(from, to, stretch) {
  const whole = stretch.to - stretch.from;
  return [(from - stretch.from) / whole, (to - from) / whole];
}

/** @param {number} share */
const percent = (share) => `${Math.min(Math.max(share, 0), 1) * 100}%`;

/**
 * Draws what happened inside of an invocation.
 * @param {HTMLElement} list
 * @param {any} invocation  with all that is known of it
 */
export function drawSteps(list, invocation) {
  const { duration_ms: took, step_list: told } = invocation;
  const whole = took ?? Math.max(...told.map((/** @type {any} */ step) => step.offset_ms + step.duration_ms), 1);
  const steps = [
    { kind: "event", label: invocation.route, offset_ms: 0, duration_ms: 0, outcome: "" },
    ...told,
    ...took === null ? [] : [answer(invocation)],
  ];
  const shown = JSON.stringify(steps);
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  list.replaceChildren(...steps.map((step) => newStep(step, whole)));
}

/** The last step. @param {any} invocation */
function answer({ duration_ms, outcome, status, error }) {
  const label = outcome === "error" ? error ?? "error" : status === null ? "no status" : `status ${status}`;
  return { kind: outcome === "error" ? "error" : "answer", label, offset_ms: duration_ms, duration_ms: 0, outcome: "" };
}

/** @param {any} step @param {number} whole */
function newStep({ kind, label, offset_ms, duration_ms, outcome }, whole) {
  const row = fromTemplate("step");
  row.dataset.kind = kind;
  setPart(row, "kind", kind);
  const isLong = label.length > LABEL_CHARACTERS_MAX;
  find("details", row).hidden = !isLong;
  find("[data-part=label]", row).hidden = isLong;
  setPart(row, isLong ? "whole" : "label", label);
  if (isLong) setPart(row, "short", `${label.slice(0, LABEL_CHARACTERS_MAX)}…`);
  setPart(row, "outcome", outcome);
  setPart(row, "when", `at ${duration(offset_ms)}`);
  setPart(row, "time", duration_ms > 0 ? duration(duration_ms, 2) : "");
  const fill = find("[data-part=fill]", row);
  fill.style.setProperty("--start", percent(offset_ms / whole));
  fill.style.setProperty("--length", percent(duration_ms / whole));
  return row;
}
