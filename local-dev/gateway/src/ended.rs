//! What is told of an invocation that has ended, to whoever wants to hear of each.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    function::FunctionError,
    inspector::status,
    journal::{self, Entry, Start},
    redaction::redact_text,
};

/// Hears of each invocation that has ended, in the place of the log. It is called in the invocation's own task, which goes on
/// when it returns.
pub type Watcher = Arc<dyn Fn(&Ended<'_>) + Send + Sync>;

/// An invocation that has ended. What isn't asked for is not worked out, and nothing that it says has secrets in it.
pub struct Ended<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) duration: Duration,
    pub(crate) result: &'a Result<Bytes, FunctionError>,
}

impl Ended<'_> {
    /// The name of the function.
    pub fn function(&self) -> &str {
        self.entry.record().call.function.name()
    }

    /// What it ran for: the key of a route, or a queue.
    pub fn cause(&self) -> Cow<'_, str> {
        redact_text(&self.entry.record().call.route_key)
    }

    /// When it began, in UTC: `2026-11-23T10:15:43.377Z`.
    pub fn began_at(&self) -> String {
        self.entry.record().started_at.iso_8601()
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Whether an instance had to be started for it.
    pub fn was_cold(&self) -> bool {
        self.entry.record().progress().start == Start::Cold
    }

    /// Whether there is no response.
    pub fn has_failed(&self) -> bool {
        self.result.is_err()
    }

    /// Why there is no response.
    pub fn error(&self) -> Option<String> {
        let error = self.result.as_ref().err()?;
        Some(redact_text(&error.to_string()).into_owned())
    }

    /// The `statusCode` of the response, if it has one.
    pub fn status(&self) -> Option<u16> {
        status(self.result.as_ref().ok()?)
    }

    /// The connection that the event was about.
    pub fn connection_id(&self) -> Option<String> {
        journal::connection_id(&self.entry.record().call.event)
    }
}
