//! Opening a socket.

use lambda_http::aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

use crate::support::{World, impatient, response};

fn handshake(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: a\r\n{headers}\r\n")
}

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\n";
const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "sec-websocket-version: 13\r\n";

#[tokio::test]
async fn the_upgrade_request_is_an_event() {
    let mut world = World::start().await;
    let url = world.socket_url("?token=a%20b&tag=1&tag=2");
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("user-agent", "test/1".parse().unwrap());
    let (_socket, _response) = connect_async(request).await.unwrap();
    let event = world.event("$connect").await;
    let host = world.server.local_addr().to_string();
    assert_eq!(event["headers"]["Host"], host);
    assert_eq!(event["headers"]["Sec-WebSocket-Version"], "13");
    assert_eq!(event["headers"]["X-Forwarded-For"], "127.0.0.1");
    assert_eq!(event["headers"].get("Connection"), None);
    assert_eq!(event["headers"].get("Upgrade"), None);
    assert_eq!(event["queryStringParameters"], json!({ "tag": "2", "token": "a b" }));
    assert_eq!(
        event["multiValueQueryStringParameters"],
        json!({ "tag": ["1", "2"], "token": ["a b"] })
    );
    let context = &event["requestContext"];
    assert_eq!(context["identity"], json!({ "userAgent": "test/1", "sourceIp": "127.0.0.1" }));
    assert_eq!(context["stage"], "ws");
    assert_eq!(context["requestId"], context["extendedRequestId"]);

    let parsed: ApiGatewayWebsocketProxyRequest = serde_json::from_value(event.clone()).unwrap();
    assert_eq!(parsed.request_context.event_type.as_deref(), Some("CONNECT"));
    assert_eq!(parsed.headers["sec-websocket-version"], "13");
    assert_eq!(parsed.query_string_parameters.first("token"), Some("a b"));
    lambda_http::request::from_str(&event.to_string()).unwrap();
}

#[tokio::test]
async fn any_2xx_opens_the_socket_and_any_other_status_is_passed_on() {
    let world = World::start().await;
    for status in [200, 201, 204, 299] {
        world.connect_with(&response(status, &json!({}), "")).await.unwrap();
    }
    for (status, message) in [
        (301, "Moved Permanently"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (500, "Internal server error"),
        (501, "Internal server error"),
    ] {
        let refused = world.connect_with(&response(status, &json!({}), "a reason")).await;
        let (seen, body) = refused.unwrap_err();
        assert_eq!(seen, status);
        assert_refusal(&body, message);
    }
}

#[tokio::test]
async fn a_connect_that_fails_refuses_with_502_and_one_too_slow_with_504() {
    let world = World::start_with(impatient(), None).await;
    for failure in ["fail", "panic", "malformed", "{}"] {
        let (status, body) = world.connect_with(failure).await.unwrap_err();
        assert_eq!(status, 502, "{failure}");
        assert_refusal(&body, "Internal server error");
    }
    let (status, body) = world.connect_with("hang").await.unwrap_err();
    assert_eq!(status, 504);
    assert_refusal(&body, "Endpoint request timed out");
}

/// Byte by byte, but for the ids.
fn assert_refusal(body: &str, message: &str) {
    let ids: Value = serde_json::from_str(body).unwrap();
    let [connection, request] = ["connectionId", "requestId"].map(|id| ids[id].as_str().unwrap());
    assert_eq!((connection.len(), request.len()), (16, 16));
    let expected = format!(
        r#"{{"message": "{message}", "connectionId":"{connection}", "requestId":"{request}"}}"#
    );
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_refused_connection_has_no_disconnect() {
    let mut world = World::start().await;
    world.connect_with(&response(401, &json!({}), "")).await.unwrap_err();
    world.connect_with("fail").await.unwrap_err();
    world.event("$connect").await;
    world.event("$connect").await;
    assert_eq!(world.stop().await, Vec::<Value>::new());
}

#[tokio::test]
async fn only_the_subprotocol_is_forwarded_and_only_if_selected() {
    let world = World::start().await;
    for (selected, expected) in [
        (json!({ "headers": { "Sec-WebSocket-Protocol": "chat.v1" } }), Some("chat.v1")),
        (json!({ "headers": { "SEC-WEBSOCKET-PROTOCOL": "chat.v1" } }), Some("chat.v1")),
        (
            json!({ "multiValueHeaders": { "sec-websocket-protocol": ["chat.v1"] } }),
            Some("chat.v1"),
        ),
        (json!({ "headers": { "Set-Cookie": "a=1", "X-One": "1" } }), None),
    ] {
        let mut document = selected.clone();
        document["statusCode"] = 200.into();
        let script: String =
            url::form_urlencoded::byte_serialize(document.to_string().as_bytes()).collect();
        let line = format!("GET /ws?script={script}");
        let offer = "sec-websocket-protocol: chat.v1, other\r\n";
        let mut tcp = world.tcp().await;
        let request = handshake(&line, &format!("{UPGRADE}{KEY}{VERSION}{offer}"));
        tcp.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut tcp).await;
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("HTTP/1.1 101 Switching Protocols"), "{head}");
        // In the order in which a 101 of API Gateway's has been captured.
        assert!(lines.next().unwrap().starts_with("date: "), "{head}");
        let mut expected_lines = vec![
            "connection: upgrade".to_owned(),
            "upgrade: websocket".to_owned(),
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned(),
        ];
        expected_lines
            .extend(expected.map(|selected| format!("sec-websocket-protocol: {selected}")));
        assert_eq!(lines.collect::<Vec<_>>(), expected_lines, "{selected}");
    }
}

/// An answer up to its empty line.
async fn read_head(tcp: &mut tokio::net::TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().trim_end().to_owned()
}

#[tokio::test]
async fn what_is_no_handshake_is_refused_before_any_function() {
    let world = World::start().await;
    let close = "connection: close\r\n";
    let long = format!("GET /ws?token={}", "x".repeat(4096));
    for (request, status) in [
        (handshake("GET /ws", close), 426),
        (handshake("GET /ws/", close), 426),
        (handshake("POST /ws", close), 426),
        (handshake("GET /ws", &format!("{UPGRADE}{KEY}{close}")), 400),
        (handshake("GET /ws", &format!("{UPGRADE}{KEY}sec-websocket-version: 8\r\n{close}")), 400),
        (handshake("GET /ws", &format!("{UPGRADE}{VERSION}{close}")), 400),
        (
            handshake("GET /ws", &format!("{UPGRADE}{VERSION}sec-websocket-key: short\r\n{close}")),
            400,
        ),
        (handshake("PUT /ws", &format!("{UPGRADE}{VERSION}{KEY}{close}")), 400),
        (handshake(&long, &format!("{UPGRADE}{VERSION}{KEY}{close}")), 414),
        (handshake("GET /ws", &format!("{UPGRADE}{VERSION}{KEY}{close}host: b\r\n")), 400),
        (
            handshake("GET /ws", &format!("{UPGRADE}{VERSION}{KEY}{close}content-length: 2\r\n"))
                + "{}",
            400,
        ),
        (handshake("GET /ws/other", &format!("{UPGRADE}{VERSION}{KEY}{close}")), 403),
    ] {
        let answer = world.exchange(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{answer}");
    }
    assert_eq!(world.stop().await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_stage_may_have_a_trailing_slash() {
    let world = World::start().await;
    let url = format!("ws://{}/ws/?a=1", world.server.local_addr());
    connect_async(url).await.unwrap();
}

#[tokio::test]
async fn a_client_that_vanishes_in_its_handshake_has_its_connect_and_its_disconnect() {
    let mut world = World::start().await;
    let mut tcp = world.tcp().await;
    let request = handshake("GET /ws?script=wait", &format!("{UPGRADE}{KEY}{VERSION}"));
    tcp.write_all(request.as_bytes()).await.unwrap();
    let connect = world.event("$connect").await;
    drop(tcp);
    world.gate.add_permits(1);
    let (id, code, reason) = world.disconnect().await;
    assert_eq!(connect["requestContext"]["connectionId"], id);
    assert_eq!((code, reason.as_str()), (1006, ""));
}
