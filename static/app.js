// @ts-check
/**
 * Wires the modules together: one view at a time, the chat for who is signed in.
 *
 * @import { Reason } from "./session.js"
 */
import { Alerts } from "./alerts.js";
import { Api } from "./api.js";
import * as chat from "./chat.js";
import { config } from "./config.js";
import { Outbox } from "./outbox.js";
import { Presence } from "./presence.js";
import { Room } from "./room.js";
import { Session, openStorage } from "./session.js";
import * as signIn from "./sign-in.js";
import { ChatSocket } from "./socket.js";
import { Typing } from "./typing.js";
import { find } from "./view.js";

/** @type {Record<Reason, string>} */
const NOTICES = {
  "signed-in": "",
  "signed-out": "",
  expired: "Your session has ended. Please sign in again.",
  elsewhere: "You have been signed out in another tab.",
};

const root = find(document, "[data-root]");
const storage = openStorage(() => window.localStorage);
const session = new Session(storage);
const tabStorage = openStorage(() => window.sessionStorage);
const alerts = new Alerts({ storage });
const api = new Api({
  base: config.httpBase,
  session,
  fetch: (input, init) => window.fetch(input, init),
  locks: navigator.locks,
});
const wsUrl = config.wsUrl || new URL("/ws", location.href).href.replace(/^http/, "ws");

let formerUsername = "";
let leave = () => {};

/** @param {Reason | null} reason  null when the page loads */
function show(reason) {
  leave();
  const { username } = session;
  if (username === null) {
    document.title = "Sign in · Lambda Chat";
    const notice = reason === null ? "" : NOTICES[reason];
    leave = signIn.mount(root, { api, notice, username: reason === "expired" ? formerUsername : "" });
  } else {
    document.title = "Lambda Chat";
    formerUsername = username;
    leave = showChat(username);
  }
}

/** @param {string} username */
function showChat(username) {
  const socket = new ChatSocket({
    url: wsUrl,
    accessToken: () => api.accessToken(),
    probe: () => api.probe(),
    isOnLine: () => navigator.onLine,
  });
  const room = new Room({ api, socket, outbox: new Outbox(tabStorage, username), username });
  const presence = new Presence({ api, socket, isInSight: () => document.visibilityState === "visible" });
  const typing = new Typing(socket);
  const signOut = () => api.logout();
  const unmount = chat.mount(root, { room, presence, typing, alerts, tabStorage, storage, signOut });

  const shown = new AbortController();
  const { signal } = shown;
  window.addEventListener("online", () => socket.networkUp(), { signal });
  window.addEventListener("offline", () => socket.networkDown(), { signal });
  window.addEventListener("pageshow", (event) => event.persisted && socket.wake(), { signal });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && socket.wake(), { signal });
  // A closed tab takes its unsent messages with it.
  window.addEventListener("beforeunload", (event) => room.unsent > 0 && event.preventDefault(), { signal });
  // First those that only listen: the room's start opens the socket.
  presence.start();
  typing.start();
  room.start();

  return () => {
    shown.abort();
    presence.stop();
    typing.stop();
    room.stop();
    unmount();
  };
}

session.addEventListener("change", (event) => show(/** @type {CustomEvent} */ (event).detail.reason));
window.addEventListener("storage", (event) => session.storageChanged(event));
// A page brought back has missed those events. These come before the chat's own listeners.
window.addEventListener("online", () => session.check());
window.addEventListener("pageshow", () => session.check());
document.addEventListener("visibilitychange", () => session.check());
show(null);
