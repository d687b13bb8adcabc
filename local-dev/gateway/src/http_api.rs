//! The HTTP API: a request becomes an event, the function's response becomes the answer.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{
        HeaderName, HeaderValue, Response, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, SET_COOKIE},
        request::Parts,
    },
};
use bytes::Bytes;

use super::{
    RunningGateway,
    body::{self, BodyError},
    cors::Cors,
    error_response,
    function::{Function, InvokeError},
    http_event,
    identifier::Identifier,
    limits::{HTTP_BODY_BYTES_MAX, HTTP_HEAD_BYTES_MAX},
    proxy_response::ProxyResponse,
    request::{Caller, is_hop_by_hop},
    timestamp::Timestamp,
};

/// An HTTP API with one stage, `$default`.
pub struct HttpApi {
    /// The paths that belong to this API start with this, for example `/auth`. In the cloud, the CDN does that split.
    pub path_prefix: String,
    /// Functions by route key, a method and a path, for example `POST /auth/login`. Both are matched exactly: there is
    /// no 405, and a path in another spelling is another path.
    pub routes: Vec<(String, Function)>,
    /// What the API itself does about cross-origin requests. `None` leaves them to the functions.
    pub cors: Option<Cors>,
}

impl HttpApi {
    fn route(&self, request: &Parts) -> Option<&(String, Function)> {
        let key = format!("{} {}", request.method, request.uri.path());
        self.routes.iter().find(|(route_key, _)| *route_key == key)
    }
}

/// Answers a request to the HTTP API.
pub(crate) async fn answer(
    State(gateway): State<Arc<RunningGateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let now = Timestamp::now();
    let request_id = Identifier::mint(now);
    let (request, body) = request.into_parts();
    let cors = gateway.config.http_api.cors.as_ref();
    let preflight = cors.and_then(|cors| cors.preflight(&request.method, &request.headers));
    let mut response = if let Some(response) = preflight {
        response
    } else {
        let mut response = integrate(&gateway, &request, body, peer, request_id, now)
            .await
            .unwrap_or_else(error_response);
        if let Some(cors) = cors {
            cors.apply(request.headers.get(ORIGIN), response.headers_mut());
        }
        response
    };
    let request_id = HeaderValue::from_str(&request_id.to_string()).expect("an id is ASCII");
    response.headers_mut().insert(HeaderName::from_static("apigw-requestid"), request_id);
    response
}

/// Lets the route's function answer. The error is the status of the gateway's own answer.
async fn integrate(
    gateway: &RunningGateway,
    request: &Parts,
    body: Body,
    peer: SocketAddr,
    request_id: Identifier,
    now: Timestamp,
) -> Result<Response<Body>, StatusCode> {
    let body = match body::read(&request.headers, body, HTTP_BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(BodyError::Broken) => return Err(StatusCode::BAD_REQUEST),
    };
    if head_bytes(request) > HTTP_HEAD_BYTES_MAX {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let caller =
        Caller::parse(&request.headers, &request.uri, peer).ok_or(StatusCode::BAD_REQUEST)?;
    let (route_key, function) =
        gateway.config.http_api.route(request).ok_or(StatusCode::NOT_FOUND)?;
    let event = http_event::event(request, &body, &caller, route_key, request_id, now);
    let response =
        gateway.invoker.invoke(function, request_id, event).await.map_err(|error| match error {
            InvokeError::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            InvokeError::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
            InvokeError::EventTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        })?;
    respond(response, request_id)
}

/// The size of a request's first line and headers on the wire.
fn head_bytes(request: &Parts) -> usize {
    let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = request.method.as_str().len() + target + "  HTTP/1.1\r\n".len();
    let headers = request.headers.iter();
    line + headers.map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// The answer that a function's response stands for.
fn respond(response: Bytes, request_id: Identifier) -> Result<Response<Body>, StatusCode> {
    let mut function = ProxyResponse::parse_or_infer(response).map_err(|error| {
        tracing::warn!(%request_id, %error, "integration failed");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    let cookies = function.headers.remove(SET_COOKIE);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = function.status;
    for cookie in function.cookies.into_iter().chain(cookies) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    for (name, value) in &function.headers {
        // The length is that of the body that is really sent.
        if !is_hop_by_hop(name) && name != CONTENT_LENGTH {
            response.headers_mut().append(name, value.clone());
        }
    }
    if !function.body.is_empty() {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().entry(CONTENT_TYPE).or_insert(text);
        *response.body_mut() = function.body.into();
    }
    Ok(response)
}
