//! Shows messages to shards of the connections, which `message` left to a queue because there are so many.
//!
//! ```text
//! → {"Records":[{"messageId":"…","body":"{\"message_id\":17,\"after\":\"…\",\"through\":\"…\",\"told\":\"…\"}", …}]}
//! ← {"batchItemFailures":[{"itemIdentifier":"…"}]}
//! ```
//!
//! A record that fails comes again, and in the end to the dead-letter queue. One that comes twice does no harm: clients
//! drop what they have.

use serde::{Deserialize, Serialize};
use shared::{
    Error, Result,
    clock::Clock,
    management::Management,
    settings::{SettingError, Settings},
    shard::Shard,
    store::Store,
};

/// The function and what it needs.
pub struct Broadcast {
    store: Store,
    management: Management,
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
            clock: settings.clock(),
        })
    }

    /// Handles records, and says which have failed.
    pub async fn handle(&self, event: Event) -> Answer {
        let mut answer = Answer::default();
        for Record { message_id: record_id, body } in event.records {
            if let Err(error) = self.show(&body).await {
                tracing::warn!(record_id, "a record failed");
                error.log();
                answer.batch_item_failures.push(Failure { item_identifier: record_id });
            }
        }
        answer
    }

    async fn show(&self, body: &str) -> Result<()> {
        let shard: Shard = serde_json::from_str(body).map_err(|error| {
            // Not what stands there: nobody knows what it is.
            let place = format!("line {} column {}", error.line(), error.column());
            Error::internal(format!("the record is no shard of ours, at {place}"))
        })?;
        let message = self.store.message(shard.message_id).await?;
        let message = message.ok_or_else(|| Error::internal("there is no such message"))?;
        let broadcast = shared::broadcast::Broadcast {
            message: &message,
            connections: &self.management.client()?,
            store: &self.store,
            clock: &self.clock,
        };
        broadcast.to_shard(&shard).await
    }
}
