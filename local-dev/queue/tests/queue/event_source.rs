//! What Lambda does with a queue: batches, failures, order, concurrency.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use queue::{EventSource, EventSourceMapping, InvokeError, Settings};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::support::{PATIENCE, World, attributes, fifo, giving_up, impatient};

const JOBS: &str = "jobs.fifo";

fn source(queue: &str) -> EventSource {
    EventSource {
        queue: queue.to_owned(),
        batch_size: 10,
        batching_window: Duration::ZERO,
        concurrency_max: None,
        reports_failures: true,
    }
}

/// An invocation that a test answers.
struct Invocation {
    event: Value,
    answer: oneshot::Sender<Result<Bytes, InvokeError>>,
}

impl Invocation {
    fn bodies(&self) -> Vec<&str> {
        let records = self.event["Records"].as_array().unwrap();
        records.iter().map(|record| record["body"].as_str().unwrap()).collect()
    }

    fn id(&self, record: usize) -> &str {
        self.event["Records"][record]["messageId"].as_str().unwrap()
    }

    fn answer(self, answer: &Value) {
        self.answer.send(Ok(answer.to_string().into())).unwrap();
    }

    fn fail(self, error: InvokeError) {
        self.answer.send(Err(error)).unwrap();
    }

    fn name_failures(self, records: &[usize]) {
        let failed: Vec<Value> =
            records.iter().map(|record| json!({"itemIdentifier": self.id(*record)})).collect();
        self.answer(&json!({"batchItemFailures": failed}));
    }
}

/// A function whose invocations a test answers.
struct Function {
    invocations: mpsc::UnboundedReceiver<Invocation>,
    mapping: EventSourceMapping,
}

impl Function {
    fn of(world: &World, source: EventSource) -> Self {
        let (invoked, invocations) = mpsc::unbounded_channel();
        let mapping = EventSourceMapping::start(Arc::clone(&world.sqs), source, move |event| {
            let invoked = invoked.clone();
            async move {
                let (answer, answered) = oneshot::channel();
                let event = serde_json::from_slice(&event).unwrap();
                invoked.send(Invocation { event, answer }).unwrap();
                answered.await.unwrap()
            }
        });
        Self { invocations, mapping }
    }

    async fn next(&mut self) -> Invocation {
        timeout(PATIENCE, self.invocations.recv()).await.expect("it is invoked").unwrap()
    }
}

/// Waits until a queue holds so many visible, hidden and delayed messages.
async fn until(world: &World, queue: &str, counts: (usize, usize, usize)) {
    let reached = async {
        while world.counts(queue) != counts {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(PATIENCE, reached).await;
    waited.unwrap_or_else(|_elapsed| panic!("{queue} holds {:?}", world.counts(queue)));
}

#[tokio::test]
async fn an_event_is_that_of_lambda() {
    let world = World::with(vec![fifo(JOBS), Settings::new("jobs")]).await;
    let mut function = Function::of(&world, source(JOBS));
    world.send_to_groups(JOBS, &["A1"]).await;
    let invocation = function.next().await;
    let record = &invocation.event["Records"][0];
    let names: Vec<&String> = record.as_object().unwrap().keys().collect();
    let mut expected = [
        "attributes",
        "awsRegion",
        "body",
        "eventSource",
        "eventSourceARN",
        "md5OfBody",
        "messageAttributes",
        "messageId",
        "receiptHandle",
    ];
    expected.sort_unstable();
    let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(record["eventSourceARN"], "arn:aws:sqs:eu-west-1:123456789012:jobs.fifo");
    assert_eq!(record["awsRegion"], "eu-west-1");
    assert_eq!(record["messageAttributes"], json!({}));
    assert_eq!(record["md5OfBody"], "27f237e6b7f96587b6202ff3607ad88a");
    let mut names: Vec<&str> =
        record["attributes"].as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "ApproximateFirstReceiveTimestamp",
        "ApproximateReceiveCount",
        "MessageDeduplicationId",
        "MessageGroupId",
        "SenderId",
        "SentTimestamp",
        "SequenceNumber",
    ];
    assert_eq!(names, expected);
    invocation.answer(&json!({"batchItemFailures": []}));
    until(&world, JOBS, (0, 0, 0)).await;
}

#[tokio::test]
async fn what_is_handled_is_deleted_and_what_is_not_comes_again() {
    let world = World::with(vec![impatient(Settings::new("jobs"), 300)]).await;
    for body in ["a", "b", "c"] {
        world.send("jobs", body).await;
    }
    let mut function = Function::of(&world, source("jobs"));
    let first = function.next().await;
    assert_eq!(first.bodies(), ["a", "b", "c"]);
    let poison = first.id(1).to_owned();
    first.name_failures(&[1]);
    until(&world, "jobs", (0, 1, 0)).await;
    let second = function.next().await;
    assert_eq!((second.bodies(), second.id(0)), (vec!["b"], poison.as_str()));
    assert_eq!(second.event["Records"][0]["attributes"]["ApproximateReceiveCount"], "2");
    second.name_failures(&[]);
    until(&world, "jobs", (0, 0, 0)).await;
}

#[tokio::test]
async fn an_answer_that_is_not_understood_and_an_error_fail_the_whole_batch() {
    let bad = [
        json!({"batchItemFailures": [{"itemIdentifier": ""}]}),
        json!({"batchItemFailures": [{"itemIdentifier": null}]}),
        json!({"batchItemFailures": [{"messageId": "x"}]}),
        json!({"batchItemFailures": [{"itemIdentifier": "nobody's"}]}),
        json!({"batchItemFailures": "all"}),
        json!("done"),
    ];
    let good = [json!(null), json!({}), json!({"batchItemFailures": null}), json!({"ok": true})];
    let bad = bad.map(|answer| (Ok(answer), true));
    let good = good.map(|answer| (Ok(answer), false));
    let failed = [(Err(InvokeError::Failed), true)];
    for (answer, comes_again) in bad.into_iter().chain(good).chain(failed) {
        let world = World::with(vec![Settings::new("jobs")]).await;
        world.send("jobs", "a").await;
        let mut function = Function::of(&world, source("jobs"));
        let invocation = function.next().await;
        match &answer {
            Ok(answer) => invocation.answer(answer),
            Err(error) => invocation.fail(*error),
        }
        function.mapping.stop();
        function.mapping.ended().await;
        let expected = if comes_again { (0, 1, 0) } else { (0, 0, 0) };
        assert_eq!(world.counts("jobs"), expected, "{answer:?}");
    }
}

#[tokio::test]
async fn without_reports_any_answer_is_a_success() {
    let world = World::with(vec![Settings::new("jobs")]).await;
    world.send("jobs", "a").await;
    let mut function =
        Function::of(&world, EventSource { reports_failures: false, ..source("jobs") });
    function.next().await.name_failures(&[0]);
    until(&world, "jobs", (0, 0, 0)).await;
}

#[tokio::test]
async fn what_fails_again_and_again_is_given_up() {
    let jobs = giving_up(impatient(fifo(JOBS), 100), "dead.fifo", 3);
    let world = World::with(vec![jobs, fifo("dead.fifo")]).await;
    world.send_to_groups(JOBS, &["A1"]).await;
    let mut function = Function::of(&world, source(JOBS));
    for _ in 0..3 {
        function.next().await.fail(InvokeError::Failed);
    }
    until(&world, "dead.fifo", (1, 0, 0)).await;
    let dead = world.receive("dead.fifo", 1).await;
    assert_eq!(attributes(&dead[0])["ApproximateReceiveCount"], "4");
    assert!(function.invocations.try_recv().is_err());
}

#[tokio::test]
async fn a_group_is_handled_in_order_one_batch_at_a_time_and_groups_side_by_side() {
    let world = World::with(vec![fifo(JOBS)]).await;
    let mut function = Function::of(&world, source(JOBS));
    world.send_to_groups(JOBS, &["A1"]).await;
    let first = function.next().await;
    assert_eq!(first.bodies(), ["A1"]);
    // What comes meanwhile waits together, while another group goes on.
    world.send_to_groups(JOBS, &["A2", "A3", "A4"]).await;
    world.send_to_groups(JOBS, &["B1"]).await;
    let other = function.next().await;
    assert_eq!(other.bodies(), ["B1"]);
    other.name_failures(&[]);
    until(&world, JOBS, (3, 1, 0)).await;
    first.name_failures(&[]);
    let rest = function.next().await;
    assert_eq!(rest.bodies(), ["A2", "A3", "A4"]);
    rest.name_failures(&[]);
    until(&world, JOBS, (0, 0, 0)).await;
}

#[tokio::test]
async fn a_failed_record_holds_up_its_group_until_it_comes_again() {
    let world = World::with(vec![impatient(fifo(JOBS), 500)]).await;
    world.send_to_groups(JOBS, &["A1", "A2", "A3", "B1"]).await;
    let mut function = Function::of(&world, source(JOBS));
    let first = function.next().await;
    assert_eq!(first.bodies(), ["A1", "A2", "A3", "B1"]);
    // The first failure and all of its group after it, as a function of a FIFO queue answers.
    first.name_failures(&[1, 2]);
    world.send_to_groups(JOBS, &["A4", "B2"]).await;
    let other = function.next().await;
    assert_eq!(other.bodies(), ["B2"]);
    other.name_failures(&[]);
    let again = function.next().await;
    assert_eq!(again.bodies(), ["A2", "A3", "A4"]);
    again.name_failures(&[]);
    until(&world, JOBS, (0, 0, 0)).await;
}

#[tokio::test]
async fn no_more_than_may_run_at_once() {
    let world = World::with(vec![Settings::new("jobs")]).await;
    for body in ["a", "b", "c"] {
        world.send("jobs", body).await;
    }
    let two = EventSource { batch_size: 1, concurrency_max: Some(2), ..source("jobs") };
    let mut function = Function::of(&world, two);
    let (first, second) = (function.next().await, function.next().await);
    until(&world, "jobs", (1, 2, 0)).await;
    assert!(function.invocations.try_recv().is_err());
    first.name_failures(&[]);
    let third = function.next().await;
    assert_eq!(third.bodies(), ["c"]);
    second.name_failures(&[]);
    third.name_failures(&[]);
    until(&world, "jobs", (0, 0, 0)).await;
}

#[tokio::test]
async fn a_window_gathers_more_than_ten() {
    let world = World::with(vec![Settings::new("jobs")]).await;
    let source =
        EventSource { batch_size: 25, batching_window: Duration::from_mins(1), ..source("jobs") };
    let mut function = Function::of(&world, source);
    for number in 0..25 {
        world.send("jobs", &number.to_string()).await;
    }
    let invocation = function.next().await;
    assert_eq!(invocation.bodies().len(), 25);
    invocation.name_failures(&[]);
    until(&world, "jobs", (0, 0, 0)).await;
}

#[tokio::test]
async fn what_is_throttled_is_tried_again_as_the_same_batch() {
    let world = World::with(vec![Settings::new("jobs")]).await;
    world.send("jobs", "a").await;
    let mut function = Function::of(&world, source("jobs"));
    let first = function.next().await;
    let event = first.event.clone();
    first.fail(InvokeError::Throttled);
    let second = function.next().await;
    assert_eq!(second.event, event);
    second.name_failures(&[]);
    until(&world, "jobs", (0, 0, 0)).await;
}

#[tokio::test]
async fn what_is_being_handled_gets_its_time_and_what_waits_is_left() {
    let world = World::with(vec![fifo(JOBS)]).await;
    let mut function = Function::of(&world, source(JOBS));
    world.send_to_groups(JOBS, &["A1"]).await;
    let running = function.next().await;
    world.send_to_groups(JOBS, &["A2", "B1"]).await;
    // One of them is taken before it is told to stop, or it isn't.
    function.mapping.stop();
    let ended = Arc::new(Mutex::new(false));
    let end = async {
        function.mapping.ended().await;
        *ended.lock().unwrap() = true;
    };
    let rest = async {
        assert!(!*ended.lock().unwrap(), "it waits for what runs");
        running.name_failures(&[]);
        while let Some(invocation) = function.invocations.recv().await {
            invocation.name_failures(&[]);
        }
    };
    timeout(PATIENCE, async { tokio::join!(end, rest) }).await.unwrap();
    let (visible, in_flight, _) = world.counts(JOBS);
    assert!((1..=2).contains(&visible) && in_flight == 0, "{visible}");
}
