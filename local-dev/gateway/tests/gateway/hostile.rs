//! Requests that no decent client sends: each has a clear answer, and the gateway goes on.

use std::sync::Arc;

use gateway::{Gateway, Limits, Rate};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
};

use crate::{
    site::{Site, api, assert_error, echo, gated},
    support::read_to_end,
};

const OK: &str = "HTTP/1.1 200 OK\r\n";
const BAD_REQUEST: &str = "HTTP/1.1 400 Bad Request\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\n";
const TOO_LONG: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\n";

async fn echoing() -> Site {
    Site::start(api([echo("ANY /echo"), echo("ANY /echo/{id}")])).await
}

fn event(answer: &str) -> Value {
    let (_head, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

/// Source: RFC 9112, 3.2; what API Gateway makes of such targets is not known.
#[tokio::test]
async fn targets_of_all_forms_have_an_answer() {
    let site = echoing().await;
    for (line, status) in [
        ("GET http://other.example/echo HTTP/1.1", OK),
        ("GET http://user@other.example/echo HTTP/1.1", BAD_REQUEST),
        ("OPTIONS * HTTP/1.1", BAD_REQUEST),
        ("GET * HTTP/1.1", BAD_REQUEST),
        ("CONNECT other.example:443 HTTP/1.1", BAD_REQUEST),
        ("CONNECT /echo HTTP/1.1", BAD_REQUEST),
        ("GET echo HTTP/1.1", BAD_REQUEST),
        ("GET /echo#fragment HTTP/1.1", OK),
        ("GET /echo? HTTP/1.1", OK),
        ("GET /echo?a=%zz&%&=&&%ff HTTP/1.1", OK),
        ("GET /echo/%zz%4 HTTP/1.1", OK),
        ("GET /echo/%2e%2e%2fetc HTTP/1.1", OK),
        ("GET /echo/.. HTTP/1.1", OK),
        ("GET /echo/\u{e9} HTTP/1.1", OK),
        ("GET //echo HTTP/1.1", OK),
        ("GET /echo HTTP/1.0", "HTTP/1.0 200 OK\r\n"),
        ("GET /echo HTTP/2.0", BAD_REQUEST),
        ("GET /echo HTTP/3", BAD_REQUEST),
        ("GET /echo", BAD_REQUEST),
        ("PRI * HTTP/2.0", BAD_REQUEST),
        ("G\u{e9}T /echo HTTP/1.1", BAD_REQUEST),
        ("get /echo HTTP/1.1", OK),
        ("GET /echo\0 HTTP/1.1", BAD_REQUEST),
        ("GET  /echo HTTP/1.1", BAD_REQUEST),
        (" /echo HTTP/1.1", BAD_REQUEST),
        ("GET /echo/x/y HTTP/1.1", NOT_FOUND),
        ("\u{16}\u{3}\u{1}", BAD_REQUEST),
    ] {
        let request = format!("{line}\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = site.exchange(request).await;
        assert!(answer.starts_with(status), "{line:?}: {answer}");
    }
    let absolute =
        b"GET http://other.example:8080/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let event = event(&site.exchange(absolute).await);
    assert_eq!(event["requestContext"]["domainName"], "other.example:8080");
    assert_eq!(event["rawPath"], "/echo");
}

#[tokio::test]
async fn headers_that_are_wrong_have_an_answer() {
    let site = echoing().await;
    for (headers, status) in [
        (&b"host: a\r\nx: caf\xe9\x80\xff\r\n"[..], OK),
        (b"host: a\r\nx:\r\n", OK),
        (b"host: a\r\nx: a\tb\r\n", OK),
        (b"host: a\r\nx: a\0b\r\n", BAD_REQUEST),
        (b"host: a\r\nx\xe9: a\r\n", BAD_REQUEST),
        (b"host: a\r\nx y: a\r\n", BAD_REQUEST),
        (b"host: a\r\n: a\r\n", BAD_REQUEST),
        (b"host: a\r\nx\r\n", BAD_REQUEST),
        (b"host: a\r\n folded\r\n", BAD_REQUEST),
        (b"host: a\r\nhost: a\r\n", BAD_REQUEST),
        (b"host: caf\xe9\r\n", BAD_REQUEST),
        (b"", BAD_REQUEST),
        (b"host: a\r\ncookie: ;;=;\xff\r\n", OK),
        (b"host: a\r\ncontent-type: \xff\r\n", OK),
        (b"host: a\r\nuser-agent: \xff\r\n", OK),
        (b"host: a\r\nx-forwarded-for: \xff, ,\r\n", OK),
        (b"host: a\r\nupgrade: websocket\r\n", OK),
        (b"host: a\r\nexpect: something\r\n", OK),
    ] {
        let request = [b"GET /echo HTTP/1.1\r\nconnection: close\r\n", headers, b"\r\n"].concat();
        let answer = site.exchange(&request).await;
        assert!(answer.starts_with(status), "{}: {answer}", String::from_utf8_lossy(headers));
    }
}

/// Source: RFC 9112, 6.3.
#[tokio::test]
async fn bodies_of_wrong_lengths_have_an_answer() {
    let site = echoing().await;
    for (rest, status) in [
        ("content-length: 2\r\n\r\nhi", OK),
        ("content-length: 0\r\n\r\n", OK),
        ("content-length: 9\r\n\r\nhi", BAD_REQUEST),
        ("content-length: -1\r\n\r\nhi", BAD_REQUEST),
        ("content-length: two\r\n\r\nhi", BAD_REQUEST),
        ("content-length: 2\r\ncontent-length: 3\r\n\r\nhi", BAD_REQUEST),
        ("content-length: 99999999999999999999999\r\n\r\nhi", BAD_REQUEST),
        ("content-length: 9223372036854775807\r\n\r\nhi", "HTTP/1.1 413 Payload Too Large\r\n"),
        ("transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", OK),
        ("transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-trailer: a\r\n\r\n", OK),
        ("transfer-encoding: chunked\r\n\r\n2;ext=1\r\nhi\r\n0\r\n\r\n", OK),
        ("transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", BAD_REQUEST),
        ("transfer-encoding: chunked\r\n\r\n9\r\nhi\r\n0\r\n\r\n", BAD_REQUEST),
        ("transfer-encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n", BAD_REQUEST),
        ("transfer-encoding: gzip\r\n\r\nhi", BAD_REQUEST),
        ("content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", OK),
    ] {
        let request = format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: text/plain\r\n{rest}"
        );
        let mut tcp = site.tcp().await;
        tcp.write_all(request.as_bytes()).await.unwrap();
        tcp.shutdown().await.unwrap();
        let answer = read_to_end(&mut tcp).await;
        assert!(answer.starts_with(status), "{rest:?}: {answer}");
        if status == OK && rest.contains("hi") {
            assert_eq!(event(&answer)["body"], "hi", "{rest:?}");
            assert_eq!(event(&answer)["headers"]["content-length"], "2", "{rest:?}");
            assert_eq!(event(&answer)["headers"].get("x-trailer"), None);
        }
    }
}

/// Source: RFC 9110, 10.1.1.
#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to() {
    let site = echoing().await;
    let mut tcp = site.tcp().await;
    let head = b"POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    tcp.write_all(head).await.unwrap();
    let mut proceed = [0; 25];
    tcp.read_exact(&mut proceed).await.unwrap();
    assert_eq!(&proceed, b"HTTP/1.1 100 Continue\r\n\r\n");
    tcp.write_all(b"hi").await.unwrap();
    assert_eq!(event(&read_to_end(&mut tcp).await)["body"], "aGk=");
}

#[tokio::test]
async fn a_client_that_has_said_all_still_gets_its_answer() {
    let gate = Arc::new(Semaphore::new(0));
    let site = Site::start(api([gated("GET /slow", &gate)])).await;
    let mut tcp = site.tcp().await;
    tcp.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tcp.shutdown().await.unwrap();
    gate.add_permits(1);
    let answer = read_to_end(&mut tcp).await;
    assert!(answer.starts_with(OK), "{answer}");
}

#[tokio::test]
async fn requests_can_be_sent_before_their_predecessors_are_answered() {
    let site = echoing().await;
    let answers = site
        .exchange("GET /echo/1 HTTP/1.1\r\nhost: a\r\n\r\nGET /echo/2 HTTP/1.1\r\nhost: a\r\n\r\nGET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    let one = answers.find(r#""rawPath":"/echo/1""#).unwrap();
    let two = answers.find(r#""rawPath":"/echo/2""#).unwrap();
    assert!(one < two, "{answers}");
}

/// Source: "HTTP API quotas", request line and headers.
#[tokio::test]
async fn heads_have_a_largest_size_and_no_largest_number() {
    let site = echoing().await;
    let head = |headers: &str| {
        format!("GET /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n")
    };
    let small = |count: usize| "x-a: b\r\n".repeat(count);
    let long = |bytes: usize| format!("x: {}\r\n", "a".repeat(bytes));
    for (headers, status) in [
        (small(150), OK),
        (small(1200), OK),
        (small(2000), TOO_LONG),
        (small(4000), TOO_LONG),
        (long(10_000), OK),
        (long(10_240), TOO_LONG),
        (long(20 << 10), TOO_LONG),
        (long(500 << 10), TOO_LONG),
        (long(900 << 10), TOO_LONG),
    ] {
        let bytes = headers.len();
        let answer = site.exchange(head(&headers)).await;
        assert!(answer.starts_with(status), "{bytes}: {answer}");
        if status == TOO_LONG {
            assert!(
                answer.ends_with("\r\n\r\n{\"message\":\"Request Header Fields Too Large\"}"),
                "{answer}"
            );
            assert!(answer.contains("\r\napigw-requestid: "), "{answer}");
        }
    }
    let url = format!("/echo?{}", "a".repeat(10_240));
    assert_error(site.send("GET", &url, &[]).await, 431, "Request Header Fields Too Large").await;

    // This one is hyper's own.
    let request = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(1 << 16));
    let answer = site.exchange(request).await;
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");

    let small = Limits { http_head_bytes_max: 300, ..Limits::default() };
    let gateway = Gateway { limits: small, ..Gateway::default() };
    let site = Site::start_with(api([echo("GET /echo")]), gateway).await;
    assert_eq!(site.send("GET", "/echo", &[]).await.status(), 200);
    let long = site.send("GET", "/echo", &[("x", &"a".repeat(300))]).await;
    assert_error(long, 431, "Request Header Fields Too Large").await;
}

/// Ours: what API Gateway allows is not known. The clock of this test stands still while anything happens.
#[tokio::test(start_paused = true)]
async fn clients_that_are_slow_on_purpose_are_cut_off() {
    let site = echoing().await;
    for part in ["", "GET /echo HTTP/1.1\r\nhost:", "GET /echo HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut tcp = site.tcp().await;
        tcp.write_all(part.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).await.unwrap();
        let is_whole = part.ends_with("\r\n\r\n");
        assert_eq!(answer.starts_with(OK.as_bytes()), is_whole, "{part:?}");
    }
    let mut tcp = site.tcp().await;
    tcp.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nh").await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.ends_with("{\"message\":\"Request Timeout\"}"), "{answer}");
}

/// Source: "Throttling HTTP APIs"; the text is what others have seen.
#[tokio::test]
async fn requests_beyond_the_rate_are_refused() {
    let request_rate = Some(Rate { per_second: 0.0, burst: 2 });
    let limits = Limits { request_rate, ..Limits::default() };
    let gateway = Gateway { limits, ..Gateway::default() };
    let site = Site::start_with(api([echo("GET /echo")]), gateway).await;
    assert_eq!(site.send("GET", "/echo", &[]).await.status(), 200);
    // What no route matches counts, too.
    assert_error(site.send("GET", "/echo/unknown/x", &[]).await, 404, "Not Found").await;
    for _ in 0..3 {
        assert_error(site.send("GET", "/echo", &[]).await, 429, "Too Many Requests").await;
    }
    // Files are not the API's.
    assert_eq!(site.send("GET", "/", &[]).await.status(), 200);
}
