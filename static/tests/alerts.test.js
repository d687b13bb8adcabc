// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { ALERTS_KEY, Alerts } from "../alerts.js";
import { fakeStorage } from "./fakes.js";

/** @param {string} text */
const message = (text) => ({ id: 1, username: "bob", text, sent_at: "2026-11-23T10:15:43.377Z" });

/**
 * @param {NotificationPermission} permission
 * @param {NotificationPermission} [chosen]  what the user says when asked
 */
function fakeNotification(permission, chosen = permission) {
  return class {
    static permission = permission;
    static asked = 0;
    /** @type {[string, any][]} */
    static shown = [];
    static async requestPermission() {
      this.asked += 1;
      return (this.permission = chosen);
    }

    /** @param {string} title @param {object} options */
    constructor(title, options) {
      new.target.shown.push([title, options]);
    }
  };
}

/** @param {any} Notification */
const alertsWith = (Notification, storage = fakeStorage()) => new Alerts({ storage, Notification, AudioContext: /** @type {any} */ (undefined) });

test("nothing is asked for and nothing shown unless the user wants it", () => {
  const Notification = fakeNotification("granted");
  const alerts = alertsWith(Notification);
  alerts.unseen([message("hello")]);
  assert.deepEqual([alerts.notifies, alerts.sounds, Notification.asked, Notification.shown], [false, false, 0, []]);
});

test("who allows it is notified, also after the page was loaded again", async () => {
  const Notification = fakeNotification("default", "granted");
  const storage = fakeStorage();
  assert.equal(await alertsWith(Notification, storage).setNotify(true), "");
  const alerts = alertsWith(Notification, storage);
  assert.equal(alerts.notifies, true);
  alerts.unseen([message("first"), message("x".repeat(4_096))]);
  const [[title, { body, tag }]] = Notification.shown;
  assert.deepEqual([title, body, tag], ["bob (2 new messages)", "x".repeat(200), "lambda-chat"]);
  await alerts.setNotify(false);
  alerts.unseen([message("second")]);
  assert.equal(Notification.shown.length, 1);
  assert.equal(alertsWith(Notification, storage).notifies, false);
});

/** @type {[string, any, RegExp][]} */
const REFUSALS = [
  ["who refuses", fakeNotification("default", "denied"), /blocks notifications/],
  ["who has refused", fakeNotification("denied"), /blocks notifications/],
  ["who does not answer", fakeNotification("default"), /stay off/],
];

for (const [name, Notification, words] of REFUSALS) {
  test(`${name} is told what that means`, async () => {
    const alerts = alertsWith(Notification);
    assert.match(await alerts.setNotify(true), words);
    assert.equal(alerts.notifies, false);
  });
}

test("a permission that was taken back is none", async () => {
  const Notification = fakeNotification("granted");
  const alerts = alertsWith(Notification);
  await alerts.setNotify(true);
  Notification.permission = "denied";
  alerts.unseen([message("hello")]);
  assert.deepEqual([alerts.notifies, Notification.shown], [false, []]);
});

test("a browser without either says so", async () => {
  const alerts = new Alerts({ storage: fakeStorage(), Notification: undefined, AudioContext: undefined });
  assert.match(await alerts.setNotify(true), /cannot show notifications/);
  assert.match(alerts.setSound(true), /cannot play sounds/);
  assert.deepEqual([alerts.notifies, alerts.sounds], [false, false]);
  alerts.unseen([message("hello")]);
});

test("a browser that notifies only through service workers harms nothing", async () => {
  class Throwing extends fakeNotification("granted") {
    constructor() {
      super("", {});
      throw new TypeError("Illegal constructor");
    }
  }
  const alerts = alertsWith(Throwing);
  await alerts.setNotify(true);
  alerts.unseen([message("hello")]);
});

for (const stored of ["", "null", "7", "[]", "{", '{"notify":"yes","sound":1}']) {
  test(`what is stored may be ${JSON.stringify(stored)}`, () => {
    const storage = fakeStorage();
    storage.setItem(ALERTS_KEY, stored);
    const alerts = alertsWith(fakeNotification("granted"), storage);
    assert.deepEqual([alerts.notifies, alerts.sounds], [false, false]);
  });
}
