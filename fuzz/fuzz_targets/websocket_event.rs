//! Any socket's life, or any event, for the functions of the WebSocket API: a handshake is let in or refused with a
//! reason, and everything else is taken.
//!
//! An input is a handshake as text (`fuzz::Request`) whose body is the frame that follows it, or an event when it begins
//! with `{`. `ACCESS_TOKEN` and `REFRESH_TOKEN` in it are those of a session that lives.

#![no_main]

use std::sync::LazyLock;

use fuzz::{Chat, Request};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;

static CHAT: LazyLock<Chat> = LazyLock::new(Chat::start);

const CONNECT: &str = include_str!("../../functions/connect/events/connect.json");
const MESSAGE: &str = include_str!("../../functions/message/events/message.json");
const DISCONNECT: &str = include_str!("../../functions/disconnect/events/disconnect.json");

fuzz_target!(|input: &[u8]| -> Corpus {
    let input = CHAT.with_tokens(input);
    if input.first() == Some(&b'{') {
        return raw_event(&input);
    }
    let Some(request) = Request::read(&input) else { return Corpus::Reject };
    check_connect(&take("$connect", request.connect_event(CONNECT).to_string().as_bytes()));
    assert_taken(&take("$default", request.message_event(MESSAGE).to_string().as_bytes()));
    assert_taken(&take("$disconnect", DISCONNECT.as_bytes()));
    Corpus::Keep
});

/// Hands an event to its function, and afterwards forgets the connection, so that their number stays small.
fn raw_event(input: &[u8]) -> Corpus {
    let Ok(event) = serde_json::from_slice::<Value>(input) else { return Corpus::Reject };
    let context = &event["requestContext"];
    let key = match context["eventType"].as_str() {
        Some("CONNECT") => "$connect",
        Some("DISCONNECT") => "$disconnect",
        _ => "$default",
    };
    let answer = CHAT.websocket(key, input);
    // What has no connection is none of API Gateway's, and what cannot be parsed isn't either.
    let is_event = serde_json::from_slice::<shared::websocket::Event>(input).is_ok();
    if !is_event || context["connectionId"].is_null() {
        return Corpus::Keep;
    }
    let answer = answer.expect("a function takes every event of API Gateway's");
    match key {
        "$connect" => check_connect(&answer),
        _ => assert_taken(&answer),
    }
    let mut end: Value = serde_json::from_str(DISCONNECT).expect("samples are JSON");
    end["requestContext"]["connectionId"] = context["connectionId"].clone();
    assert_taken(&take("$disconnect", end.to_string().as_bytes()));
    Corpus::Keep
}

fn take(key: &str, event: &[u8]) -> Value {
    CHAT.websocket(key, event).expect("a function takes every event of API Gateway's")
}

fn assert_taken(answer: &Value) {
    assert_eq!(*answer, serde_json::json!({ "statusCode": 200 }));
}

fn check_connect(answer: &Value) {
    let headers = &answer["headers"];
    match answer["statusCode"].as_u64() {
        Some(200) => {
            let protocol = &headers["Sec-WebSocket-Protocol"];
            assert!(protocol.is_null() || protocol == "chat.v1", "{answer}");
            assert!(answer["body"].is_null());
        }
        Some(status @ (400 | 401 | 403)) => {
            assert_eq!(headers["Content-Type"], "application/problem+json");
            let body = answer["body"].as_str().expect("a reason");
            let problem: Value = serde_json::from_str(body).expect("a reason is JSON");
            assert_eq!(problem["status"], status);
        }
        _ => panic!("a handshake is answered {answer}"),
    }
}
