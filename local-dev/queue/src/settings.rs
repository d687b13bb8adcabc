//! What a queue is made with: the attributes of `CreateQueue`.

use std::time::Duration;

/// A queue's attributes. Source: API reference of SQS, `SetQueueAttributes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Up to 80 letters, digits, `-` and `_`; that of a FIFO queue ends with `.fifo`.
    pub name: String,
    /// What makes it a FIFO queue.
    pub fifo: Option<Fifo>,
    /// How long a message that was received is hidden from others: up to 12 hours, 30 seconds unless it is said.
    pub visibility_timeout: Duration,
    /// How long a message is hidden after it was sent: up to 15 minutes.
    pub delay: Duration,
    /// How long a message is kept: from a minute to 14 days, 4 days unless it is said.
    pub retention: Duration,
    /// The longest message with its attributes: 1 KiB to 1 MiB.
    pub message_bytes_max: usize,
    /// How long a call waits for a message if it doesn't say: up to 20 seconds.
    pub receive_wait_time: Duration,
    /// What becomes of messages that are received again and again.
    pub redrive: Option<Redrive>,
}

impl Settings {
    /// The longest message that SQS takes, in bytes. Source: developer guide of SQS, "Message quotas".
    pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

    /// A standard queue of that name with SQS's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            fifo: None,
            visibility_timeout: Duration::from_secs(30),
            delay: Duration::ZERO,
            retention: Duration::from_hours(4 * 24),
            message_bytes_max: Self::MESSAGE_BYTES_MAX,
            receive_wait_time: Duration::ZERO,
            redrive: None,
        }
    }
}

/// What is special about a FIFO queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fifo {
    /// Whether a message without deduplication id gets the SHA-256 of its body as one.
    pub content_based_deduplication: bool,
    /// Among which messages a deduplication id is looked for.
    pub deduplication_scope: DeduplicationScope,
}

/// Among which messages a deduplication id is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeduplicationScope {
    /// All of the queue's.
    #[default]
    Queue,
    /// Those of the same group.
    MessageGroup,
}

/// A redrive policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The name of the queue that gets what is given up.
    pub dead_letter_queue: String,
    /// `maxReceiveCount`: how often a message is received before it is given up.
    pub receives_max: u32,
}
