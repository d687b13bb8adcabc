//! The WebSocket API: its routes, and the handshake as HTTP sees it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::{Body, HttpBody},
    extract::{ConnectInfo, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, Response, StatusCode,
        header::{
            CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
            SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
        },
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    RunningGateway, error_response, function::Function, identifier::Identifier, lifetime,
    limits::UPGRADE_URL_CHARS_MAX, request::Caller,
};

/// A WebSocket API with one stage.
pub struct WebSocketApi {
    /// The stage's name, which is also the API's path: stage `ws` is at `/ws`.
    pub stage: String,
    /// `$connect`: decides on who may connect. Without it, everybody may.
    pub connect: Option<Function>,
    /// `$default`: takes every message.
    pub default: Option<Function>,
    /// `$disconnect`: hears of every connection's end.
    pub disconnect: Option<Function>,
}

impl WebSocketApi {
    /// The route that takes every message: its key and its function.
    pub(crate) fn select_route(&self) -> Option<(&str, &Function)> {
        self.default.as_ref().map(|function| ("$default", function))
    }
}

/// Answers an upgrade request, when `$connect` has decided on it.
pub(crate) async fn upgrade(
    State(gateway): State<Arc<RunningGateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response<Body> {
    let on_upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let (request, body) = request.into_parts();
    let handshake = match Handshake::parse(&request.method, &request.headers) {
        // What follows the handshake is frames: a body would be taken for some.
        Ok(_) if !body.is_end_stream() => return refuse_handshake(StatusCode::BAD_REQUEST),
        Ok(handshake) => handshake,
        Err(status) => return refuse_handshake(status),
    };
    let url_chars = request.uri.path_and_query().map_or(0, |url| url.as_str().len());
    if url_chars > UPGRADE_URL_CHARS_MAX {
        return error_response(StatusCode::URI_TOO_LONG);
    }
    let caller = Caller::parse(&request.headers, &request.uri, peer);
    // HTTP/1.0 has no upgrades.
    let (Some(caller), Some(on_upgrade)) = (caller, on_upgrade) else {
        return error_response(StatusCode::BAD_REQUEST);
    };
    if gateway.closing.is_cancelled() {
        return error_response(StatusCode::SERVICE_UNAVAILABLE);
    }
    let (sender, answer) = oneshot::channel();
    let life = lifetime::live(Arc::clone(&gateway), request, caller, handshake, on_upgrade, sender);
    gateway.tasks.spawn(life);
    // The sender is lost only if the task panicked.
    answer.await.unwrap_or_else(|_lost| error_response(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The version of the WebSocket protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// A well-formed handshake (RFC 6455, 4.2.1).
pub(crate) struct Handshake {
    key: HeaderValue,
}

impl Handshake {
    fn parse(method: &Method, headers: &HeaderMap) -> Result<Self, StatusCode> {
        let has_token = |name, token: &str| {
            headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .any(|value| value.trim().eq_ignore_ascii_case(token))
        };
        if !has_token(CONNECTION, "upgrade") || !has_token(UPGRADE, "websocket") {
            return Err(StatusCode::UPGRADE_REQUIRED);
        }
        let is_key = |key: &&HeaderValue| {
            STANDARD.decode(key.as_bytes()).is_ok_and(|nonce| nonce.len() == 16)
        };
        let version = headers.get(SEC_WEBSOCKET_VERSION);
        match headers.get(SEC_WEBSOCKET_KEY).filter(is_key) {
            Some(key) if method == Method::GET && version == Some(&VERSION) => {
                Ok(Self { key: key.clone() })
            }
            _ => Err(StatusCode::BAD_REQUEST),
        }
    }

    /// The 101. Of `$connect`'s headers, it has only the subprotocol, and that only if `$connect` selected one.
    pub(crate) fn accept(&self, subprotocol: Option<HeaderValue>) -> Response<Body> {
        let accept_key = derive_accept_key(self.key.as_bytes());
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        let accept_key = HeaderValue::from_str(&accept_key).expect("base64 is ASCII");
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept_key);
        if let Some(subprotocol) = subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
        }
        response
    }
}

/// The answer to a request that is no handshake, or a malformed one. It says what would be one.
fn refuse_handshake(status: StatusCode) -> Response<Body> {
    let mut response = error_response(status);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
    response
}

/// The answer to a handshake that `$connect` refused with `status`.
pub(crate) fn refuse(
    status: StatusCode,
    connection_id: Identifier,
    request_id: Identifier,
) -> Response<Body> {
    let message = match status {
        StatusCode::GATEWAY_TIMEOUT => "Endpoint request timed out",
        status if status.is_server_error() => "Internal server error",
        status => status.canonical_reason().unwrap_or_default(),
    };
    let mut response = Response::new(gateway_message(message, connection_id, request_id).into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What the gateway itself tells a client, spaced as API Gateway does.
pub(crate) fn gateway_message(
    message: &str,
    connection_id: Identifier,
    request_id: Identifier,
) -> String {
    format!(
        r#"{{"message": "{message}", "connectionId":"{connection_id}", "requestId":"{request_id}"}}"#
    )
}
