//! The ends of a connection.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use gateway::Limits;
use lambda_http::aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{CloseCode, Data, OpCode},
        },
    },
};

use crate::support::{World, closed, send};

fn frame(payload: impl Into<bytes::Bytes>, opcode: Data, is_final: bool) -> Message {
    Message::Frame(Frame::message(payload, OpCode::Data(opcode), is_final))
}

#[tokio::test]
async fn a_disconnect_is_an_event() {
    let mut world = World::start().await;
    let (mut socket, id) = world.connect().await;
    socket.close(None).await.unwrap();
    let event = world.event("$disconnect").await;
    assert_eq!(event["headers"]["Host"], world.server.local_addr().to_string());
    let parsed: ApiGatewayWebsocketProxyRequest = serde_json::from_value(event).unwrap();
    let context = parsed.request_context;
    assert_eq!(context.connection_id, Some(id));
    assert_eq!(context.disconnect_status_code, Some(1005));
    let reason = context.disconnect_reason.as_deref();
    assert_eq!(reason, Some("Client-side close frame status not set"));
}

#[tokio::test]
async fn a_clients_close_code_and_reason_are_passed_on_and_echoed() {
    let mut world = World::start().await;
    for (code, reason) in [(1000, ""), (1001, ""), (4001, "gone home")] {
        let (mut socket, id) = world.connect().await;
        let close = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        socket.send(Message::Close(Some(close))).await.unwrap();
        assert_eq!(closed(&mut socket).await, (code, reason.to_owned()));
        assert_eq!(world.disconnect().await, (id, code.into(), reason.to_owned()));
    }
}

#[tokio::test]
async fn a_dropped_connection_is_1006() {
    let mut world = World::start().await;
    let (socket, id) = world.connect().await;
    drop(socket);
    assert_eq!(world.disconnect().await, (id, 1006, String::new()));
}

#[tokio::test]
async fn what_a_client_must_not_send_closes_its_socket() {
    let mut world = World::start().await;
    let part = "x".repeat(32 * 1024);
    for (messages, code) in [
        (vec![Message::binary("hi")], 1003),
        (vec![Message::binary("")], 1003),
        // At the first frame, whether others follow or not.
        (vec![frame("hi", Data::Binary, false)], 1003),
        (vec![frame("x".repeat(1024 * 1024), Data::Binary, true)], 1003),
        (vec![frame("x".repeat(32 * 1024 + 1), Data::Text, true)], 1009),
        // Most of it is still on its way when the socket closes, and must not hide the close frame.
        (vec![frame("x".repeat(1024 * 1024), Data::Text, true)], 1009),
        (
            vec![
                frame(part.clone(), Data::Text, false),
                frame(part.clone(), Data::Continue, false),
                frame(part.clone(), Data::Continue, false),
                frame(part, Data::Continue, false),
                frame("x", Data::Continue, true),
            ],
            1009,
        ),
        (vec![frame(vec![0xff], Data::Text, true)], 1007),
        (vec![frame("x", Data::Continue, true)], 1002),
    ] {
        let (mut socket, id) = world.connect().await;
        for message in messages {
            socket.send(message).await.unwrap();
        }
        let (seen, reason) = closed(&mut socket).await;
        assert_eq!(seen, code);
        drop(socket);
        assert_eq!(world.disconnect().await, (id, code.into(), reason));
    }
}

#[tokio::test]
async fn an_unmasked_frame_closes_the_socket() {
    let mut world = World::start().await;
    let (mut socket, id) = world.connect().await;
    socket.get_mut().write_all(b"\x81\x02hi").await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1002);
    assert_eq!(world.disconnect().await, (id, 1002, "Protocol error".to_owned()));
}

#[tokio::test]
async fn an_idle_socket_is_closed_and_pings_do_not_help() {
    let idle_timeout = Duration::from_millis(200);
    let mut world = World::start_with(Limits { idle_timeout, ..Limits::default() }, None).await;
    let (mut socket, id) = world.connect().await;
    let ending = loop {
        socket.send(Message::Ping("".into())).await.unwrap();
        match socket.next().await.unwrap().unwrap() {
            Message::Pong(_) => {}
            Message::Close(frame) => break frame.unwrap(),
            other => panic!("{other}"),
        }
    };
    assert_eq!((ending.code, ending.reason.as_str()), (CloseCode::Away, "Going away"));
    assert_eq!(world.disconnect().await, (id, 1001, "Going away".to_owned()));
}

#[tokio::test]
async fn messages_keep_a_socket_open_until_its_longest_duration() {
    let limits = Limits {
        idle_timeout: Duration::from_secs(1),
        max_duration: Duration::from_secs(3),
        ..Limits::default()
    };
    let mut world = World::start_with(limits, None).await;
    let (mut socket, id) = world.connect().await;
    let opened = Instant::now();
    let ending = loop {
        send(&mut socket, "hi").await;
        tokio::select! {
            ending = closed(&mut socket) => break ending,
            _event = world.any_event() => {}
        }
    };
    assert_eq!(ending, (1001, "Going away".to_owned()));
    assert!(opened.elapsed() > Duration::from_secs(2), "{:?}", opened.elapsed());
    let disconnect = loop {
        let event = world.any_event().await;
        if event["requestContext"]["routeKey"] != "$default" {
            break event;
        }
    };
    assert_eq!(disconnect["requestContext"]["connectionId"], id);
    assert_eq!(disconnect["requestContext"]["disconnectStatusCode"], 1001);
}
