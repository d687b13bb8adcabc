//! Amazon SQS: moto's server, and a way to it that is watched.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_sqs::{
    config::{BehaviorVersion, Builder},
    types::{MessageSystemAttributeName, QueueAttributeName},
};
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use shared::aws::{Access, Trust};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};

pub const HINT: &str = "needs moto: python3 -m venv target/ci-moto && \
                        target/ci-moto/bin/pip install 'moto[server]==5.2.5'";

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

const REGION: &str = "eu-west-1";

/// The server, if it is installed.
pub fn installed() -> Option<PathBuf> {
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/ci-moto/bin/moto_server");
    Some(server).filter(|server| server.is_file())
}

/// A running SQS with one FIFO queue.
pub struct Sqs {
    /// Its base URL.
    pub endpoint: String,
    /// The queue's.
    pub queue: String,
    client: aws_sdk_sqs::Client,
    _server: Child,
}

impl Sqs {
    pub async fn start() -> Self {
        let mut server = Command::new(installed().expect("the suite has looked for it"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let endpoint = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("it says where it listens");
                if let Some((_, url)) = line.split_once("Running on ") {
                    break url.trim().to_owned();
                }
            }
        };
        let endpoint = timeout(PATIENCE, endpoint).await.expect("it starts in time");
        // It writes a line for each call.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let access = Access::new(Some(REGION.to_owned()), None, Trust::Amazon);
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .http_client(access.http())
            .region(access.region)
            .credentials_provider(access.credentials)
            .endpoint_url(&endpoint)
            .build();
        let client = aws_sdk_sqs::Client::from_conf(config);
        let creating = client.create_queue().queue_name("broadcasts.fifo");
        let created = creating.attributes(QueueAttributeName::FifoQueue, "true").send().await;
        let queue = created.unwrap().queue_url.unwrap();
        Self { endpoint, queue, client, _server: server }
    }

    /// What makes functions use it, for messages to more than `limit` connections.
    pub fn settings(&self, limit: usize) -> [(&'static str, String); 4] {
        [
            // moto has Amazon's regions only.
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL_SQS", self.endpoint.clone()),
            ("BROADCAST_QUEUE_URL", self.queue.clone()),
            ("BROADCAST_INLINE_LIMIT", limit.to_string()),
        ]
    }

    /// Takes what is in the queue, which must come to `number` entries, as Lambda would hand it over: in events of up to
    /// ten records. Waits until they are all there: one that comes while another is deleted may get lost in moto.
    pub async fn events(&self, number: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let waiting = self.waiting().await;
            if waiting >= number {
                break;
            }
            assert!(Instant::now() < deadline, "there are {waiting} of {number}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (mut events, mut taken) = (Vec::new(), 0);
        loop {
            let receiving = self.client.receive_message().queue_url(&self.queue);
            let receiving = receiving
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .max_number_of_messages(10);
            let messages = receiving.send().await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                assert_eq!(taken, number, "entries in the queue");
                return events;
            }
            taken += messages.len();
            let mut records = Vec::new();
            for message in messages {
                let deleting = self.client.delete_message().queue_url(&self.queue);
                let receipt = message.receipt_handle.unwrap();
                deleting.receipt_handle(&receipt).send().await.unwrap();
                let attributes = message.attributes.unwrap();
                let attributes: BTreeMap<&str, &str> = attributes
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                records.push(json!({
                    "messageId": message.message_id.unwrap(), "receiptHandle": receipt,
                    "body": message.body.unwrap(), "md5OfBody": message.md5_of_body.unwrap(),
                    "attributes": attributes, "messageAttributes": {},
                    "eventSource": "aws:sqs", "awsRegion": "eu-west-1",
                    "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:broadcasts.fifo",
                }));
            }
            events.push(json!({"Records": records}));
        }
    }

    /// Entries that could be taken now.
    async fn waiting(&self) -> usize {
        let asking = self.client.get_queue_attributes().queue_url(&self.queue);
        let asking = asking.attribute_names(QueueAttributeName::ApproximateNumberOfMessages);
        let attributes = asking.send().await.unwrap().attributes.unwrap();
        attributes[&QueueAttributeName::ApproximateNumberOfMessages].parse().unwrap()
    }
}

/// A way to the queue that takes one call at a time and may not let every entry through.
pub struct Picky {
    endpoint: String,
    refused: Arc<Mutex<Vec<Value>>>,
    passed: Arc<AtomicUsize>,
}

impl Picky {
    /// Refuses nothing.
    pub async fn never(sqs: &Sqs) -> Self {
        Self::before(sqs, false, |_, _| false).await
    }

    /// Refuses entries for as long as `is_refused` says so; it is given the entry and how many were refused before.
    /// `is_senders_fault` is what is said of them.
    pub async fn before(
        sqs: &Sqs,
        is_senders_fault: bool,
        is_refused: impl Fn(&Value, usize) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (server, http) = (sqs.endpoint.clone(), reqwest::Client::new());
        let refused: Arc<Mutex<Vec<Value>>> = Arc::default();
        let passed: Arc<AtomicUsize> = Arc::default();
        let (noted, counted) = (Arc::clone(&refused), Arc::clone(&passed));
        let is_refused = Arc::new(is_refused);
        // Two calls at once, and moto may not see that they bring the same.
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        let pass = async move |headers: HeaderMap, body: Bytes| -> Response {
            assert_eq!(headers["x-amz-target"], "AmazonSQS.SendMessageBatch");
            let mut call: Value = serde_json::from_slice(&body).unwrap();
            let entries: Vec<Value> = call["Entries"].as_array().unwrap().clone();
            assert!((1..=10).contains(&entries.len()));
            let (bad, good): (Vec<Value>, Vec<Value>) = entries.into_iter().partition(|entry| {
                let mut refused = noted.lock().unwrap();
                let is_bad = is_refused(entry, refused.len());
                refused.extend(is_bad.then(|| entry.clone()));
                is_bad
            });
            let mut answer = json!({"Successful": []});
            let _turn = turn.lock().await;
            let number = good.len();
            if number > 0 {
                call["Entries"] = good.into();
                let passed = http.post(&server).headers(headers.clone()).body(call.to_string());
                let passed = passed.header("content-length", call.to_string().len());
                answer = passed.send().await.unwrap().json().await.unwrap();
                counted.fetch_add(number, Ordering::Relaxed);
            }
            let failed = bad.iter().map(|entry| {
                json!({"Id": entry["Id"], "SenderFault": is_senders_fault, "Code": "InternalError"})
            });
            answer["Failed"] = failed.collect();
            let content_type = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
            (StatusCode::OK, content_type, answer.to_string()).into_response()
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await });
        Self { endpoint, refused, passed }
    }

    /// What makes functions go this way.
    pub fn settings(&self, sqs: &Sqs, limit: usize) -> [(&'static str, String); 4] {
        let [region, (name, _), queue, limit] = sqs.settings(limit);
        [region, (name, self.endpoint.clone()), queue, limit]
    }

    /// How many entries the queue was given, those included that it had already.
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    /// The shards of the entries that were refused, each as often as it was.
    pub fn refused(&self) -> Vec<Value> {
        let refused = self.refused.lock().unwrap();
        let body = |entry: &Value| entry["MessageBody"].as_str().unwrap().to_owned();
        refused.iter().map(|entry| serde_json::from_str(&body(entry)).unwrap()).collect()
    }
}
