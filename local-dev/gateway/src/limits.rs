//! API Gateway's limits. The times can be shortened, so that a test waits seconds instead of hours; the sizes are what
//! they are.

use std::time::Duration;

/// The limits in time. The defaults are API Gateway's own, which are also the most it allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A socket on which no message went either way for so long is closed with 1001.
    pub idle_timeout: Duration,
    /// A socket is closed with 1001 when it is this old.
    pub max_duration: Duration,
    /// How long a function may take to answer.
    pub integration_timeout: Duration,
}

impl Limits {
    /// Source: WebSocket API quotas, idle connection timeout.
    pub const IDLE_TIMEOUT_SECS: u32 = 600;
    /// Source: WebSocket API quotas, connection duration.
    pub const MAX_DURATION_SECS: u32 = 7200;
    /// Source: WebSocket API quotas, integration timeout; an HTTP API would wait one second more.
    pub const INTEGRATION_TIMEOUT_SECS: u32 = 29;
}

impl Default for Limits {
    fn default() -> Self {
        let secs = |secs| Duration::from_secs(u64::from(secs));
        Self {
            idle_timeout: secs(Self::IDLE_TIMEOUT_SECS),
            max_duration: secs(Self::MAX_DURATION_SECS),
            integration_timeout: secs(Self::INTEGRATION_TIMEOUT_SECS),
        }
    }
}

/// The largest payload of one WebSocket frame from a client, in bytes; a larger one closes the socket with 1009.
/// Source: WebSocket API quotas, frame size 32 KB.
pub(crate) const FRAME_BYTES_MAX: usize = 32 * 1024;

/// The largest WebSocket message in either direction, in bytes.
/// Source: WebSocket API quotas, message payload size 128 KB.
pub(crate) const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// The longest URL of a WebSocket upgrade, in characters.
/// Source: WebSocket API quotas.
pub(crate) const UPGRADE_URL_CHARS_MAX: usize = 4096;

/// What may wait for a client that reads slowly, in bytes. Source: ours, API Gateway's own buffer is not documented.
pub(crate) const OUTBOUND_BYTES_MAX: usize = 1024 * 1024;

/// The largest request body of an HTTP API, in bytes.
/// Source: HTTP API quotas, payload size 10 MB.
pub(crate) const HTTP_BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// The largest request line and headers of an HTTP API together, in bytes.
/// Source: HTTP API quotas.
pub(crate) const HTTP_HEAD_BYTES_MAX: usize = 10_240;

/// The largest event or response of a function, in bytes.
/// Source: Lambda quotas, invocation payload 6 MB.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;
