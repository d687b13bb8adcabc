//! A small Lambda Runtime API: gives one event to one bootstrap and takes its answer.
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API".

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{
    net::TcpListener,
    process::Command,
    sync::{Mutex, mpsc},
    time::timeout,
};

/// How long a bootstrap may take for its start and its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a function made of an event.
pub type Outcome = Result<serde_json::Value, serde_json::Value>;

#[derive(Clone)]
struct Invocation {
    /// The event, until it has been fetched.
    event: Arc<Mutex<Option<Vec<u8>>>>,
    outcome: mpsc::Sender<Outcome>,
}

/// Starts a bootstrap as Lambda would, with `environment` and nothing else, and has it handle `event`. Also says what it
/// logged.
pub async fn invoke(
    bootstrap: &Path,
    environment: &[(&str, String)],
    event: Vec<u8>,
) -> (Outcome, String) {
    let (sender, mut outcome) = mpsc::channel(1);
    let invocation = Invocation { event: Arc::new(Mutex::new(Some(event))), outcome: sender };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move { axum::serve(listener, routes(invocation)).await });

    let mut function = Command::new(bootstrap)
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "under-test"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "an example"),
            ("AWS_SESSION_TOKEN", "an example"),
        ])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let outcome = tokio::select! {
        outcome = timeout(PATIENCE, outcome.recv()) => outcome.expect("it answers in time").unwrap(),
        status = function.wait() => panic!("{} ended: {:?}", bootstrap.display(), status),
    };
    function.start_kill().unwrap();
    let log = function.wait_with_output().await.unwrap().stderr;
    server.abort();
    (outcome, String::from_utf8(log).unwrap())
}

fn routes(invocation: Invocation) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{outcome}", post(answer))
        .with_state(invocation)
}

async fn next(State(invocation): State<Invocation>) -> Response {
    let Some(event) = invocation.event.lock().await.take() else {
        // There is one event only. As on Lambda, the function waits for the next one.
        return std::future::pending().await;
    };
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:123456789012:function:under-test",
        ),
        ("lambda-runtime-trace-id", "Root=1-6b041242-00112233445566778899aabb"),
    ];
    (headers, event).into_response()
}

async fn answer(
    State(invocation): State<Invocation>,
    UrlPath((_id, kind)): UrlPath<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let body = serde_json::from_slice(&body).unwrap();
    let outcome = if kind == "response" { Ok(body) } else { Err(body) };
    invocation.outcome.send(outcome).await.unwrap();
    StatusCode::ACCEPTED
}
