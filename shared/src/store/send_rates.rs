//! `send_rates`: when each user last said something, as far back as the limit asks.
//!
//! A user's row holds the instants of their newest messages, oldest first, as one text of decimal numbers of the same
//! length. That is all a sliding window needs: a message is one too many when the row is full and its first instant lies
//! within the window. One row per user, changed by one upsert whose condition sees the newest version of the row: so it
//! holds over all of a user's connections, and the statement that stores a message can ask and count in passing.

use std::time::Duration;

use crate::{clock::UnixMillis, rate::MessageRate};

/// Digits of an instant in milliseconds since the Unix epoch, until the year 2286.
const DIGITS: usize = 13;

/// The time that counts for a message sent now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    start: UnixMillis,
    rate: MessageRate,
}

impl Window {
    pub(super) fn ending(now: UnixMillis, rate: MessageRate) -> Self {
        Self { start: now.minus(rate.period()), rate }
    }

    /// An instant as the rows hold it: as text it compares like the number.
    pub(super) fn stamp(at: UnixMillis) -> String {
        format!("{:0DIGITS$}", at.0.max(0))
    }

    /// A message as old as this counts no more.
    pub(super) fn start(self) -> String {
        Self::stamp(self.start)
    }

    /// The length of a full row.
    pub(super) fn stamps_len(self) -> i32 {
        i32::from(self.rate.messages()) * i32::try_from(DIGITS).expect("it is small")
    }

    /// How long until the oldest message of a full row counts no more. Of a row that another connection has just made
    /// nothing may be known: then the longest it can be.
    pub(super) fn wait(self, sent_lately: &str, now: UnixMillis) -> Duration {
        let newest = DIGITS * usize::from(self.rate.messages());
        let oldest = sent_lately
            .len()
            .checked_sub(newest)
            .and_then(|first| sent_lately.get(first..first + DIGITS)?.parse().ok().map(UnixMillis));
        let Some(oldest) = oldest else { return self.rate.period() };
        let millis = oldest.plus(self.rate.period()).0 - now.0;
        Duration::from_millis(u64::try_from(millis).unwrap_or(0)).min(self.rate.period())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_lasts_until_the_oldest_message_counts_no_more() {
        let rate = MessageRate::parse("2/10").unwrap();
        let row: String = [1_000, 4_000, 9_000].map(|at| Window::stamp(UnixMillis(at))).concat();
        for (row, now, millis) in [
            (row.as_str(), 9_000, 5_000), // The limit was higher once: only the newest two count.
            (&row, 13_999, 1),
            (&row, 20_000, 0),
            (&row[DIGITS * 2..], 9_000, 10_000), // Not full: somebody else has just filled it.
            ("", 9_000, 10_000),
        ] {
            let window = Window::ending(UnixMillis(now), rate);
            assert_eq!(window.wait(row, UnixMillis(now)), Duration::from_millis(millis), "{now}");
        }
    }
}
