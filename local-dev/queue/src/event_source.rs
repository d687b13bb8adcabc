//! Lambda's event source mapping: takes messages from a queue in batches, invokes a function with each, and deletes what it
//! has handled. What it has not shows again when the queue's visibility timeout is over. Source: Lambda's developer guide,
//! "Using Lambda with Amazon SQS" and its pages on scaling and on errors.

use std::{collections::BTreeSet, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    select,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Millis,
    event::event,
    message::Received,
    sqs::{Sqs, Wanted},
};

/// What SQS gives out at once.
const RECEIVED_MAX: usize = 10;

/// How long one receive waits, as Lambda's do.
const WAIT: Duration = Duration::from_secs(20);

/// Batches that are handled at once where nothing is said. Lambda begins with as many; that it takes more when there is
/// much to do is not done here.
const CONCURRENCY_DEFAULT: usize = 5;

/// The longest event, in bytes. Source: quotas of Lambda, 6 MB for a payload.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// What a record takes beside its body and attributes, about.
const RECORD_BYTES: usize = 1024;

/// The wait before an invocation that was throttled is tried again, and the longest. Assumed: Lambda says that it retries
/// until the visibility timeout is over, not how often.
const THROTTLED_WAIT: Duration = Duration::from_millis(100);
const THROTTLED_WAIT_MAX: Duration = Duration::from_secs(5);

/// What leads from a queue to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// The queue's name.
    pub queue: String,
    /// Messages of one invocation: up to 10, of a standard queue with a window up to 10,000.
    pub batch_size: usize,
    /// How long messages are gathered for one invocation; not from a FIFO queue.
    pub batching_window: Duration,
    /// Invocations at once.
    pub concurrency_max: Option<usize>,
    /// Whether the function's answer names what has failed (`ReportBatchItemFailures`). Without it, all has been handled
    /// unless the invocation fails.
    pub reports_failures: bool,
}

/// Why an invocation has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The function failed, or took too long.
    Failed,
    /// It did not run, since too many run.
    Throttled,
}

/// Invokes the function with an event.
type Invoke = Arc<
    dyn Fn(Bytes) -> Pin<Box<dyn Future<Output = Result<Bytes, InvokeError>> + Send>> + Send + Sync,
>;

/// An event source that is being polled.
pub struct EventSourceMapping {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl EventSourceMapping {
    /// Polls from now on. A queue that doesn't exist is never read.
    pub fn start<F>(
        sqs: Arc<Sqs>,
        source: EventSource,
        invoke: impl Fn(Bytes) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Bytes, InvokeError>> + Send + 'static,
    {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mapping = Mapping {
            sqs,
            source,
            invoke: Arc::new(move |event| Box::pin(invoke(event))),
            tasks: tasks.clone(),
        };
        let stopped = stop.clone();
        tasks.spawn(async move {
            select! {
                () = stopped.cancelled() => {}
                () = mapping.poll() => {}
            }
        });
        Self { stop, tasks }
    }

    /// Takes no more messages. What is being handled goes on.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until what is being handled has ended. It must have been stopped.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[derive(Clone)]
struct Mapping {
    sqs: Arc<Sqs>,
    source: EventSource,
    invoke: Invoke,
    tasks: TaskTracker,
}

impl Mapping {
    async fn poll(self) {
        let concurrency = self.source.concurrency_max.unwrap_or(CONCURRENCY_DEFAULT);
        let permits = Arc::new(Semaphore::new(concurrency));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let batch = match self.gather().await {
                Ok(batch) => batch,
                Err(queue) => {
                    tracing::error!(queue, "there is no such queue, nothing is taken from it");
                    return;
                }
            };
            if !batch.is_empty() {
                self.tasks.spawn(self.clone().handle(batch, permit));
            }
        }
    }

    /// The next batch, which is empty when nothing came for a while.
    async fn gather(&self) -> Result<Vec<Received>, String> {
        let EventSource { queue, batch_size, batching_window, .. } = &self.source;
        let receive = async |most: usize, wait| {
            let wanted =
                Wanted { messages_max: most.min(RECEIVED_MAX), visibility: None, wait: Some(wait) };
            self.sqs.receive(queue, wanted).await.map_err(|_error| queue.clone())
        };
        let mut batch = receive(*batch_size, WAIT).await?;
        let until = Instant::now() + *batching_window;
        let bytes = |batch: &[Received]| -> usize { batch.iter().map(size).sum() };
        while !batch.is_empty() && batch.len() < *batch_size {
            let left = until.saturating_duration_since(Instant::now());
            let room = EVENT_BYTES_MAX.saturating_sub(bytes(&batch));
            // As much as the next receive may bring.
            if left.is_zero() || room < RECEIVED_MAX * crate::Settings::MESSAGE_BYTES_MAX / 4 {
                break;
            }
            batch.extend(receive(*batch_size - batch.len(), left).await?);
        }
        Ok(batch)
    }

    /// Has the function handle a batch.
    async fn handle(self, batch: Vec<Received>, _permit: OwnedSemaphorePermit) {
        let queue = &self.source.queue;
        let event = event(&self.sqs, queue, &batch);
        let answer = self.invoke(event, &batch).await;
        let failed = match answer {
            Ok(answer) if self.source.reports_failures => failures(&answer, &batch),
            Ok(_) => Some(BTreeSet::new()),
            Err(_) => None,
        };
        let Some(failed) = failed else {
            tracing::warn!(queue, records = batch.len(), "a batch failed and will come again");
            return;
        };
        if !failed.is_empty() {
            let records = failed.len();
            tracing::warn!(queue, records, of = batch.len(), "records failed and will come again");
        }
        for received in batch.iter().filter(|received| !failed.contains(&received.message.id)) {
            let deleted = self.sqs.with(queue, |queue, _| queue.delete(&received.receipt_handle));
            if deleted.is_err() {
                let message_id = &received.message.id;
                tracing::warn!(queue, message_id, "a record took too long and will come again");
            }
        }
    }

    async fn invoke(&self, event: Bytes, batch: &[Received]) -> Result<Bytes, InvokeError> {
        let until = batch.iter().map(|received| received.hidden_until).min().unwrap_or_default();
        let mut wait = THROTTLED_WAIT;
        loop {
            let answer = (self.invoke)(event.clone()).await;
            let again_at = self.sqs.now() + Millis::try_from(wait.as_millis()).unwrap_or_default();
            if answer != Err(InvokeError::Throttled) || again_at >= until {
                return answer;
            }
            sleep(wait).await;
            wait = (wait * 2).min(THROTTLED_WAIT_MAX);
        }
    }
}

/// What a record takes of an event, about.
fn size(received: &Received) -> usize {
    crate::check::bytes(&received.message.body, &received.message.attributes) + RECORD_BYTES
}

/// The ids of the messages that an answer says have failed; `None` when all have. An answer with nothing in it is one that
/// names nothing; one that names what wasn't there, or that can't be understood, is that of a function that failed. Source:
/// Lambda's developer guide, "Handling errors for an SQS event source". Assumed: an answer that is no object can't be
/// understood.
fn failures(answer: &[u8], batch: &[Received]) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        batch_item_failures: Option<Vec<Failure>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        item_identifier: String,
    }

    if answer.trim_ascii().is_empty() {
        return Some(BTreeSet::new());
    }
    let answer = match serde_json::from_slice(answer).ok()? {
        Value::Null => return Some(BTreeSet::new()),
        answer => serde_json::from_value::<Answer>(answer).ok()?,
    };
    let failed = answer.batch_item_failures.unwrap_or_default();
    let failed: BTreeSet<String> =
        failed.into_iter().map(|failure| failure.item_identifier).collect();
    let is_there = |id: &String| batch.iter().any(|received| received.message.id == *id);
    failed.iter().all(is_there).then_some(failed)
}
