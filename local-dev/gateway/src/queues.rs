//! Queues on the gateway's port: calls are told from requests to APIs by their `X-Amz-Target`, checked, and handed on. What
//! queues do is not the gateway's business.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    RunningGateway,
    body::{self, BodyError},
    signature::{self, SignatureError},
    timestamp::Timestamp,
};

/// The service's name in signatures.
const SERVICE: &str = "sqs";

/// The largest body of a call, in bytes: a mebibyte, the largest batch, may be written with three bytes for each of its own.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// What has the queues.
pub trait Queues: Send + Sync {
    /// Whether a request with that `X-Amz-Target` is a call of theirs.
    fn is_target(&self, target: &str) -> bool;

    /// Answers a call that may be made.
    fn answer(&self, target: String, body: Bytes) -> BoxFuture<'_, Response<Bytes>>;

    /// All queues.
    fn list(&self) -> Vec<Queue>;

    /// Deletes all messages of a queue, and says how many; `None` if there is no such queue.
    fn purge(&self, queue: &str) -> Option<usize>;

    /// Moves the messages of a dead-letter queue back to where they came from, and says how many; `None` if there is no
    /// such queue.
    fn redrive(&self, queue: &str) -> Option<usize>;
}

/// A queue as the inspector shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Messages that wait for somebody to take them.
    pub waiting: usize,
    /// Messages that somebody has taken and not yet deleted.
    pub in_flight: usize,
    /// Messages that don't show yet.
    pub delayed: usize,
    /// The name of the queue for what is given up.
    pub dead_letter_queue: Option<String>,
    /// Whether it is the queue for what others give up.
    pub is_dead_letter_queue: bool,
}

/// Whether a request is a call to the queues. Most clients call `POST /`, some the path of the queue's URL; no page of another
/// origin can send the header.
pub(crate) fn is_meant(gateway: &RunningGateway, request: &Request) -> bool {
    let target = request.headers().get(TARGET).and_then(|target| target.to_str().ok());
    request.method() == Method::POST
        && gateway
            .queues
            .as_ref()
            .zip(target)
            .is_some_and(|(queues, target)| queues.is_target(target))
}

/// Answers a call to the queues.
pub(crate) async fn answer(gateway: &RunningGateway, request: Request) -> Response<Body> {
    let (request, body) = request.into_parts();
    let body = body::read(&request.headers, body, BODY_BYTES_MAX).await;
    let verified = gateway.credentials.as_ref().map_or(Ok(()), |credentials| {
        let body = body.as_deref().ok();
        signature::verify(credentials, SERVICE, &request, body, Timestamp::now())
    });
    let target = request.headers.get(TARGET).and_then(|target| target.to_str().ok());
    match (verified, body, &gateway.queues, target) {
        (Err(refusal), ..) => refuse(&refusal),
        (Ok(()), Ok(body), Some(queues), Some(target)) => {
            queues.answer(target.to_owned(), body).await.map(Body::from)
        }
        (Ok(()), Err(BodyError::TooLarge), ..) => error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLargeException",
            "Too large",
            None,
        ),
        _ => error(
            StatusCode::BAD_REQUEST,
            "SerializationException",
            "Broken",
            Some("MalformedInput"),
        ),
    }
}

/// The same refusal as for `@connections`, in the form of the JSON protocol with the codes of the older query protocol.
fn refuse(refusal: &SignatureError) -> Response<Body> {
    let (status, code) = match refusal.error_type {
        "MissingAuthenticationTokenException" => {
            (StatusCode::FORBIDDEN, "MissingAuthenticationToken")
        }
        "IncompleteSignatureException" => (StatusCode::BAD_REQUEST, "IncompleteSignature"),
        "UnrecognizedClientException" => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
        _ => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
    };
    error(status, refusal.error_type, &refusal.message, Some(code))
}

fn error(status: StatusCode, shape: &str, message: &str, code: Option<&str>) -> Response<Body> {
    let document =
        json!({"__type": format!("com.amazon.coral.service#{shape}"), "message": message});
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, Some("application/x-amz-json-1.0".to_owned())),
        (REQUEST_ID, Some(Uuid::new_v4().to_string())),
        (QUERY_ERROR, code.map(|code| format!("{code};Sender"))),
    ];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
