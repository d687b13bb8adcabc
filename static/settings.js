// @ts-check
/**
 * The menu of settings: what tells the user of messages while the page is out of sight.
 *
 * @import { Alerts } from "./alerts.js"
 */
import { find, setText } from "./view.js";

/**
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
