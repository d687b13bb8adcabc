//! What was measured, as JSON.

use serde::Serialize;

/// A way to show a message to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// `message` posts all of them.
    Inline,
    /// `message` leaves them to the queue.
    Sharded,
    /// The same with messages that come faster than they can be shown.
    Coalesced,
}

/// A point of the fan-out curve: what was seen, and what AWS would count.
#[derive(Serialize)]
pub(crate) struct Point {
    pub(crate) mode: Mode,
    pub(crate) connections: usize,
    /// Said at once.
    pub(crate) messages: usize,
    /// From the first send to the last delivery.
    pub(crate) seconds: f64,
    /// Messages that reached a connection.
    pub(crate) deliveries: usize,
    /// Pairs of a message and a connection that it didn't reach. The history has them.
    pub(crate) missed: usize,
    /// Deliveries that had been made before.
    pub(crate) repeated: usize,
    /// Posts that were taken.
    pub(crate) posts: usize,
    /// Posts that were answered 429.
    pub(crate) throttled: usize,
    /// Posts taken, of those that the throttle allowed in that time, burst included; 0–1.
    pub(crate) share_of_allowed: f64,
    pub(crate) message_invocations: usize,
    /// Their time in all, in milliseconds.
    pub(crate) message_ms: f64,
    pub(crate) broadcast_invocations: usize,
    pub(crate) broadcast_ms: f64,
    /// Requests to SQS: sends, receives and deletes.
    pub(crate) queue_requests: usize,
    /// How long API Gateway takes to let that many connect at 500 per second, in seconds; computed.
    pub(crate) connect_seconds: f64,
}
