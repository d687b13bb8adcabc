//! What becomes of a client's message: its route, the function, and the frames that answer it.

use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    RunningGateway,
    connection::Connection,
    function::InvokeError,
    proxy_response::ProxyResponse,
    websocket_api::{WebSocketApi, WebSocketRoute, gateway_message},
    websocket_event::{self, Occasion},
};

// The frames' texts, and that the connection stays open after each, have been captured.
const FORBIDDEN: &str = "Forbidden";
const FAILED: &str = "Internal server error";
const TIMED_OUT: &str = "Endpoint request timed out";

/// Takes a message to its function. The client hears of failures, and of what a two-way route has to say.
pub(crate) async fn deliver(
    gateway: Arc<RunningGateway>,
    connection: Arc<Connection>,
    text: Utf8Bytes,
) {
    let occasion = Occasion::now(&connection);
    let frame = match integrate(&gateway, occasion, &text).await {
        Ok(frame) => frame,
        Err(problem) => Some(gateway_message(problem, connection.id, occasion.request_id)),
    };
    if let Some(frame) = frame {
        // A client that does not read its messages does not miss this one.
        connection.send(frame).ok();
    }
}

/// Answers a message that is one too many.
pub(crate) fn refuse(gateway: &RunningGateway, connection: &Connection) {
    let request_id = Occasion::now(connection).request_id;
    let text = &gateway.assumptions.throttled_message_text;
    // As above.
    connection.send(gateway_message(text, connection.id, request_id)).ok();
}

/// Invokes the function of a message's route. `Ok` holds the frame that answers, if one does; `Err` what is wrong.
async fn integrate(
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    text: &str,
) -> Result<Option<String>, &'static str> {
    let api = &*occasion.connection.api;
    let route = select_route(api, text, gateway.assumptions.lenient_json).ok_or(FORBIDDEN)?;
    let message_id = occasion.connection.mint_message_id(occasion.now);
    let event = websocket_event::message(occasion, &route.key, message_id, text);
    let response = gateway.invoke(route, occasion, event).await.map_err(|error| match error {
        InvokeError::Failed(_) | InvokeError::EventTooLarge | InvokeError::Throttled => FAILED,
        InvokeError::TimedOut => TIMED_OUT,
    })?;
    let response = ProxyResponse::parse(&response).map_err(|error| {
        tracing::warn!(request_id = %occasion.request_id, %error, "integration failed");
        FAILED
    })?;
    if route.two_way { answer(gateway, occasion, &response) } else { Ok(None) }
}

/// The route that a message goes to. `$connect` and `$disconnect` are none of those.
///
/// Source: API Gateway developer guide, "Create routes for WebSocket APIs".
fn select_route<'a>(
    api: &'a WebSocketApi,
    text: &str,
    lenient: bool,
) -> Option<&'a WebSocketRoute> {
    let key = api.route_selection.evaluate(text, lenient);
    let key = key.filter(|key| key != "$connect" && key != "$disconnect");
    key.and_then(|key| api.route(&key)).or_else(|| api.route("$default"))
}

/// The frame in which a two-way route's response goes to the client: its body as it is, if it has one.
fn answer(
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    response: &ProxyResponse,
) -> Result<Option<String>, &'static str> {
    if !response.status.is_success() && !gateway.assumptions.two_way_error_body {
        return Err(FAILED);
    }
    if response.body.len() > gateway.limits.message_bytes_max {
        tracing::warn!(
            request_id = %occasion.request_id,
            bytes = response.body.len(),
            "a two-way route's answer is larger than a message may be"
        );
        return Err(FAILED);
    }
    // Frames are text; what is not, the function should have left in base64.
    let body = String::from_utf8_lossy(&response.body);
    Ok(Some(body.into_owned()).filter(|body| !body.is_empty()))
}
