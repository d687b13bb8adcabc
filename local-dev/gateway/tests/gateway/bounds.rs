//! What one client can cost.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gateway::{Limits, WebSocketApi};
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

#[tokio::test]
async fn a_client_that_does_not_read_harms_nobody() {
    let mut world = World::start().await;
    let (_deaf, deaf) = world.connect().await;
    let (mut other, id) = world.connect().await;
    let text = "x".repeat(128 * 1024);
    let mut answers = Vec::new();
    for _ in 0..200 {
        let url = world.url(&format!("/ws/@connections/{deaf}"));
        let status = world.http.post(url).body(text.clone()).send().await.unwrap().status();
        answers.push(status.as_u16());
        if status != 200 {
            break;
        }
    }
    assert_eq!(answers.last(), Some(&429), "{}", answers.len());
    let url = world.url(&format!("/ws/@connections/{id}"));
    assert_eq!(world.http.post(url).body("hi").send().await.unwrap().status(), 200);
    let message = timeout(PATIENCE, other.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(message, Message::text("hi"));
}
