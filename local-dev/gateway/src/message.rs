//! What becomes of a client's message: its route, the function, and the frames that answer it.

use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    RunningGateway,
    connection::Connection,
    function::InvokeError,
    proxy_response::ProxyResponse,
    refusal::Refusal,
    websocket_api::{WebSocketApi, WebSocketRoute, gateway_message},
    websocket_event::{self, Occasion},
};

// The frames' texts, and that the connection stays open after each, have been captured.
const FORBIDDEN: &str = "Forbidden";
const FAILED: &str = "Internal server error";
const TIMED_OUT: &str = "Endpoint request timed out";

/// A client's message with the route that it goes to.
pub(crate) struct Inbound {
    text: Utf8Bytes,
    /// Where among its API's routes the route is. `None` when there is none for it.
    route: Option<usize>,
}

impl Inbound {
    /// Finds the route of a message.
    pub(crate) fn new(gateway: &RunningGateway, api: &WebSocketApi, text: Utf8Bytes) -> Self {
        let route = select_route(api, &text, gateway.assumptions.lenient_json);
        Self { text, route }
    }

    /// The message's size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Takes a token from its route, and one from the account. `false` when it is one too many.
    pub(crate) fn admit(&self, gateway: &RunningGateway, api: &WebSocketApi) -> bool {
        self.route(api).is_none_or(|route| route.throttle.admit()) && gateway.requests.admit()
    }

    fn route<'a>(&self, api: &'a WebSocketApi) -> Option<&'a WebSocketRoute> {
        self.route.map(|position| &api.routes[position])
    }
}

/// Takes a message to its function. The client hears of failures, and of what a two-way route has to say.
pub(crate) async fn deliver(
    gateway: Arc<RunningGateway>,
    connection: Arc<Connection>,
    message: Inbound,
) {
    let occasion = Occasion::now(&connection);
    let frame = match integrate(&gateway, occasion, &message).await {
        Ok(frame) => frame,
        Err(problem) => Some(gateway_message(problem, connection.id, occasion.request_id)),
    };
    if let Some(frame) = frame {
        // A client that does not read its messages does not miss this one.
        gateway.send(&connection, &frame.into()).ok();
    }
}

/// Answers a message that is one too many.
pub(crate) fn refuse(gateway: &RunningGateway, connection: &Arc<Connection>) {
    gateway.refuse(Refusal::MessageThrottled, connection.id, None);
    let request_id = Occasion::now(connection).request_id;
    let text = &gateway.assumptions.throttled_message_text;
    // As above.
    let text = gateway_message(text, connection.id, request_id);
    gateway.send(connection, &text.into()).ok();
}

/// Invokes the function of a message's route. `Ok` holds the frame that answers, if one does; `Err` what is wrong.
async fn integrate(
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    message: &Inbound,
) -> Result<Option<String>, &'static str> {
    let refused = |refusal, problem| refused(gateway, occasion, refusal, problem);
    let route = message.route(&occasion.connection.api);
    let route = route.ok_or_else(|| refused(Refusal::NoMessageRoute, FORBIDDEN))?;
    let message_id = occasion.connection.mint_message_id(occasion.now);
    let event = websocket_event::message(occasion, &route.key, message_id, &message.text);
    let response = gateway.invoke(route, occasion, event).await.map_err(|error| match error {
        InvokeError::Failed(_) | InvokeError::EventTooLarge | InvokeError::Throttled => {
            refused(Refusal::MessageFailed, FAILED)
        }
        InvokeError::TimedOut => refused(Refusal::MessageTimedOut, TIMED_OUT),
    })?;
    let response = ProxyResponse::parse(&response).map_err(|error| {
        tracing::warn!(request_id = %occasion.request_id, %error, "integration failed");
        refused(Refusal::MessageBadResponse, FAILED)
    })?;
    if route.two_way { answer(gateway, occasion, &response) } else { Ok(None) }
}

/// Notes what is refused, with the text of the frame that answers it.
fn refused(
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    refusal: Refusal,
    problem: &'static str,
) -> &'static str {
    gateway.refuse(refusal, occasion.connection.id, Some(occasion.request_id));
    problem
}

/// The route that a message goes to. `$connect` and `$disconnect` are none of those.
///
/// Source: API Gateway developer guide, "Create routes for WebSocket APIs".
fn select_route(api: &WebSocketApi, text: &str, lenient: bool) -> Option<usize> {
    let key = api.route_selection.evaluate(text, lenient);
    let key = key.filter(|key| key != "$connect" && key != "$disconnect");
    key.and_then(|key| api.position(&key)).or_else(|| api.position("$default"))
}

/// The frame in which a two-way route's response goes to the client: its body as it is, if it has one.
fn answer(
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    response: &ProxyResponse,
) -> Result<Option<String>, &'static str> {
    if !response.status.is_success() && !gateway.assumptions.two_way_error_body {
        return Err(refused(gateway, occasion, Refusal::AnswerNotSuccessful, FAILED));
    }
    if response.body.len() > gateway.limits.message_bytes_max {
        tracing::warn!(
            request_id = %occasion.request_id,
            bytes = response.body.len(),
            "a two-way route's answer is larger than a message may be"
        );
        return Err(refused(gateway, occasion, Refusal::AnswerTooLong, FAILED));
    }
    // Frames are text; what is not, the function should have left in base64.
    let body = String::from_utf8_lossy(&response.body);
    Ok(Some(body.into_owned()).filter(|body| !body.is_empty()))
}
