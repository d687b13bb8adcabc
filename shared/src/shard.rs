//! A part of a broadcast that is left to the function `broadcast`: a message, and a stretch of the table of connections.
//!
//! ```json
//! {"message_id":17,"after":"L0SM9cOFvHcCIhw=","through":"QkT3rfHsDoECHlw=","told":"NaT0vdXwjoECFQg="}
//! ```
//!
//! The text stays in the database: the queue takes not every character, and keeps what it has for days.

use serde::{Deserialize, Serialize};

use crate::{chat::MessageId, store::Recipient};

/// What one entry of the queue asks for. Done twice it does no harm: clients drop what they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// The message to show.
    pub message_id: MessageId,
    /// The connection before its first one; `None` from the beginning.
    #[serde(default)]
    pub after: Option<String>,
    /// Its last connection; `None` up to the end.
    #[serde(default)]
    pub through: Option<String>,
    /// The sender's connection, which has been told already.
    pub told: String,
}

/// Cuts `recipients`, in the database's order, into shards of at most `size`, each with its part of them. Between them
/// they cover every id there can be: who connects meanwhile is shown the message, too.
pub fn cut(
    message_id: MessageId,
    told: &str,
    recipients: Vec<Recipient>,
    size: usize,
) -> Vec<(Shard, Vec<Recipient>)> {
    let mut shards: Vec<(Shard, Vec<Recipient>)> = Vec::new();
    let mut after = None;
    let mut recipients = recipients.into_iter().peekable();
    while recipients.peek().is_some() {
        let part: Vec<Recipient> = recipients.by_ref().take(size).collect();
        let last = part.last().map(|last| last.connection_id.clone());
        let through = last.filter(|_| recipients.peek().is_some());
        let shard = Shard { message_id, after, through: through.clone(), told: told.to_owned() };
        shards.push((shard, part));
        after = through;
    }
    shards
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::UnixMillis, frame::Protocol};

    fn recipients(number: usize) -> Vec<Recipient> {
        let recipient = |number| Recipient {
            connection_id: format!("{number:04}"),
            protocol: Protocol::Plain,
            connected_at: UnixMillis(0),
            session_ended: false,
        };
        (0..number).map(recipient).collect()
    }

    #[test]
    fn shards_cover_every_id_once() {
        for (number, size, shards) in
            [(1, 1, 1), (2, 1, 2), (10, 3, 4), (9, 3, 3), (501, 500, 2), (1000, 500, 2)]
        {
            let recipients = recipients(number);
            let cut = cut(17, "0000", recipients.clone(), size);
            assert_eq!(cut.len(), shards, "{number} by {size}");
            assert!(cut.iter().all(|(_, part)| (1..=size).contains(&part.len())));
            // Also those of connections that were not there: before the first, in between, after the last.
            let others = ["", "0000x", "0002x", "9999"].map(str::to_owned);
            let ids = recipients.iter().map(|recipient| recipient.connection_id.clone());
            for id in ids.chain(others) {
                let holders = cut.iter().filter(|(shard, _)| {
                    shard.after.as_ref().is_none_or(|after| id > *after)
                        && shard.through.as_ref().is_none_or(|through| id <= *through)
                });
                assert_eq!(holders.count(), 1, "{id:?} of {number} by {size}");
            }
            for (shard, part) in &cut {
                let text = serde_json::to_string(shard).unwrap();
                assert_eq!(serde_json::from_str::<Shard>(&text).unwrap(), *shard);
                assert!(
                    shard.through.is_none()
                        || shard.through == part.last().map(|last| last.connection_id.clone())
                );
            }
        }
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for bad in [
            "",
            "hello",
            "[]",
            "{}",
            r#"{"message_id":"17","told":"x"}"#,
            r#"{"message_id":17}"#,
            r#"{"message_id":17,"told":"x","until":"y"}"#,
        ] {
            assert!(serde_json::from_str::<Shard>(bad).is_err(), "{bad}");
        }
    }
}
