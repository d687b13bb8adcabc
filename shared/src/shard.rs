//! A part of a broadcast that is left to the function `broadcast`: a message, and a stretch of the table of connections.
//!
//! ```json
//! {"message_id":17,"after":"L0SM9cOFvHcCIhw=","through":"QkT3rfHsDoECHlw=","told":"NaT0vdXwjoECFQg="}
//! ```
//!
//! The text stays in the database: the queue takes not every character, and keeps what it has for days.

use serde::{Deserialize, Serialize};

use crate::{chat::MessageId, store::Stretch};

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

impl Shard {
    /// Its part of the table.
    pub fn stretch(&self) -> Stretch<'_> {
        Stretch { after: self.after.as_deref(), through: self.through.as_deref() }
    }

    /// What is the same for it and for one that was queued twice, and for no other.
    pub fn key(&self) -> String {
        let Self { message_id, after, through, .. } = self;
        let [after, through] = [after, through].map(|id| id.as_deref().unwrap_or_default());
        format!("{message_id}:{after}:{through}")
    }
}

/// The shards of a table that is cut after the connections `cuts`. Between them they cover every id there can be: who
/// connects meanwhile is shown the message, too.
pub fn cut(message_id: MessageId, told: &str, cuts: Vec<String>) -> Vec<Shard> {
    let after = [None].into_iter().chain(cuts.clone().into_iter().map(Some));
    let through = cuts.into_iter().map(Some).chain([None]);
    let told = told.to_owned();
    after
        .zip(through)
        .map(|(after, through)| Shard { message_id, after, through, told: told.clone() })
        .collect()
}

/// Makes one of shards of the same message that lie side by side.
pub fn join(shards: Vec<Shard>) -> Vec<Shard> {
    let mut joined: Vec<Shard> = Vec::new();
    for shard in shards {
        match joined.last_mut() {
            Some(last)
                if last.message_id == shard.message_id
                    && last.through.is_some()
                    && last.through == shard.after =>
            {
                last.through = shard.through;
            }
            _ => joined.push(shard),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(number: usize) -> Vec<String> {
        (1..=number).map(|number| format!("{number:04}")).collect()
    }

    #[test]
    fn shards_cover_every_id_once() {
        for number in [0, 1, 2, 200] {
            let shards = cut(17, "0000", cuts(number));
            assert_eq!(shards.len(), number + 1);
            // Also the ids of connections that were not there: before the first, in between, after the last.
            let others = ["", "0000x", "0001x", "9999"].map(str::to_owned);
            for id in cuts(number).into_iter().chain(others) {
                let holders = shards.iter().filter(|shard| {
                    shard.after.as_ref().is_none_or(|after| id > *after)
                        && shard.through.as_ref().is_none_or(|through| id <= *through)
                });
                assert_eq!(holders.count(), 1, "{id:?} of {number}");
            }
            for shard in &shards {
                let text = serde_json::to_string(shard).unwrap();
                assert_eq!(serde_json::from_str::<Shard>(&text).unwrap(), *shard);
            }
            let keys: std::collections::BTreeSet<_> = shards.iter().map(Shard::key).collect();
            assert_eq!(keys.len(), shards.len());
        }
    }

    #[test]
    fn neighbours_are_joined() {
        let shards = cut(17, "0000", cuts(5));
        let whole = cut(17, "0000", Vec::new());
        assert_eq!(join(shards.clone()), whole);
        let [first, second, _, fourth, fifth, sixth] = shards.try_into().unwrap();
        let joined = join(vec![first.clone(), second.clone(), fourth, fifth, sixth]);
        assert_eq!(joined[0], Shard { through: second.through.clone(), ..first });
        assert_eq!(joined[1].after.as_deref(), Some("0003"));
        assert_eq!((joined[1].through.as_ref(), joined.len()), (None, 2));
        let other = Shard { message_id: 18, ..second };
        assert_eq!(join(vec![joined[0].clone(), other]).len(), 2);
        // The whole table twice stays twice.
        assert_eq!(join([whole.clone(), whole].concat()).len(), 2);
    }

    #[test]
    fn a_key_is_one_that_the_queue_takes() {
        let shard = Shard {
            message_id: i64::MAX,
            after: Some("L0SM9cOFvHcCIhw=".to_owned()),
            through: Some("Q-T_rfHsDoECHlw=".to_owned()),
            told: "NaT0vdXwjoECFQg=".to_owned(),
        };
        assert_eq!(shard.key(), "9223372036854775807:L0SM9cOFvHcCIhw=:Q-T_rfHsDoECHlw=");
        let whole = Shard { message_id: 1, after: None, through: None, told: String::new() };
        assert_eq!(whole.key(), "1::");
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
