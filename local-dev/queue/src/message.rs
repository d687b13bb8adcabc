//! Messages, and the digests by which SDKs check that they arrived as they were sent.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::clock::Millis;

/// What somebody wants to send, checked.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
    pub(crate) group_id: Option<String>,
    pub(crate) deduplication_id: Option<String>,
    /// In place of the queue's.
    pub(crate) delay_millis: Option<Millis>,
    /// `AWSTraceHeader`.
    pub(crate) trace_header: Option<String>,
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
    pub(crate) sent_at: Millis,
    pub(crate) group_id: Option<String>,
    pub(crate) deduplication_id: Option<String>,
    pub(crate) sequence_number: Option<String>,
    pub(crate) trace_header: Option<String>,
    /// The name of the queue that gave it up.
    pub(crate) given_up_by: Option<String>,
}

/// A message that somebody was given.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) message: Message,
    pub(crate) receipt_handle: String,
    pub(crate) receive_count: u32,
    pub(crate) first_received_at: Millis,
    /// Until when nobody else gets it.
    pub(crate) hidden_until: Millis,
}

/// Message attributes by name.
pub(crate) type Attributes = BTreeMap<String, Attribute>;

/// A message attribute: a type, and a text or bytes in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Attribute {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) string_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binary_value: Option<String>,
    pub(crate) data_type: String,
}

impl Attribute {
    /// What it counts of a message's size.
    pub(crate) fn bytes(&self) -> usize {
        self.data_type.len() + self.value().len()
    }

    fn value(&self) -> Vec<u8> {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(encoded)) => BASE64_STANDARD.decode(encoded).unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }
}

/// The MD5 of a body, in hexadecimal.
pub(crate) fn md5_of_body(body: &str) -> String {
    hex::encode(Md5::digest(body))
}

/// The MD5 of attributes; none of no attributes. Source: developer guide of SQS, "Calculating the MD5 message digest for
/// message attributes".
pub(crate) fn md5_of_attributes(attributes: &Attributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        let is_text = attribute.string_value.is_some();
        for part in [name.as_bytes(), attribute.data_type.as_bytes()] {
            digest.update(length(part));
            digest.update(part);
        }
        digest.update([if is_text { 1 } else { 2 }]);
        let value = attribute.value();
        digest.update(length(&value));
        digest.update(value);
    }
    Some(hex::encode(digest.finalize()))
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("a message has a mebibyte at most").to_be_bytes()
}
