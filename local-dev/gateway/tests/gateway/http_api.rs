//! Requests to the HTTP API, their events and their sizes.

use futures_util::stream;
use gateway::{Gateway, Limits};
use lambda_http::{Body, RequestExt, http::Method};
use reqwest::Response;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    site::{Site, api, assert_error, echo},
    support::{World, impatient, read_to_end},
};

async fn script(world: &World, script: impl Into<String>) -> Response {
    let request = world.http.post(world.url("/api/script")).header("content-type", "text/plain");
    request.body(script.into()).send().await.unwrap()
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

/// Source: "Create routes for HTTP APIs" (404), "Troubleshooting issues with HTTP API Lambda integrations" (500), captured
/// traffic (503), "HTTP API quotas" (431).
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

/// Source: "HTTP API quotas", payload size, and "Lambda quotas", invocation payload. The text is inferred.
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

/// Source: "HTTP API quotas" and "Lambda quotas": both can be set here.
#[tokio::test]
async fn the_largest_sizes_can_be_set() {
    let limits = Limits { http_body_bytes_max: 2000, payload_bytes_max: 2500, ..Limits::default() };
    let gateway = Gateway { limits, ..Gateway::default() };
    let site = Site::start_with(api([echo("POST /echo")]), gateway).await;
    let post = async |bytes: usize| {
        let request = site.http.post(site.url("/echo")).header("content-type", "text/plain");
        request.body("x".repeat(bytes)).send().await.unwrap()
    };
    assert_eq!(post(1500).await.status(), 200);
    // An event is longer than its body.
    assert_error(post(2000).await, 413, "Request Entity Too Large").await;
    assert_error(post(2001).await, 413, "Request Entity Too Large").await;
}
