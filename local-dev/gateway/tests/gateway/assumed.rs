//! Rows of the table of assumptions, and faults on demand, where they concern sockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gateway::{Gateway, Limits};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{World, closed, impatient, next_message, response, send};

/// A world in which one row of the table is another.
async fn assuming(limits: Limits, pair: &str) -> World {
    let set = |gateway: &mut Gateway| gateway.assumptions.set_pair(pair).unwrap();
    World::start_changed(limits, None, |gateway, _recorder| set(gateway)).await
}

async fn failing(pair: &str) -> World {
    World::start_changed(Limits::default(), None, |gateway, _recorder| {
        gateway.faults.set_pair(pair).unwrap();
    })
    .await
}

#[tokio::test]
async fn the_status_of_a_connect_that_has_no_answer() {
    let world = assuming(impatient(), "connect-timeout-status=500").await;
    assert_eq!(world.connect_with("hang").await.unwrap_err().0, 500);
    let world = assuming(impatient(), "connect-throttled-status=502").await;
    assert_eq!(world.connect_with("throttled").await.unwrap_err().0, 502);
    let world = World::start().await;
    assert_eq!(world.connect_with("throttled").await.unwrap_err().0, 429);
}

#[tokio::test]
async fn the_status_of_what_is_no_handshake() {
    let world = assuming(Limits::default(), "plain-request-status=400").await;
    let answer = world.http.get(world.url("/ws")).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let world = assuming(Limits::default(), "long-url-status=403").await;
    let long = format!("?{}", "x".repeat(5000));
    assert_eq!(world.open(&long).await.unwrap_err().0, 403);
}

#[tokio::test]
async fn a_refusal_without_a_body() {
    let world = assuming(Limits::default(), "refusal-has-body=false").await;
    let refused = world.connect_with(&response(401, &json!({}), "")).await;
    assert_eq!(refused.unwrap_err(), (401, String::new()));
}

#[tokio::test]
async fn a_subprotocol_among_multi_value_headers_that_does_not_count() {
    let world = assuming(Limits::default(), "multi-value-subprotocol=false").await;
    let headers = json!({ "sec-websocket-protocol": ["chat.v1"] });
    let script = json!({ "statusCode": 200, "multiValueHeaders": headers }).to_string();
    // The client did not offer one and would not accept one.
    world.connect_with(&script).await.unwrap();
}

#[tokio::test]
async fn a_disconnect_after_a_refusal() {
    let mut world = assuming(Limits::default(), "disconnect-after-refusal=true").await;
    world.connect_with(&response(401, &json!({}), "")).await.unwrap_err();
    let connect = world.event("$connect").await;
    let (id, code, _reason) = world.disconnect().await;
    assert_eq!(connect["requestContext"]["connectionId"], id);
    assert_eq!(code, 1006);
}

#[tokio::test]
async fn a_connection_that_is_not_visible_at_once() {
    let mut world = assuming(Limits::default(), "visible-after-ms=300").await;
    let (mut socket, id) = world.connect().await;
    let url = world.url(&format!("/ws/@connections/{id}"));
    let mut answers = Vec::new();
    loop {
        let status = world.http.post(&url).body("hi").send().await.unwrap().status().as_u16();
        answers.push(status);
        if status == 200 {
            break;
        }
    }
    assert_eq!(answers[0], 410);
    assert!(answers[..answers.len() - 1].iter().all(|status| *status == 410), "{answers:?}");
    assert_eq!(next_message(&mut socket).await, Message::text("hi"));
}

#[tokio::test]
async fn a_ping_that_counts_as_traffic() {
    let idle_timeout = Duration::from_secs(1);
    let limits = Limits { idle_timeout, ..Limits::default() };
    let mut world = assuming(limits, "ping-resets-idle=true").await;
    let (mut socket, _id) = world.connect().await;
    let opened = std::time::Instant::now();
    while opened.elapsed() < 2 * idle_timeout {
        socket.send(Message::Ping("".into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("".into()));
    }
    assert_eq!(closed(&mut socket).await, (1001, "Going away".to_owned()));
}

/// Whether a ping moves `lastActiveAt`.
async fn ping_moves_last_active_at(world: &mut World) -> bool {
    let (mut socket, id) = world.connect().await;
    let url = world.url(&format!("/ws/@connections/{id}"));
    let last_active_at = async || {
        let answer = world.http.get(&url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()["lastActiveAt"].clone()
    };
    let before = last_active_at().await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        socket.send(Message::Ping("".into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("".into()));
    }
    last_active_at().await != before
}

#[tokio::test]
async fn a_ping_that_is_activity() {
    assert!(!ping_moves_last_active_at(&mut World::start().await).await);
    let mut world = assuming(Limits::default(), "ping-is-activity=true").await;
    assert!(ping_moves_last_active_at(&mut world).await);
}

#[tokio::test]
async fn a_long_post_that_goes_out_in_frames() {
    let mut world = assuming(Limits::default(), "outbound-frame-bytes=32768").await;
    let (mut socket, id) = world.connect().await;
    let text = "é".repeat(50_000);
    let url = world.url(&format!("/ws/@connections/{id}"));
    let statuses = async {
        for text in [&text, "short", &text] {
            let response = world.http.post(&url).body(text.to_owned()).send().await.unwrap();
            assert_eq!(response.status(), 200);
        }
    };
    let (mut bytes, mut frames) = (Vec::new(), 0);
    let frames_of_three = async {
        // The library puts frames together again; below it, there are more than messages.
        for expected in [&text, "short", &text] {
            let message = next_message(&mut socket).await;
            assert_eq!(message, Message::text(expected.to_owned()));
            bytes.push(message.len());
            frames += 1;
        }
    };
    tokio::join!(statuses, frames_of_three);
    assert_eq!((bytes, frames), (vec![100_000, 5, 100_000], 3));
}

#[tokio::test]
async fn the_reason_of_a_drop() {
    let mut world = assuming(Limits::default(), "dropped-reason=lost").await;
    let (socket, id) = world.connect().await;
    drop(socket);
    assert_eq!(world.disconnect().await, (id, 1006, "lost".to_owned()));
}

#[tokio::test]
async fn a_disconnect_that_does_not_run() {
    let mut world = failing("drop-disconnect=1").await;
    let (mut socket, _id) = world.connect().await;
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    assert_eq!(world.stop().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_connection_that_breaks_at_a_message() {
    let mut world = failing("cut=1").await;
    let (mut socket, id) = world.connect().await;
    send(&mut socket, "lost").await;
    assert!(!matches!(socket.next().await, Some(Ok(_))));
    assert_eq!(world.disconnect().await, (id, 1006, String::new()));

    let (mut socket, id) = world.connect().await;
    let url = world.url(&format!("/ws/@connections/{id}"));
    assert_eq!(world.http.post(url).body("lost").send().await.unwrap().status(), 200);
    assert!(!matches!(socket.next().await, Some(Ok(_))));
    assert_eq!(world.disconnect().await, (id, 1006, String::new()));
    assert_eq!(world.stop().await, Vec::<Value>::new());
}
