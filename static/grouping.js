// @ts-check
/**
 * Which messages stand together.
 *
 * @import { Message } from "./timeline.js"
 */
import { dayOf } from "./times.js";

/** A longer silence begins a new group. */
export const GROUP_MS_MAX = 5 * 60_000;

/**
 * @param {Message | undefined} previous
 * @param {Message} message
 */
export function beginsDay(previous, message) {
  const day = dayOf(message.sent_at);
  return day !== "" && (previous === undefined || dayOf(previous.sent_at) !== day);
}

/**
 * Whether a message goes on where its author has just been speaking.
 * @param {Message | undefined} previous
 * @param {Message} message
 */
export function continuesGroup(previous, message) {
  if (previous?.username !== message.username || beginsDay(previous, message)) return false;
  // The clocks of two servers may differ a little.
  return Math.abs(Date.parse(message.sent_at) - Date.parse(previous.sent_at)) <= GROUP_MS_MAX;
}
