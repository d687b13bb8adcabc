//! The Runtime API of one instance: HTTP, translated into [`Call`]s.
//!
//! Each instance has a port of its own, as each has an endpoint of its own on Lambda: that leaves nothing for a runtime's
//! client to get wrong. What a call means, and whether it may be made now, is for `sandbox` to say.
//!
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API" and "Using the Lambda Extensions API"; the answers to
//! wrong calls are those of AWS's Runtime Interface Emulator.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::{
    environment::{HANDLER, VERSION},
    error::FunctionError,
};

/// What an instance asks of the Runtime API.
pub(crate) enum Call {
    /// The next event.
    Next(Next),
    /// The response to an event.
    Response { request_id: String, response: Payload, verdict: oneshot::Sender<Verdict> },
    /// An error in place of a response.
    Error { request_id: String, error: FunctionError, verdict: oneshot::Sender<Verdict> },
    /// It cannot start.
    InitError { error: FunctionError, verdict: oneshot::Sender<Verdict> },
    /// Part of it wants to be told of its end.
    RegisterExtension { verdict: oneshot::Sender<Verdict> },
}

/// A call for the next event, which waits. If it is dropped, it waits until the Runtime API ends.
pub(crate) struct Next(oneshot::Sender<Result<Delivery, Superseded>>);

/// Another call waits for the next event.
struct Superseded;

impl Next {
    /// Answers with `delivery`. If nobody waits any more, nobody is told: the instance will ask again.
    pub(crate) fn answer(self, delivery: Delivery) {
        self.0.send(Ok(delivery)).ok();
    }

    /// Refuses it, since another one waits.
    pub(crate) fn supersede(self) {
        self.0.send(Err(Superseded)).ok();
    }
}

/// An event as an instance is given it.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) request_id: Arc<str>,
    /// When time is up, in milliseconds since the Unix epoch.
    pub(crate) deadline_millis: i64,
    pub(crate) function_arn: Arc<str>,
    pub(crate) trace_id: String,
    pub(crate) event: Bytes,
}

/// A body that may be too large.
pub(crate) enum Payload {
    Whole(Bytes),
    TooLarge,
}

/// What becomes of a call.
pub(crate) enum Verdict {
    Accepted,
    /// There is no such event.
    InvalidRequestId,
    /// It may not be made in this state.
    InvalidStateTransition {
        from: &'static str,
    },
    /// The response is too large. It counts as an answer.
    TooLarge,
}

/// A Runtime API. Dropping it ends it, whoever is connected.
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    pub(crate) calls: mpsc::Receiver<Call>,
    _server: AbortOnDropHandle<()>,
}

/// The connections that are served at once. Runtimes have one or two; more wait, so that a function that has gone wild
/// occupies bounded memory.
const CONNECTIONS_MAX: usize = 32;

/// The largest body that reports an error or registers an extension, in bytes.
const REPORT_BYTES_MAX: usize = 256 * 1024;

impl RuntimeApi {
    /// Takes a free port. Responses have at most `payload_bytes_max` bytes.
    pub(crate) async fn start(function: Arc<str>, payload_bytes_max: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (sender, calls) = mpsc::channel(CONNECTIONS_MAX);
        let routes = routes(Api { calls: sender, function, payload_bytes_max });
        let server = AbortOnDropHandle::new(tokio::spawn(serve(listener, routes)));
        Ok(Self { address, calls, _server: server })
    }
}

/// Serves connections. They end with this task, which axum's own `serve` would leave running.
async fn serve(listener: TcpListener, routes: Router) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        // An error is one connection's, or will pass, as too many open files may.
        if let Ok((stream, _peer)) = listener.accept().await {
            connections.spawn(serve_connection(stream, routes.clone()));
        } else {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn serve_connection(stream: TcpStream, routes: Router) {
    // A connection on which that fails is slower, not wrong.
    stream.set_nodelay(true).ok();
    let service = TowerToHyperService::new(routes);
    // There is no limit in time: a frozen instance keeps connections as they are.
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
    {
        tracing::debug!(%error, "a connection to the Runtime API failed");
    }
}

#[derive(Clone)]
struct Api {
    calls: mpsc::Sender<Call>,
    function: Arc<str>,
    payload_bytes_max: usize,
}

fn routes(api: Api) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .route("/2020-01-01/extension/register", post(register_extension))
        .route("/2020-01-01/extension/event/next", get(extension_next))
        .with_state(api)
}

async fn next(State(api): State<Api>) -> Response {
    let (sender, delivery) = oneshot::channel();
    api.calls.send(Call::Next(Next(sender))).await.ok();
    let delivery = match delivery.await {
        Ok(Ok(delivery)) => delivery,
        Ok(Err(Superseded)) => {
            return refusal(
                StatusCode::FORBIDDEN,
                "InvalidStateTransition",
                "Another call waits for the next event",
            );
        }
        Err(_gone) => return at_the_end().await,
    };
    let header = |name, value: &str| {
        HeaderValue::from_str(value).ok().map(|value| (HeaderName::from_static(name), value))
    };
    let headers: HeaderMap = [
        header("lambda-runtime-aws-request-id", &delivery.request_id),
        header("lambda-runtime-deadline-ms", &delivery.deadline_millis.to_string()),
        header("lambda-runtime-invoked-function-arn", &delivery.function_arn),
        header("lambda-runtime-trace-id", &delivery.trace_id),
        header("content-type", "application/json"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (headers, delivery.event).into_response()
}

async fn response(State(api): State<Api>, Path(request_id): Path<String>, body: Body) -> Response {
    let Some(response) = read(body, api.payload_bytes_max).await else {
        return truncated();
    };
    api.ask("Response", |verdict| Call::Response { request_id, response, verdict }).await
}

async fn error(
    State(api): State<Api>,
    Path(request_id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(error) = read_error(&headers, body).await else {
        return truncated();
    };
    api.ask("ErrorResponse", |verdict| Call::Error { request_id, error, verdict }).await
}

async fn init_error(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let Some(error) = read_error(&headers, body).await else {
        return truncated();
    };
    api.ask("InitError", |verdict| Call::InitError { error, verdict }).await
}

/// Registers an internal extension, which is part of the function: that is how a runtime makes itself be told of its end.
async fn register_extension(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    if read(body, REPORT_BYTES_MAX).await.is_none() {
        return truncated();
    }
    if !headers.contains_key("lambda-extension-name") {
        let message = "Empty extension name";
        return refusal(StatusCode::FORBIDDEN, "Extension.InvalidExtensionName", message);
    }
    let verdict = api.ask("Registered", |verdict| Call::RegisterExtension { verdict }).await;
    if verdict.status() != StatusCode::ACCEPTED {
        return verdict;
    }
    let description = json!({
        "functionName": &*api.function, "functionVersion": VERSION, "handler": HANDLER,
    });
    let identifier = Uuid::new_v4().to_string();
    ([("lambda-extension-identifier", identifier)], answer(StatusCode::OK, &description))
        .into_response()
}

/// An extension's next event: none, ever. Internal extensions aren't told of the end in this way but by a signal.
async fn extension_next() -> Response {
    pending().await
}

impl Api {
    /// Makes a call and renders its verdict; `to` is the state that it would lead to.
    async fn ask(
        &self,
        to: &'static str,
        call: impl FnOnce(oneshot::Sender<Verdict>) -> Call,
    ) -> Response {
        let (sender, verdict) = oneshot::channel();
        self.calls.send(call(sender)).await.ok();
        match verdict.await {
            Ok(Verdict::Accepted) => answer(StatusCode::ACCEPTED, &json!({ "status": "OK" })),
            Ok(Verdict::InvalidRequestId) => {
                refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
            }
            Ok(Verdict::InvalidStateTransition { from }) => refusal(
                StatusCode::FORBIDDEN,
                "InvalidStateTransition",
                &format!(
                    "State transition from {from} to {to} failed for runtime. \
                     Error: State transition is not allowed"
                ),
            ),
            Ok(Verdict::TooLarge) => refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                &format!(
                    "Exceeded maximum allowed payload size ({} bytes).",
                    self.payload_bytes_max
                ),
            ),
            Err(_gone) => at_the_end().await,
        }
    }
}

/// The answer to a call when the instance is at its end: none. The connection is closed with the Runtime API.
async fn at_the_end() -> Response {
    pending().await
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> Response {
    tracing::warn!(error_type, message, "refused a call of the Runtime API");
    answer(status, &json!({ "errorMessage": message, "errorType": error_type }))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn truncated() -> Response {
    let message = "HTTP request detected as truncated";
    refusal(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", message)
}

/// Reads an error; none if the body breaks off.
async fn read_error(headers: &HeaderMap, body: Body) -> Option<FunctionError> {
    let header = headers.get("lambda-runtime-function-error-type");
    let header = header.and_then(|value| value.to_str().ok());
    Some(match read(body, REPORT_BYTES_MAX).await? {
        Payload::Whole(body) => FunctionError::reported(header, &body),
        Payload::TooLarge => FunctionError::reported(header, b"the report is too large"),
    })
}

/// Reads a body to its end, keeping at most `bytes_max` bytes; none if it breaks off. A client that is answered before it
/// has sent everything may find the connection closed instead of an answer.
async fn read(body: Body, bytes_max: usize) -> Option<Payload> {
    let mut chunks = body.into_data_stream();
    let mut kept = Vec::new();
    let mut is_too_large = false;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok()?;
        is_too_large |= chunk.len() > bytes_max - kept.len();
        if is_too_large {
            kept = Vec::new();
        } else {
            kept.extend_from_slice(&chunk);
        }
    }
    Some(if is_too_large { Payload::TooLarge } else { Payload::Whole(kept.into()) })
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    #[tokio::test]
    async fn a_call_that_is_dropped_has_no_answer() {
        let mut api = RuntimeApi::start("test".into(), 1).await.unwrap();
        for path in ["invocation/next", "invocation/1/response"] {
            let mut client = TcpStream::connect(api.address).await.unwrap();
            let method = if path.ends_with("next") { "GET" } else { "POST" };
            let head = format!("{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: x\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            drop(api.calls.recv().await);
            let answer = timeout(Duration::from_millis(100), client.read_u8()).await;
            assert!(answer.is_err(), "{path}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn a_call_that_waits_ends_with_its_runtime_api() {
        let mut api = RuntimeApi::start("test".into(), 1).await.unwrap();
        let mut client = TcpStream::connect(api.address).await.unwrap();
        let head = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n";
        client.write_all(head).await.unwrap();
        let _next = api.calls.recv().await.unwrap();
        drop(api);
        assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }
}
