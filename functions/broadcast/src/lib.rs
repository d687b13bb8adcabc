//! Shows messages to shards of the connections, which `message` left to a queue because there are so many.
//!
//! ```text
//! → {"Records":[{"messageId":"…","body":"{\"message_id\":17,\"after\":\"…\",\"through\":\"…\",\"told\":\"…\"}", …}]}
//! ← {"batchItemFailures":[{"itemIdentifier":"…"}]}
//! ```
//!
//! Records of the same group are shards of about the same connections, one for each message that came while the last ones were
//! being shown: they are shown together. A record that fails comes again, and in the end to the dead-letter queue; the
//! others of its batch don't wait for it, since the order in which messages are shown is not promised. One that comes twice
//! does no harm: clients drop what they have.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use shared::{
    Error, Result,
    chat::{Message, MessageId},
    clock::Clock,
    management::{Connections, Management},
    settings::{SettingError, Settings},
    shard::Shard,
    store::Store,
};

/// The function and what it needs.
pub struct Broadcast {
    store: Store,
    management: Management,
    presence_limit: Option<usize>,
    clock: Clock,
}

/// What Lambda hands over of a queue: of a whole lot, what is needed here.
#[derive(Debug, Deserialize)]
pub struct Event {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    body: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    /// Not there if the queue is no FIFO queue: then the record is alone.
    message_group_id: Option<String>,
}

/// The records that have failed. Lambda looks at it if the queue's event source has the response type
/// `ReportBatchItemFailures`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    batch_item_failures: Vec<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl Broadcast {
    /// Takes what the function needs.
    ///
    /// # Errors
    /// When a setting is missing or bad.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            store: settings.store(),
            // Events of a queue don't tell where the sockets are.
            management: settings.management_by_endpoint()?,
            presence_limit: settings.presence_limit()?,
            clock: settings.clock(),
        })
    }

    /// Handles records, and says which have failed.
    pub async fn handle(&self, event: Event) -> Answer {
        let mut answer = Answer::default();
        let mut records = Vec::new();
        for record in event.records {
            match parse(&record.body) {
                Ok(shard) => records.push((record, shard)),
                Err(error) => answer.add([record], &error),
            }
        }
        match (self.management.client(), self.messages_of(&records).await) {
            (Ok(connections), Ok(messages)) => {
                self.show(records, &messages, &connections, &mut answer).await;
            }
            (Err(error), _) | (_, Err(error)) => {
                answer.add(records.into_iter().map(|(record, _)| record), &error);
            }
        }
        answer
    }

    async fn messages_of(
        &self,
        records: &[(Record, Shard)],
    ) -> Result<BTreeMap<MessageId, Message>> {
        let ids: BTreeSet<MessageId> = records.iter().map(|(_, shard)| shard.message_id).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let messages = self.store.messages_of(&Vec::from_iter(ids)).await?;
        Ok(messages.into_iter().map(|message| (message.id, message)).collect())
    }

    /// Shows the shards of each group together. Groups share the posts in flight, so that the slow end of one holds up no other.
    async fn show(
        &self,
        records: Vec<(Record, Shard)>,
        messages: &BTreeMap<MessageId, Message>,
        connections: &Connections,
        answer: &mut Answer,
    ) {
        let mut groups: BTreeMap<String, Vec<(Record, Shard)>> = BTreeMap::new();
        for (record, shard) in records {
            if messages.contains_key(&shard.message_id) {
                let group = record.attributes.message_group_id.as_ref();
                let group = group.unwrap_or(&record.message_id).clone();
                groups.entry(group).or_default().push((record, shard));
            } else {
                answer.add([record], &Error::internal("there is no such message"));
            }
        }
        let shown = groups.into_values().map(async |group: Vec<(Record, Shard)>| {
            let Self { store, clock, presence_limit, .. } = self;
            let presence_limit = *presence_limit;
            let broadcast =
                shared::broadcast::Broadcast { connections, store, clock, presence_limit };
            let shards: Vec<&Shard> = group.iter().map(|(_, shard)| shard).collect();
            let shown = broadcast.to_shards(&shards, messages).await;
            shown.map_err(|error| (group, error))
        });
        for (group, error) in join_all(shown).await.into_iter().filter_map(Result::err) {
            answer.add(group.into_iter().map(|(record, _)| record), &error);
        }
    }
}

impl Answer {
    /// Adds records that failed for the same reason.
    fn add(&mut self, records: impl IntoIterator<Item = Record>, error: &Error) {
        for Record { message_id: record_id, .. } in records {
            tracing::warn!(record_id, "a record failed");
            self.batch_item_failures.push(Failure { item_identifier: record_id });
        }
        error.log();
    }
}

fn parse(body: &str) -> Result<Shard> {
    serde_json::from_str(body).map_err(|error| {
        // Not what stands there: nobody knows what it is.
        let place = format!("line {} column {}", error.line(), error.column());
        Error::internal(format!("the record is no shard of ours, at {place}"))
    })
}
