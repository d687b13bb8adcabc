//! Queues behind a port, and a client.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    types::{Message, MessageSystemAttributeName, SendMessageBatchRequestEntry},
};
use axum::{Router, body::Bytes, http::HeaderMap};
use queue::{DeduplicationScope, Fifo, Redrive, Settings, Sqs};
use tokio::net::TcpListener;

/// As long as a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Queues, and a client for them.
pub(crate) struct World {
    pub(crate) sqs: Arc<Sqs>,
    pub(crate) client: Client,
    pub(crate) endpoint: String,
}

impl World {
    pub(crate) async fn with(queues: Vec<Settings>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let sqs = Arc::new(Sqs::new("eu-west-1", "123456789012", &endpoint, queues));
        let served = Arc::clone(&sqs);
        let answer = async move |headers: HeaderMap, body: Bytes| {
            let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
            served.answer(target.unwrap_or_default(), &body).await.map(axum::body::Body::from)
        };
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(&endpoint)
            .build();
        Self { sqs, client: Client::from_conf(config), endpoint }
    }

    pub(crate) fn url(&self, queue: &str) -> String {
        self.sqs.queue_url(queue)
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) {
        let send = self.client.send_message().queue_url(self.url(queue)).message_body(body);
        send.send().await.unwrap();
    }

    /// Sends messages to a FIFO queue: `A1` is body and deduplication id, `A` the group.
    pub(crate) async fn send_to_groups(&self, queue: &str, bodies: &[&str]) {
        for bodies in bodies.chunks(10) {
            let entries = bodies.iter().enumerate().map(|(id, body)| {
                let entry = SendMessageBatchRequestEntry::builder().id(id.to_string());
                let entry = entry.message_body(*body).message_group_id(&body[..1]);
                entry.message_deduplication_id(*body).build().unwrap()
            });
            let send = self.client.send_message_batch().queue_url(self.url(queue));
            let answer = send.set_entries(Some(entries.collect())).send().await.unwrap();
            assert_eq!(answer.failed().len(), 0);
        }
    }

    /// What can be received at once.
    pub(crate) async fn receive(&self, queue: &str, most: i32) -> Vec<Message> {
        let receive = self.client.receive_message().queue_url(self.url(queue));
        let receive = receive.max_number_of_messages(most);
        let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
        receive.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default()
    }

    /// Waits for as many messages as there should be.
    pub(crate) async fn receive_all(&self, queue: &str, number: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.len() < number {
            let receive = self.client.receive_message().queue_url(self.url(queue));
            let receive = receive.max_number_of_messages(10).wait_time_seconds(20);
            let received = receive.send().await.unwrap().messages.unwrap_or_default();
            assert!(!received.is_empty(), "there are {} of {number}", messages.len());
            messages.extend(received);
        }
        assert_eq!(messages.len(), number);
        messages
    }

    pub(crate) async fn delete(&self, queue: &str, message: &Message) {
        let delete = self.client.delete_message().queue_url(self.url(queue));
        delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    }

    /// Visible, in flight and delayed messages.
    pub(crate) fn counts(&self, queue: &str) -> (usize, usize, usize) {
        let counts = self.sqs.counts().into_iter().find(|counts| counts.queue == queue).unwrap();
        (counts.visible, counts.in_flight, counts.delayed)
    }
}

pub(crate) fn fifo(name: &str) -> Settings {
    let scope = DeduplicationScope::MessageGroup;
    let fifo = Fifo { content_based_deduplication: false, deduplication_scope: scope };
    Settings { fifo: Some(fifo), ..Settings::new(name) }
}

/// Messages show again after that many milliseconds.
pub(crate) fn impatient(settings: Settings, millis: u64) -> Settings {
    Settings { visibility_timeout: Duration::from_millis(millis), ..settings }
}

pub(crate) fn giving_up(settings: Settings, to: &str, receives_max: u32) -> Settings {
    let redrive = Redrive { dead_letter_queue: to.to_owned(), receives_max };
    Settings { redrive: Some(redrive), ..settings }
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

/// What SQS itself says of a message.
pub(crate) fn attributes(message: &Message) -> BTreeMap<&str, &str> {
    let attributes = message.attributes().unwrap().iter();
    attributes.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// An error's code, message and status.
pub(crate) fn refusal<E: ProvideErrorMetadata + std::fmt::Debug>(
    error: &SdkError<E>,
) -> (String, String, u16) {
    let status = error.raw_response().unwrap().status().as_u16();
    let error = error.as_service_error().unwrap();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (text(error.code()), text(error.message()), status)
}
