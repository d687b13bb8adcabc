//! An emulation of API Gateway: an HTTP API and a WebSocket API on one port, the WebSocket API's management API, and a
//! static site where the cloud has a CDN.
//!
//! It knows functions only through their JSON: an event in, a response out. The events, the answers and the limits are
//! API Gateway's own; where its documentation is silent, a comment says what was chosen. What the two APIs share is in
//! `request`, `body`, `function`, `proxy_response` and `identifier`; a WebSocket connection is handed from
//! `websocket_api` (the handshake) to `lifetime` (from `$connect` to `$disconnect`) to `socket` (frames).

mod body;
mod connection;
mod connections_api;
mod cors;
mod function;
mod http_api;
mod http_event;
mod identifier;
mod lifetime;
mod limits;
mod proxy_response;
mod request;
pub mod server;
mod socket;
mod timestamp;
mod websocket_api;
mod websocket_event;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
    routing::any,
};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{connection::Connections, function::Invoker};
pub use self::{
    cors::Cors,
    function::{Function, FunctionError},
    http_api::HttpApi,
    limits::Limits,
    websocket_api::WebSocketApi,
};

/// What a gateway consists of.
pub struct Gateway {
    /// The HTTP API.
    pub http_api: HttpApi,
    /// The WebSocket API.
    pub websocket_api: WebSocketApi,
    /// Answers what neither API does: in the cloud, other hosts would.
    pub fallback: Router,
    /// The limits in time.
    pub limits: Limits,
}

/// A gateway with its connections and with the functions that it has running.
pub(crate) struct RunningGateway {
    config: Gateway,
    invoker: Invoker,
    connections: Connections,
    /// Every invocation, and every connection's life.
    tasks: TaskTracker,
    /// Cancelled when the gateway is about to end.
    closing: CancellationToken,
}

impl RunningGateway {
    pub(crate) fn new(config: Gateway) -> Arc<Self> {
        let tasks = TaskTracker::new();
        Arc::new(Self {
            invoker: Invoker::new(config.limits.integration_timeout, tasks.clone()),
            config,
            connections: Connections::default(),
            tasks,
            closing: CancellationToken::new(),
        })
    }

    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let Gateway { http_api, websocket_api, fallback, .. } = &self.config;
        let stage = format!("/{}", websocket_api.stage);
        let prefix = &http_api.path_prefix;
        Router::new()
            .route(&stage, any(websocket_api::upgrade))
            .route(&format!("{stage}/"), any(websocket_api::upgrade))
            .route(&format!("{stage}/{{*path}}"), any(connections_api::answer))
            .route(&format!("{prefix}/"), any(http_api::answer))
            .route(&format!("{prefix}/{{*path}}"), any(http_api::answer))
            .with_state(Arc::clone(self))
            .fallback_service(fallback.clone())
    }

    /// Closes every socket with 1001 and waits at most `time_max` until each has had its `$disconnect` and all other
    /// invocations have ended. No new socket opens from now on.
    pub(crate) async fn close(&self, time_max: Duration) {
        self.closing.cancel();
        self.tasks.close();
        if timeout(time_max, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                running = self.tasks.len(),
                "gave up on functions that are still running"
            );
        }
    }
}

/// An answer of the gateway's own.
fn error_response(status: StatusCode) -> Response<Body> {
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        status => status.canonical_reason().unwrap_or_default(),
    };
    let mut response = Response::new(json!({ "message": message }).to_string().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
