//! What SQS refuses, and how it says so.
//!
//! ```text
//! HTTP/1.1 400 Bad Request
//! content-type: application/x-amz-json-1.0
//! x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender
//!
//! {"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}
//! ```
//!
//! The header carries the code of the older query protocol, which SDKs still show. Codes, types and statuses are as recorded
//! from SQS by others; the words are SQS's where they are known.

use http::StatusCode;

/// Why a call, or an entry of a batch, is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidAttributeName,
    InvalidBatchEntryId,
    InvalidMessageContents,
    InvalidParameterValue,
    MalformedInput,
    MessageNotInflight,
    MissingParameter,
    OverLimit,
    PurgeQueueInProgress,
    QueueDoesNotExist,
    ReceiptHandleIsInvalid,
    TooManyEntriesInBatchRequest,
    UnknownOperation,
    UnsupportedOperation,
}

impl Kind {
    /// The shape's name in the JSON protocol.
    pub(crate) fn shape(self) -> String {
        match self {
            Self::InvalidParameterValue => of_coral("InvalidParameterValueException"),
            Self::MissingParameter => of_coral("MissingRequiredParameterException"),
            Self::MalformedInput => of_coral("SerializationException"),
            Self::UnknownOperation => of_coral("UnknownOperationException"),
            kind => format!("com.amazonaws.sqs#{kind:?}"),
        }
    }

    /// The code of the query protocol, which a failed entry of a batch has, too.
    pub(crate) fn code(self) -> String {
        match self {
            Self::UnknownOperation => "InvalidAction".to_owned(),
            Self::QueueDoesNotExist => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
            Self::BatchEntryIdsNotDistinct
            | Self::BatchRequestTooLong
            | Self::EmptyBatchRequest
            | Self::InvalidBatchEntryId
            | Self::MessageNotInflight
            | Self::PurgeQueueInProgress
            | Self::TooManyEntriesInBatchRequest
            | Self::UnsupportedOperation => format!("AWS.SimpleQueueService.{self:?}"),
            kind => format!("{kind:?}"),
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::OverLimit | Self::PurgeQueueInProgress => StatusCode::FORBIDDEN,
            Self::ReceiptHandleIsInvalid => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

fn of_coral(name: &str) -> String {
    format!("com.amazon.coral.service#{name}")
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A value that a parameter can't have.
    pub(crate) fn value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Self {
        Self::new(
            Kind::InvalidParameterValue,
            format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"),
        )
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::new(Kind::MissingParameter, message)
    }

    pub(crate) fn no_queue() -> Self {
        Self::new(Kind::QueueDoesNotExist, "The specified queue does not exist.")
    }
}
