// @ts-check
/** The faults, which can be switched, and the limits and assumptions, which can be read. */
import { find, fromTemplate, request, setPart, setText } from "./api.js";

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

export async function mountLimits() {
  const { limits, assumptions } = await request("GET", "/limits");
  find("#limits-rows").replaceChildren(...limits.map((/** @type {any} */ { name, value, default: own }) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head, cell(name, value), cell(name, own));
    row.dataset.differs = String(JSON.stringify(value) !== JSON.stringify(own));
    return row;
  }));
  find("#assumptions-rows").replaceChildren(...assumptions.map((/** @type {any} */ { name, value, default: own, meaning }) => {
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

/** @param {string} name @param {any} value */
function cell(name, value) {
  const cell = document.createElement("td");
  if (value === null) cell.textContent = "any";
  else if (typeof value === "object") cell.textContent = `${value.per_second}/s, burst ${value.burst}`;
  else if (/timeout|duration/.test(name)) cell.textContent = `${value} s`;
  else cell.textContent = value.toLocaleString("en");
  return cell;
}
