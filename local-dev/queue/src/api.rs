//! SQS's JSON protocol: `X-Amz-Target: AmazonSQS.SendMessage`, a JSON object in, a JSON object out. Source: API reference of
//! SQS, a page for each operation.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    check,
    error::{Error, Kind},
    event::system_attributes,
    message::{Attributes, Draft, Received, md5_of_attributes, md5_of_body},
    queue::{Queue, Sent},
    settings::{DeduplicationScope, Settings},
    sqs::{Sqs, Wanted},
};

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// What the target of all operations begins with.
const SERVICE: &str = "AmazonSQS.";

/// Operations that SQS has and this has not: queues come from a template.
const NOT_DONE: [&str; 12] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "CreateQueue",
    "DeleteQueue",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "RemovePermission",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// What can be asked for and not every queue has.
const OTHER_ATTRIBUTES: [&str; 10] = [
    "All",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "Policy",
    "RedriveAllowPolicy",
    "RedrivePolicy",
];

impl Sqs {
    /// Whether a request with that `X-Amz-Target` is meant for SQS.
    pub fn is_target(target: &str) -> bool {
        target.starts_with(SERVICE)
    }

    /// Answers a call: its `X-Amz-Target` and its body. Whoever receives may be kept waiting for 20 seconds.
    pub async fn answer(&self, target: &str, body: &[u8]) -> Response<Bytes> {
        let operation = target.strip_prefix(SERVICE).unwrap_or_default();
        let answer = self.call(operation, body).await;
        let (status, document, code) = match answer {
            Ok(document) => (StatusCode::OK, document, None),
            Err(Error { kind, message }) => {
                let document = json!({"__type": kind.shape(), "message": message});
                (kind.status(), document, Some(format!("{};Sender", kind.code())))
            }
        };
        let body = if document.is_null() { Bytes::new() } else { document.to_string().into() };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        let id = Uuid::new_v4().to_string();
        let headers = [(REQUEST_ID, Some(id)), (QUERY_ERROR, code)];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    async fn call(&self, operation: &str, body: &[u8]) -> Result<Value, Error> {
        match operation {
            "SendMessage" => self.send_message(read(body)?),
            "SendMessageBatch" => self.send_message_batch(read(body)?),
            "ReceiveMessage" => self.receive_message(read(body)?).await,
            "DeleteMessage" => self.delete_message(&read(body)?),
            "DeleteMessageBatch" => self.delete_message_batch(&read(body)?),
            "ChangeMessageVisibility" => self.change_message_visibility(&read(body)?),
            "ChangeMessageVisibilityBatch" => self.change_message_visibility_batch(&read(body)?),
            "GetQueueAttributes" => self.get_queue_attributes(&read(body)?),
            "GetQueueUrl" => self.get_queue_url(&read(body)?),
            "ListQueues" => self.list_queues(&read(body)?),
            "PurgeQueue" => self.purge_queue(&read(body)?),
            operation if NOT_DONE.contains(&operation) => Err(Error::new(
                Kind::UnsupportedOperation,
                format!("{operation} is not done here: queues are those of the template."),
            )),
            _ => Err(Error::new(Kind::UnknownOperation, "The operation is none of SQS.")),
        }
    }

    fn send_message(&self, request: SendMessage) -> Result<Value, Error> {
        let queue = self.queue_name(request.queue_url.as_deref())?;
        let settings = self.with(queue, |queue, _| Ok(queue.settings.clone()))?;
        let draft = check::message(request.entry.raw(), &settings)?;
        self.send_checked(queue, draft)
    }

    fn send_checked(&self, queue: &str, draft: Draft) -> Result<Value, Error> {
        let mut answer = json!({"MD5OfMessageBody": md5_of_body(&draft.body)});
        if let Some(digest) = md5_of_attributes(&draft.attributes) {
            answer["MD5OfMessageAttributes"] = digest.into();
        }
        if let Some(header) = &draft.trace_header {
            answer["MD5OfMessageSystemAttributes"] = md5_of_trace_header(header).into();
        }
        let Sent { id, sequence_number } = self.send(queue, draft)?;
        answer["MessageId"] = id.into();
        if let Some(number) = sequence_number {
            answer["SequenceNumber"] = number.into();
        }
        Ok(answer)
    }

    fn send_message_batch(&self, request: Batch<SendMessageEntry>) -> Result<Value, Error> {
        let (queue, entries) = self.batch(request, "SendMessageBatchRequestEntry")?;
        let settings = self.with(&queue, |queue, _| Ok(queue.settings.clone()))?;
        let bytes = entries.iter().map(|(_, entry)| {
            let body = entry.message_body.as_deref().unwrap_or_default();
            let none = Attributes::new();
            check::bytes(body, entry.message_attributes.as_ref().unwrap_or(&none))
        });
        check::batch_bytes(bytes.sum())?;
        Ok(each(entries, |entry| {
            self.send_checked(&queue, check::message(entry.raw(), &settings)?)
        }))
    }

    async fn receive_message(&self, request: ReceiveMessage) -> Result<Value, Error> {
        let queue = self.queue_name(request.queue_url.as_deref())?;
        let number = |value: Option<i64>, parameter, least, most| {
            value.map(|value| check::range(value, parameter, least, most)).transpose()
        };
        let most = number(request.max_number_of_messages, "MaxNumberOfMessages", 1, 10)?;
        let most = usize::try_from(most.unwrap_or(1)).expect("it is 10 at most");
        let wait = number(request.wait_time_seconds, "WaitTimeSeconds", 0, 20)?;
        let visibility =
            number(request.visibility_timeout, "VisibilityTimeout", 0, check::VISIBILITY_SECS_MAX)?;
        let wanted = Wanted {
            messages_max: most,
            visibility: visibility.map(|seconds| seconds * 1000),
            wait: wait.map(Duration::from_secs),
        };
        let mut names = request.message_system_attribute_names.unwrap_or_default();
        // The older name of the same.
        names.extend(request.attribute_names.unwrap_or_default());
        let attributes = request.message_attribute_names.unwrap_or_default();
        let received = self.receive(queue, wanted).await?;
        if received.is_empty() {
            return Ok(json!({}));
        }
        let describe = |received| self.describe(received, &names, &attributes);
        Ok(json!({"Messages": received.iter().map(describe).collect::<Vec<Value>>()}))
    }

    fn describe(&self, received: &Received, names: &[String], attributes: &[String]) -> Value {
        let message = &received.message;
        let mut shown = json!({
            "MessageId": message.id,
            "ReceiptHandle": received.receipt_handle,
            "MD5OfBody": md5_of_body(&message.body),
            "Body": message.body,
        });
        let system = system_attributes(received, |queue| self.arn(queue));
        let system = check::chosen(system, names);
        if !system.is_empty() {
            shown["Attributes"] = json!(system);
        }
        let is_wanted = |name: &str| {
            attributes.iter().any(|wanted| match wanted.strip_suffix(".*") {
                _ if wanted == "All" => true,
                Some(beginning) => name.starts_with(beginning),
                None => name == wanted,
            })
        };
        let chosen: Attributes = message
            .attributes
            .iter()
            .filter(|(name, _)| is_wanted(name))
            .map(|(name, attribute)| (name.clone(), attribute.clone()))
            .collect();
        if let Some(digest) = md5_of_attributes(&chosen) {
            shown["MD5OfMessageAttributes"] = digest.into();
            shown["MessageAttributes"] = json!(chosen);
        }
        shown
    }

    fn delete_message(&self, request: &DeleteMessage) -> Result<Value, Error> {
        let queue = self.queue_name(request.queue_url.as_deref())?;
        self.delete(queue, &request.entry)?;
        Ok(Value::Null)
    }

    fn delete_message_batch(&self, request: &Batch<DeleteEntry>) -> Result<Value, Error> {
        let (queue, entries) = self.batch(request.clone(), "DeleteMessageBatchRequestEntry")?;
        Ok(each(entries, |entry| self.delete(&queue, &entry).map(|()| json!({}))))
    }

    fn delete(&self, queue: &str, entry: &DeleteEntry) -> Result<(), Error> {
        let handle = required(entry.receipt_handle.as_deref(), "ReceiptHandle")?;
        self.with(queue, |queue, _| queue.delete(handle))
    }

    fn change_message_visibility(&self, request: &ChangeVisibility) -> Result<Value, Error> {
        let queue = self.queue_name(request.queue_url.as_deref())?;
        self.change_visibility(queue, &request.entry)?;
        Ok(Value::Null)
    }

    fn change_message_visibility_batch(
        &self,
        request: &Batch<VisibilityEntry>,
    ) -> Result<Value, Error> {
        let what = "ChangeMessageVisibilityBatchRequestEntry";
        let (queue, entries) = self.batch(request.clone(), what)?;
        Ok(each(entries, |entry| self.change_visibility(&queue, &entry).map(|()| json!({}))))
    }

    fn change_visibility(&self, queue: &str, entry: &VisibilityEntry) -> Result<(), Error> {
        let handle = required(entry.receipt_handle.as_deref(), "ReceiptHandle")?;
        let seconds =
            entry.visibility_timeout.ok_or_else(|| Error::missing("VisibilityTimeout"))?;
        let seconds = check::range(seconds, "VisibilityTimeout", 0, check::VISIBILITY_SECS_MAX)?;
        self.with(queue, |queue, now| queue.change_visibility(handle, seconds * 1000, now))
    }

    fn get_queue_attributes(&self, request: &GetQueueAttributes) -> Result<Value, Error> {
        let name = self.queue_name(request.queue_url.as_deref())?;
        let names = request.attribute_names.as_deref().unwrap_or_default();
        let arn = |queue: &str| self.arn(queue);
        let all = self.with(name, |queue, _| Ok(attributes_of(queue, arn)))?;
        let is_known = |name: &str| all.contains_key(name) || OTHER_ATTRIBUTES.contains(&name);
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            let message = format!("Unknown Attribute {unknown}.");
            return Err(Error::new(Kind::InvalidAttributeName, message));
        }
        let chosen = check::chosen(all, names);
        Ok(if chosen.is_empty() { json!({}) } else { json!({"Attributes": chosen}) })
    }

    fn get_queue_url(&self, request: &GetQueueUrl) -> Result<Value, Error> {
        let name = required(request.queue_name.as_deref(), "QueueName")?;
        let is_own = request.queue_owner.as_ref().is_none_or(|owner| *owner == self.account_id);
        if !is_own {
            return Err(Error::no_queue());
        }
        self.with(name, |_, _| Ok(()))?;
        Ok(json!({"QueueUrl": self.queue_url(name)}))
    }

    fn list_queues(&self, request: &ListQueues) -> Result<Value, Error> {
        let prefix = request.queue_name_prefix.as_deref().unwrap_or_default();
        let most = request.max_results.map(|most| check::range(most, "MaxResults", 1, 1000));
        let most = most.transpose()?.map_or(1000, |most| usize::try_from(most).unwrap_or(1000));
        let names = self.names();
        // The token is the name of the first queue of the next page.
        let mut found = names
            .iter()
            .filter(|name| name.starts_with(prefix))
            .skip_while(|name| request.next_token.as_ref().is_some_and(|token| token != *name));
        let urls: Vec<String> =
            found.by_ref().take(most).map(|name| self.queue_url(name)).collect();
        let mut answer = Map::new();
        if !urls.is_empty() {
            answer.insert("QueueUrls".to_owned(), json!(urls));
        }
        // Without a limit there are no pages.
        if let (Some(next), Some(_)) = (found.next(), request.max_results) {
            answer.insert("NextToken".to_owned(), json!(next));
        }
        Ok(Value::Object(answer))
    }

    fn purge_queue(&self, request: &PurgeQueue) -> Result<Value, Error> {
        let queue = self.queue_name(request.queue_url.as_deref())?;
        self.with(queue, Queue::purge)?;
        Ok(Value::Null)
    }

    /// The name in a queue's URL. Clients may know the host by other names.
    fn queue_name<'a>(&self, url: Option<&'a str>) -> Result<&'a str, Error> {
        let mut parts = url.unwrap_or_default().rsplit('/');
        let (name, account) = (parts.next(), parts.next());
        name.filter(|name| !name.is_empty() && account == Some(&self.account_id))
            .ok_or_else(Error::no_queue)
    }

    /// The queue and the entries of a batch.
    fn batch<E>(&self, batch: Batch<E>, what: &str) -> Result<(String, Vec<(String, E)>), Error> {
        let queue = self.queue_name(batch.queue_url.as_deref())?.to_owned();
        let entries = batch.entries.unwrap_or_default();
        check::batch(entries.iter().map(|entry| entry.id.as_deref().unwrap_or_default()), what)?;
        self.with(&queue, |_, _| Ok(()))?;
        let entries =
            entries.into_iter().map(|entry| (entry.id.unwrap_or_default(), entry.entry)).collect();
        Ok((queue, entries))
    }
}

/// Does each entry of a batch by itself.
fn each<E>(entries: Vec<(String, E)>, mut done: impl FnMut(E) -> Result<Value, Error>) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (id, entry) in entries {
        match done(entry) {
            Ok(mut answer) => {
                answer["Id"] = id.into();
                successful.push(answer);
            }
            Err(Error { kind, message }) => failed.push(json!({
                "Id": id, "SenderFault": true, "Code": kind.code(), "Message": message,
            })),
        }
    }
    let mut answer = json!({"Successful": successful});
    if !failed.is_empty() {
        answer["Failed"] = json!(failed);
    }
    answer
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        // Not what stands there: it may be a secret.
        let message =
            format!("line {} column {} is not as it should be", error.line(), error.column());
        Error::new(Kind::MalformedInput, message)
    })
}

fn required<'a>(value: Option<&'a str>, parameter: &str) -> Result<&'a str, Error> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Error::missing(parameter))
}

fn md5_of_trace_header(header: &str) -> String {
    let attribute = crate::message::Attribute {
        string_value: Some(header.to_owned()),
        binary_value: None,
        data_type: "String".to_owned(),
    };
    let attributes = Attributes::from([("AWSTraceHeader".to_owned(), attribute)]);
    md5_of_attributes(&attributes).expect("there is one")
}

/// The attributes that a queue has.
fn attributes_of(queue: &Queue, arn: impl Fn(&str) -> String) -> BTreeMap<&'static str, String> {
    let settings: &Settings = &queue.settings;
    let created = (queue.created_at / 1000).to_string();
    let mut attributes = BTreeMap::from([
        ("ApproximateNumberOfMessages", queue.visible().to_string()),
        ("ApproximateNumberOfMessagesDelayed", queue.delayed().to_string()),
        ("ApproximateNumberOfMessagesNotVisible", queue.in_flight().to_string()),
        ("CreatedTimestamp", created.clone()),
        ("DelaySeconds", settings.delay.as_secs().to_string()),
        ("LastModifiedTimestamp", created),
        ("MaximumMessageSize", settings.message_bytes_max.to_string()),
        ("MessageRetentionPeriod", settings.retention.as_secs().to_string()),
        ("QueueArn", arn(&settings.name)),
        ("ReceiveMessageWaitTimeSeconds", settings.receive_wait_time.as_secs().to_string()),
        ("SqsManagedSseEnabled", "true".to_owned()),
        ("VisibilityTimeout", settings.visibility_timeout.as_secs().to_string()),
    ]);
    if let Some(redrive) = &settings.redrive {
        let policy = json!({
            "deadLetterTargetArn": arn(&redrive.dead_letter_queue),
            "maxReceiveCount": redrive.receives_max,
        });
        attributes.insert("RedrivePolicy", policy.to_string());
    }
    if let Some(fifo) = settings.fifo {
        let (scope, limit) = match fifo.deduplication_scope {
            DeduplicationScope::Queue => ("queue", "perQueue"),
            DeduplicationScope::MessageGroup => ("messageGroup", "perMessageGroupId"),
        };
        attributes.extend([
            ("FifoQueue", "true".to_owned()),
            ("ContentBasedDeduplication", fifo.content_based_deduplication.to_string()),
            ("DeduplicationScope", scope.to_owned()),
            ("FifoThroughputLimit", limit.to_owned()),
        ]);
    }
    attributes
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: Option<String>,
    #[serde(flatten)]
    entry: SendMessageEntry,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageEntry {
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    message_attributes: Option<Attributes>,
    message_system_attributes: Option<Attributes>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

impl SendMessageEntry {
    fn raw(self) -> check::Raw {
        check::Raw {
            body: self.message_body,
            delay_secs: self.delay_seconds,
            attributes: self.message_attributes,
            system_attributes: self.message_system_attributes,
            group_id: self.message_group_id,
            deduplication_id: self.message_deduplication_id,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    queue_url: Option<String>,
    attribute_names: Option<Vec<String>>,
    message_system_attribute_names: Option<Vec<String>>,
    message_attribute_names: Option<Vec<String>>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteMessage {
    queue_url: Option<String>,
    #[serde(flatten)]
    entry: DeleteEntry,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteEntry {
    receipt_handle: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeVisibility {
    queue_url: Option<String>,
    #[serde(flatten)]
    entry: VisibilityEntry,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VisibilityEntry {
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<E> {
    queue_url: Option<String>,
    entries: Option<Vec<BatchEntry<E>>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchEntry<E> {
    id: Option<String>,
    #[serde(flatten)]
    entry: E,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    queue_url: Option<String>,
    attribute_names: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueUrl {
    queue_name: Option<String>,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    queue_owner: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    queue_name_prefix: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PurgeQueue {
    queue_url: Option<String>,
}
