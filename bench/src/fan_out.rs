//! The fan-out curve: the functions `message` and `broadcast` as they are, over SQLite, on a simulated AWS.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use report::{Assumptions, Curve, Measure, Mode, Point, Row};
use serde_json::{Value, json};
use shared::{
    clock::Clock,
    lambda::WebSocketFunction,
    settings::{Lookup, Settings},
    websocket,
};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::{
    Failure,
    aws::{Aws, connection_id},
    to_f64,
};

/// Where it stands how the queue is emptied.
const TEMPLATE: &str = include_str!("../../infra/template.yaml");

const EVENT: &str = include_str!("../../functions/message/events/message.json");

/// Messages that are said at once where they are to be coalesced.
const WAITING: usize = 10;

/// What all may take.
const TIME_MAX: Duration = Duration::from_mins(3);

/// Measures the whole curve, with up to so many connections.
///
/// # Errors
/// When a function fails.
pub(crate) async fn curve(
    assumptions: &Assumptions,
    connections_max: usize,
) -> Result<(Curve, Vec<Row>), Failure> {
    let mut points = Vec::new();
    for connections in [10, 100, 1_000, 10_000, 100_000] {
        if connections > connections_max {
            break;
        }
        for mode in [Mode::Inline, Mode::Sharded, Mode::Coalesced] {
            points.extend(measure(assumptions, connections, mode).await?);
        }
    }
    let most = points.iter().rfind(|point| point.mode == Mode::Sharded);
    let rows = most.map(|point| {
        let what = format!("posts to {} connections, sharded, of those allowed", point.connections);
        let row = Row::new("fan-out", what, "%", &[point.share_of_allowed * 100.0]);
        row.at_least(Measure::Figure, 95.0)
    });
    let rows = rows.into_iter().collect();
    Ok((Curve { assumptions: assumptions.clone(), points }, rows))
}

/// One point; none where the mode makes no difference, because so few connections don't go by way of the queue.
pub(crate) async fn measure(
    assumptions: &Assumptions,
    connections: usize,
    mode: Mode,
) -> Result<Option<Point>, Failure> {
    if mode != Mode::Inline && connections <= shared::queue::Queue::DEFAULT_INLINE_LIMIT {
        return Ok(None);
    }
    let messages = if mode == Mode::Coalesced { WAITING } else { 1 };
    let aws = Aws::new(assumptions.clone(), connections);
    let folder = TempDir::new()?;
    let settings = settings(&folder, mode, &aws)?;
    fill(&folder, &settings, connections).await?;
    let message = message::Message::new(&settings)?;
    let workers = Workers::start(&aws, &settings, assumptions.queue_ms)?;

    let began = Instant::now();
    let sends = (0..messages).map(async |number| {
        let began = Instant::now();
        message.handle(event(number)).await?;
        Ok::<_, Failure>(began.elapsed())
    });
    let times = try_join_all(sends).await?;
    let emptied = async {
        while !aws.is_idle() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TIME_MAX, emptied).await.map_err(|_elapsed| "the queue is not emptied in time")?;
    let Counts { invocations, micros } = workers.stop();
    settings.store().close().await;

    let time = aws.last_post_at().duration_since(began);
    let shown: Vec<usize> = aws.shown().collect();
    Ok(Some(Point {
        mode,
        connections,
        messages,
        seconds: time.as_secs_f64(),
        deliveries: shown.iter().map(|times| times.min(&messages)).sum(),
        missed: shown.iter().map(|times| messages.saturating_sub(*times)).sum(),
        repeated: shown.iter().map(|times| times.saturating_sub(messages)).sum(),
        posts: aws.posts(),
        throttled: aws.throttled(),
        share_of_allowed: to_f64(aws.posts()) / aws.allowed(time),
        message_invocations: messages,
        message_ms: times.iter().map(Duration::as_secs_f64).sum::<f64>() * 1e3,
        broadcast_invocations: invocations.load(Relaxed),
        broadcast_ms: to_f64(micros.load(Relaxed)) / 1e3,
        queue_requests: aws.queue_requests.load(Relaxed),
        connect_seconds: aws.connect_seconds(),
        dollars_per_million: None,
    }))
}

/// What a deployment sets, but for the database and for where AWS is.
fn settings(folder: &TempDir, mode: Mode, aws: &Arc<Aws>) -> Result<Settings, Failure> {
    let database = format!("sqlite://{}", folder.path().join("chat.db").display());
    let concurrency = number_in_template("BROADCAST_CONCURRENCY:")?.to_string();
    let lookup = Lookup::from_fn(move |name| {
        let value = match name {
            "DATABASE_URL" => &database,
            "CONNECTIONS_ENDPOINT" => "https://api.example.com/ws",
            "MESSAGE_RATE_LIMIT" => "off",
            "BROADCAST_QUEUE_URL" if mode != Mode::Inline => {
                "https://sqs.example.com/1/shards.fifo"
            }
            // That of broadcast; beside it message posts to nobody but the sender.
            "BROADCAST_CONCURRENCY" if mode != Mode::Inline => &concurrency,
            "AWS_ENDPOINT_URL_SQS" => "https://sqs.example.com",
            _ => return None,
        };
        Some(value.to_owned())
    });
    Ok(Settings::new(lookup, Clock::system(), 4)?.with_http_client(aws.http_client()))
}

/// A database with so many connections.
async fn fill(folder: &TempDir, settings: &Settings, connections: usize) -> Result<(), Failure> {
    let clock = Clock::system();
    settings.store().migrate(&clock).await?;
    let now = clock.now().as_secs() * 1000;
    let url = format!("sqlite://{}", folder.path().join("chat.db").display());
    let mut database = SqliteConnection::connect(&url).await?;
    let mut transaction = database.begin().await?;
    sqlx::query("insert into users (username, password_hash, created_at) values ('ada', '', $1)")
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "insert into sessions (id, username, token_id, rotated_at, created_at, expires_at)
         values ('session', 'ada', 'token', $1, $1, $1 + 86400000)",
    )
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    for number in 0..connections {
        sqlx::query(
            "insert into connections (connection_id, username, session_id, protocol, connected_at)
             values ($1, 'ada', 'session', 'chat.v1', $2)",
        )
        .bind(connection_id(number))
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    database.close().await?;
    Ok(())
}

/// What API Gateway hands to `message` when the first connection says something.
fn event(number: usize) -> websocket::Event {
    let mut event: Value = serde_json::from_str(EVENT).expect("a sample event is JSON");
    event["requestContext"]["connectionId"] = connection_id(0).into();
    let text = format!("A message of about the usual length, which has the number {number}");
    event["body"] = json!({"action": "send", "text": text}).to_string().into();
    serde_json::from_value(event).expect("a sample event is one")
}

/// Instances of `broadcast`, as the event source mapping runs them.
struct Workers {
    counts: Arc<Counts>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    invocations: AtomicUsize,
    micros: AtomicUsize,
}

impl Workers {
    fn start(aws: &Arc<Aws>, settings: &Settings, queue_ms: u64) -> Result<Self, Failure> {
        let counts = Arc::new(Counts::default());
        let batch_max = number_in_template("BatchSize:")?;
        let mut tasks = Vec::new();
        for _ in 0..number_in_template("MaximumConcurrency:")? {
            let function = broadcast::Broadcast::new(settings)?;
            let (aws, counts) = (Arc::clone(aws), Arc::clone(&counts));
            tasks.push(tokio::spawn(async move {
                loop {
                    let batch = aws.receive(batch_max).await;
                    sleep(Duration::from_millis(queue_ms)).await;
                    let records: Vec<Value> = batch
                        .iter()
                        .map(|record| {
                            json!({"messageId": record.id, "body": record.body,
                                   "attributes": {"MessageGroupId": record.group}})
                        })
                        .collect();
                    let event = serde_json::from_value(json!({"Records": records}));
                    let began = Instant::now();
                    let answer = function.handle(event.expect("it is a queue's event")).await;
                    let micros = usize::try_from(began.elapsed().as_micros()).unwrap_or(usize::MAX);
                    counts.micros.fetch_add(micros, Relaxed);
                    counts.invocations.fetch_add(1, Relaxed);
                    let answer = serde_json::to_value(answer).expect("an answer is plain data");
                    let failures = answer["batchItemFailures"].as_array().cloned();
                    let failures = failures.unwrap_or_default();
                    aws.settle(batch, |record| {
                        failures.iter().any(|failure| failure["itemIdentifier"] == *record.id)
                    });
                }
            }));
        }
        Ok(Self { counts, tasks })
    }

    fn stop(self) -> Counts {
        for task in &self.tasks {
            task.abort();
        }
        let Counts { invocations, micros } = &*self.counts;
        Counts {
            invocations: invocations.load(Relaxed).into(),
            micros: micros.load(Relaxed).into(),
        }
    }
}

/// The number that stands in the template behind `name`.
fn number_in_template(name: &str) -> Result<usize, Failure> {
    let number = TEMPLATE.split_once(name).map(|(_, rest)| {
        let rest = rest.trim_start_matches([' ', '"']);
        rest.split(|character: char| !character.is_ascii_digit()).next().unwrap_or_default()
    });
    let number = number.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| format!("infra/template.yaml has no {name}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fast() -> Assumptions {
        Assumptions {
            latency_median_ms: 0.1,
            latency_sigma: 0.1,
            requests_per_second: 1e6,
            burst: 1e6,
            connections_per_second: 500.0,
            queue_ms: 0,
        }
    }

    #[tokio::test]
    async fn everybody_is_shown_every_message_once() {
        for (mode, connections, invocations) in [
            (Mode::Inline, 20, 0..=0),
            (Mode::Sharded, 1200, 1..=3),
            (Mode::Coalesced, 1200, 1..=30),
        ] {
            let point = measure(&fast(), connections, mode).await.unwrap().unwrap();
            assert_eq!(point.deliveries, connections * point.messages, "{mode:?}");
            assert_eq!((point.missed, point.repeated), (0, 0), "{mode:?}");
            assert!(invocations.contains(&point.broadcast_invocations), "{mode:?}");
        }
    }

    #[tokio::test]
    async fn what_is_throttled_is_told_and_costs_no_delivery() {
        // However slow the machine is, it posts faster than that.
        let tight = Assumptions { requests_per_second: 20.0, burst: 2.0, ..fast() };
        let point = measure(&tight, 20, Mode::Inline).await.unwrap().unwrap();
        assert!(point.throttled > 0);
        assert_eq!((point.deliveries, point.posts), (20, 20));
        assert!(point.seconds >= 0.9 && point.share_of_allowed <= 1.0, "{}", point.seconds);
    }
}
