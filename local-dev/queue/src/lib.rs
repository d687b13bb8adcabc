//! An emulation of Amazon SQS, in memory, and of the event source mappings by which Lambda invokes functions with what its
//! queues hold.
//!
//! [`Sqs`] has the queues. `api` speaks SQS's JSON protocol, so that AWS's SDKs use them unchanged; what it refuses, and in
//! which words, is in `error` and `check`. `queue` is one queue: what is visible, in flight, delayed, given up, and in a FIFO
//! queue in which order. [`EventSourceMapping`] takes messages from a queue and has a function handle them; `event` is what
//! the function is given.
//!
//! Facts are those of the SQS developer guide and API reference and of Lambda's developer guide, named where they stand.
//! Not done: policies and encryption, throttling, the making of queues by calls, message move tasks, the query protocol. A
//! standard queue delivers in order and once, which it may.

mod api;
mod check;
mod clock;
mod error;
mod event;
mod event_source;
mod message;
mod queue;
mod receipt;
mod settings;
mod sqs;

pub use self::{
    event_source::{EventSource, EventSourceMapping, InvokeError},
    settings::{DeduplicationScope, Fifo, Redrive, Settings},
    sqs::{Counts, Sqs},
};
