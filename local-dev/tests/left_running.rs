//! A function that answers before its work is done works on a laptop and fails on Lambda: local-dev says so.

#![cfg_attr(not(tokio_unstable), allow(unused, reason = "without it, nobody knows of tasks"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use aws_sdk_apigatewaymanagement::{
    Client,
    config::{BehaviorVersion, Builder, Region},
    primitives::Blob,
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gateway::{Credentials, Gateway, Throttle, WebSocketApi, WebSocketRoute, server::Bound};
use local_dev::{in_process::handled_by, invocation};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// Sends one message to a function that posts it back, and says what is remembered of the invocation.
fn lines_about(awaits_its_post: bool) -> Vec<String> {
    let runtime = invocation::runtime().unwrap();
    runtime.block_on(async {
        let bound = Bound::to("127.0.0.1", 0).await.unwrap();
        let address = bound.address();
        let client = client(&format!("http://{address}/ws"));
        let function = handled_by("echo", move |event| {
            let post = post_back(client.clone(), event);
            async move {
                let post = tokio::spawn(post);
                if awaits_its_post {
                    post.await.unwrap();
                }
                Ok(Bytes::from_static(br#"{"statusCode":200}"#))
            }
        });
        let route = WebSocketRoute {
            key: "$default".to_owned(),
            function,
            two_way: false,
            timeout: None,
            throttle: Throttle::default(),
        };
        let api =
            WebSocketApi { stage: "ws".to_owned(), routes: vec![route], ..WebSocketApi::default() };
        let credentials = Some(Credentials::default());
        let server =
            bound.serve(Gateway { websocket_apis: vec![api], credentials, ..Gateway::default() });

        let (mut socket, _response) = connect_async(format!("ws://{address}/ws")).await.unwrap();
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
        let lines = lines(&format!("http://{address}/_local/invocations")).await;
        server.shutdown().await;
        lines
    })
}

async fn post_back(client: Client, event: Bytes) {
    let event: Value = serde_json::from_slice(&event).unwrap();
    let id = event["requestContext"]["connectionId"].as_str().unwrap();
    let body = Blob::new(event["body"].as_str().unwrap());
    client.post_to_connection().connection_id(id).data(body).send().await.unwrap();
}

fn client(endpoint: &str) -> Client {
    let Credentials { access_key_id, secret_access_key, region, .. } = Credentials::default();
    let secret = secret_access_key.expose_secret();
    let keys = aws_credential_types::Credentials::new(access_key_id, secret, None, None, "test");
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(keys)
        .http_client(http)
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
}

/// What the inspector shows of the one invocation, when that has ended.
async fn lines(url: &str) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let list: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        let id = list[0]["id"].as_str().unwrap();
        let invocation: Value =
            reqwest::get(format!("{url}/{id}")).await.unwrap().json().await.unwrap();
        if !invocation["duration_ms"].is_null() {
            return serde_json::from_value(invocation["log"].clone()).unwrap();
        }
        assert!(tokio::time::Instant::now() < deadline, "it does not end: {invocation}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[cfg(tokio_unstable)]
#[test]
fn a_post_that_nobody_waits_for_is_reported_with_its_place() {
    let lines = lines_about(false);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let place = "ERROR work left running: the task spawned at local-dev/tests/left_running.rs:";
    assert!(line.starts_with(place), "{line}");
}

/// The SDK keeps connections in tasks of its own, which is none of the function's doing.
#[test]
fn a_post_that_is_waited_for_is_no_problem() {
    assert_eq!(lines_about(true), Vec::<String>::new());
}
