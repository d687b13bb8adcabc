//! API Gateway's `@connections` and SQS, simulated behind the AWS SDK's own HTTP client: with AWS's limits and a distribution
//! of latencies, in real time, without a socket.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
            http_client_fn,
        },
        orchestrator::{HttpRequest, HttpResponse},
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use rand::RngExt;
use report::Assumptions;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::Notify, time::sleep};

use crate::{lock, to_f64};

/// A bucket that fills at a rate, up to the burst.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled_at: Instant,
}

impl TokenBucket {
    pub(crate) fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self { rate, burst, tokens: burst, filled_at: now }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let filled = now.duration_since(self.filled_at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + filled).min(self.burst);
        self.filled_at = now;
        let is_taken = self.tokens >= 1.0;
        if is_taken {
            self.tokens -= 1.0;
        }
        is_taken
    }
}

/// An entry of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) body: String,
}

/// The simulated AWS, as one run sees it.
#[derive(Debug)]
pub(crate) struct Aws {
    assumptions: Assumptions,
    bucket: Mutex<TokenBucket>,
    /// Per connection, by its number: how often it was shown something.
    shown: Vec<AtomicU32>,
    posts: AtomicUsize,
    throttled: AtomicUsize,
    last_post_at: Mutex<Instant>,
    queue: Mutex<Queue>,
    pub(crate) queue_requests: AtomicUsize,
    /// Something has come into the queue, or a group has become free.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Record>,
    /// Groups of which a batch is worked on.
    busy: BTreeSet<String>,
    taken: BTreeSet<String>,
}

impl Aws {
    /// With so many connections, whose ids are [`connection_id`]s.
    pub(crate) fn new(assumptions: Assumptions, connections: usize) -> Arc<Self> {
        let now = Instant::now();
        let Assumptions { requests_per_second, burst, .. } = assumptions;
        Arc::new(Self {
            assumptions,
            bucket: Mutex::new(TokenBucket::new(requests_per_second, burst, now)),
            shown: (0..connections).map(|_| AtomicU32::new(0)).collect(),
            posts: AtomicUsize::new(0),
            throttled: AtomicUsize::new(0),
            last_post_at: Mutex::new(now),
            queue: Mutex::default(),
            queue_requests: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    /// The client that leads here, for the AWS SDK.
    pub(crate) fn http_client(self: &Arc<Self>) -> SharedHttpClient {
        let connector = Connector(Arc::clone(self));
        http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone()))
    }

    pub(crate) fn posts(&self) -> usize {
        self.posts.load(Relaxed)
    }

    pub(crate) fn throttled(&self) -> usize {
        self.throttled.load(Relaxed)
    }

    pub(crate) fn last_post_at(&self) -> Instant {
        *lock(&self.last_post_at)
    }

    /// How often each connection was shown a message.
    pub(crate) fn shown(&self) -> impl Iterator<Item = usize> {
        self.shown.iter().map(|times| times.load(Relaxed) as usize)
    }

    /// Whether nothing waits and nothing is worked on.
    pub(crate) fn is_idle(&self) -> bool {
        let queue = lock(&self.queue);
        queue.waiting.is_empty() && queue.busy.is_empty()
    }

    /// The next batch of records, as an event source mapping of a FIFO queue forms it: of each group that nobody works on, in
    /// order, the first group as far as it goes and then the others.
    pub(crate) async fn receive(&self, batch_max: usize) -> Vec<Record> {
        loop {
            let changed = self.changed.notified();
            let batch = lock(&self.queue).next_batch(batch_max);
            if !batch.is_empty() {
                self.queue_requests.fetch_add(1, Relaxed);
                return batch;
            }
            changed.await;
        }
    }

    /// Ends the work on a batch: what has failed comes again.
    pub(crate) fn settle(&self, batch: Vec<Record>, has_failed: impl Fn(&Record) -> bool) {
        self.queue_requests.fetch_add(1, Relaxed);
        let mut queue = lock(&self.queue);
        for record in batch.into_iter().rev() {
            queue.busy.remove(&record.group);
            if has_failed(&record) {
                queue.waiting.push_front(record);
            }
        }
        drop(queue);
        self.changed.notify_waiters();
    }

    async fn answer(&self, request: HttpRequest) -> HttpResponse {
        sleep(self.latency()).await;
        if request.headers().get("x-amz-target").is_some() {
            return self.enqueue(&request);
        }
        let is_allowed = lock(&self.bucket).take(Instant::now());
        if !is_allowed {
            self.throttled.fetch_add(1, Relaxed);
            return response(429, r#"{"message":"Too Many Requests"}"#);
        }
        let frame = request.body().bytes().unwrap_or_default();
        let id = request.uri().rsplit('/').next().and_then(number_of);
        let Some(shown) = id.and_then(|number| self.shown.get(number)) else {
            return response(410, "");
        };
        shown.fetch_add(messages_of(frame), Relaxed);
        self.posts.fetch_add(1, Relaxed);
        *lock(&self.last_post_at) = Instant::now();
        response(200, "")
    }

    /// `SendMessageBatch`.
    fn enqueue(&self, request: &HttpRequest) -> HttpResponse {
        self.queue_requests.fetch_add(1, Relaxed);
        let body = request.body().bytes().unwrap_or_default();
        let Ok(batch) = serde_json::from_slice::<SendMessageBatch>(body) else {
            return response(400, r#"{"__type":"com.amazonaws.sqs#InvalidMessageContents"}"#);
        };
        let mut queue = lock(&self.queue);
        let mut successful = Vec::new();
        for entry in batch.entries {
            let key = entry.message_deduplication_id.unwrap_or_else(|| entry.message_body.clone());
            let group = entry.message_group_id.unwrap_or_else(|| key.clone());
            successful.push(json!({"Id": entry.id, "MessageId": key, "MD5OfMessageBody": ""}));
            if queue.taken.insert(key.clone()) {
                queue.waiting.push_back(Record { id: key, group, body: entry.message_body });
            }
        }
        drop(queue);
        self.changed.notify_waiters();
        let answer: Value = json!({"Successful": successful, "Failed": []});
        response(200, &answer.to_string())
    }

    /// Log-normal.
    fn latency(&self) -> Duration {
        let Assumptions { latency_median_ms, latency_sigma, .. } = self.assumptions;
        // Box and Muller's way to a normal distribution; never the logarithm of zero.
        let [one, other]: [f64; 2] = rand::rng().random();
        let normal = (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos();
        Duration::from_secs_f64(latency_median_ms / 1e3 * (latency_sigma * normal).exp())
    }

    /// Posts that the throttle allows in a time that begins with a full bucket.
    pub(crate) fn allowed(&self, time: Duration) -> f64 {
        let Assumptions { requests_per_second, burst, .. } = self.assumptions;
        burst + requests_per_second * time.as_secs_f64()
    }

    /// How long it takes until all are connected, in seconds.
    pub(crate) fn connect_seconds(&self) -> f64 {
        to_f64(self.shown.len()) / self.assumptions.connections_per_second
    }
}

impl Queue {
    fn next_batch(&mut self, batch_max: usize) -> Vec<Record> {
        let mut batch: Vec<Record> = Vec::new();
        let mut groups = BTreeSet::new();
        while batch.len() < batch_max
            && let Some(first) =
                self.waiting.iter().find(|record| !self.busy.contains(&record.group))
        {
            let group = first.group.clone();
            let mut rest = VecDeque::with_capacity(self.waiting.len());
            for record in self.waiting.drain(..) {
                if record.group == group && batch.len() < batch_max {
                    batch.push(record);
                } else {
                    rest.push_back(record);
                }
            }
            self.waiting = rest;
            self.busy.insert(group.clone());
            groups.insert(group);
        }
        batch
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    message_body: String,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

#[derive(Clone, Debug)]
struct Connector(Arc<Aws>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let aws = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move { Ok(aws.answer(request).await) })
    }
}

/// The id of a simulated connection.
pub(crate) fn connection_id(number: usize) -> String {
    format!("L{number:07}AAAAAAAA")
}

fn number_of(id: &str) -> Option<usize> {
    id.get(1..8)?.parse().ok()
}

/// How many messages a frame of `chat.v1` shows.
fn messages_of(frame: &[u8]) -> u32 {
    match serde_json::from_slice::<Value>(frame) {
        Ok(frame) if frame["type"] == "message" => 1,
        Ok(frame) => {
            let messages = frame["messages"].as_array().map_or(0, Vec::len);
            u32::try_from(messages).unwrap_or(u32::MAX)
        }
        Err(_) => 0,
    }
}

fn response(status: u16, body: &str) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("it is a status");
    HttpResponse::new(status, SdkBody::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_throttle_allows_the_burst_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(1000.0, 50.0, start);
        assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 50);
        let mut taken = 0;
        for ms in 1..=1000 {
            let now = start + Duration::from_millis(ms);
            taken += (0..10).filter(|_| bucket.take(now)).count();
        }
        assert!((999..=1000).contains(&taken), "{taken}");
        // It never holds more than the burst.
        let later = start + Duration::from_hours(1);
        assert_eq!((0..100).filter(|_| bucket.take(later)).count(), 50);
    }

    #[test]
    fn a_group_is_worked_on_by_one_at_a_time_and_in_order() {
        let mut queue = Queue::default();
        for (place, group) in ["0", "1", "0", "2", "0"].into_iter().enumerate() {
            let (id, group, body) = (place.to_string(), group.to_owned(), String::new());
            queue.waiting.push_back(Record { id, group, body });
        }
        let mut ids = |max| {
            let batch = queue.next_batch(max);
            batch.into_iter().map(|record| record.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(2), ["0", "2"]);
        // The rest of the first group waits for it.
        assert_eq!(ids(10), ["1", "3"]);
        assert_eq!(ids(10), [""; 0]);
        queue.busy.clear();
        assert_eq!(queue.next_batch(10).len(), 1);
    }

    #[test]
    fn messages_are_counted_in_frames() {
        assert_eq!(messages_of(br#"{"type":"message","id":1,"text":"\"type\":\"messages\""}"#), 1);
        assert_eq!(messages_of(br#"{"type":"messages","messages":[{"id":1},{"id":2}]}"#), 2);
        assert_eq!(messages_of(br#"{"type":"pong"}"#), 0);
        assert_eq!(messages_of(b"alice: hello"), 0);
    }

    #[test]
    fn latencies_have_the_median_that_was_asked_for() {
        let assumptions = Assumptions {
            latency_median_ms: 8.0,
            latency_sigma: 0.5,
            requests_per_second: 1.0,
            burst: 1.0,
            connections_per_second: 1.0,
            queue_ms: 0,
        };
        let aws = Aws::new(assumptions, 0);
        let mut ms: Vec<f64> = (0..20_000).map(|_| aws.latency().as_secs_f64() * 1e3).collect();
        ms.sort_unstable_by(f64::total_cmp);
        let (median, p99) = (ms[10_000], ms[19_800]);
        // 8 × e^(2.326 × 0.5) = 25.6; by chance it is never that far off.
        assert!((7.5..8.5).contains(&median) && (22.0..30.0).contains(&p99), "{median} {p99}");
    }
}
