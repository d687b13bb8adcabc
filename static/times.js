// @ts-check
/**
 * How times are said, in the reader's time zone, and what they divide. What is no time is shown as it is.
 *
 * @import { Message } from "./timeline.js"
 */

/** A longer silence begins a new group. */
export const GROUP_MS_MAX = 5 * 60_000;
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const DAY = new Intl.DateTimeFormat("en", { weekday: "long", day: "numeric", month: "long" });
const DAY_AND_YEAR = new Intl.DateTimeFormat("en", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** "10:15". @param {string} sentAt */
export function timeOfDay(sentAt) {
  return format(TIME, sentAt);
}

/** Date and time to the second. @param {string} sentAt */
export function longTime(sentAt) {
  return format(DATE_AND_TIME, sentAt);
}

/** Something to compare; "" if it is no time. @param {string} sentAt */
function dayOf(sentAt) {
  const date = new Date(sentAt);
  return Number.isNaN(date.getTime()) ? "" : date.toDateString();
}

/**
 * "Today", "Yesterday", "Monday, November 23", with the year if it is another; "" if it is no time.
 * @param {string} sentAt
 * @param {Date} [now]
 */
export function dayWords(sentAt, now = new Date()) {
  const day = dayOf(sentAt);
  if (day === "" || day === now.toDateString()) return day && "Today";
  // By the calendar: the day before may have had 23 hours.
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (day === yesterday.toDateString()) return "Yesterday";
  const date = new Date(sentAt);
  return (date.getFullYear() === now.getFullYear() ? DAY : DAY_AND_YEAR).format(date);
}

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

/**
 * @param {Intl.DateTimeFormat} formatter
 * @param {string} sentAt
 */
function format(formatter, sentAt) {
  const date = new Date(sentAt);
  return Number.isNaN(date.getTime()) ? sentAt : formatter.format(date);
}
