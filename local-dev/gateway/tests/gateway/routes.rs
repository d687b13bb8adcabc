//! Where messages go, and what comes back.
//!
//! Sources: API Gateway developer guide, "Create routes for WebSocket APIs" and "Set up route responses for WebSocket
//! APIs"; the frames' texts have been captured.

use gateway::{Limits, WebSocketApi, WebSocketRoute};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    Recorder, World, next_message, response, script_of_message, send, websocket_route,
};

fn add_routes(api: &mut WebSocketApi, recorder: &Recorder, keys: &[&str]) {
    for key in keys {
        let function = recorder.function("custom", script_of_message);
        api.routes.push(websocket_route(key, function));
    }
}

#[tokio::test]
async fn a_message_goes_to_the_route_that_it_names() {
    let mut world = World::start_api(|api, recorder| {
        add_routes(api, recorder, &["send", "Send", "chat/send"]);
    })
    .await;
    let (mut socket, _id) = world.connect().await;
    for (message, key) in [
        (r#"{"action":"send"}"#, "send"),
        (r#"{"action":"Send"}"#, "Send"),
        (r#"{"action":"SEND"}"#, "$default"),
        (r#"{"action":"other"}"#, "$default"),
        (r#"{"action":"$default"}"#, "$default"),
        // No message can pass for the beginning or the end of a connection.
        (r#"{"action":"$connect"}"#, "$default"),
        (r#"{"action":"$disconnect"}"#, "$default"),
        (r#"{"service":"send"}"#, "$default"),
        ("send", "$default"),
        (r#"{"action":"send""#, "$default"),
        (r#"{action:"send"}"#, "$default"),
        ("", "$default"),
    ] {
        send(&mut socket, message).await;
        let event = world.event(key).await;
        assert_eq!(event["body"], message);
        assert_eq!(event["requestContext"]["eventType"], "MESSAGE");
    }
}

#[tokio::test]
async fn the_api_says_what_names_a_route() {
    let mut world = World::start_api(|api, recorder| {
        api.route_selection = "${request.body.service}/${request.body.action}".parse().unwrap();
        add_routes(api, recorder, &["chat/send"]);
    })
    .await;
    let (mut socket, _id) = world.connect().await;
    send(&mut socket, r#"{"service":"chat","action":"send"}"#).await;
    world.event("chat/send").await;
    send(&mut socket, r#"{"service":"chat/send"}"#).await;
    world.event("$default").await;
}

#[tokio::test]
async fn unquoted_names_are_json_where_that_is_assumed() {
    let mut world = World::start_changed(Limits::default(), None, |gateway, recorder| {
        gateway.assumptions.lenient_json = true;
        add_routes(&mut gateway.websocket_apis[0], recorder, &["send"]);
    })
    .await;
    let (mut socket, _id) = world.connect().await;
    send(&mut socket, r#"{action:"send"}"#).await;
    assert_eq!(world.event("send").await["body"], r#"{action:"send"}"#);
}

#[tokio::test]
async fn a_message_without_a_route_is_forbidden_and_the_socket_stays_open() {
    let mut world = World::start_api(|api, recorder| {
        api.routes.retain(|route| route.key != "$default");
        add_routes(api, recorder, &["send"]);
    })
    .await;
    let (mut socket, id) = world.connect().await;
    for message in ["hello", r#"{"action":"other"}"#, r#"{"action":"$connect"}"#] {
        send(&mut socket, message).await;
        let frame = next_message(&mut socket).await.into_text().unwrap();
        let request_id = serde_json::from_str::<Value>(&frame).unwrap()["requestId"].clone();
        assert_eq!(
            frame.as_str(),
            format!(
                r#"{{"message": "Forbidden", "connectionId":"{id}", "requestId":{request_id}}}"#
            )
        );
    }
    send(&mut socket, r#"{"action":"send"}"#).await;
    world.event("send").await;
}

/// A gateway whose `$default` route is two-way.
async fn two_way(error_body: bool) -> World {
    World::start_changed(Limits::default(), None, |gateway, _recorder| {
        gateway.assumptions.two_way_error_body = error_body;
        for route in &mut gateway.websocket_apis[0].routes {
            route.two_way = true;
        }
    })
    .await
}

#[tokio::test]
async fn a_one_way_route_says_nothing_of_its_result() {
    let mut world = World::start().await;
    let (mut socket, _id) = world.connect().await;
    for status in [200, 301, 401, 501] {
        send(&mut socket, &response(status, &json!({}), "unheard")).await;
        world.event("$default").await;
    }
    send(&mut socket, "fail").await;
    let frame = next_message(&mut socket).await.into_text().unwrap();
    assert!(frame.contains("Internal server error"), "{frame}");
}

#[tokio::test]
async fn a_two_way_route_sends_the_body_as_it_is() {
    let mut world = two_way(true).await;
    let (mut socket, _id) = world.connect().await;
    for (document, frame) in [
        (json!({ "statusCode": 200, "body": " {\"héllo\": 1}\n" }), " {\"héllo\": 1}\n"),
        (json!({ "statusCode": 500, "body": "no" }), "no"),
        (json!({ "statusCode": 200, "body": "aGk=", "isBase64Encoded": true }), "hi"),
        (json!({ "statusCode": 200, "body": "aGk=" }), "aGk="),
    ] {
        send(&mut socket, &document.to_string()).await;
        world.event("$default").await;
        assert_eq!(next_message(&mut socket).await, Message::text(frame));
    }
}

#[tokio::test]
async fn a_two_way_route_without_a_body_sends_nothing() {
    let mut world = two_way(true).await;
    let (mut socket, _id) = world.connect().await;
    for script in [r#"{"statusCode":200}"#, r#"{"statusCode":200,"body":null}"#] {
        send(&mut socket, script).await;
        world.event("$default").await;
    }
    send(&mut socket, r#"{"statusCode":200,"body":"the first"}"#).await;
    assert_eq!(next_message(&mut socket).await, Message::text("the first"));
}

#[tokio::test]
async fn a_two_way_answer_is_no_larger_than_a_message() {
    const LARGEST: usize = 128 * 1024;

    let mut world = World::start_api(|api, recorder| {
        for (key, bytes) in [("largest", LARGEST), ("too large", LARGEST + 1)] {
            let answer = move |_event: &Value| response(200, &json!({}), &"x".repeat(bytes));
            let route = websocket_route(key, recorder.function("large", answer));
            api.routes.push(WebSocketRoute { two_way: true, ..route });
        }
    })
    .await;
    let (mut socket, _id) = world.connect().await;
    send(&mut socket, r#"{"action":"largest"}"#).await;
    assert_eq!(next_message(&mut socket).await.len(), LARGEST);
    send(&mut socket, r#"{"action":"too large"}"#).await;
    let frame = next_message(&mut socket).await.into_text().unwrap();
    assert!(frame.contains("Internal server error"), "{frame}");
}

#[tokio::test]
async fn an_error_of_a_two_way_route_is_a_frame_of_the_gateways_where_that_is_assumed() {
    let mut world = two_way(false).await;
    let (mut socket, _id) = world.connect().await;
    send(&mut socket, &response(201, &json!({}), "yes")).await;
    assert_eq!(next_message(&mut socket).await, Message::text("yes"));
    send(&mut socket, &response(404, &json!({}), "no")).await;
    let frame = next_message(&mut socket).await.into_text().unwrap();
    assert!(frame.contains("Internal server error"), "{frame}");
}
