//! A connection's life: `$connect`, the upgrade, messages, the close, `$disconnect`.
//!
//! It is one task, which does not depend on the request that started it. So a client that vanishes at any point
//! cancels nothing, and every connection that `$connect` has let in gets its `$disconnect`, unless the program is ended
//! before its turn comes.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header::SEC_WEBSOCKET_PROTOCOL, request::Parts},
};
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    RunningGateway,
    connection::Connection,
    function::InvokeError,
    identifier::Identifier,
    proxy_response::ProxyResponse,
    request::Caller,
    socket::{self, Closed},
    timestamp::Timestamp,
    websocket_api::{Handshake, gateway_message, refuse},
    websocket_event::{self, Occasion},
};

/// Lives a connection's life. `answer` takes the answer to the upgrade request.
pub(crate) async fn live(
    gateway: Arc<RunningGateway>,
    request: Parts,
    caller: Caller,
    handshake: Handshake,
    on_upgrade: OnUpgrade,
    answer: oneshot::Sender<Response<Body>>,
) {
    let (connection, frames) = Connection::new(caller, Timestamp::now());
    let connection = Arc::new(connection);
    let occasion = gateway.occasion(&connection);
    let subprotocol = match connect(&gateway, occasion, &request).await {
        Ok(subprotocol) => subprotocol,
        Err(status) => {
            answer.send(refuse(status, connection.id, occasion.request_id)).ok();
            return;
        }
    };
    drop(request);
    // Before the 101 is sent, so that whoever hears of it can post at once.
    gateway.connections.insert(&connection);
    let upgraded = match answer.send(handshake.accept(subprotocol)) {
        Ok(()) => on_upgrade.await.ok(),
        Err(_client_is_gone) => None,
    };
    let closed = match upgraded {
        Some(upgraded) => socket::run(&gateway, &connection, upgraded, frames).await,
        None => Closed::dropped(),
    };
    gateway.connections.remove(&connection.id.to_string());
    disconnect(&gateway, &connection, &closed).await;
}

/// Invokes `$connect`. `Ok` holds the subprotocol that it selected, `Err` the status of the refusal.
async fn connect(
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    request: &Parts,
) -> Result<Option<HeaderValue>, StatusCode> {
    // Without a $connect route, everybody may connect.
    let Some(function) = &gateway.config.websocket_api.connect else { return Ok(None) };
    let event = websocket_event::connect(occasion, request);
    let invocation = gateway.invoker.invoke(function, occasion.request_id, event).await;
    let response = invocation.map_err(|error| match error {
        InvokeError::Failed | InvokeError::EventTooLarge => StatusCode::BAD_GATEWAY,
        InvokeError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
    })?;
    let response = ProxyResponse::parse(&response).map_err(|error| {
        tracing::warn!(request_id = %occasion.request_id, %error, "integration failed");
        StatusCode::BAD_GATEWAY
    })?;
    if !response.status.is_success() {
        return Err(response.status);
    }
    let mut headers = [response.headers, response.multi_value_headers].into_iter();
    Ok(headers.find_map(|mut headers| headers.remove(SEC_WEBSOCKET_PROTOCOL)))
}

/// Takes a message to its function. Messages of one connection do not wait for each other. Routes are one-way: the client
/// hears nothing of the response, only of failures.
pub(crate) async fn deliver(
    gateway: Arc<RunningGateway>,
    connection: Arc<Connection>,
    text: Utf8Bytes,
) {
    let occasion = gateway.occasion(&connection);
    if let Err(problem) = integrate_message(&gateway, occasion, &text).await {
        let frame = gateway_message(problem, connection.id, occasion.request_id);
        // A client that does not read its messages does not miss this one.
        connection.send(frame).ok();
    }
}

/// Invokes the function of a message's route. The error is what the client is told.
async fn integrate_message(
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    text: &str,
) -> Result<(), &'static str> {
    let (route_key, function) = gateway.config.websocket_api.select_route().ok_or("Forbidden")?;
    let message_id = occasion.connection.mint_message_id(occasion.now);
    let event = websocket_event::message(occasion, route_key, message_id, text);
    let invocation = gateway.invoker.invoke(function, occasion.request_id, event).await;
    let response = invocation.map_err(|error| match error {
        InvokeError::Failed | InvokeError::EventTooLarge => "Internal server error",
        InvokeError::TimedOut => "Endpoint request timed out",
    })?;
    ProxyResponse::parse(&response).map(drop).map_err(|error| {
        tracing::warn!(request_id = %occasion.request_id, %error, "integration failed");
        "Internal server error"
    })
}

/// Invokes `$disconnect`. Nobody hears of its response.
async fn disconnect(gateway: &RunningGateway, connection: &Connection, closed: &Closed) {
    let Some(function) = &gateway.config.websocket_api.disconnect else { return };
    let occasion = gateway.occasion(connection);
    let event = websocket_event::disconnect(occasion, closed);
    // Failures and time-outs are in the log.
    gateway.invoker.invoke(function, occasion.request_id, event).await.ok();
}

impl RunningGateway {
    /// The occasion of an event of `connection` that happens now.
    fn occasion<'a>(&'a self, connection: &'a Connection) -> Occasion<'a> {
        let now = Timestamp::now();
        let stage = &self.config.websocket_api.stage;
        Occasion { connection, stage, request_id: Identifier::mint(now), now }
    }
}
