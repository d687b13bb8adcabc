//! How near to the limits anything comes: what is in use now, and the most there has been since the gateway's start.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    RunningGateway, connection::Connection, http_api::HttpApi, limits::Rate, throttle::Throttle,
};

/// The largest that there have been.
#[derive(Default)]
pub(crate) struct Peaks {
    /// Frames from clients.
    pub(crate) frame_bytes: Peak,
    /// Messages, in either direction.
    pub(crate) message_bytes: Peak,
    pub(crate) upgrade_url_chars: Peak,
    /// What functions were handling of one client's messages.
    pub(crate) inbound_bytes: Peak,
    pub(crate) http_body_bytes: Peak,
    pub(crate) http_head_bytes: Peak,
    /// Events and responses.
    pub(crate) payload_bytes: Peak,
}

/// The largest of some numbers.
#[derive(Default)]
pub(crate) struct Peak(AtomicUsize);

impl Peak {
    pub(crate) fn note(&self, number: usize) {
        // Most numbers are none: who only reads disturbs nobody.
        if number > self.get() {
            self.0.fetch_max(number, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is taken of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Fill {
    /// How many tokens are missing now.
    pub(crate) taken: f64,
    /// How many tokens have been taken in all.
    pub(crate) admitted: u64,
}

/// A route that has a rate of its own, with what is taken of it.
#[derive(Serialize)]
struct RouteUse {
    route: String,
    rate: Rate,
    #[serde(flatten)]
    fill: Fill,
}

/// What is in use of the limits, by their names; `null` where there is nothing to use them, or nobody counts.
pub(crate) fn usage(gateway: &RunningGateway) -> Value {
    let RunningGateway { peaks, limits, .. } = gateway;
    let now = Instant::now();
    let connections = gateway.connections.all();
    let longest = |times: &dyn Fn(&Connection) -> Duration| {
        connections.iter().map(|connection| times(connection).as_secs_f64()).reduce(f64::max)
    };
    let waiting = connections
        .iter()
        .map(|connection| limits.outbound_bytes_max.saturating_sub(connection.outbox.room_bytes()));
    let slowest = |is_socket: bool| {
        let entries = gateway.journal.entries();
        let of_kind = entries.iter().filter(|entry| entry.record().call.is_socket() == is_socket);
        of_kind.map(|entry| entry.record().age().as_secs_f64()).reduce(f64::max)
    };
    json!({
        "idle-timeout": longest(&|connection| now.saturating_duration_since(connection.idle_since())),
        "max-duration": longest(&|connection| now.saturating_duration_since(connection.began())),
        "integration-timeout": slowest(true),
        "http-integration-timeout": slowest(false),
        "frame-bytes": peaks.frame_bytes.get(),
        "message-bytes": peaks.message_bytes.get(),
        "upgrade-url-chars": peaks.upgrade_url_chars.get(),
        "inbound-bytes": peaks.inbound_bytes.get(),
        "outbound-bytes": waiting.max(),
        "http-body-bytes": peaks.http_body_bytes.get(),
        "http-head-bytes": peaks.http_head_bytes.get(),
        "payload-bytes": peaks.payload_bytes.get(),
        "connection-rate": gateway.new_connections.fill(),
        "request-rate": gateway.requests.fill(),
    })
}

/// What is taken of the routes that have rates of their own.
pub(crate) fn routes(gateway: &RunningGateway) -> Value {
    let http = gateway.http_api.iter().flat_map(HttpApi::throttles);
    let websocket = gateway.websocket_apis.iter().flat_map(|api| {
        let routes = api.routes.iter();
        routes.map(|route| (format!("{} {}", api.stage, route.key), &route.throttle))
    });
    let used = |(route, throttle): (String, &Throttle)| {
        let (rate, fill) = (throttle.rate()?, throttle.fill()?);
        Some(RouteUse { route, rate, fill })
    };
    json!(http.chain(websocket).filter_map(used).collect::<Vec<_>>())
}
