//! The WebSocket API: its routes, and the handshake as HTTP sees it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
        header::{
            CONNECTION, CONTENT_TYPE, DATE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
            SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
        },
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    RunningGateway,
    assumptions::Assumptions,
    authorizer::Authorizer,
    error_response,
    function::Function,
    identifier::Identifier,
    lifetime,
    limits::Limits,
    refusal::Refusal,
    request::{Caller, Peer},
    route_selection::RouteSelection,
    throttle::Throttle,
    timestamp::Timestamp,
};

/// A WebSocket API.
pub struct WebSocketApi {
    /// What its events carry as `apiId`.
    pub id: String,
    /// The stage's name, which is also the API's path: stage `ws` is at `/ws`.
    pub stage: String,
    /// What leads to functions. `$connect` decides on who may connect, without it everybody may; `$disconnect` hears of
    /// every connection's end; `$default` takes the messages that no other route does.
    pub routes: Vec<WebSocketRoute>,
    /// What of a message is compared with the routes' keys.
    pub route_selection: RouteSelection,
    /// What is asked before `$connect`.
    pub authorizer: Option<Authorizer>,
    /// The stage's variables, which every event repeats.
    pub stage_variables: BTreeMap<String, String>,
    /// Whether a connection's messages wait for each other. API Gateway's do not; this is for debugging.
    pub serialize: bool,
    /// Whether the API has no functions, but sends every message back. It then has none of API Gateway's manners: it
    /// takes binary messages, knows no sizes, and its pongs repeat what the pings said. So a conformance suite for the
    /// WebSocket protocol can be run against the code that all sockets use.
    pub echo: bool,
}

/// A route of a WebSocket API.
pub struct WebSocketRoute {
    /// The route key.
    pub key: String,
    /// What answers.
    pub function: Function,
    /// Whether the body of its response is sent to the client. API Gateway's own default is that it is not.
    pub two_way: bool,
    /// How long it may take, if that is less than the gateway's limit.
    pub timeout: Option<Duration>,
    /// What it lets through, of which the account's rates may let through less. What `$connect` does not let through is
    /// refused with 429, other messages are answered with a frame. `$disconnect` is not asked: nobody would hear of it.
    pub throttle: Throttle,
}

impl Default for WebSocketApi {
    /// One without routes, at a stage that has no name yet.
    fn default() -> Self {
        Self {
            id: "wsapi00000".to_owned(),
            stage: String::new(),
            routes: Vec::new(),
            route_selection: RouteSelection::default(),
            authorizer: None,
            stage_variables: BTreeMap::new(),
            serialize: false,
            echo: false,
        }
    }
}

impl WebSocketApi {
    /// The route with a key.
    pub(crate) fn route(&self, key: &str) -> Option<&WebSocketRoute> {
        self.routes.iter().find(|route| route.key == key)
    }

    /// Where among the routes the one with a key is.
    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.routes.iter().position(|route| route.key == key)
    }
}

impl WebSocketRoute {
    /// How long the route's function may take.
    pub(crate) fn time_max(&self, limits: &Limits) -> Duration {
        let time_max = limits.integration_timeout;
        self.timeout.map_or(time_max, |timeout| timeout.min(time_max))
    }
}

/// Whether a request asks for a WebSocket.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &CONNECTION, "upgrade") && has_token(headers, &UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(token))
}

/// Answers an upgrade request, when `$connect` has decided on it.
pub(crate) async fn upgrade(
    gateway: Arc<RunningGateway>,
    api: Arc<WebSocketApi>,
    peer: Peer,
    mut request: Request,
) -> Response<Body> {
    let on_upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let (request, body) = request.into_parts();
    // Without the query, which may hold a token.
    let subject = request.uri.path();
    let handshake = match Handshake::parse(&request.method, &request.headers) {
        // What follows the handshake is frames: a body would be taken for some.
        Ok(handshake) if body.is_end_stream() => handshake,
        Err(NoHandshake::Plain) => {
            gateway.refuse(Refusal::NotAHandshake, subject, None);
            return refuse_handshake(gateway.assumptions.plain_request_status);
        }
        Ok(_) | Err(NoHandshake::Malformed) => {
            gateway.refuse(Refusal::BadHandshake, subject, None);
            return refuse_handshake(StatusCode::BAD_REQUEST);
        }
    };
    let url_chars = request.uri.path_and_query().map_or(0, |url| url.as_str().len());
    gateway.peaks.upgrade_url_chars.note(url_chars);
    if url_chars > gateway.limits.upgrade_url_chars_max {
        gateway.refuse(Refusal::UrlTooLong, subject, None);
        return error_response(gateway.assumptions.long_url_status);
    }
    let caller = Caller::parse(&request.headers, &request.uri, peer);
    // HTTP/1.0 has no upgrades.
    let (Some(caller), Some(on_upgrade)) = (caller, on_upgrade) else {
        return error_response(StatusCode::BAD_REQUEST);
    };
    if gateway.closing.is_cancelled() {
        return error_response(StatusCode::SERVICE_UNAVAILABLE);
    }
    let route_admits = api.route("$connect").is_none_or(|route| route.throttle.admit());
    if !(route_admits && gateway.new_connections.admit()) {
        gateway.refuse(Refusal::ConnectionThrottled, subject, None);
        let now = Timestamp::now();
        let [connection_id, request_id] = [Identifier::mint(now), Identifier::mint(now)];
        let status = StatusCode::TOO_MANY_REQUESTS;
        return refuse(&gateway.assumptions, status, connection_id, request_id);
    }
    let (sender, answer) = oneshot::channel();
    let life =
        lifetime::live(Arc::clone(&gateway), api, request, caller, handshake, on_upgrade, sender);
    gateway.tasks.spawn(life);
    // The sender is lost only if the task panicked.
    answer.await.unwrap_or_else(|_lost| error_response(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The version of the WebSocket protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Why a request is not a handshake.
#[derive(Debug, PartialEq, Eq)]
enum NoHandshake {
    /// It asks for no WebSocket.
    Plain,
    Malformed,
}

/// A well-formed handshake (RFC 6455, 4.2.1).
pub(crate) struct Handshake {
    key: HeaderValue,
}

impl Handshake {
    fn parse(method: &Method, headers: &HeaderMap) -> Result<Self, NoHandshake> {
        if !is_upgrade(headers) {
            return Err(NoHandshake::Plain);
        }
        let is_key = |key: &&HeaderValue| {
            STANDARD.decode(key.as_bytes()).is_ok_and(|nonce| nonce.len() == 16)
        };
        let version = headers.get(SEC_WEBSOCKET_VERSION);
        match headers.get(SEC_WEBSOCKET_KEY).filter(is_key) {
            Some(key) if method == Method::GET && version == Some(&VERSION) => {
                Ok(Self { key: key.clone() })
            }
            _ => Err(NoHandshake::Malformed),
        }
    }

    /// The 101, its headers in the captured order. Of `$connect`'s headers, it has only the subprotocol, and that only if
    /// `$connect` selected one.
    ///
    /// The handshake ends with it: the key is a part of hyper's buffer and would keep all of it.
    pub(crate) fn accept(self, subprotocol: Option<HeaderValue>) -> Response<Body> {
        let accept_key = derive_accept_key(self.key.as_bytes());
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        let date = HeaderValue::from_str(&Timestamp::now().http_date()).expect("it is ASCII");
        headers.insert(DATE, date);
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

/// The answer to a handshake that was refused with `status`.
pub(crate) fn refuse(
    assumptions: &Assumptions,
    status: StatusCode,
    connection_id: Identifier,
    request_id: Identifier,
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if assumptions.refusal_has_body {
        let message = match status {
            StatusCode::GATEWAY_TIMEOUT => "Endpoint request timed out",
            status if status.is_server_error() => "Internal server error",
            status => status.canonical_reason().unwrap_or_default(),
        };
        *response.body_mut() = gateway_message(message, connection_id, request_id).into();
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    response
}

/// What the gateway itself tells a client, spaced as API Gateway does.
pub(crate) fn gateway_message(
    message: &str,
    connection_id: Identifier,
    request_id: Identifier,
) -> String {
    let message = Value::from(message);
    format!(
        r#"{{"message": {message}, "connectionId":"{connection_id}", "requestId":"{request_id}"}}"#
    )
}
