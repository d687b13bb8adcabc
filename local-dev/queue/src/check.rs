//! What SQS takes, and in which words it refuses the rest.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use crate::{
    clock::Millis,
    error::{Error, Kind},
    message::{Attribute, Attributes, Draft},
    settings::Settings,
};

/// Entries of one call. Source: developer guide of SQS, "Message quotas"; likewise the other limits here.
const ENTRIES_MAX: usize = 10;

/// The longest id of an entry, in characters.
const ENTRY_ID_CHARS_MAX: usize = 80;

/// Attributes of one message.
const ATTRIBUTES_MAX: usize = 10;

/// The longest name or type of an attribute, in characters.
const ATTRIBUTE_NAME_CHARS_MAX: usize = 256;

/// The longest group id or deduplication id, in characters.
const ID_CHARS_MAX: usize = 128;

/// The longest delay, in seconds.
const DELAY_SECS_MAX: i64 = 900;

/// The longest visibility timeout, in seconds.
pub(crate) const VISIBILITY_SECS_MAX: i64 = 43_200;

const NOT_OF_THIS_TYPE: &str =
    "The request include parameter that is not valid for this queue type";

/// A message as it comes in.
pub(crate) struct Raw {
    pub(crate) body: Option<String>,
    pub(crate) delay_secs: Option<i64>,
    pub(crate) attributes: Option<Attributes>,
    pub(crate) system_attributes: Option<Attributes>,
    pub(crate) group_id: Option<String>,
    pub(crate) deduplication_id: Option<String>,
}

/// A message that `queue` takes.
pub(crate) fn message(raw: Raw, queue: &Settings) -> Result<Draft, Error> {
    let body = raw.body.filter(|body| !body.is_empty());
    let body = body.ok_or_else(|| Error::missing("MessageBody"))?;
    characters(&body)?;
    let attributes = raw.attributes.unwrap_or_default();
    attributes_of(&attributes)?;
    let trace_header = trace_header(raw.system_attributes.unwrap_or_default())?;
    let bytes = bytes(&body, &attributes);
    if bytes > queue.message_bytes_max {
        let message = format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
            queue.message_bytes_max
        );
        return Err(Error::new(Kind::InvalidParameterValue, message));
    }
    if let Some(seconds) = raw.delay_secs {
        let reason = match &queue.fifo {
            Some(_) => Some(NOT_OF_THIS_TYPE.to_owned()),
            None if (0..=DELAY_SECS_MAX).contains(&seconds) => None,
            None => Some(format!("DelaySeconds must be >= 0 and <= {DELAY_SECS_MAX}")),
        };
        if let Some(reason) = reason {
            return Err(Error::value(seconds, "DelaySeconds", &reason));
        }
    }
    for (id, parameter) in
        [(&raw.group_id, "MessageGroupId"), (&raw.deduplication_id, "MessageDeduplicationId")]
    {
        if let Some(id) = id {
            fifo_id(id, parameter)?;
        }
    }
    let deduplication_id = deduplication_id(raw.deduplication_id, &body, queue)?;
    if queue.fifo.is_some() && raw.group_id.is_none() {
        return Err(Error::missing("MessageGroupId"));
    }
    let delay_millis = raw.delay_secs.and_then(|seconds| Millis::try_from(seconds * 1000).ok());
    let group_id = raw.group_id;
    Ok(Draft { body, attributes, group_id, deduplication_id, delay_millis, trace_header })
}

/// What a message counts: the body, and its attributes' names, types and values.
pub(crate) fn bytes(body: &str, attributes: &Attributes) -> usize {
    let attributes = attributes.iter().map(|(name, attribute)| name.len() + attribute.bytes());
    body.len() + attributes.sum::<usize>()
}

/// XML's characters, and no others. Source: API reference of SQS, `SendMessage`.
fn characters(body: &str) -> Result<(), Error> {
    let is_allowed = |character: char| {
        matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}'
            | '\u{10000}'..)
    };
    match body.chars().find(|character| !is_allowed(*character)) {
        None => Ok(()),
        Some(character) => Err(Error::new(
            Kind::InvalidMessageContents,
            format!(
                "Invalid binary character '#x{:X}' was found in the message body, the set of allowed characters is \
                 #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
                u32::from(character)
            ),
        )),
    }
}

fn attributes_of(attributes: &Attributes) -> Result<(), Error> {
    let invalid = |message| Error::new(Kind::InvalidParameterValue, message);
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(invalid(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            attributes.len()
        )));
    }
    for (name, attribute) in attributes {
        let lower = name.to_ascii_lowercase();
        let is_name = (1..=ATTRIBUTE_NAME_CHARS_MAX).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..")
            && !lower.starts_with("aws.")
            && !lower.starts_with("amazon.");
        if !is_name {
            return Err(invalid(format!("Invalid attribute name '{name}'.")));
        }
        if let Some(problem) = problem_of(attribute) {
            return Err(invalid(format!("The message attribute '{name}' {problem}")));
        }
    }
    Ok(())
}

fn problem_of(attribute: &Attribute) -> Option<&'static str> {
    let kind = attribute.data_type.split('.').next().unwrap_or_default();
    let value = match kind {
        "String" | "Number" => &attribute.string_value,
        "Binary" => &attribute.binary_value,
        _ => {
            return Some(
                "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.",
            );
        }
    };
    if attribute.data_type.len() > ATTRIBUTE_NAME_CHARS_MAX {
        return Some("has a type of more than 256 characters.");
    }
    match value.as_deref().filter(|value| !value.is_empty()) {
        None => Some("must contain a non-empty message attribute value for its type."),
        Some(text) if kind == "Number" && text.parse::<f64>().is_err() => {
            Some("is a Number whose value is none.")
        }
        Some(encoded) if kind == "Binary" && BASE64_STANDARD.decode(encoded).is_err() => {
            Some("is Binary whose value is not base64.")
        }
        Some(_) => None,
    }
}

/// The only system attribute that can be sent.
fn trace_header(mut attributes: Attributes) -> Result<Option<String>, Error> {
    let header = attributes.remove("AWSTraceHeader");
    if let Some(name) = attributes.keys().next() {
        let reason = "Only AWSTraceHeader can be sent.";
        return Err(Error::value(name, "MessageSystemAttributes", reason));
    }
    Ok(header.and_then(|header| header.string_value))
}

/// Source: API reference of SQS, `SendMessage`, of both ids.
fn fifo_id(id: &str, parameter: &str) -> Result<(), Error> {
    let is_good = (1..=ID_CHARS_MAX).contains(&id.len())
        && id.chars().all(|character| character.is_ascii_graphic());
    if is_good {
        return Ok(());
    }
    let reason = format!(
        "{parameter} can only include alphanumeric and punctuation characters. 1 to {ID_CHARS_MAX} in length."
    );
    Err(Error::value(id, parameter, &reason))
}

fn deduplication_id(
    id: Option<String>,
    body: &str,
    queue: &Settings,
) -> Result<Option<String>, Error> {
    match (&queue.fifo, id) {
        (None, None) => Ok(None),
        (None, Some(id)) => Err(Error::value(id, "MessageDeduplicationId", NOT_OF_THIS_TYPE)),
        (Some(_), Some(id)) => Ok(Some(id)),
        (Some(fifo), None) if fifo.content_based_deduplication => {
            Ok(Some(hex::encode(Sha256::digest(body))))
        }
        (Some(_), None) => Err(Error::new(
            Kind::InvalidParameterValue,
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
             explicitly",
        )),
    }
}

/// The entries of a batch, by their ids; `what` is an entry's shape.
pub(crate) fn batch<'a>(
    ids: impl Iterator<Item = &'a str> + Clone,
    what: &str,
) -> Result<(), Error> {
    let number = ids.clone().count();
    if number == 0 {
        let message = format!("There should be at least one {what} in the request.");
        return Err(Error::new(Kind::EmptyBatchRequest, message));
    }
    if number > ENTRIES_MAX {
        let message = format!(
            "Maximum number of entries per request are {ENTRIES_MAX}. You have sent {number}."
        );
        return Err(Error::new(Kind::TooManyEntriesInBatchRequest, message));
    }
    let mut seen = BTreeSet::new();
    for id in ids {
        let is_id = (1..=ENTRY_ID_CHARS_MAX).contains(&id.len())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        if !is_id {
            let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can \
                           be at most 80 letters long.";
            return Err(Error::new(Kind::InvalidBatchEntryId, message));
        }
        if !seen.insert(id) {
            return Err(Error::new(Kind::BatchEntryIdsNotDistinct, format!("Id {id} repeated.")));
        }
    }
    Ok(())
}

/// What the messages of a batch count together.
pub(crate) fn batch_bytes(bytes: usize) -> Result<(), Error> {
    let most = Settings::MESSAGE_BYTES_MAX;
    if bytes <= most {
        return Ok(());
    }
    let message =
        format!("Batch requests cannot be longer than {most} bytes. You have sent {bytes} bytes.");
    Err(Error::new(Kind::BatchRequestTooLong, message))
}

/// A parameter from `least` to `most`.
pub(crate) fn range(value: i64, parameter: &str, least: i64, most: i64) -> Result<u64, Error> {
    match u64::try_from(value) {
        Ok(number) if (least..=most).contains(&value) => Ok(number),
        _ => {
            let reason = format!("Must be between {least} and {most}, if provided.");
            Err(Error::value(value, parameter, &reason))
        }
    }
}

/// A value by one of the `names` that stand for it; `All` is all of them.
pub(crate) fn chosen<V>(
    all: BTreeMap<&'static str, V>,
    names: &[String],
) -> BTreeMap<&'static str, V> {
    let is_all = names.iter().any(|name| name == "All");
    all.into_iter()
        .filter(|(name, _)| is_all || names.iter().any(|chosen| chosen == name))
        .collect()
}
