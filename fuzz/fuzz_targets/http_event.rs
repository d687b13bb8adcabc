//! Any event for the functions of the HTTP API: each is answered as infra/openapi.yaml describes, and never with a 5xx.
//!
//! An input is a request as text (`fuzz::Request`), or an event when it begins with `{`. `ACCESS_TOKEN` and `REFRESH_TOKEN`
//! in it are those of a session that lives.

#![no_main]

use std::sync::LazyLock;

use fuzz::{Chat, Request};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;

static CHAT: LazyLock<Chat> = LazyLock::new(Chat::start);

const SAMPLE: &str = include_str!("../../functions/login/events/login.json");

fuzz_target!(|input: &[u8]| -> Corpus {
    let input = CHAT.with_tokens(input);
    let event = if input.first() == Some(&b'{') { raw_event(&input) } else { event(&input) };
    let Some(event) = event else { return Corpus::Reject };
    let key = event["routeKey"].as_str().unwrap_or_default();
    let Some(answer) = CHAT.http(key, event.to_string().as_bytes()) else {
        return Corpus::Reject;
    };
    check(key, &answer);
    if key == "POST /auth/logout" && answer["statusCode"] == 204 {
        CHAT.log_in();
    }
    Corpus::Keep
});

fn event(input: &[u8]) -> Option<Value> {
    let request = Request::read(input)?;
    let key = format!("{} {}", request.method, request.target.path());
    Some(request.http_event(&key, SAMPLE))
}

/// An event that the fuzzer has written, but for what API Gateway writes itself and `lambda_http` makes a URL of.
fn raw_event(input: &[u8]) -> Option<Value> {
    let mut event: Value = serde_json::from_slice(input).ok()?;
    // It must be one that Lambda's runtime takes for an event of an HTTP API.
    serde_json::from_slice::<lambda_http::request::LambdaRequest>(input).ok()?;
    let sample: Value = serde_json::from_str(SAMPLE).expect("samples are JSON");
    let query = event["rawQueryString"].as_str().unwrap_or_default();
    format!("/?{query}").parse::<http::Uri>().ok()?;
    event["rawPath"] = sample["rawPath"].clone();
    for name in ["host", "x-forwarded-proto"] {
        event["headers"].as_object_mut()?.insert(name.to_owned(), sample["headers"][name].clone());
    }
    for name in ["domainName", "stage"] {
        let value = sample["requestContext"][name].clone();
        event["requestContext"].as_object_mut()?.insert(name.to_owned(), value);
    }
    Some(event)
}

fn check(key: &str, answer: &Value) {
    let status = answer["statusCode"].as_u64().expect("a status");
    let described = match key {
        "POST /auth/register" => &[201, 400, 409, 422][..],
        "POST /auth/login" => &[200, 400, 401, 422, 429],
        "POST /auth/refresh" => &[200, 400, 401, 422],
        "POST /auth/logout" => &[204, 400, 401, 422],
        _ => &[200, 401, 422],
    };
    assert!(described.contains(&status), "{key} is answered {answer}");
    assert_eq!(answer["isBase64Encoded"], false);
    let header = |name: &str| answer["headers"][name].as_str();
    assert_eq!(header("cache-control"), Some("no-store"), "{answer}");
    let body = answer["body"].as_str().unwrap_or_default();
    if status == 204 {
        assert_eq!(body, "");
        return;
    }
    let body: Value = serde_json::from_str(body).expect("a body is JSON");
    let content_type = header("content-type");
    if status < 400 {
        assert_eq!(content_type, Some("application/json"));
    } else {
        assert_eq!(content_type, Some("application/problem+json"));
        assert_eq!(body["status"], status);
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    }
    assert_eq!(status == 401, header("www-authenticate").is_some(), "{answer}");
    assert_eq!(status == 429, header("retry-after").is_some(), "{answer}");
}
