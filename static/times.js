// @ts-check
/** How times are said, in the reader's time zone. What is no time is shown as it is. */

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
export function dayOf(sentAt) {
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
 * @param {Intl.DateTimeFormat} formatter
 * @param {string} sentAt
 */
function format(formatter, sentAt) {
  const date = new Date(sentAt);
  return Number.isNaN(date.getTime()) ? sentAt : formatter.format(date);
}
