//! API Gateway's and Lambda's limits. The defaults are AWS's own.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// What the gateway allows. `Limits::default()` is what AWS allows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// A socket on which no message went either way for so long is closed with 1001.
    #[serde(serialize_with = "serialize_seconds")]
    pub idle_timeout: Duration,
    /// A socket is closed with 1001 when it is this old.
    #[serde(serialize_with = "serialize_seconds")]
    pub max_duration: Duration,
    /// How long a function may take to answer an event of the WebSocket API.
    #[serde(serialize_with = "serialize_seconds")]
    pub integration_timeout: Duration,
    /// How long a function may take to answer a request to the HTTP API.
    #[serde(serialize_with = "serialize_seconds")]
    pub http_integration_timeout: Duration,
    /// The largest payload of one WebSocket frame from a client, in bytes; a larger one closes the socket with 1009.
    pub frame_bytes_max: usize,
    /// The largest WebSocket message in either direction, in bytes.
    pub message_bytes_max: usize,
    /// The longest URL of a WebSocket upgrade, in characters.
    pub upgrade_url_chars_max: usize,
    /// What functions may be handling of one client's messages, in bytes, 4 KiB for each message and its text. Beyond
    /// that, its socket is not read, so that a client that floods it is slowed down by TCP.
    pub inbound_bytes_max: usize,
    /// What may wait for a client that reads slowly, in bytes. A post for which there is no room is answered 429.
    pub outbound_bytes_max: usize,
    /// The largest request body of the HTTP API, in bytes.
    pub http_body_bytes_max: usize,
    /// The largest request line and headers of the HTTP API together, in bytes.
    pub http_head_bytes_max: usize,
    /// The largest event or response of a function, in bytes.
    pub payload_bytes_max: usize,
    /// New WebSocket connections of the account. `None` is any number of them.
    pub connection_rate: Option<Rate>,
    /// Requests to the HTTP API, messages from clients and requests to `@connections` together, as AWS counts them by
    /// account and region. `None` is any number of them; routes that have rates keep theirs.
    pub request_rate: Option<Rate>,
}

/// What a token bucket lets through.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Tokens that come back each second.
    pub per_second: f64,
    /// Tokens that a full bucket holds.
    pub burst: u32,
}

fn serialize_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

impl Limits {
    /// Source: WebSocket API quotas, idle connection timeout.
    pub const IDLE_TIMEOUT: Duration = Duration::from_mins(10);
    /// Source: WebSocket API quotas, connection duration.
    pub const MAX_DURATION: Duration = Duration::from_hours(2);
    /// Source: WebSocket API quotas, integration timeout.
    pub const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);
    /// Source: HTTP API quotas, integration timeout.
    pub const HTTP_INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle_timeout: Self::IDLE_TIMEOUT,
            max_duration: Self::MAX_DURATION,
            integration_timeout: Self::INTEGRATION_TIMEOUT,
            http_integration_timeout: Self::HTTP_INTEGRATION_TIMEOUT,
            // Source: WebSocket API quotas, frame size 32 KB, message payload size 128 KB.
            frame_bytes_max: 32 * 1024,
            message_bytes_max: 128 * 1024,
            // Source: WebSocket API quotas.
            upgrade_url_chars_max: 4096,
            // Ours: about a thousand short messages, and Lambda runs a thousand functions of an account at a time.
            inbound_bytes_max: 4 * 1024 * 1024,
            // Ours, API Gateway's own buffer is not documented.
            outbound_bytes_max: 1024 * 1024,
            // Source: HTTP API quotas, payload size 10 MB, request line and header values 10,240 bytes.
            http_body_bytes_max: 10 * 1024 * 1024,
            http_head_bytes_max: 10_240,
            // Source: Lambda quotas, invocation payload 6 MB.
            payload_bytes_max: 6 * 1024 * 1024,
            // Source: WebSocket API quotas, new connections per second. A burst beyond that is not documented.
            connection_rate: Some(Rate { per_second: 500.0, burst: 500 }),
            // Source: API Gateway account-level throttling, by region.
            request_rate: Some(Rate { per_second: 10_000.0, burst: 5_000 }),
        }
    }
}
