// @ts-check
/**
 * The messages on the page: only the rows near what is in sight are there, and what is being read stays where it is.
 *
 * @import { Message } from "./timeline.js"
 * @import { Range } from "./viewport.js"
 * @typedef {{id: number, top: number}} Place  a message in sight, and how far below the scroller's top it begins (px)
 */
import { partsOf } from "./links.js";
import { showAvatar } from "./people.js";
import { beginsDay, continuesGroup, dayWords, longTime, timeOfDay } from "./times.js";
import { find, fromTemplate, setText } from "./view.js";
import { Heights, rowsAround } from "./viewport.js";

/** This close to the end counts as reading the newest message. */
const BOTTOM_PX = 80;
/** No row is lower. */
const ROW_PX_MIN = 28;

export class MessageList {
  #username;
  #scroller;
  #list;
  #above;
  #below;

  /** @type {readonly Message[]} */
  #messages = [];
  /** @type {number | null} */
  #firstNewId = null;
  /** Those in the page, by id. @type {Map<number, HTMLElement>} */
  #rows = new Map();
  /** Their indexes. @type {Range} */
  #range = { start: 0, end: 0 };
  #heights = new Heights();
  #width = 0;
  #height = 0;
  #following = true;
  /** Where the user was when last looked; null while following. @type {Place | null} */
  #place = null;
  #resized = new ResizeObserver(() => this.#resize());

  /**
   * @param {ParentNode} view
   * @param {string} username  whose messages are the user's own
   */
  constructor(view, username) {
    this.#username = username;
    this.#scroller = find(view, '[data-part="scroller"]');
    this.#list = find(view, '[data-list="messages"]');
    this.#above = find(view, '[data-part="above"]');
    this.#below = find(view, '[data-part="below"]');
    // A phone's keyboard must not push what is being read out of sight.
    this.#resized.observe(this.#scroller);
  }

  /** Whether the end of the list stays in sight as it grows. */
  get following() {
    return this.#following;
  }

  /** How far the user has scrolled back, in heights of the scroller. */
  get pagesBack() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return clientHeight === 0 ? 0 : (scrollHeight - scrollTop) / clientHeight - 1;
  }

  /**
   * @param {readonly Message[]} messages  those that were there before, and any more of them at either end
   * @param {number | null} firstNewId  the one that the divider stands before
   * @param {() => void} [changeAround]  changes what else is in the scroller
   */
  render(messages, firstNewId, changeAround = () => {}) {
    const place = this.#look();
    const [firstId] = this.#rows.keys();
    if (firstId !== undefined) {
      const moved = messages.findIndex(({ id }) => id === firstId) - this.#range.start;
      this.#range = { start: this.#range.start + moved, end: this.#range.end + moved };
    }
    // A copy: the room's own list grows before it is rendered.
    this.#messages = messages.slice();
    this.#firstNewId = firstNewId;
    changeAround();
    this.#arrange(place);
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientWidth, clientHeight } = this.#scroller;
    // Another size moves what is in sight, too; that is nobody's scrolling.
    if (clientWidth !== this.#width || clientHeight !== this.#height) return;
    this.#following = scrollHeight - clientHeight - scrollTop < BOTTOM_PX;
    this.#place = this.#look();
    if (this.#rowsFor(this.#place) !== this.#range) this.#arrange(this.#place);
  }

  toEnd() {
    this.#following = true;
    this.#arrange(null);
  }

  remove() {
    this.#resized.disconnect();
  }

  /** The first message in sight; null if the end is to stay in sight. @returns {Place | null} */
  #look() {
    if (this.#following || this.#messages.length === 0) return null;
    const { top } = this.#scroller.getBoundingClientRect();
    for (const [id, row] of this.#rows) {
      const { top: rowTop, bottom } = row.getBoundingClientRect();
      if (bottom > top && rowTop < top + this.#scroller.clientHeight) return { id, top: rowTop - top };
    }
    // In the blank space: what would be there.
    const aboveTop = this.#above.getBoundingClientRect().top - top;
    const row = this.#heights.rowAt(this.#messages, Math.max(0, -aboveTop));
    return { id: this.#messages[row.index].id, top: aboveTop + row.top };
  }

  /** @param {Place | null} place */
  #rowsFor(place) {
    const count = this.#messages.length;
    const rows = Math.ceil(this.#scroller.clientHeight / ROW_PX_MIN);
    const first = place === null ? -1 : this.#messages.findIndex(({ id }) => id === place.id);
    const start = first === -1 ? Math.max(0, count - rows) : first;
    return rowsAround(this.#range, { start, end: Math.min(count, start + rows) }, count);
  }

  /** Brings in the rows that belong there, and the place back to where it was. @param {Place | null} place */
  #arrange(place) {
    this.#range = this.#rowsFor(place);
    this.#exchangeRows();
    this.#measure();
    this.#goTo(place);
    this.#place = place;
  }

  #exchangeRows() {
    const { start, end } = this.#range;
    const wanted = this.#messages.slice(start, end);
    const ids = new Set(wanted.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      // Whoever reads by keyboard goes on from the list.
      if (row.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
      row.remove();
    }
    const rows = wanted.map((message) => this.#rows.get(message.id) ?? this.#row(message));
    const kept = rows.findIndex((row) => row.isConnected);
    this.#list.prepend(...rows.slice(0, Math.max(kept, 0)));
    this.#list.append(...rows.filter((row) => !row.isConnected));
    this.#rows = new Map(rows.map((row, index) => [wanted[index].id, row]));
    rows.forEach((row, index) => this.#group(row, this.#messages[start + index - 1], wanted[index]));
  }

  /** @param {Message} message */
  #row({ id, username, text, sent_at }) {
    const row = fromTemplate("message");
    row.dataset.messageId = String(id);
    // Messages are numbered without gaps; nobody knows how many there will be.
    row.setAttribute("aria-posinset", String(id));
    row.toggleAttribute("data-own", username === this.#username);
    showAvatar(row, username);
    find(row, '[data-part="author"]').textContent = username;
    /** @type {HTMLTimeElement} */
    const time = find(row, '[data-part="time"]');
    time.dateTime = sent_at;
    time.textContent = timeOfDay(sent_at);
    const body = find(row, '[data-part="text"]');
    body.title = longTime(sent_at);
    body.append(...partsOf(text).map(partNode));
    return row;
  }

  /**
   * What a row shows of those before it.
   * @param {HTMLElement} row
   * @param {Message | undefined} previous
   * @param {Message} message
   */
  #group(row, previous, message) {
    const isNew = message.id === this.#firstNewId;
    const isFirstOfDay = beginsDay(previous, message);
    const day = find(row, '[data-part="day"]');
    setText(day, isFirstOfDay ? dayWords(message.sent_at) : "");
    day.hidden = !isFirstOfDay;
    find(row, '[data-part="new"]').hidden = !isNew;
    row.toggleAttribute("data-continued", !isNew && continuesGroup(previous, message));
  }

  #measure() {
    for (const [id, row] of this.#rows) this.#heights.set(id, row.getBoundingClientRect().height);
    const { start, end } = this.#range;
    setHeight(this.#above, this.#heights.sum(this.#messages, { start: 0, end: start }));
    setHeight(this.#below, this.#heights.sum(this.#messages, { start: end, end: this.#messages.length }));
  }

  /** @param {Place | null} place */
  #goTo(place) {
    const row = place && this.#rows.get(place.id);
    if (!place || !row) {
      if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
      return;
    }
    const moved = row.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top - place.top;
    if (Math.abs(moved) >= 1) this.#scroller.scrollTop += moved;
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#scroller;
    if (width !== this.#width) this.#heights.clear();
    this.#width = width;
    this.#height = height;
    this.#arrange(this.#following ? null : this.#place);
  }
}

/** @param {import("./links.js").Part} part */
function partNode({ text, href }) {
  if (href === null) return document.createTextNode(text);
  const link = document.createElement("a");
  link.href = href;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  link.textContent = text;
  return link;
}

/**
 * @param {HTMLElement} element
 * @param {number} px
 */
function setHeight(element, px) {
  const height = px === 0 ? "" : `${px}px`;
  if (element.style.height !== height) element.style.height = height;
}
