// @ts-check
/**
 * The view of the chat. It renders from the room; whatever people wrote goes in as text, never as
 * markup.
 *
 * @import { Room } from "./room.js"
 * @import { Message } from "./timeline.js"
 * @import { Pending } from "./outbox.js"
 * @import { KeyValue } from "./session.js"
 * @import { ConnectionState } from "./socket.js"
 */
import { TEXT_CHARACTERS_MAX, isBlank, textCharacters, textProblem } from "./rules.js";
import { find, fromTemplate, inSeconds, setProblem, setText } from "./view.js";

/** @type {Record<ConnectionState, string>} */
const STATE_WORDS = {
  connecting: "Connecting…",
  online: "Online",
  reconnecting: "Reconnecting…",
  offline: "Offline",
};
/** This close to the end counts as reading the newest message. */
const BOTTOM_PX = 80;
/** This close to the start the page before is fetched. */
const TOP_PX = 200;
/** How long a screen reader may take to see what has changed. */
const HUSH_MS = 500;
const RENDER_WITHIN_MS = 100;
const COUNTDOWN_MS = 1_000;
const COUNTER_FROM = TEXT_CHARACTERS_MAX - 200;
const HUES = 6;

/**
 * @param {HTMLElement} root
 * @param {object} deps
 * @param {Room} deps.room
 * @param {KeyValue} deps.storage  keeps the draft over a reload
 * @param {() => void} deps.signOut
 * @returns {() => void} takes the view away
 */
export function mount(root, { room, storage, signOut }) {
  const view = fromTemplate("chat");
  const status = find(view, '[data-status="connection"]');
  const scroller = find(view, '[data-part="scroller"]');
  const messageList = find(view, '[data-list="messages"]');
  const pendingList = find(view, '[data-list="pending"]');
  /** @type {HTMLButtonElement} */
  const older = find(view, '[data-action="load-older"]');
  const jump = find(view, '[data-action="jump"]');
  /** @type {HTMLFormElement} */
  const form = find(view, "[data-form]");
  /** @type {HTMLTextAreaElement} */
  const textArea = find(form, "[name=text]");
  const counter = find(view, '[data-part="counter"]');
  const counterStatus = find(view, '[data-part="counter-status"]');
  const waitStatus = find(view, '[data-part="wait-status"]');
  const notice = find(view, "[data-notice]");
  const draftKey = `lambda-chat.draft.${room.username}`;

  const mounted = new AbortController();
  /** Whether the end of the list stays in sight as it grows. */
  let following = true;
  let signOutWarning = "";
  let renderedDay = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hushTimer;
  let renderFrame = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let renderTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let countdownTimer;

  /** Once for all that changes within a frame: each rendering measures the whole list. */
  function renderSoon() {
    if (renderTimer !== undefined) return;
    renderFrame = requestAnimationFrame(render);
    // A page out of sight has no frames.
    renderTimer = setTimeout(render, RENDER_WITHIN_MS);
  }

  function renderNoMore() {
    cancelAnimationFrame(renderFrame);
    clearTimeout(renderTimer);
    clearTimeout(countdownTimer);
    renderTimer = undefined;
  }

  function render() {
    renderNoMore();
    const anchor = messageList.firstElementChild;
    const anchorTop = anchor?.getBoundingClientRect().top ?? 0;

    renderStatus();
    renderEdges();
    const appended = renderMessages();
    renderPending();
    renderWait();
    renderNotice();

    if (following) {
      scroller.scrollTop = scroller.scrollHeight;
    } else {
      // What came in above must not move what is being read.
      if (anchor) scroller.scrollTop += anchor.getBoundingClientRect().top - anchorTop;
      if (appended) jump.hidden = false;
    }
    loadOlderIfNear();
  }

  function renderStatus() {
    status.dataset.state = room.connection;
    setText(status, STATE_WORDS[room.connection]);
  }

  function renderEdges() {
    find(view, '[data-part="loading"]').hidden = room.loaded;
    find(view, '[data-part="empty"]').hidden = !room.loaded || room.messages.length > 0 || room.pending.length > 0;
    const focused = document.activeElement === older;
    older.hidden = !room.hasOlder;
    if (focused && older.hidden) scroller.focus({ preventScroll: true });
    const words = room.loadingOlder ? "Loading older messages…" : "Load older messages";
    setText(older, room.olderFailed ? "Older messages could not be loaded. Try again" : words);
  }

  /** History is not news: a screen reader need not read it out. */
  function hush() {
    scroller.setAttribute("aria-live", "off");
    clearTimeout(hushTimer);
    hushTimer = setTimeout(() => scroller.setAttribute("aria-live", "polite"), HUSH_MS);
  }

  /** Adds the rows that are lacking at either end. Returns whether any came at the bottom. */
  function renderMessages() {
    const { messages } = room;
    const day = new Date().toDateString();
    if (day !== renderedDay) {
      // "10:15" was today's until midnight.
      for (const time of messageList.querySelectorAll("time")) setText(time, shortTime(time.dateTime));
      renderedDay = day;
    }
    const first = rowId(messageList.firstElementChild);
    const last = rowId(messageList.lastElementChild);
    const above = first === 0 ? 0 : messages.findIndex(({ id }) => id === first);
    const below = messages.findLastIndex(({ id }) => id <= last) + 1;
    // The first page comes when nothing has been hushed yet.
    if (above > 0 || (room.loaded && hushTimer === undefined)) hush();
    messageList.prepend(...messages.slice(0, above).map(messageRow));
    messageList.append(...messages.slice(below).map(messageRow));
    return below < messages.length;
  }

  /** @param {Message} message */
  function messageRow({ id, username, text, sent_at }) {
    const row = fromTemplate("message");
    row.dataset.messageId = String(id);
    row.toggleAttribute("data-own", username === room.username);
    const avatar = find(row, '[data-part="avatar"]');
    avatar.textContent = username.slice(0, 1).toUpperCase();
    avatar.dataset.hue = String(hue(username));
    find(row, '[data-part="author"]').textContent = username;
    /** @type {HTMLTimeElement} */
    const time = find(row, '[data-part="time"]');
    time.dateTime = sent_at;
    time.title = longTime(sent_at);
    time.textContent = shortTime(sent_at);
    find(row, '[data-part="text"]').textContent = text;
    return row;
  }

  /** Keeps the rows that stay, and with them the keyboard focus. */
  function renderPending() {
    const rows = new Map([...pendingList.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.pendingId, row]));
    for (const pending of room.pending) {
      const row = /** @type {HTMLElement | undefined} */ (rows.get(pending.client_id)) ?? pendingRow(pending);
      rows.delete(pending.client_id);
      row.dataset.state = pending.refusal === null ? "sending" : "refused";
      setText(find(row, '[data-part="state"]'), stateWords(pending));
      find(row, '[data-part="actions"]').hidden = pending.refusal === null;
      if (!row.isConnected) pendingList.append(row);
    }
    for (const row of rows.values()) row.remove();
  }

  /** @param {Pending} pending */
  function pendingRow({ client_id, text }) {
    const row = fromTemplate("pending");
    row.dataset.pendingId = client_id;
    find(row, '[data-part="text"]').textContent = text;
    return row;
  }

  /** @param {Pending} pending */
  function stateWords({ refusal, id }) {
    if (refusal !== null) return `Not sent. ${refusal}`;
    return id === null && room.waitSecs > 0 ? waitWords() : "Sending…";
  }

  function waitWords() {
    const why = room.rateLimited ? "Too many messages at once." : "The server is busy.";
    return `${why} Sent by itself in ${inSeconds(room.waitSecs)}.`;
  }

  /** Counts down for the eye; the ear is told once. */
  function renderWait() {
    if (room.waitSecs > 0) countdownTimer = setTimeout(renderSoon, COUNTDOWN_MS);
    else setText(waitStatus, "");
  }

  function renderNotice() {
    if (room.unsent === 0) signOutWarning = "";
    setText(notice, signOutWarning || room.notice || lineProblem());
  }

  function lineProblem() {
    if (room.catchUpFailed) return "Messages could not be loaded. Trying again…";
    return room.liveRefused ? "Live messages cannot be reached. Trying again…" : "";
  }

  function loadOlderIfNear() {
    if (scroller.scrollTop < TOP_PX && !room.olderFailed) room.loadOlder();
  }

  function scrolled() {
    following = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop < BOTTOM_PX;
    if (following) jump.hidden = true;
    loadOlderIfNear();
  }

  function toBottom() {
    following = true;
    jump.hidden = true;
    scroller.scrollTop = scroller.scrollHeight;
  }

  function textChanged() {
    setProblem(textArea, view, "");
    const characters = textArea.value.length < COUNTER_FROM ? 0 : textCharacters(textArea.value);
    counter.hidden = characters < COUNTER_FROM;
    setText(counter, counter.hidden ? "" : `${characters.toLocaleString("en")} of ${TEXT_CHARACTERS_MAX.toLocaleString("en")} characters`);
    setText(counterStatus, counter.hidden ? "" : roomLeft(characters));
    if (!CSS.supports("field-sizing", "content")) {
      textArea.style.height = "auto";
      textArea.style.height = `${textArea.scrollHeight + textArea.offsetHeight - textArea.clientHeight}px`;
    }
    keepDraft();
  }

  function keepDraft() {
    try {
      if (textArea.value === "") storage.removeItem(draftKey);
      else storage.setItem(draftKey, textArea.value);
    } catch {
      // A full storage: the draft is still in the field.
    }
  }

  /** @param {string} text */
  function setDraft(text) {
    textArea.value = text;
    textChanged();
  }

  function submitted() {
    const problem = textProblem(textArea.value);
    if (problem !== null) {
      setProblem(textArea, view, problem);
      textArea.focus();
      return;
    }
    const text = textArea.value;
    setDraft("");
    toBottom();
    signOutWarning = "";
    room.send(text);
  }

  /** @param {{client_id: string, text: string, reason: string}} refused */
  function messageRefused({ client_id, text, reason }) {
    // If something else is being typed already, the refused message stays in the list.
    if (textArea.value !== "") return;
    room.discard(client_id);
    setDraft(text);
    setProblem(textArea, view, `Not sent. ${reason}`);
  }

  function signOutClicked() {
    const { unsent } = room;
    if (unsent > 0 && signOutWarning === "") {
      signOutWarning = `${unsent === 1 ? "One message has" : `${unsent} messages have`} not been sent yet. Sign out again to discard ${unsent === 1 ? "it" : "them"}.`;
      renderNotice();
      return;
    }
    room.discardAll();
    setDraft("");
    signOut();
  }

  /** @param {Event} event */
  function clicked(event) {
    const button = /** @type {HTMLElement} */ (event.target).closest("[data-action]");
    if (!(button instanceof HTMLElement)) return;
    const pendingId = /** @type {HTMLElement | null} */ (button.closest("[data-pending-id]"))?.dataset.pendingId;
    switch (button.dataset.action) {
      case "load-older":
        room.loadOlder();
        break;
      case "jump":
        toBottom();
        textArea.focus();
        break;
      case "sign-out":
        signOutClicked();
        break;
      case "retry":
        signOutWarning = "";
        if (pendingId) room.retry(pendingId);
        textArea.focus();
        break;
      case "discard":
        signOutWarning = "";
        if (pendingId) room.discard(pendingId);
        textArea.focus();
        break;
    }
  }

  const me = find(view, '[data-part="me"]');
  setText(me, room.username);
  me.title = room.username;
  view.addEventListener("click", clicked);
  scroller.addEventListener("scroll", scrolled, { passive: true });
  textArea.addEventListener("input", textChanged);
  textArea.addEventListener("keydown", (event) => {
    // An Enter that ends a composition belongs to the input method.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    if (!event.repeat && !isBlank(textArea.value)) form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submitted();
  });
  room.addEventListener("change", renderSoon, { signal: mounted.signal });
  room.addEventListener("wait", () => setText(waitStatus, waitWords()), { signal: mounted.signal });
  room.addEventListener("refused", (event) => messageRefused(/** @type {CustomEvent} */ (event).detail), { signal: mounted.signal });
  // The keyboard of a phone, or a growing message, must not push the end out of sight.
  const resized = new ResizeObserver(() => {
    if (following) scroller.scrollTop = scroller.scrollHeight;
  });
  resized.observe(scroller);

  root.replaceChildren(view);
  setDraft(storage.getItem(draftKey) ?? "");
  render();
  // On a touch screen this would open the keyboard over the messages.
  if (matchMedia("(pointer: fine)").matches) textArea.focus();
  else find(view, "h1").focus({ preventScroll: true });

  return () => {
    mounted.abort();
    renderNoMore();
    clearTimeout(hushTimer);
    resized.disconnect();
    view.remove();
  };
}

/** In steps, as not every character is worth an announcement. @param {number} characters */
function roomLeft(characters) {
  const left = TEXT_CHARACTERS_MAX - characters;
  return left < 0 ? "The message is too long." : `Less than ${50 * Math.floor(left / 50) + 50} characters left`;
}

/** @param {Element | null} row */
function rowId(row) {
  return row instanceof HTMLElement ? Number(row.dataset.messageId) : 0;
}

/** @param {string} username */
function hue(username) {
  let sum = 0;
  for (let i = 0; i < username.length; i += 1) sum = (sum * 31 + username.charCodeAt(i)) % 65_521;
  return sum % HUES;
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const LONG_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** @param {string} sentAt */
function shortTime(sentAt) {
  const date = new Date(sentAt);
  if (Number.isNaN(date.getTime())) return sentAt;
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return TIME.format(date);
  return (date.getFullYear() === today.getFullYear() ? DAY_AND_TIME : DATE_AND_TIME).format(date);
}

/** @param {string} sentAt */
function longTime(sentAt) {
  const date = new Date(sentAt);
  return Number.isNaN(date.getTime()) ? sentAt : LONG_TIME.format(date);
}
