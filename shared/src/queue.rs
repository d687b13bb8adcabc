//! The queue of what `message` leaves to `broadcast`, in Amazon SQS.

use std::{
    collections::BTreeSet,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Builder, retry::RetryConfig, timeout::TimeoutConfig},
    types::SendMessageBatchRequestEntry,
};
use futures_util::{StreamExt, stream};

use crate::{aws::Access, error::causes, invocation, metrics::Count, shard::Shard};

/// Entries of one call. Source: Amazon SQS developer guide, "Message quotas". Their bytes, up to a mebibyte, are no
/// matter: a shard has a few hundred.
const BATCH_MAX: usize = 10;

/// Calls in flight at once.
const CALLS_MAX: usize = 8;

/// How long one call may take, its second try included, before its shards are counted as not queued.
const CALL_TIME_MAX: Duration = Duration::from_secs(2);

/// How often a call is made for the same shards while the queue takes only some.
const TRIES_MAX: u32 = 3;

/// The wait before the second try, twice as long before the third.
const BACKOFF: Duration = Duration::from_millis(50);

/// A queue, and when it is used.
pub struct Queue {
    config: Builder,
    /// Made when it is needed: making it takes as long as the whole start of a function.
    client: OnceLock<Client>,
    url: String,
    inline_limit: usize,
}

impl Queue {
    /// Connections that a message reaches without the queue, unless `BROADCAST_INLINE_LIMIT` says otherwise.
    pub const DEFAULT_INLINE_LIMIT: usize = 500;

    /// The queue at `url`, for messages to more than `inline_limit` connections. `endpoint` is where SQS is, if it is not
    /// Amazon's.
    pub fn new(url: String, inline_limit: usize, endpoint: Option<String>, access: Access) -> Self {
        let mut config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(access.region)
            .credentials_provider(access.credentials)
            .http_client(access.http)
            .timeout_config(TimeoutConfig::builder().operation_timeout(CALL_TIME_MAX).build())
            .retry_config(
                RetryConfig::standard().with_max_attempts(2).with_initial_backoff(BACKOFF),
            );
        config.set_endpoint_url(endpoint);
        Self { config, client: OnceLock::new(), url, inline_limit }
    }

    /// The most connections that are posted to at once, here or for a shard.
    pub fn inline_limit(&self) -> usize {
        self.inline_limit
    }

    /// Queues shards. What comes with those that the queue did not take is returned. They may be queued all the same, if
    /// only the answer got lost.
    pub async fn send<T>(&self, shards: Vec<(Shard, T)>) -> Vec<T> {
        let (shards, with): (Vec<Shard>, Vec<T>) = shards.into_iter().unzip();
        let batches: Vec<Vec<Shard>> = shards.chunks(BATCH_MAX).map(<[Shard]>::to_vec).collect();
        // One that is away costs the time of a call once, however many there are to make.
        let is_away = &AtomicBool::new(false);
        let taken = stream::iter(batches)
            .map(async |batch: Vec<Shard>| self.send_batch(&batch, is_away).await);
        let taken: Vec<Vec<bool>> = taken.buffered(CALLS_MAX).collect().await;
        let taken: Vec<bool> = taken.into_iter().flatten().collect();
        invocation::count(Count::Queued, taken.iter().filter(|taken| **taken).count());
        with.into_iter().zip(taken).filter(|(_, taken)| !taken).map(|(with, _)| with).collect()
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::from_conf(self.config.clone().build()))
    }

    /// Queues up to ten shards, and says of each whether it is.
    async fn send_batch(&self, shards: &[Shard], is_away: &AtomicBool) -> Vec<bool> {
        let mut left: BTreeSet<usize> = (0..shards.len()).collect();
        for again in 0..TRIES_MAX {
            if is_away.load(Ordering::Relaxed) {
                break;
            }
            if again > 0 {
                tokio::time::sleep(BACKOFF * again).await;
            }
            let entries = left.iter().map(|number| entry(*number, &shards[*number])).collect();
            let call = self.client().send_message_batch().queue_url(&self.url);
            let answer = match call.set_entries(Some(entries)).send().await {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::warn!(shards = left.len(), error = %causes(&error), "not queued");
                    // One that answers is there: it may take them the next time.
                    if error.as_service_error().is_none() {
                        is_away.store(true, Ordering::Relaxed);
                    }
                    continue;
                }
            };
            for entry in answer.successful() {
                left.retain(|number| number.to_string() != entry.id());
            }
            if left.is_empty() {
                break;
            }
            for entry in answer.failed() {
                let (code, is_ours) = (entry.code(), entry.sender_fault());
                tracing::warn!(code, is_ours, "the queue refused a shard");
            }
            if answer.failed().iter().all(aws_sdk_sqs::types::BatchResultErrorEntry::sender_fault) {
                break;
            }
        }
        (0..shards.len()).map(|number| !left.contains(&number)).collect()
    }
}

fn entry(number: usize, shard: &Shard) -> SendMessageBatchRequestEntry {
    let body = serde_json::to_string(shard).expect("a shard is plain data");
    let entry = SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(body);
    entry.build().expect("it has an id and a body")
}
