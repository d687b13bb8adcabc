// @ts-check
/** What both views need: the markup of index.html, and errors beside their fields. */

/**
 * A copy of a template's only element.
 * @param {string} name
 * @returns {HTMLElement}
 */
export function fromTemplate(name) {
  const template = /** @type {HTMLTemplateElement} */ (find(document, `[data-template="${name}"]`));
  return /** @type {HTMLElement} */ (document.importNode(template.content, true).firstElementChild);
}

/**
 * An element that index.html is known to have.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} parent
 * @param {string} selector
 * @returns {T}
 */
export function find(parent, selector) {
  const found = parent.querySelector(selector);
  if (!found) throw new Error(`index.html has no ${selector}`);
  return /** @type {T} */ (found);
}

/**
 * Sets a text only if it differs, so that live regions do not repeat themselves.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** "1 second", "7 seconds". @param {number} secs */
export function inSeconds(secs) {
  return `${secs} ${secs === 1 ? "second" : "seconds"}`;
}

/**
 * Shows what is wrong with a field, or with "" that nothing is.
 * @param {HTMLInputElement | HTMLTextAreaElement} field  its error element is `data-error={its name}`
 * @param {ParentNode} parent
 * @param {string} problem
 */
export function setProblem(field, parent, problem) {
  setText(find(parent, `[data-error="${field.name}"]`), problem);
  if (problem === "") field.removeAttribute("aria-invalid");
  else field.setAttribute("aria-invalid", "true");
}
