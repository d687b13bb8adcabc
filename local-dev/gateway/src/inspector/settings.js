// @ts-check
/** The faults, which can be switched, and the limits and assumptions, which can be read. */
import { duration, find, fromTemplate, request, setPart, setText } from "./api.js";

/** What a fault is for people. @type {Record<string, string>} */
const MEANINGS = {
  "drop-disconnect": "$disconnect does not run",
  "post-410": "a post is answered 410 although the connection is there",
  "post-429": "a post is answered 429",
  "post-500": "a post is answered 500",
  "post-delay": "a post takes longer",
  "function-delay": "a function starts later",
  "crash-before": "a function fails without having done anything",
  "crash-after": "a function does its work, and its answer is lost",
  "cut": "at a message, the TCP connection breaks without a close frame",
};

export function mountFaults() {
  const list = find("#faults-list");
  const error = find("#faults-error");

  /** @param {() => Promise<Record<string, number>>} ask */
  const update = async (ask) => {
    setText(error, "");
    try {
      showFaults(list, await ask());
    } catch (failure) {
      setText(error, /** @type {Error} */ (failure).message);
    }
  };

  list.addEventListener("change", (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    update(() => request("PATCH", "/faults", { [input.name]: input.valueAsNumber || 0 }));
  });
  find("#faults-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    update(() => request("PATCH", "/faults", { [String(form.get("name")).trim()]: Number(form.get("value")) }));
  });
  find("#faults-reset").addEventListener("click", () => update(() => request("PUT", "/faults", {})));
  // Others may have changed them.
  find("#faults").addEventListener("toggle", () => update(() => request("GET", "/faults")));
  update(() => request("GET", "/faults"));
}

/** @param {HTMLElement} list @param {Record<string, number>} faults */
function showFaults(list, faults) {
  const active = Object.values(faults).filter((value) => value > 0).length;
  setText(find("#faults-number"), String(active));
  find("#faults").dataset.active = String(active > 0);
  const known = new Map([...list.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.name, row]));
  const rows = Object.entries(faults).map(([name, value]) => {
    const row = /** @type {HTMLElement} */ (known.get(name) ?? newFault(name));
    const input = /** @type {HTMLInputElement} */ (find("input", row));
    if (document.activeElement !== input || input.valueAsNumber !== value) input.value = String(value);
    row.dataset.active = String(value > 0);
    return row;
  });
  for (const [name, row] of known) if (!(String(name) in faults)) row.remove();
  rows.forEach((row, at) => {
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
  });
}

/** @param {string} name */
function newFault(name) {
  const row = fromTemplate("fault");
  const [kind, of] = name.split("@");
  const input = /** @type {HTMLInputElement} */ (find("input", row));
  row.dataset.name = name;
  input.name = name;
  input.id = `fault-${name}`;
  find("label", row).setAttribute("for", input.id);
  setPart(row, "name", name);
  setPart(row, "meaning", of === undefined ? MEANINGS[kind] ?? "" : `the same for ${of} only`);
  const isTime = kind.endsWith("-delay");
  setPart(row, "unit", isTime ? "ms" : "share");
  if (!isTime) input.max = "1";
  return row;
}

/** How often it is asked what is in use while somebody looks, in milliseconds. */
const USE_MS = 1_000;

/** What is measured as it is now; all else is the most since the start. */
const NOW = new Set(["idle-timeout", "max-duration", "outbound-bytes", "connection-rate", "request-rate"]);

/** @typedef {{taken: number, admitted: number}} Fill */

export function mountLimits() {
  const panel = /** @type {HTMLDetailsElement} */ (find("#limits"));
  /** When it was last asked, and how many each bucket had let through. */
  let before = { at: 0, admitted: /** @type {Record<string, number>} */ ({}) };

  const look = async () => {
    const shown = await request("GET", "/limits");
    const at = performance.now();
    const seconds = (at - before.at) / 1000;
    /** @type {Record<string, number>} */
    const admitted = {};
    /** How many a bucket lets through each second. @param {string} name @param {Fill} fill */
    const rate = (name, fill) => {
      admitted[name] = fill.admitted;
      const known = before.admitted[name];
      return known === undefined ? 0 : Math.round((fill.admitted - known) / seconds);
    };
    showLimits(shown, rate);
    before = { at, admitted };
    return shown;
  };

  const lookAgain = async () => {
    if (!panel.open || document.hidden) return;
    try {
      await look();
    } catch {
      // The line is down, as the page says.
    }
  };
  panel.addEventListener("toggle", lookAgain);
  setInterval(lookAgain, USE_MS);
  look().then(({ assumptions }) => showAssumptions(assumptions), () => {});
}

/** @param {any} shown @param {(name: string, fill: Fill) => number} rate */
function showLimits({ limits, routes, connections }, rate) {
  setText(find("#limits-connections"), connections === 1 ? "1 connection is open." : `${connections.toLocaleString("en")} connections are open.`);
  const rows = [
    ...limits.map((/** @type {any} */ limit) => ({ ...limit, of: limit.name, used: limit.used })),
    ...routes.map((/** @type {any} */ route) => ({ name: route.route, of: "request-rate", value: route.rate, default: route.rate, used: route })),
  ];
  const body = find("#limits-rows");
  const known = new Map([...body.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.name, row]));
  body.append(...rows.filter(({ name }) => !known.has(name)).map(({ name }) => {
    const row = fromTemplate("limit");
    row.dataset.name = name;
    setPart(row, "name", name);
    known.set(name, row);
    return row;
  }));
  for (const { name, of, value, default: own, used } of rows) {
    const row = /** @type {HTMLElement} */ (known.get(name));
    const differs = JSON.stringify(value) !== JSON.stringify(own);
    row.dataset.differs = String(differs);
    setPart(row, "here", amount(of, value));
    setPart(row, "aws", differs ? `AWS: ${amount(of, own)}` : "");
    setPart(row, "used", use(name, of, used, rate));
    const share = used === null || value === null ? 0 : used.taken === undefined ? used / value : used.taken / value.burst;
    find(".meter", row).hidden = used === null || value === null;
    const meter = find("[data-part=meter]", row);
    meter.style.setProperty("--length", `${Math.min(share, 1) * 100}%`);
    meter.dataset.level = share >= 0.9 ? "high" : "low";
  }
}

/** What is in use of a limit. @param {string} name @param {string} of @param {any} used @param {(name: string, fill: Fill) => number} rate */
function use(name, of, used, rate) {
  if (used === null) return of.endsWith("-rate") ? "not counted" : "none";
  if (used.taken !== undefined) return `${rate(name, used)}/s, ${Math.round(used.taken).toLocaleString("en")} of the burst`;
  const text = /timeout|duration/.test(of) ? duration(used * 1000) : amount(of, used);
  return NOW.has(of) ? text : `up to ${text}`;
}

/** @param {any[]} assumptions */
function showAssumptions(assumptions) {
  find("#assumptions-rows").replaceChildren(...assumptions.map(({ name, value, default: own, meaning }) => {
    const row = document.createElement("div");
    const [term, setting, words] = ["dt", "dd", "dd"].map((tag) => document.createElement(tag));
    term.textContent = name;
    setting.textContent = value === own ? value || "(empty)" : `${value || "(empty)"}, usually ${own || "(empty)"}`;
    setting.className = "setting";
    words.textContent = meaning;
    words.className = "hint";
    row.append(term, setting, words);
    row.dataset.differs = String(value !== own);
    return row;
  }));
}

/** How much a limit allows. @param {string} name @param {any} value */
function amount(name, value) {
  if (value === null) return "any";
  if (typeof value === "object") return `${value.per_second.toLocaleString("en")}/s, burst ${value.burst.toLocaleString("en")}`;
  return value.toLocaleString("en") + (/timeout|duration/.test(name) ? " s" : "");
}
