// @ts-check
/**
 * The view of the chat. It renders from the room; what people wrote goes in as text, never as markup.
 *
 * @import { Alerts } from "./alerts.js"
 * @import { Presence } from "./presence.js"
 * @import { Room } from "./room.js"
 * @import { Message } from "./timeline.js"
 * @import { Pending } from "./outbox.js"
 * @import { KeyValue } from "./session.js"
 * @import { ConnectionState } from "./socket.js"
 * @import { Typing } from "./typing.js"
 */
import { showSettings } from "./alerts.js";
import { Announcer } from "./announcer.js";
import { Composer } from "./composer.js";
import { MessageList } from "./message-list.js";
import { showPeople } from "./people.js";
import { keep } from "./session.js";
import { typingWords } from "./typing.js";
import { Unread } from "./unread.js";
import { find, fromTemplate, inSeconds, setText } from "./view.js";

/** @type {Record<ConnectionState, string>} */
const STATE_WORDS = {
  connecting: "Connecting…",
  online: "Online",
  reconnecting: "Reconnecting…",
  offline: "Offline",
};
/** How long it is said that the line is good again. */
const BACK_ONLINE_MS = 5_000;
/** This close to the start the page before is fetched. */
const TOP_PX = 200;
/** So many heights of the window scrolled back, a button leads to the end. */
const PAGES_BACK = 1;
const RENDER_WITHIN_MS = 100;
const COUNTDOWN_MS = 1_000;
const TITLE = "Lambda Chat";
const TITLE_COUNT_MAX = 99;

/**
 * @param {HTMLElement} root
 * @param {object} deps
 * @param {Room} deps.room
 * @param {Presence} deps.presence
 * @param {Typing} deps.typing
 * @param {Alerts} deps.alerts
 * @param {KeyValue} deps.tabStorage  keeps the draft over a reload
 * @param {KeyValue} deps.storage  keeps where reading stopped
 * @param {() => void} deps.signOut
 * @returns {() => void} takes the view away
 */
export function mount(root, { room, presence, typing, alerts, tabStorage, storage, signOut }) {
  const view = fromTemplate("chat");
  const status = find(view, '[data-status="connection"]');
  const scroller = find(view, '[data-part="scroller"]');
  const pendingList = find(view, '[data-list="pending"]');
  /** @type {HTMLButtonElement} */
  const older = find(view, '[data-action="load-older"]');
  const jump = find(view, '[data-action="jump"]');
  const typingStatus = find(view, '[data-part="typing"]');
  const waitStatus = find(view, '[data-part="wait-status"]');
  const notice = find(view, "[data-notice]");
  const list = new MessageList(view, room.username);
  const announcer = new Announcer(find(view, '[data-part="announcer"]'), room.username);
  const readKey = `lambda-chat.read.${room.username}`;
  const unread = new Unread(room.username, readId(storage.getItem(readKey)));
  const composer = new Composer(view, {
    username: room.username,
    storage: tabStorage,
    send: (text) => send(text),
    typed: () => typing.typed(),
  });

  const mounted = new AbortController();
  let signOutWarning = "";
  let lastConnection = room.connection;
  /** Until when it is said that the line is good again. */
  let backOnlineUntil = 0;
  let renderFrame = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let renderTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let countdownTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let backOnlineTimer;

  /** Once for all that changes within a frame: each rendering measures the list. */
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
    lookForUnread();
    renderStatus();
    list.render(room.messages, unread.firstNewId(room.messages), () => {
      renderEdges();
      renderPending();
    });
    renderUnread();
    renderWait();
    renderNotice();
    loadOlderIfNear();
  }

  function renderStatus() {
    const { connection } = room;
    if (connection === "online" && (lastConnection === "reconnecting" || lastConnection === "offline")) {
      backOnlineUntil = Date.now() + BACK_ONLINE_MS;
      clearTimeout(backOnlineTimer);
      backOnlineTimer = setTimeout(renderSoon, BACK_ONLINE_MS);
    }
    lastConnection = connection;
    status.dataset.state = connection;
    const isBack = connection === "online" && Date.now() < backOnlineUntil;
    setText(status, isBack ? "Back online" : STATE_WORDS[connection]);
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

  function lookForUnread() {
    if (!room.loaded) return;
    const { readId: before } = unread;
    unread.look(room.messages, isInSight() && list.following);
    if (unread.readId === before) return;
    keep(storage, readKey, String(unread.readId));
  }

  function renderUnread() {
    const { count } = unread;
    const counted = count > TITLE_COUNT_MAX ? `${TITLE_COUNT_MAX}+` : count;
    document.title = count === 0 || isInSight() ? TITLE : `(${counted}) ${TITLE}`;
    renderJump();
  }

  function renderJump() {
    const { count } = unread;
    jump.hidden = list.following || (count === 0 && list.pagesBack < PAGES_BACK);
    setText(find(jump, '[data-part="jump-words"]'), jumpWords(count));
  }

  /** Keeps the rows that stay, and with them the keyboard focus. */
  function renderPending() {
    const rows = new Map([...pendingList.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.pendingId, row]));
    let wordsAbove = "";
    for (const pending of room.pending) {
      const row = /** @type {HTMLElement | undefined} */ (rows.get(pending.client_id)) ?? pendingRow(pending);
      rows.delete(pending.client_id);
      row.dataset.state = pending.refusal === null ? "sending" : "refused";
      const words = stateWords(pending);
      setText(find(row, '[data-part="state"]'), words);
      // What holds for several is shown once.
      row.toggleAttribute("data-continued", words === wordsAbove);
      wordsAbove = words;
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
    if (id === null && room.waitSecs > 0) return waitWords();
    return room.connection === "online" ? "Sending…" : "Sent by itself when you are back online.";
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
    const { following } = list;
    list.scrolled();
    // What came while the end was out of sight is read now.
    if (list.following !== following) renderSoon();
    renderJump();
    loadOlderIfNear();
  }

  function toEnd() {
    list.toEnd();
    renderSoon();
  }

  /** @param {string} text */
  function send(text) {
    unread.answered();
    signOutWarning = "";
    list.toEnd();
    room.send(text);
  }

  /** @param {readonly Message[]} messages */
  function said(messages) {
    announcer.announce(messages);
    const others = messages.filter(({ username }) => username !== room.username);
    if (others.length > 0 && !isInSight()) alerts.unseen(others);
  }

  /** @param {{client_id: string, text: string, reason: string}} refused */
  function messageRefused({ client_id, text, reason }) {
    // Something else is being typed: the refused message stays in the list.
    if (composer.text !== "") return;
    room.discard(client_id);
    composer.text = text;
    composer.refuse(`Not sent. ${reason}`);
  }

  function signOutClicked() {
    const { unsent } = room;
    if (unsent > 0 && signOutWarning === "") {
      signOutWarning = `${unsent === 1 ? "One message has" : `${unsent} messages have`} not been sent yet. Sign out again to discard ${unsent === 1 ? "it" : "them"}.`;
      renderNotice();
      return;
    }
    room.discardAll();
    composer.text = "";
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
        toEnd();
        composer.focus();
        break;
      case "sign-out":
        signOutClicked();
        break;
      case "retry":
      case "discard":
        signOutWarning = "";
        if (pendingId) room[button.dataset.action](pendingId);
        composer.focus();
        break;
    }
  }

  const { signal } = mounted;
  const me = find(view, '[data-part="me"]');
  me.textContent = me.title = room.username;
  view.addEventListener("click", clicked);
  scroller.addEventListener("scroll", scrolled, { passive: true });
  room.addEventListener("change", renderSoon, { signal });
  room.addEventListener("said", (event) => said(/** @type {CustomEvent} */ (event).detail), { signal });
  room.addEventListener("missed", (event) => unread.missedAfter(/** @type {CustomEvent} */ (event).detail), { signal });
  room.addEventListener("wait", () => setText(waitStatus, waitWords()), { signal });
  room.addEventListener("refused", (event) => messageRefused(/** @type {CustomEvent} */ (event).detail), { signal });
  typing.addEventListener("change", () => setText(typingStatus, typingWords(typing.users)), { signal });
  document.addEventListener("visibilitychange", render, { signal });
  window.addEventListener("storage", ({ key, newValue }) => {
    if (key !== readKey) return;
    unread.readElsewhere(readId(newValue) ?? 0);
    renderSoon();
  }, { signal });

  root.replaceChildren(view);
  showPeople(view, presence, room.username, signal);
  showSettings(view, alerts);
  composer.restoreDraft();
  render();
  // On a touch screen this would open the keyboard over the messages.
  if (matchMedia("(pointer: coarse)").matches) find(view, "h1").focus({ preventScroll: true });
  else composer.focus();

  return () => {
    mounted.abort();
    renderNoMore();
    clearTimeout(backOnlineTimer);
    announcer.stop();
    list.remove();
    view.remove();
  };
}

function isInSight() {
  return document.visibilityState === "visible";
}

/** @param {number} count */
function jumpWords(count) {
  if (count === 0) return "Newest messages";
  return count === 1 ? "1 new message" : `${count.toLocaleString("en")} new messages`;
}

/** @param {string | null} stored */
function readId(stored) {
  const id = Number(stored ?? NaN);
  return Number.isSafeInteger(id) && id >= 0 ? id : null;
}
