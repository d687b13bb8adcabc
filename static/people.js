// @ts-check
/**
 * The panel of who is here.
 *
 * @import { Presence } from "./presence.js"
 */
import { find, fromTemplate, setText } from "./view.js";

const HUES = 6;
/** In the bar there is no room for more than "12K". */
const IN_SHORT = new Intl.NumberFormat("en", { notation: "compact" });
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
  const rest = find(panel, '[data-part="more-people"]');
  const more = find(panel, '[data-action="more-people"]');
  /** Where the user reads on when more names have come; 0 for nowhere. */
  let readFrom = 0;

  function render() {
    const { count, users, hasMore, loadingMore, moreFailed } = presence;
    // It has its place from the beginning, so that nothing moves when the names come.
    panel.hidden = presence.unsupported;
    toggle.hidden = !presence.known || presence.unsupported;
    setText(find(panel, '[data-part="people-count"]'), presence.known ? count.toLocaleString("en") : "");
    setText(find(toggle, '[data-part="people-count"]'), IN_SHORT.format(count));
    renderList(list, users, username);
    // From the button to the first of the names that have come in its place.
    if (!loadingMore && readFrom > 0) {
      if (document.activeElement === more) focusRow(list, readFrom);
      readFrom = 0;
    }
    rest.hidden = !hasMore;
    setText(rest, `and ${Math.max(count - users.length, 1).toLocaleString("en")} more`);
    more.hidden = !hasMore;
    setText(more, loadingMore ? "Loading more…" : "Show more");
    setText(find(panel, '[data-part="people-problem"]'), moreFailed ? "More names could not be loaded." : "");
    renderTabStop();
  }

  /** Whoever has no mouse scrolls what has the focus. */
  function renderTabStop() {
    if (panel.scrollHeight > panel.clientHeight) panel.tabIndex = 0;
    else panel.removeAttribute("tabindex");
  }

  more.addEventListener("click", () => {
    if (presence.loadingMore) return;
    readFrom = presence.users.length;
    presence.showMore();
  });
  presence.addEventListener("change", render, { signal: unmounted });
  const resized = new ResizeObserver(renderTabStop);
  resized.observe(panel);
  unmounted.addEventListener("abort", () => resized.disconnect());
  // Shown by the button, it would stay before the conversation.
  matchMedia(BESIDE).addEventListener("change", () => panel.matches(":popover-open") && panel.hidePopover(), { signal: unmounted });
  render();
}

/**
 * Rows that stay are not moved: one may have the keyboard focus, which goes to the next if its row goes.
 * @param {HTMLElement} list
 * @param {readonly string[]} users
 * @param {string} username
 */
function renderList(list, users, username) {
  const focusedAt = [...list.children].indexOf(/** @type {Element} */ (document.activeElement));
  const rows = new Map([...list.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.username, row]));
  const here = new Set(users);
  for (const [user, row] of rows) if (!here.has(user ?? "")) row.remove();
  let next = list.firstElementChild;
  for (const user of users) {
    if (next && next === rows.get(user)) next = next.nextElementSibling;
    else list.insertBefore(rows.get(user) ?? personRow(user, user === username), next);
  }
  if (focusedAt !== -1 && !list.contains(document.activeElement)) focusRow(list, Math.min(focusedAt, users.length - 1));
}

/**
 * @param {HTMLElement} list
 * @param {number} index
 */
function focusRow(list, index) {
  /** @type {HTMLElement | undefined} */ (list.children[index])?.focus();
}

/**
 * @param {string} username
 * @param {boolean} isOwn
 */
function personRow(username, isOwn) {
  const row = fromTemplate("person");
  row.dataset.username = username;
  showAvatar(row, username);
  const name = find(row, '[data-part="name"]');
  name.textContent = username;
  name.title = username;
  find(row, '[data-part="you"]').hidden = !isOwn;
  return row;
}

/**
 * Somebody's initial, in one of the colours of style.css.
 * @param {HTMLElement} row
 * @param {string} username
 */
export function showAvatar(row, username) {
  let sum = 0;
  for (let i = 0; i < username.length; i += 1) sum = (sum * 31 + username.charCodeAt(i)) % 65_521;
  row.dataset.hue = String(sum % HUES);
  find(row, '[data-part="avatar"]').textContent = username.slice(0, 1).toUpperCase();
}
