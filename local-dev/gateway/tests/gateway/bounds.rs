//! What one client can cost.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gateway::{Limits, WebSocketApi};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::support::{PATIENCE, Recorder, Socket, World, send};

/// Sends until the gateway no longer reads; how many messages TCP has taken.
async fn flood(socket: &mut Socket, text: &str) -> usize {
    let text = Utf8Bytes::from(text);
    let mut sent = 0;
    // What the gateway reads, it reads within milliseconds.
    while timeout(Duration::from_millis(500), socket.send(Message::Text(text.clone())))
        .await
        .is_ok()
    {
        sent += 1;
    }
    sent
}

#[tokio::test]
async fn a_client_that_floods_is_read_no_faster_than_functions_handle_it() {
    let limits = Limits { inbound_bytes_max: 128 * 1024, request_rate: None, ..Limits::default() };
    let mut world = World::start_with(limits, None).await;
    let (mut flooding, _id) = world.connect().await;
    // Messages of 16 KiB, each of which takes 20 of the 128.
    let wait = format!("{}wait", " ".repeat(16 * 1024 - 4));
    let sent = flood(&mut flooding, &wait).await;
    // TCP's buffers hold some megabytes; without a bound, all of it would have been taken.
    assert!(sent < 2000, "{sent}");
    for _ in 0..6 {
        world.event("$default").await;
    }

    // Nobody else waits.
    let (mut other, _id) = world.connect().await;
    send(&mut other, "hi").await;
    assert_eq!(world.event("$default").await["body"], "hi");

    // When functions end, more is read.
    world.gate.add_permits(6);
    for _ in 0..6 {
        assert_eq!(world.event("$default").await["body"], wait);
    }
    world.gate.add_permits(sent);
    drop(flooding);
}

#[tokio::test]
async fn messages_wait_for_each_other_where_the_api_says_so() {
    let serialize = |api: &mut WebSocketApi, _recorder: &Recorder| api.serialize = true;
    let mut world = World::start_api(serialize).await;
    let (mut socket, _id) = world.connect().await;
    for text in ["wait", "fail", "last"] {
        send(&mut socket, text).await;
    }
    assert_eq!(world.event("$default").await["body"], "wait");
    // Only messages of the same connection wait.
    let (mut other, _id) = world.connect().await;
    send(&mut other, "other").await;
    assert_eq!(world.event("$default").await["body"], "other");
    world.gate.add_permits(1);
    assert_eq!(world.event("$default").await["body"], "fail");
    assert_eq!(world.event("$default").await["body"], "last");
}

/// What the gateway holds for a connection, in bytes, as its inspector tells it.
async fn queued_bytes(world: &World, id: &str) -> usize {
    let answer = world.http.get(world.url("/_local/connections")).send().await.unwrap();
    let connections: Vec<Value> = answer.json().await.unwrap();
    let connection = connections.iter().find(|connection| connection["id"] == id).unwrap();
    connection["queued_bytes"].as_u64().unwrap().try_into().unwrap()
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_little_and_harms_nobody() {
    const OUTBOUND_BYTES_MAX: usize = 256 * 1024;
    const POST_BYTES: usize = 64 * 1024;
    /// What TCP takes on both sides, and more.
    const SYSTEM_BYTES_MAX: usize = 32 * 1024 * 1024;

    let limits = Limits { outbound_bytes_max: OUTBOUND_BYTES_MAX, ..Limits::default() };
    let mut world = World::start_with(limits, None).await;
    let (mut deaf_socket, deaf) = world.connect().await;
    let (mut other, id) = world.connect().await;
    let post = async |id: &str, text: &str| {
        let url = world.url(&format!("/ws/@connections/{id}"));
        world.http.post(url).body(text.to_owned()).send().await.unwrap().status()
    };
    let text = "x".repeat(POST_BYTES);
    let (mut taken, mut refused) = (0, 0);
    // Beyond the first refusal, so that all buffers are full.
    while refused < 20 {
        match post(&deaf, &text).await.as_u16() {
            200 => taken += 1,
            429 => refused += 1,
            status => panic!("{status}"),
        }
        assert!(taken * POST_BYTES < SYSTEM_BYTES_MAX + OUTBOUND_BYTES_MAX, "{taken} were taken");
        // All the while, others get theirs.
        assert_eq!(post(&id, "hi").await, 200);
        let message = timeout(PATIENCE, other.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(message, Message::text("hi"));
    }
    let queued = queued_bytes(&world, &deaf).await;
    assert!(
        (OUTBOUND_BYTES_MAX - 2 * POST_BYTES..=OUTBOUND_BYTES_MAX).contains(&queued),
        "{queued}"
    );
    assert_eq!(queued_bytes(&world, &id).await, 0);
    // It is still there, and what it sends is handled.
    send(&mut deaf_socket, "hello?").await;
    assert_eq!(world.event("$default").await["body"], "hello?");
}
