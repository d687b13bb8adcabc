// @ts-check
/**
 * The panel of who is here: beside the conversation where there is room, else shown by its button.
 *
 * @import { Presence } from "./presence.js"
 */
import { find, fromTemplate, setText } from "./view.js";

const HUES = 6;
/** From here on, style.css shows the panel beside the conversation. */
const BESIDE = "(min-width: 60rem)";

/**
 * @param {HTMLElement} view
 * @param {Presence} presence
 * @param {string} username  the user's own
 * @param {AbortSignal} unmounted
 */
export function showPeople(view, presence, username, unmounted) {
  const panel = find(view, '[data-part="people"]');
  const list = find(panel, '[data-list="people"]');
  const toggle = find(view, '[data-action="people"]');
  const more = find(panel, '[data-part="more-people"]');

  function render() {
    const { count, users } = presence;
    panel.hidden = !presence.known;
    toggle.hidden = !presence.known;
    setText(find(panel, '[data-part="people-count"]'), String(count));
    setText(find(toggle, '[data-part="people-count"]'), String(count));
    const rest = count - users.length;
    more.hidden = rest <= 0;
    setText(more, `and ${rest.toLocaleString("en")} more`);

    const rows = new Map([...list.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.username, row]));
    list.replaceChildren(...users.map((user) => rows.get(user) ?? personRow(user, user === username)));
  }

  presence.addEventListener("change", render, { signal: unmounted });
  // Shown by the button, it would stay before the conversation.
  matchMedia(BESIDE).addEventListener("change", () => panel.matches(":popover-open") && panel.hidePopover(), { signal: unmounted });
  render();
}

/**
 * @param {string} username
 * @param {boolean} isOwn
 */
function personRow(username, isOwn) {
  const row = fromTemplate("person");
  row.dataset.username = username;
  row.dataset.hue = hue(username);
  find(row, '[data-part="avatar"]').textContent = initial(username);
  find(row, '[data-part="name"]').textContent = username;
  find(row, '[data-part="you"]').hidden = !isOwn;
  return row;
}

/** What stands in somebody's picture. @param {string} username */
export function initial(username) {
  return username.slice(0, 1).toUpperCase();
}

/** Which of the colours of style.css is somebody's. @param {string} username */
export function hue(username) {
  let sum = 0;
  for (let i = 0; i < username.length; i += 1) sum = (sum * 31 + username.charCodeAt(i)) % 65_521;
  return String(sum % HUES);
}
