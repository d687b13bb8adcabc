//! One clock for what is told (moments) and what is waited for (instants), so that both agree.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

/// Milliseconds since the Unix epoch.
pub(crate) type Millis = u64;

/// The machine's clock when it was started, and Tokio's from then on.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    started_at: Millis,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        Self { started: Instant::now(), started_at: Millis::try_from(now).unwrap_or_default() }
    }

    pub(crate) fn now(&self) -> Millis {
        self.started_at + millis(self.started.elapsed())
    }

    pub(crate) fn instant(&self, at: Millis) -> Instant {
        self.started + Duration::from_millis(at.saturating_sub(self.started_at))
    }
}

pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
