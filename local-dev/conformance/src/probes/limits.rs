//! How much is too much.

use serde_json::json;

use crate::{
    probe::{Stop, check, probes, same},
    socket::{CLOSE, Opening, Socket},
    target::{Target, given, report},
    wire::{Request, Response},
};

probes! {
    "http.limits.head-431" Documented HTTP_QUOTAS
        "a request line and headers of more than 10,240 bytes are answered 431" => long_head;
    "http.limits.head-largest" Documented HTTP_QUOTAS
        "a request line and headers of less than 10,240 bytes are taken" => longest_head;
    "http.limits.body-413" Documented HTTP_QUOTAS
        "a body of more than 10 MB is answered 413" => large_body;
    "http.limits.body-text" Assumed UNKNOWN
        "its text is Request Entity Too Large" => large_body_text;
    "http.limits.event-6-mb" Documented LAMBDA_QUOTAS
        "a body whose event is larger than 6 MB does not reach the function" => large_event;
    "http.limits.answer-6-mb" Documented LAMBDA_QUOTAS
        "an answer larger than 6 MB is an error of the function" => large_answer;
    "http.limits.answer-5-mb" Documented LAMBDA_QUOTAS
        "an answer of 5 MB is passed on" => almost_large_answer;
    "http.limits.throttled-429" Documented HTTP_THROTTLE
        "a throttled request is answered 429" => throttled;
    "http.limits.throttled-text" Assumed HTTP_THROTTLE
        "its text is Too Many Requests" => throttled_text;
    "ws.limits.throttled-message" Assumed WS_PROTECT
        "a throttled message is answered with a frame that says Too Many Requests" => throttled_message;
    "ws.limits.throttled-1008" Documented WS_OVERVIEW
        "a client that goes on when it is throttled is closed with 1008" => throttled_client;
}

async fn with_head(target: &Target, padding: usize) -> Result<Response, Stop> {
    target.http(Request::new("GET", "/exact").header("x-padding", "x".repeat(padding))).await
}

async fn long_head(target: &Target) -> Result<(), Stop> {
    same("the status", with_head(target, 10_240).await?.status, 431)
}

async fn longest_head(target: &Target) -> Result<(), Stop> {
    report(&with_head(target, 9_900).await?).map(drop)
}

async fn with_body(target: &Target, bytes: usize) -> Result<Response, Stop> {
    let request =
        Request::new("POST", "/script?script=%7B%22answer%22%3A%7B%22statusCode%22%3A200%7D%7D");
    target.http(request.header("content-type", "text/plain").body(vec![b'x'; bytes])).await
}

async fn large_body(target: &Target) -> Result<(), Stop> {
    same("the status", with_body(target, 10 * 1024 * 1024 + 1).await?.status, 413)
}

async fn large_body_text(target: &Target) -> Result<(), Stop> {
    let response = with_body(target, 10 * 1024 * 1024 + 1).await?;
    same("the body", response.text(), r#"{"message":"Request Entity Too Large"}"#)
}

async fn large_event(target: &Target) -> Result<(), Stop> {
    let response = with_body(target, 6 * 1024 * 1024 + 1).await?;
    check(response.status >= 400, || format!("the status is {}", response.status))
}

async fn large_answer(target: &Target) -> Result<(), Stop> {
    let script = json!({ "body_bytes": 6 * 1024 * 1024 + 1 });
    let response = target.script("/script", &script).await?;
    same("the status", response.status, 500)?;
    same("the body", response.text(), r#"{"message":"Internal Server Error"}"#)
}

async fn almost_large_answer(target: &Target) -> Result<(), Stop> {
    const BYTES: usize = 5 * 1024 * 1024;

    let response = target.script("/script", &json!({ "body_bytes": BYTES })).await?;
    same("the status", response.status, 200)?;
    same("the length of the body", response.body.len(), BYTES)
}

async fn throttled_request(target: &Target) -> Result<Response, Stop> {
    let url = given(target.http_throttled.as_ref(), "--http-throttled")?;
    target.request(url, Request::new("GET", url.path())).await
}

async fn throttled(target: &Target) -> Result<(), Stop> {
    same("the status", throttled_request(target).await?.status, 429)
}

async fn throttled_text(target: &Target) -> Result<(), Stop> {
    let body = throttled_request(target).await?.text();
    same("the body", body, r#"{"message":"Too Many Requests"}"#)
}

async fn throttled_socket(target: &Target) -> Result<Socket, Stop> {
    let url = given(target.messages_throttled.as_ref(), "--messages-throttled")?;
    let shaken = Opening::default().open(url, target.patience).await?;
    shaken.socket.ok_or_else(|| Stop::differs("the handshake was refused"))
}

async fn throttled_message(target: &Target) -> Result<(), Stop> {
    let mut socket = throttled_socket(target).await?;
    socket.text("hello").await?;
    let frame = socket.message().await?;
    check(frame.starts_with(r#"{"message": "Too Many Requests", "connectionId":""#), || {
        format!("the frame is {frame:?}")
    })
}

async fn throttled_client(target: &Target) -> Result<(), Stop> {
    /// How many AWS takes is not known.
    const MESSAGES_MAX: usize = 2000;

    let mut socket = throttled_socket(target).await?;
    for _ in 0..MESSAGES_MAX {
        socket.text("hello").await?;
        let frame = socket.frame().await?;
        if frame.opcode == CLOSE {
            return same("the code", frame.payload.get(..2), Some(&1008_u16.to_be_bytes()[..]));
        }
    }
    Err(Stop::differs(format!("{MESSAGES_MAX} messages were taken")))
}
