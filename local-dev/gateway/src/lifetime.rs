//! A connection's life: the authorizer, `$connect`, the upgrade, messages, the close, `$disconnect`.
//!
//! It is one task, which does not depend on the request that started it. So a client that vanishes at any point
//! cancels nothing, and every connection that `$connect` has let in gets its `$disconnect`, unless the program is ended
//! before its turn comes.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header::SEC_WEBSOCKET_PROTOCOL, request::Parts},
};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;

use super::{
    RunningGateway, authorizer,
    connection::Connection,
    ending::Closed,
    faults::Fault,
    function::InvokeError,
    proxy_response::ProxyResponse,
    refusal::Refusal,
    request::Caller,
    socket,
    timestamp::Timestamp,
    websocket_api::{Handshake, WebSocketApi, WebSocketRoute, refuse},
    websocket_event::{self, Occasion},
};

/// Lives a connection's life. `answer` takes the answer to the upgrade request.
pub(crate) async fn live(
    gateway: Arc<RunningGateway>,
    api: Arc<WebSocketApi>,
    request: Parts,
    caller: Caller,
    handshake: Handshake,
    on_upgrade: OnUpgrade,
    answer: oneshot::Sender<Response<Body>>,
) {
    let limits = gateway.limits;
    let connection = Connection::new(api, caller, Timestamp::now(), limits.outbound_bytes_max);
    let connection = Arc::new(connection);
    // In a box, so that it takes no memory once the socket is open.
    let subprotocol = match Box::pin(connect(&gateway, &connection, request)).await {
        Ok(subprotocol) => subprotocol,
        Err(refusal) => {
            answer.send(refusal.answer).ok();
            if refusal.by_connect && gateway.assumptions.disconnect_after_refusal {
                let closed = Closed::dropped(&gateway.assumptions);
                Box::pin(disconnect(&gateway, &connection, &closed)).await;
            }
            return;
        }
    };
    // Before the 101 is sent, so that whoever hears of it can post at once.
    let delay = Duration::from_millis(gateway.assumptions.visible_after_ms.into());
    gateway.connections.insert(&connection, delay);
    let upgraded = match answer.send(handshake.accept(subprotocol)) {
        Ok(()) => on_upgrade.await.ok(),
        Err(_client_is_gone) => None,
    };
    let closed = match upgraded {
        Some(upgraded) => socket::run(&gateway, &connection, upgraded).await,
        None => Closed::dropped(&gateway.assumptions),
    };
    gateway.forget(&connection);
    Box::pin(disconnect(&gateway, &connection, &closed)).await;
}

/// A handshake that leads to no connection.
struct Refused {
    answer: Response<Body>,
    /// Whether `$connect` has refused it, or else the authorizer.
    by_connect: bool,
}

/// Asks the authorizer and `$connect`. `Ok` holds the subprotocol that `$connect` selected.
async fn connect(
    gateway: &RunningGateway,
    connection: &Connection,
    request: Parts,
) -> Result<Option<HeaderValue>, Refused> {
    let occasion = Occasion::now(connection);
    let refusal = |status, by_connect| {
        let answer = refuse(&gateway.assumptions, status, connection.id, occasion.request_id);
        Refused { answer, by_connect }
    };
    let authorized = authorizer::authorize(gateway, occasion, &request).await;
    authorized.map_err(|status| refusal(status, false))?;
    let accepted = ask_connect(gateway, occasion, &request).await;
    accepted.map_err(|status| refusal(status, true))
}

/// Invokes `$connect`. `Ok` holds the subprotocol that it selected, `Err` the status of the refusal.
///
/// Sources: API Gateway developer guide, "Manage connected users and client apps: $connect and $disconnect routes" and
/// "WebSocket APIs that require a subprotocol"; that every other status is passed on, and 502, has been captured.
async fn ask_connect(
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    request: &Parts,
) -> Result<Option<HeaderValue>, StatusCode> {
    let assumptions = &gateway.assumptions;
    // Without a $connect route, everybody may connect.
    let Some(route) = occasion.connection.api.route("$connect") else { return Ok(None) };
    let event = websocket_event::connect(occasion, request);
    let refused = |refusal, status| {
        gateway.refuse(refusal, occasion.connection.id, Some(occasion.request_id));
        status
    };
    let response = gateway.invoke(route, occasion, event).await.map_err(|error| match error {
        InvokeError::Failed(_) | InvokeError::EventTooLarge => {
            refused(Refusal::ConnectFailed, StatusCode::BAD_GATEWAY)
        }
        InvokeError::Throttled => {
            refused(Refusal::ConnectFunctionThrottled, assumptions.connect_throttled_status)
        }
        InvokeError::TimedOut => {
            refused(Refusal::ConnectTimedOut, assumptions.connect_timeout_status)
        }
    })?;
    let mut response = ProxyResponse::parse(&response).map_err(|error| {
        tracing::warn!(request_id = %occasion.request_id, %error, "integration failed");
        refused(Refusal::ConnectBadResponse, StatusCode::BAD_GATEWAY)
    })?;
    if !response.status.is_success() {
        return Err(response.status);
    }
    let selected = response.headers.remove(SEC_WEBSOCKET_PROTOCOL);
    let selected_among_many = || {
        let mut headers = response.multi_value_headers;
        headers.remove(SEC_WEBSOCKET_PROTOCOL).filter(|_| assumptions.multi_value_subprotocol)
    };
    Ok(selected.or_else(selected_among_many))
}

/// Invokes `$disconnect`. Nobody hears of its response.
async fn disconnect(gateway: &RunningGateway, connection: &Connection, closed: &Closed) {
    let Some(route) = connection.api.route("$disconnect") else { return };
    if gateway.faults.strikes(Fault::DropDisconnect, None) {
        return;
    }
    let occasion = Occasion::now(connection);
    let event = websocket_event::disconnect(occasion, closed);
    // Failures and time-outs are in the log.
    gateway.invoke(route, occasion, event).await.ok();
}

impl RunningGateway {
    /// Invokes a route's function.
    pub(crate) async fn invoke(
        &self,
        route: &WebSocketRoute,
        occasion: Occasion<'_>,
        event: Bytes,
    ) -> Result<Bytes, InvokeError> {
        let time_max = route.time_max(&self.limits);
        self.invoker.invoke(&route.function, &route.key, occasion.request_id, event, time_max).await
    }

    /// From now on, nobody finds the connection.
    pub(crate) fn forget(&self, connection: &Connection) {
        self.connections.forget(connection);
    }
}
