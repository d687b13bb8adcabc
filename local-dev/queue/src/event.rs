//! What a function is given of a queue. Source: Lambda's developer guide, "Using Lambda with Amazon SQS", with examples of
//! events of standard and FIFO queues.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    message::{Attribute, Received, md5_of_attributes, md5_of_body},
    sqs::Sqs,
};

/// Who sent all messages: nobody is told from another here. In form it is the unique id of an IAM user.
pub(crate) const SENDER_ID: &str = "AIDALOCALDEV000000000";

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "Records")]
    records: Vec<Record<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    body: &'a str,
    attributes: BTreeMap<&'static str, String>,
    message_attributes: BTreeMap<&'a str, RecordAttribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
    md5_of_body: String,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
    aws_region: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordAttribute<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<&'a str>,
    string_list_values: [&'static str; 0],
    binary_list_values: [&'static str; 0],
    data_type: &'a str,
}

impl<'a> RecordAttribute<'a> {
    fn of(attribute: &'a Attribute) -> Self {
        Self {
            string_value: attribute.string_value.as_deref(),
            binary_value: attribute.binary_value.as_deref(),
            string_list_values: [],
            binary_list_values: [],
            data_type: &attribute.data_type,
        }
    }
}

/// The event of messages of `queue`.
pub(crate) fn event(sqs: &Sqs, queue: &str, batch: &[Received]) -> Bytes {
    let arn = sqs.arn(queue);
    let records = batch
        .iter()
        .map(|received| Record {
            message_id: &received.message.id,
            receipt_handle: &received.receipt_handle,
            body: &received.message.body,
            attributes: system_attributes(received, |queue| sqs.arn(queue)),
            message_attributes: received
                .message
                .attributes
                .iter()
                .map(|(name, attribute)| (name.as_str(), RecordAttribute::of(attribute)))
                .collect(),
            md5_of_message_attributes: md5_of_attributes(&received.message.attributes),
            md5_of_body: md5_of_body(&received.message.body),
            event_source: "aws:sqs",
            event_source_arn: &arn,
            aws_region: &sqs.region,
        })
        .collect();
    serde_json::to_vec(&Event { records }).expect("it is plain data").into()
}

/// What SQS itself says of a message, times in milliseconds. `arn` is that of a queue.
pub(crate) fn system_attributes(
    received: &Received,
    arn: impl Fn(&str) -> String,
) -> BTreeMap<&'static str, String> {
    let message = &received.message;
    let known = [
        ("AWSTraceHeader", message.trace_header.clone()),
        ("ApproximateFirstReceiveTimestamp", Some(received.first_received_at.to_string())),
        ("ApproximateReceiveCount", Some(received.receive_count.to_string())),
        ("DeadLetterQueueSourceArn", message.given_up_by.as_deref().map(arn)),
        ("MessageDeduplicationId", message.deduplication_id.clone()),
        ("MessageGroupId", message.group_id.clone()),
        ("SenderId", Some(SENDER_ID.to_owned())),
        ("SentTimestamp", Some(message.sent_at.to_string())),
        ("SequenceNumber", message.sequence_number.clone()),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
