//! The HTTP API.

use std::time::Duration;

use futures_util::stream;
use gateway::{Cors, Limits};
use lambda_http::{Body, RequestExt, http::Method};
use reqwest::{Response, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{World, impatient, read_to_end, response};

async fn script(world: &World, script: impl Into<String>) -> Response {
    let request = world.http.post(world.url("/api/script")).header("content-type", "text/plain");
    request.body(script.into()).send().await.unwrap()
}

/// Checks an answer of the gateway's own.
async fn assert_error(response: Response, status: u16, message: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["apigw-requestid"].len(), 16);
    assert_eq!(response.text().await.unwrap(), format!(r#"{{"message":"{message}"}}"#));
}

#[tokio::test]
async fn events_are_read_as_lambda_http_reads_them() {
    let world = World::start().await;
    let request = world.http.post(world.url("/api/echo?a=1&a=2&b=%C3%A9"));
    let request = request.header("content-type", "application/json").header("x-one", "1");
    let response = request.body(r#"{"text":"hé"}"#).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let request_id = response.headers()["apigw-requestid"].to_str().unwrap().to_owned();
    let event = response.text().await.unwrap();
    let parsed: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(parsed["requestContext"]["requestId"], request_id);
    assert_eq!(parsed["routeKey"], "POST /api/echo");

    let request = lambda_http::request::from_str(&event).unwrap();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri().to_string(), world.url("/api/echo?a=1&a=2&b=%C3%A9"));
    assert_eq!(request.headers()["x-one"], "1");
    assert_eq!(request.query_string_parameters().first("b"), Some("é"));
    assert_eq!(*request.body(), Body::Text(r#"{"text":"hé"}"#.to_owned()));
}

#[tokio::test]
async fn binary_bodies_arrive_whole() {
    let world = World::start().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let response = world.http.post(world.url("/api/echo")).body(bytes.clone()).send();
    let event = response.await.unwrap().text().await.unwrap();
    let request = lambda_http::request::from_str(&event).unwrap();
    assert_eq!(*request.body(), Body::Binary(bytes));
}

#[tokio::test]
async fn bytes_in_headers_that_are_no_text_break_nothing() {
    let world = World::start().await;
    let request = b"GET /api/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-name: caf\xe9 \x80\xff\r\n\r\n";
    let answer = world.exchange(request).await;
    let (_head, event) = answer.split_once("\r\n\r\n").unwrap();
    let parsed: Value = serde_json::from_str(event).unwrap();
    assert_eq!(parsed["headers"]["x-name"], "caf\u{e9} \u{80}\u{ff}");
    assert_eq!(parsed["headers"].get("connection"), None);
    lambda_http::request::from_str(event).unwrap();
}

#[tokio::test]
async fn a_request_without_a_proper_host_reaches_no_function() {
    let world = World::start().await;
    for host in ["host: a b\r\n", "host: \r\n", "host: a\r\nhost: b\r\n", "host: [::1\r\n", ""] {
        let request = format!("GET /api/echo HTTP/1.1\r\n{host}connection: close\r\n\r\n");
        let answer = world.exchange(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{host:?}: {answer}");
        assert!(answer.ends_with(r#"{"message":"Bad Request"}"#), "{host:?}: {answer}");
    }
    assert_eq!(world.stop().await, Vec::<Value>::new());
}

#[tokio::test]
async fn responses_become_answers() {
    let world = World::start().await;
    let document = json!({
        "statusCode": 418,
        "headers": { "X-One": "1", "Set-Cookie": "b=2", "content-length": "99", "Connection": "close" },
        "cookies": ["a=1; HttpOnly"],
        "body": "/wA=",
        "isBase64Encoded": true,
    });
    let response = script(&world, document.to_string()).await;
    assert_eq!(response.status(), 418);
    let headers = response.headers();
    assert_eq!(headers["x-one"], "1");
    assert_eq!(headers["content-length"], "2");
    assert_eq!(headers.get("connection"), None);
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1; HttpOnly", "b=2"]);
    assert_eq!(response.bytes().await.unwrap().as_ref(), b"\xff\0");

    let response = script(&world, r#"{ "ok": true }"#).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), r#"{ "ok": true }"#);

    let response = script(&world, r#"{"statusCode":204}"#).await;
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers().get("content-type"), None);
}

#[tokio::test]
async fn the_gateways_own_errors_are_api_gateways() {
    let world = World::start_with(impatient(), None).await;
    for request in [
        world.http.post(world.url("/api/unknown")),
        world.http.post(world.url("/api/")),
        world.http.post(world.url("/api/echo/")),
        world.http.post(world.url("/api/%65cho")),
        world.http.put(world.url("/api/echo")),
        world.http.request("PURGE".parse().unwrap(), world.url("/api/echo")),
    ] {
        assert_error(request.send().await.unwrap(), 404, "Not Found").await;
    }
    for failure in ["fail", "panic", "no JSON", r#"{"statusCode":"ok"}"#] {
        assert_error(script(&world, failure).await, 500, "Internal Server Error").await;
    }
    assert_error(script(&world, "hang").await, 503, "Service Unavailable").await;

    let long = "x".repeat(10_240);
    let request = world.http.get(world.url("/api/echo")).header("x-long", long);
    let response = request.send().await.unwrap();
    assert_error(response, 431, "Request Header Fields Too Large").await;

    let head = world.http.head(world.url("/api/echo")).send().await.unwrap();
    assert_eq!(head.status(), 404);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_not_reset() {
    const MEBIBYTE: usize = 1024 * 1024;
    let world = World::start().await;
    let post = || world.http.post(world.url("/api/echo")).header("content-type", "text/plain");

    let announced = post().body("x".repeat(11 * MEBIBYTE)).send().await.unwrap();
    assert_error(announced, 413, "Request Entity Too Large").await;

    let chunks = stream::iter((0..11).map(|_| Ok::<_, std::io::Error>("x".repeat(MEBIBYTE))));
    let chunked = post().body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    assert_error(chunked, 413, "Request Entity Too Large").await;

    // This is within API Gateway's limit, but not within Lambda's.
    let event_too_large = post().body("x".repeat(7 * MEBIBYTE)).send().await.unwrap();
    assert_error(event_too_large, 413, "Request Entity Too Large").await;

    let large = post().body("x".repeat(5 * MEBIBYTE)).send().await.unwrap();
    assert_eq!(large.status(), 200);
}

#[tokio::test]
async fn a_client_that_reads_only_after_sending_sees_the_413() {
    let world = World::start().await;
    let mut tcp = world.tcp().await;
    let head = format!(
        "POST /api/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        11 << 20
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..11 {
        tcp.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
    }
    let answer = read_to_end(&mut tcp).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_413_does_not_wait_for_the_body() {
    let world = World::start().await;
    for expect in ["", "expect: 100-continue\r\n"] {
        let mut tcp = world.tcp().await;
        let head = format!(
            "POST /api/echo HTTP/1.1\r\nhost: a\r\n{expect}content-length: 11534336\r\n\r\n"
        );
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 13];
        tcp.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 413 ");
    }
}

fn cors_headers(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut headers: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("access-control-")?;
            Some((name, value.to_str().unwrap()))
        })
        .collect();
    headers.sort_unstable();
    headers
}

#[tokio::test]
async fn with_cors_the_gateway_answers_for_the_functions() {
    let cors = Cors {
        allow_origins: vec!["https://chat.example".parse().unwrap()],
        allow_methods: vec!["GET".parse().unwrap(), "POST".parse().unwrap()],
        allow_headers: vec!["authorization".parse().unwrap()],
        expose_headers: vec!["link".parse().unwrap()],
        max_age: Some(Duration::from_mins(10)),
    };
    let world = World::start_with(Limits::default(), Some(cors)).await;
    let preflight = |origin: &'static str| {
        let url = world.url("/api/anything");
        let request = world.http.request(reqwest::Method::OPTIONS, url).header("origin", origin);
        request.header("access-control-request-method", "POST").send()
    };

    let allowed = preflight("https://chat.example").await.unwrap();
    assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        cors_headers(allowed.headers()),
        [
            ("allow-headers", "authorization"),
            ("allow-methods", "GET,POST"),
            ("allow-origin", "https://chat.example"),
            ("max-age", "600"),
        ]
    );
    assert_eq!(allowed.headers()["apigw-requestid"].len(), 16);
    let foreign = preflight("https://evil.example").await.unwrap();
    assert_eq!(foreign.status(), StatusCode::NO_CONTENT);
    assert_eq!(cors_headers(foreign.headers()), []);

    let answer = response(200, &json!({ "access-control-allow-origin": "*" }), "hi");
    let post = |origin: Option<&'static str>| {
        let request =
            world.http.post(world.url("/api/script")).header("content-type", "text/plain");
        let request = request.body(answer.clone());
        origin
            .map(|origin| request.try_clone().unwrap().header("origin", origin))
            .unwrap_or(request)
            .send()
    };
    let allowed = post(Some("https://chat.example")).await.unwrap();
    assert_eq!(
        cors_headers(allowed.headers()),
        [("allow-origin", "https://chat.example"), ("expose-headers", "link")]
    );
    for origin in [None, Some("https://evil.example")] {
        let response = post(origin).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(cors_headers(response.headers()), []);
    }
    let request =
        world.http.get(world.url("/api/unknown")).header("origin", "https://chat.example");
    let not_found = request.send().await.unwrap();
    assert_eq!(not_found.status(), 404);
    assert_eq!(cors_headers(not_found.headers()).len(), 2);
}

#[tokio::test]
async fn without_cors_the_functions_answer_for_themselves() {
    let world = World::start().await;
    let answer = response(200, &json!({ "access-control-allow-origin": "*" }), "hi");
    let answer = script(&world, answer).await;
    assert_eq!(cors_headers(answer.headers()), [("allow-origin", "*")]);
    let url = world.url("/api/echo");
    let preflight = world.http.request(reqwest::Method::OPTIONS, url).header("origin", "https://a");
    let preflight = preflight.header("access-control-request-method", "POST").send().await.unwrap();
    assert_eq!(preflight.status(), 404);
}
