//! Shows messages to shards of the connections, which `message` left to a queue because there are so many.
//!
//! ```text
//! → {"Records":[{"messageId":"…","body":"{\"message_id\":17,\"after\":\"…\",\"through\":\"…\",\"told\":\"…\"}", …}]}
//! ← {"batchItemFailures":[{"itemIdentifier":"…"}]}
//! ```
//!
//! A record that fails comes again, and in the end to the dead-letter queue. One that comes twice does no harm: clients
//! drop what they have.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
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
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let mut answer = SqsBatchResponse::default();
        for record in event.records {
            if let Err(error) = self.show(&record).await {
                let record_id = record.message_id.unwrap_or_default();
                tracing::warn!(record_id, "a record failed");
                error.log();
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = record_id;
                answer.batch_item_failures.push(failure);
            }
        }
        answer
    }

    async fn show(&self, record: &SqsMessage) -> Result<()> {
        let body = record.body.as_deref().unwrap_or_default();
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
            concurrency: self.management.concurrency(),
        };
        broadcast.to_shard(&shard).await
    }
}
