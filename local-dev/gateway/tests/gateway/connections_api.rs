//! The management API.

use aws_sdk_apigatewaymanagement::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::ProvideErrorMetadata,
    primitives::Blob,
};
use axum::Router;
use gateway::{Gateway, HttpApi, Limits};
use reqwest::Method;
use serde_json::Value;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{
    site::echo,
    support::{Recorder, World, closed, next_message, send},
};

fn client(world: &World) -> Client {
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials)
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(world.url("/ws"));
    Client::from_conf(config.build())
}

async fn post(world: &World, id: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
    let url = world.url(&format!("/ws/@connections/{id}"));
    world.http.post(url).body(body).send().await.unwrap()
}

/// Posts until the client's queue is full, and says how many posts were taken.
async fn fill_queue(world: &World, id: &str) -> usize {
    /// More than the queue and the system's buffers hold together.
    const POSTS_MAX: usize = 1000;
    let body = "x".repeat(128 * 1024);
    for posted in 0..POSTS_MAX {
        if post(world, id, body.clone()).await.status() == 429 {
            return posted;
        }
    }
    panic!("the queue has no bound");
}

#[tokio::test]
async fn the_sdk_posts_looks_and_deletes() {
    let mut world = World::start().await;
    let client = client(&world);
    let (mut socket, id) = world.connect().await;

    let post = client.post_to_connection().connection_id(&id).data(Blob::new("hé"));
    post.clone().send().await.unwrap();
    assert_eq!(next_message(&mut socket).await, Message::text("hé"));

    let connection = client.get_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(connection.identity().unwrap().source_ip(), Some("127.0.0.1"));
    let connected_at = *connection.connected_at().unwrap();
    assert!(*connection.last_active_at().unwrap() >= connected_at);

    client.delete_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(closed(&mut socket).await, (1000, "Connection Closed Normally".to_owned()));
    assert_eq!(
        world.disconnect().await,
        (id.clone(), 1000, "Connection Closed Normally".to_owned())
    );

    let gone = post.send().await.unwrap_err().into_service_error();
    assert!(gone.is_gone_exception(), "{gone:?}");
    let get = client.get_connection().connection_id(&id).send().await;
    assert!(get.unwrap_err().into_service_error().is_gone_exception());
    let delete = client.delete_connection().connection_id(&id).send().await;
    assert!(delete.unwrap_err().into_service_error().is_gone_exception());
}

#[tokio::test]
async fn the_sdk_knows_the_gateways_errors() {
    let mut world = World::start().await;
    let client = client(&world);
    let (socket, id) = world.connect().await;
    let post = |body| client.post_to_connection().connection_id(&id).data(Blob::new(body)).send();

    let too_large = post("x".repeat(128 * 1024 + 1)).await.unwrap_err().into_service_error();
    assert!(too_large.is_payload_too_large_exception(), "{too_large:?}");

    fill_queue(&world, &id).await;
    let full = post("x".repeat(128 * 1024)).await.unwrap_err().into_service_error();
    assert!(full.is_limit_exceeded_exception(), "{full:?}");
    drop(socket);

    let malformed = client.get_connection().connection_id("junk").send().await;
    let malformed = malformed.unwrap_err().into_service_error();
    assert_eq!(malformed.code(), Some("BadRequestException"));
    assert_eq!(malformed.message(), Some("Invalid connectionId: junk"));
}

#[tokio::test]
async fn answers_have_api_gateways_headers_and_bodies() {
    let mut world = World::start().await;
    let (_socket, id) = world.connect().await;
    let encoded = format!("/ws/%40connections/{}", id.replace('=', "%3D"));
    let raw = format!("/ws/@connections/{id}");
    for (method, path, status, error_type, body) in [
        (Method::POST, raw.as_str(), 200, None, ""),
        (Method::POST, &encoded, 200, None, ""),
        (Method::POST, "/ws/@connections/QkT3rfHsDoECHlw=", 410, Some("GoneException"), ""),
        (Method::GET, "/ws/@connections/QkT3rfHsDoECHlw=", 410, Some("GoneException"), ""),
        (
            Method::POST,
            "/ws/@connections/QkT3rfHsDoECHlw=junk",
            400,
            Some("BadRequestException"),
            r#"{"message":"Invalid connectionId: QkT3rfHsDoECHlw=junk"}"#,
        ),
        (
            Method::PUT,
            &raw,
            403,
            Some("MissingAuthenticationTokenException"),
            r#"{"message":"Missing Authentication Token"}"#,
        ),
        (Method::DELETE, &encoded, 204, None, ""),
        (Method::DELETE, &encoded, 410, Some("GoneException"), ""),
    ] {
        let request = world.http.request(method.clone(), world.url(path)).body("hi");
        let response = request.send().await.unwrap();
        let headers = response.headers().clone();
        assert_eq!(response.status(), status, "{method} {path}");
        let header = |name| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("x-amzn-errortype"), error_type);
        assert_eq!(header("x-amzn-requestid").unwrap().len(), 36);
        assert_eq!(header("x-amz-apigw-id").unwrap().len(), 16);
        assert_eq!(header("x-amzn-trace-id").is_some(), ![400, 403].contains(&status));
        assert_eq!(header("content-type"), (status != 204).then_some("application/json"));
        let length = body.len().to_string();
        assert_eq!(header("content-length"), (status != 204).then_some(length.as_str()));
        assert_eq!(response.text().await.unwrap(), body);
    }
}

#[tokio::test]
async fn a_connection_can_be_looked_at() {
    let mut world = World::start().await;
    let (mut socket, id) = world.connect().await;
    let url = world.url(&format!("/ws/@connections/{id}"));
    let look = || async { world.http.get(&url).send().await.unwrap().text().await.unwrap() };
    let before = look().await;
    let parsed: Value = serde_json::from_str(&before).unwrap();
    let connected_at = parsed["connectedAt"].as_str().unwrap();
    let expected = format!(
        "{{\n  \"identity\" : {{\n    \"sourceIp\" : \"127.0.0.1\"\n  }},\n  \
         \"connectedAt\" : \"{connected_at}\",\n  \"lastActiveAt\" : \"{connected_at}\"\n}}"
    );
    assert_eq!(before, expected);

    // Messages are activity, as soon as the clock shows another millisecond.
    while look().await == before {
        send(&mut socket, "hi").await;
    }
}

#[tokio::test]
async fn a_connection_is_there_from_the_101_on() {
    let mut world = World::start().await;
    let handshake = tokio::spawn(connect_async(world.socket_url("?script=wait")));
    let connect = world.event("$connect").await;
    let id = connect["requestContext"]["connectionId"].as_str().unwrap();
    let url = world.url(&format!("/ws/@connections/{id}"));
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let response = world.http.request(method, &url).send().await.unwrap();
        assert_eq!(response.status(), 410);
    }
    world.gate.add_permits(1);
    let (mut socket, _response) = handshake.await.unwrap().unwrap();
    assert_eq!(post(&world, id, "hi").await.status(), 200);
    assert_eq!(next_message(&mut socket).await, Message::text("hi"));
}

#[tokio::test]
async fn frames_are_text_and_keep_their_order() {
    let mut world = World::start().await;
    let (mut socket, id) = world.connect().await;
    for number in 0..100 {
        assert_eq!(post(&world, &id, number.to_string()).await.status(), 200);
    }
    assert_eq!(post(&world, &id, "").await.status(), 200);
    assert_eq!(post(&world, &id, b"a\xffb".as_slice()).await.status(), 200);
    // What stands for wrong bytes is longer than they are.
    assert_eq!(post(&world, &id, vec![0xff; 100_000]).await.status(), 413);
    for number in 0..100 {
        assert_eq!(next_message(&mut socket).await, Message::text(number.to_string()));
    }
    assert_eq!(next_message(&mut socket).await, Message::text(""));
    assert_eq!(next_message(&mut socket).await, Message::text("a\u{fffd}b"));
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_and_is_still_heard() {
    let mut world = World::start().await;
    let (mut deaf, deaf_id) = world.connect().await;
    let (mut other, other_id) = world.connect().await;
    fill_queue(&world, &deaf_id).await;

    assert_eq!(post(&world, &other_id, "hi").await.status(), 200);
    assert_eq!(next_message(&mut other).await, Message::text("hi"));
    send(&mut deaf, "I can still speak").await;
    assert_eq!(world.event("$default").await["body"], "I can still speak");

    // It can be closed, too.
    let url = world.url(&format!("/ws/@connections/{deaf_id}"));
    assert_eq!(world.http.delete(url).send().await.unwrap().status(), 204);
    let (id, code, _reason) = world.disconnect().await;
    assert_eq!((id, code), (deaf_id, 1000));
}

#[tokio::test]
async fn frames_that_wait_are_sent_before_the_close() {
    let mut world = World::start().await;
    let (mut socket, id) = world.connect().await;
    let waiting = fill_queue(&world, &id).await;
    let url = world.url(&format!("/ws/@connections/{id}"));
    assert_eq!(world.http.delete(url).send().await.unwrap().status(), 204);
    for _ in 0..waiting {
        assert_eq!(next_message(&mut socket).await.len(), 128 * 1024);
    }
    assert_eq!(closed(&mut socket).await.0, 1000);
}

/// Source: captured traffic.
#[tokio::test]
async fn a_stage_that_is_not_there_is_forbidden_whatever_else_is() {
    let start = async |fallback, routes: &[&str]| {
        let api = HttpApi::new("$default", routes.iter().map(|key| echo(key)).collect()).unwrap();
        let change = |gateway: &mut Gateway, _recorder: &Recorder| {
            gateway.fallback = fallback;
            gateway.http_api = Some(api);
            gateway.credentials = Some(gateway::Credentials::default());
        };
        World::start_changed(Limits::default(), None, change).await
    };
    let files = || Some(Router::new().fallback(async || "a file"));
    for (fallback, routes) in
        [(None, &["GET /a"][..]), (files(), &["GET /a"]), (files(), &["$default"])]
    {
        let mut world = start(fallback, routes).await;
        let (_socket, id) = world.connect().await;
        for path in [
            format!("/other/@connections/{id}"),
            format!("/other/%40connections/{}", id.replace('=', "%3D")),
            format!("/WS/@connections/{id}"),
            format!("//@connections/{id}"),
            format!("/@connections/{id}"),
            format!("/ws2/@connections/{id}/more"),
        ] {
            for method in [Method::POST, Method::GET, Method::DELETE] {
                let request = world.http.request(method, world.url(&path)).body("hi");
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), 403, "{path}");
                let headers = response.headers();
                assert_eq!(headers["x-amzn-errortype"], "ForbiddenException");
                assert!(headers.contains_key("x-amzn-requestid"));
                assert_eq!(response.text().await.unwrap(), r#"{"message":"Forbidden"}"#);
            }
        }
    }
}

#[tokio::test]
async fn a_post_that_is_not_utf_8_is_refused_where_that_is_assumed() {
    let mut world = World::start_changed(Limits::default(), None, |gateway, _recorder| {
        gateway.assumptions.set_pair("invalid-utf8-is-replaced=false").unwrap();
    })
    .await;
    let (mut socket, id) = world.connect().await;
    let refused = post(&world, &id, b"a\xff".as_slice()).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.headers()["x-amzn-errortype"], "BadRequestException");
    assert_eq!(post(&world, &id, "é").await.status(), 200);
    assert_eq!(next_message(&mut socket).await, Message::text("é"));
}
