// @ts-check
/** Requests to the gateway, and the page's markup. */

/**
 * Asks the gateway; what it answers, or an error with what it says.
 * @param {string} method
 * @param {string} path  below `/_local`
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function request(method, path, body) {
  const response = await fetch(`/_local${path}`, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  const answer = text === "" ? null : JSON.parse(text);
  if (!response.ok) throw new Error(answer?.message ?? `The gateway answered ${response.status}.`);
  return answer;
}

/**
 * An element that index.html is known to have.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [parent]
 * @returns {T}
 */
export function find(selector, parent = document) {
  const found = parent.querySelector(selector);
  if (!found) throw new Error(`index.html has no ${selector}`);
  return /** @type {T} */ (found);
}

/**
 * A copy of a template's only element.
 * @param {string} name
 * @returns {HTMLElement}
 */
export function fromTemplate(name) {
  const template = /** @type {HTMLTemplateElement} */ (find(`#${name}-template`));
  return /** @type {HTMLElement} */ (document.importNode(template.content, true).firstElementChild);
}

/**
 * Makes a list show `records`, touching only what is another.
 * @template {{id: string}} T
 * @param {HTMLElement} list
 * @param {T[]} records
 * @param {string} template
 * @param {(row: HTMLElement, record: T) => void} show
 */
export function reconcile(list, records, template, show) {
  const rows = new Map([...list.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.id, row]));
  const ids = new Set(records.map(({ id }) => id));
  for (const [id, row] of rows) if (!ids.has(id ?? "")) row.remove();
  records.forEach((record, at) => {
    let row = /** @type {HTMLElement | undefined} */ (rows.get(record.id));
    if (!row) {
      row = fromTemplate(template);
      row.dataset.id = record.id;
    }
    show(row, record);
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
  });
}

/**
 * Sets the text of a part, only if it differs, so that live regions do not repeat themselves.
 * @param {ParentNode} parent
 * @param {string} part
 * @param {string} text
 */
export function setPart(parent, part, text) {
  setText(find(`[data-part="${part}"]`, parent), text);
}

/** @param {HTMLElement} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A moment as the time of day. With the day as well in a tooltip.
 * @param {HTMLElement} parent
 * @param {string} part
 * @param {string} moment  RFC 3339
 * @param {number} [digits]  of fractions of a second
 */
export function setTime(parent, part, moment, digits = 0) {
  const time = find(`[data-part="${part}"]`, parent);
  if (time.getAttribute("datetime") === moment) return;
  time.setAttribute("datetime", moment);
  time.title = moment;
  time.textContent = timeOfDay(moment, digits);
}

/** @param {string} moment @param {number} [digits] */
export function timeOfDay(moment, digits = 0) {
  const seconds = moment.slice(17, digits > 0 ? 20 + digits : 19).replace("Z", "");
  const hours = new Date(moment).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return `${hours}:${seconds}`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** @param {number | null} ms @param {number} [digits]  of short times */
export function duration(ms, digits = 1) {
  if (ms === null) return "…";
  if (ms < 10) return `${ms.toFixed(digits)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
