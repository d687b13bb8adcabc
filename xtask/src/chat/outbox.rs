//! What its user has said and nobody has confirmed yet.
//!
//! One message is under way at a time: the server handles each on its own and promises nothing about their order. It is
//! sent again until it is shown or refused, always with the same `client_id`, so that it is stored once.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How long a message may take to be shown before it is sent again.
const ECHO_WITHIN: Duration = Duration::from_secs(10);

/// Lines that wait, oldest first.
#[derive(Default)]
pub(super) struct Outbox {
    lines: VecDeque<Line>,
    /// When the first line is to be sent, or sent again. `None` is at once.
    due: Option<Instant>,
}

struct Line {
    client_id: String,
    text: String,
}

impl Outbox {
    /// Adds a line.
    pub(super) fn push(&mut self, text: String) {
        let client_id = hex::encode(rand::random::<[u8; 8]>());
        self.lines.push_back(Line { client_id, text });
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Text and key of the line that is to be sent now, if one is.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(&str, &str)> {
        if self.due.is_some_and(|due| due > now) {
            return None;
        }
        let Line { client_id, text } = self.lines.front()?;
        self.due = Some(now + ECHO_WITHIN);
        Some((text, client_id))
    }

    /// The message with this key is stored, or will never be.
    pub(super) fn settle(&mut self, client_id: &str) {
        let count = self.lines.len();
        self.lines.retain(|line| line.client_id != client_id);
        if self.lines.len() < count {
            self.due = None;
        }
    }

    /// Whatever is under way is to be sent again then.
    pub(super) fn again_at(&mut self, due: Instant) {
        self.due = Some(due);
    }

    /// What was under way may be lost with the connection.
    pub(super) fn again_at_once(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_under_way_until_it_is_settled() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        assert_eq!(outbox.take_due(now), None);
        outbox.push("one".to_owned());
        outbox.push("two".to_owned());
        let (text, first) = outbox.take_due(now).unwrap();
        let (text, first) = (text.to_owned(), first.to_owned());
        assert_eq!(text, "one");
        assert_eq!(outbox.take_due(now), None);
        // Unanswered, it is the same send again.
        assert_eq!(outbox.take_due(now + ECHO_WITHIN), Some(("one", first.as_str())));
        outbox.again_at_once();
        assert_eq!(outbox.take_due(now), Some(("one", first.as_str())));
        outbox.again_at(now + Duration::from_secs(7));
        assert_eq!(outbox.take_due(now + Duration::from_secs(6)), None);
        assert_eq!(outbox.take_due(now + Duration::from_secs(7)), Some(("one", first.as_str())));

        outbox.settle("somebody else's");
        assert_eq!(outbox.len(), 2);
        outbox.settle(&first);
        assert_eq!(outbox.take_due(now).unwrap().0, "two");
        // A second echo of the first changes nothing.
        outbox.settle(&first);
        assert_eq!(outbox.take_due(now), None);
        assert_eq!(outbox.len(), 1);
    }
}
