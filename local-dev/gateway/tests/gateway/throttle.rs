//! Too many connections, and too many messages.
//!
//! Sources: API Gateway developer guide, "WebSocket API quotas", "Throttle requests to your WebSocket API" and "Overview of
//! WebSocket APIs" for 1008; that a handshake is refused with 429 has been captured.

use gateway::{Assumptions, Limits, Rate};
use serde_json::Value;

use crate::support::{World, closed, next_message, send};

/// As many as `burst`, and then no more while a test runs.
fn only(burst: u32) -> Rate {
    Rate { per_second: 0.0, burst }
}

#[tokio::test]
async fn a_connection_too_many_is_429_and_connect_does_not_run() {
    let limits = Limits { connection_rate: Some(only(2)), ..Limits::default() };
    let mut world = World::start_with(limits, None).await;
    let (_one, _id) = world.connect().await;
    let (_two, _id) = world.connect().await;
    let (status, body) = world.open("").await.unwrap_err();
    assert_eq!(status, 429);
    assert!(body.starts_with(r#"{"message": "Too Many Requests", "connectionId":""#), "{body}");
    assert_eq!(world.stop().await, ["$disconnect", "$disconnect"]);
}

#[tokio::test]
async fn a_message_too_many_is_answered_and_not_handled() {
    let limits = Limits { request_rate: Some(only(2)), ..Limits::default() };
    let mut world = World::start_changed(limits, None, |gateway, _recorder| {
        gateway.assumptions = Assumptions {
            throttled_message_text: "Slow \"down\"".to_owned(),
            throttled_messages_max: 3,
            ..Assumptions::default()
        };
    })
    .await;
    let (mut socket, id) = world.connect().await;
    for text in ["one", "two"] {
        send(&mut socket, text).await;
        assert_eq!(world.event("$default").await["body"], text);
    }
    for _ in 0..3 {
        send(&mut socket, "too many").await;
        let frame = next_message(&mut socket).await.into_text().unwrap();
        let request_id = serde_json::from_str::<Value>(&frame).unwrap()["requestId"].clone();
        let expected = format!(
            r#"{{"message": "Slow \"down\"", "connectionId":"{id}", "requestId":{request_id}}}"#
        );
        assert_eq!(frame.as_str(), expected);
    }
    assert_eq!(closed(&mut socket).await, (1008, "Policy violation".to_owned()));
    assert_eq!(world.disconnect().await, (id, 1008, "Policy violation".to_owned()));
}

#[tokio::test]
async fn however_many_messages_are_too_many_the_socket_stays_open_where_that_is_assumed() {
    let limits = Limits { request_rate: Some(only(0)), ..Limits::default() };
    let mut world = World::start_changed(limits, None, |gateway, _recorder| {
        gateway.assumptions.throttled_messages_max = 0;
    })
    .await;
    let (mut socket, id) = world.connect().await;
    for _ in 0..200 {
        send(&mut socket, "too many").await;
        next_message(&mut socket).await;
    }
    socket.close(None).await.unwrap();
    assert_eq!(world.disconnect().await.0, id);
}

#[tokio::test]
async fn messages_and_posts_are_counted_together() {
    let limits = Limits { request_rate: Some(only(2)), ..Limits::default() };
    let mut world = World::start_with(limits, None).await;
    let (mut socket, id) = world.connect().await;
    send(&mut socket, "one").await;
    world.event("$default").await;
    let url = world.url(&format!("/ws/@connections/{id}"));
    for status in [200, 429] {
        let response = world.http.post(&url).body("hi").send().await.unwrap();
        assert_eq!(response.status(), status);
    }
}
