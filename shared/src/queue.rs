//! The queue of what `message` leaves to `broadcast`: a FIFO queue of Amazon SQS.
//!
//! The same shard of every message is in the same group of it, and of a group only one batch is worked on at a time. So while
//! that one is posted, what is said meanwhile waits, and comes together in the next batch.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Builder, retry::RetryConfig, timeout::TimeoutConfig},
    types::{BatchResultErrorEntry, SendMessageBatchRequestEntry},
};
use futures_util::{StreamExt, stream};

use crate::{
    aws::Access, backoff::Backoff, error::causes, invocation, metrics::Count, shard::Shard,
};

/// Entries of one call. Source: Amazon SQS developer guide, "Message quotas". Their bytes, up to a mebibyte, are no
/// matter: a shard has a few hundred.
const BATCH_MAX: usize = 10;

/// Calls in flight at once.
const CALLS_MAX: usize = 8;

/// How long one call may take, its second try included, before the queue counts as away.
const CALL_TIME_MAX: Duration = Duration::from_secs(2);

/// The waits before a call is made again for the shards that the queue has not taken.
const BACKOFF: Backoff = Backoff::new(2, Duration::from_millis(100), Duration::from_millis(200));

/// A queue, and when it is used.
pub struct Queue {
    url: String,
    inline_limit: usize,
    endpoint: Option<String>,
    access: Access,
    /// Made when it is needed: making it takes as long as the whole start of a function.
    client: OnceLock<Client>,
}

impl Queue {
    /// Connections that a message reaches without the queue, unless `BROADCAST_INLINE_LIMIT` says otherwise.
    pub const DEFAULT_INLINE_LIMIT: usize = 500;

    /// The FIFO queue at `url`, for messages to more than `inline_limit` connections. `endpoint` is where SQS is, if it is not
    /// Amazon's.
    pub fn new(url: String, inline_limit: usize, endpoint: Option<String>, access: Access) -> Self {
        Self { url, inline_limit, endpoint, access, client: OnceLock::new() }
    }

    /// The most connections that are posted to at once, here or for a shard.
    pub fn inline_limit(&self) -> usize {
        self.inline_limit
    }

    /// Queues the shards of one message, and returns those that the queue did not take. They may be queued all the same, if
    /// only the answer got lost.
    pub async fn send(&self, shards: Vec<Shard>) -> Vec<Shard> {
        let entries: Vec<(usize, Shard)> = shards.into_iter().enumerate().collect();
        let number = entries.len();
        // One that is away costs the time of a call once, however many there are to make.
        let is_away = &AtomicBool::new(false);
        let batches: Vec<Vec<(usize, Shard)>> =
            entries.chunks(BATCH_MAX).map(<[(usize, Shard)]>::to_vec).collect();
        let left = stream::iter(batches)
            .map(async |batch: Vec<(usize, Shard)>| self.send_batch(batch, is_away).await);
        let left: Vec<Vec<(usize, Shard)>> = left.buffered(CALLS_MAX).collect().await;
        let left: Vec<Shard> = left.into_iter().flatten().map(|(_, shard)| shard).collect();
        invocation::count(Count::Queued, number - left.len());
        left
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let mut config = Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .region(self.access.region.clone())
                .credentials_provider(self.access.credentials.clone())
                .http_client(self.access.http())
                .timeout_config(TimeoutConfig::builder().operation_timeout(CALL_TIME_MAX).build())
                // For a kept HTTP connection that has died.
                .retry_config(RetryConfig::standard().with_max_attempts(2));
            config.set_endpoint_url(self.endpoint.clone());
            Client::from_conf(config.build())
        })
    }

    /// Queues up to ten shards with their places among all, and returns those that were not taken.
    async fn send_batch(
        &self,
        mut left: Vec<(usize, Shard)>,
        is_away: &AtomicBool,
    ) -> Vec<(usize, Shard)> {
        let mut backoff = BACKOFF;
        while !is_away.load(Ordering::Relaxed) {
            let entries = left.iter().map(|(place, shard)| entry(*place, shard)).collect();
            let call = self.client().send_message_batch().queue_url(&self.url);
            match call.set_entries(Some(entries)).send().await {
                Ok(answer) => {
                    for entry in answer.successful() {
                        left.retain(|(place, _)| place.to_string() != entry.id());
                    }
                    for entry in answer.failed() {
                        let (code, is_ours) = (entry.code(), entry.sender_fault());
                        tracing::warn!(code, is_ours, "the queue refused a shard");
                    }
                    if answer.failed().iter().all(BatchResultErrorEntry::sender_fault) {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(shards = left.len(), error = %causes(&error), "not queued");
                    // One that answers is there: it may take them the next time.
                    if error.as_service_error().is_none() {
                        is_away.store(true, Ordering::Relaxed);
                    }
                }
            }
            if left.is_empty() || !backoff.wait().await {
                break;
            }
        }
        left
    }
}

fn entry(place: usize, shard: &Shard) -> SendMessageBatchRequestEntry {
    let entry = SendMessageBatchRequestEntry::builder()
        .id(place.to_string())
        .message_body(serde_json::to_string(shard).expect("a shard is plain data"))
        .message_group_id(place.to_string())
        .message_deduplication_id(shard.key());
    entry.build().expect("it has an id and a body")
}
