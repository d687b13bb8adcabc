//! Messages to functions.

use futures_util::{SinkExt, StreamExt};
use lambda_http::aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use serde_json::Value;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::support::{World, impatient, next_message, send};

#[tokio::test]
async fn a_message_is_an_event() {
    let mut world = World::start().await;
    let (mut socket, id) = world.connect().await;
    send(&mut socket, " {\"text\": \"hé\"}\n").await;
    let event = world.event("$default").await;
    assert_eq!(event["body"], " {\"text\": \"hé\"}\n");
    let context = &event["requestContext"];
    assert_eq!(context["connectionId"], id);
    let message_id = context["messageId"].as_str().unwrap();
    assert_eq!(message_id[10..], id[10..]);

    let parsed: ApiGatewayWebsocketProxyRequest = serde_json::from_value(event.clone()).unwrap();
    assert_eq!(parsed.request_context.message_id.as_deref(), Some(message_id));
    assert_eq!(parsed.body.as_deref(), Some(" {\"text\": \"hé\"}\n"));
}

#[tokio::test]
async fn messages_do_not_wait_for_each_other() {
    let mut world = World::start().await;
    let (mut socket, _id) = world.connect().await;
    for text in ["wait", "wait", "at once"] {
        send(&mut socket, text).await;
    }
    let mut texts = Vec::new();
    for _ in 0..3 {
        texts.push(world.event("$default").await["body"].clone());
    }
    texts.sort_by_key(Value::to_string);
    assert_eq!(texts, ["at once", "wait", "wait"]);
    world.gate.add_permits(2);
}

#[tokio::test]
async fn failures_are_told_to_the_sender_who_stays_connected() {
    let mut world = World::start_with(impatient(), None).await;
    let (mut socket, id) = world.connect().await;
    for (text, message) in [
        ("fail", "Internal server error"),
        ("panic", "Internal server error"),
        ("malformed", "Internal server error"),
        ("hang", "Endpoint request timed out"),
    ] {
        send(&mut socket, text).await;
        let event = world.event("$default").await;
        let request_id = event["requestContext"]["requestId"].as_str().unwrap();
        let expected = format!(
            r#"{{"message": "{message}", "connectionId":"{id}", "requestId":"{request_id}"}}"#
        );
        assert_eq!(next_message(&mut socket).await, Message::text(expected));
    }
}

#[tokio::test]
async fn a_large_message_comes_in_fragments() {
    let mut world = World::start().await;
    let (mut socket, _id) = world.connect().await;
    for number in 0..4 {
        let opcode = if number == 0 { Data::Text } else { Data::Continue };
        let payload = "x".repeat(32 * 1024);
        let frame = Frame::message(payload, OpCode::Data(opcode), number == 3);
        socket.send(Message::Frame(frame)).await.unwrap();
    }
    assert_eq!(world.event("$default").await["body"].as_str().unwrap().len(), 128 * 1024);
}

#[tokio::test]
async fn a_ping_is_answered_with_an_empty_pong() {
    let mut world = World::start().await;
    let (mut socket, id) = world.connect().await;
    for payload in ["one", "two"] {
        socket.send(Message::Ping(payload.into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("".into()));
    }
    // No echo of the payload comes after it.
    let url = world.url(&format!("/ws/@connections/{id}"));
    assert_eq!(world.http.post(url).body("after").send().await.unwrap().status(), 200);
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("after"));
    socket.close(None).await.unwrap();
    world.disconnect().await;
    assert_eq!(world.stop().await, Vec::<Value>::new());
}
