// @ts-check
/**
 * Notifications and a sound for messages that come while the page is out of sight, if the user has asked for them.
 *
 * @import { KeyValue } from "./session.js"
 * @import { Message } from "./timeline.js"
 */
import { keep, parseJson } from "./session.js";
import { find, setText } from "./view.js";

export const ALERTS_KEY = "lambda-chat.alerts";
const BODY_LENGTH_MAX = 200;
/** Two notes, a fourth apart: frequency in Hz, beginning in seconds. */
const NOTES = [[659, 0], [880, 0.12]];
const NOTE_SECS = 0.35;
const VOLUME = 0.12;

export class Alerts {
  #storage;
  #Notification;
  #AudioContext;
  /** @type {AudioContext | null} */
  #audio = null;
  #notify;
  #sound;

  /**
   * @param {object} deps
   * @param {KeyValue} deps.storage
   * @param {typeof globalThis.Notification} [deps.Notification]  absent where the browser has none
   * @param {typeof globalThis.AudioContext} [deps.AudioContext]
   */
  constructor({ storage, Notification = globalThis.Notification, AudioContext = globalThis.AudioContext }) {
    this.#storage = storage;
    this.#Notification = Notification;
    this.#AudioContext = AudioContext;
    const stored = parseJson(storage.getItem(ALERTS_KEY));
    this.#notify = stored?.notify === true;
    this.#sound = stored?.sound === true;
  }

  /** Whether the user wants to be notified, and can be. */
  get notifies() {
    return this.#notify && this.#Notification?.permission === "granted";
  }

  get sounds() {
    return this.#sound;
  }

  /**
   * Asks the browser, if need be; to be called on a click.
   * @param {boolean} wanted
   * @returns {Promise<string>}  why it cannot be, in words, or ""
   */
  async setNotify(wanted) {
    let problem = "";
    if (wanted) problem = await this.#askPermission();
    this.#notify = wanted && problem === "";
    this.#keep();
    return problem;
  }

  /**
   * Plays it once, so that the user knows what was chosen.
   * @param {boolean} wanted
   * @returns {string}  why it cannot be, in words, or ""
   */
  setSound(wanted) {
    if (wanted && !this.#AudioContext) return "This browser cannot play sounds.";
    this.#sound = wanted;
    this.#keep();
    if (wanted) this.#play();
    return "";
  }

  /** Messages of others have come that nobody sees. @param {readonly Message[]} messages  at least one */
  unseen(messages) {
    if (this.#sound) this.#play();
    if (!this.notifies) return;
    const { username, text } = messages[messages.length - 1];
    const more = messages.length === 1 ? "" : ` (${messages.length} new messages)`;
    try {
      // One at a time: a newer one takes the place of the last.
      const notification = new this.#Notification(`${username}${more}`, {
        body: text.slice(0, BODY_LENGTH_MAX),
        icon: "favicon.svg",
        tag: "lambda-chat",
      });
      notification.onclick = () => {
        window.focus();
        notification.close();
      };
    } catch {
      // A browser that notifies only through service workers.
    }
  }

  async #askPermission() {
    if (!this.#Notification) return "This browser cannot show notifications.";
    const permission = await this.#Notification.requestPermission();
    if (permission === "granted") return "";
    return permission === "denied"
      ? "Your browser blocks notifications of this page. Allow them in the settings of the browser first."
      : "Notifications stay off until your browser is told to allow them.";
  }

  #play() {
    // Nothing may be heard of a page that the user has not touched since it was loaded.
    if (!this.#AudioContext || globalThis.navigator?.userActivation?.hasBeenActive === false) return;
    const audio = (this.#audio ??= new this.#AudioContext());
    audio.resume().catch(() => {});
    for (const [frequency, offset] of NOTES) {
      const start = audio.currentTime + offset;
      const gain = new GainNode(audio, { gain: 0 });
      gain.gain.setValueAtTime(VOLUME, start);
      gain.gain.exponentialRampToValueAtTime(0.001, start + NOTE_SECS);
      const tone = new OscillatorNode(audio, { frequency });
      tone.connect(gain).connect(audio.destination);
      tone.start(start);
      tone.stop(start + NOTE_SECS);
    }
  }

  #keep() {
    keep(this.#storage, ALERTS_KEY, JSON.stringify({ notify: this.#notify, sound: this.#sound }));
  }
}

/**
 * The menu in which the user asks for them.
 * @param {HTMLElement} view
 * @param {Alerts} alerts
 */
export function showSettings(view, alerts) {
  const menu = find(view, '[data-part="settings"]');
  const problem = find(menu, '[data-part="settings-problem"]');
  /** @type {HTMLInputElement} */
  const notify = find(menu, "[name=notify]");
  /** @type {HTMLInputElement} */
  const sound = find(menu, "[name=sound]");

  function render() {
    notify.checked = alerts.notifies;
    sound.checked = alerts.sounds;
  }

  notify.addEventListener("change", async () => {
    setText(problem, "");
    setText(problem, await alerts.setNotify(notify.checked));
    render();
  });
  sound.addEventListener("change", () => {
    setText(problem, alerts.setSound(sound.checked));
    render();
  });
  render();
}
