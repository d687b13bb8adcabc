//! Too many connections, messages and requests, of the account and of single routes.
//!
//! Sources: API Gateway developer guide, "WebSocket API quotas", "Protect your WebSocket APIs", "Throttle requests to your
//! HTTP APIs" and "Overview of WebSocket APIs" for 1008; that a handshake is refused with 429 has been captured, also of a
//! stage whose rate is 0.

use std::time::Duration;

use gateway::{Assumptions, Cors, Gateway, HttpRoute, Limits, Rate, Throttle, WebSocketRoute};
use serde_json::Value;

use crate::{
    site::{Site, api, api_with_cors, assert_error, echo},
    support::{
        Recorder, Socket, World, closed, next_message, script_of_message, send, websocket_route,
    },
};

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

fn throttled(route: HttpRoute, rate: Rate) -> HttpRoute {
    HttpRoute { throttle: Throttle::new(Some(rate)), ..route }
}

#[tokio::test]
async fn a_route_lets_through_what_it_may_whatever_others_do() {
    let site = Site::start(api([
        throttled(echo("GET /a"), only(2)),
        throttled(echo("GET /b"), only(0)),
        echo("GET /c"),
    ]))
    .await;
    for (path, status) in [("/a", 200), ("/c", 200), ("/a", 200), ("/a", 429), ("/c", 200)] {
        assert_eq!(site.send("GET", path, &[]).await.status(), status, "{path}");
    }
    assert_error(site.send("GET", "/a?again", &[]).await, 429, "Too Many Requests").await;
    assert_error(site.send("GET", "/b", &[]).await, 429, "Too Many Requests").await;
    // What no route takes is no route's.
    assert_error(site.send("POST", "/b", &[]).await, 404, "Not Found").await;
}

#[tokio::test]
async fn a_route_comes_before_the_account() {
    let limits = Limits { request_rate: Some(only(3)), ..Limits::default() };
    let gateway = Gateway { limits, ..Gateway::default() };
    let routes = [throttled(echo("GET /a"), only(1)), throttled(echo("GET /b"), only(5))];
    let site = Site::start_with(api(routes), gateway).await;
    // What the route refuses does not count for the account, and what it lets through may be too much for the account.
    for (path, status) in
        [("/a", 200), ("/a", 429), ("/a", 429), ("/b", 200), ("/b", 200), ("/b", 429)]
    {
        assert_eq!(site.send("GET", path, &[]).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_preflight_request_is_no_routes() {
    let cors = Cors {
        allow_origins: vec!["https://app.example".parse().unwrap()],
        allow_methods: vec!["GET".parse().unwrap()],
        ..Cors::default()
    };
    let site = Site::start(api_with_cors([throttled(echo("ANY /a"), only(1))], cors)).await;
    let origin = ("origin", "https://app.example");
    for _ in 0..3 {
        let preflight = [origin, ("access-control-request-method", "GET")];
        assert_eq!(site.send("OPTIONS", "/a", &preflight).await.status(), 204);
    }
    assert_eq!(site.send("GET", "/a", &[origin]).await.status(), 200);
    let refused = site.send("GET", "/a", &[origin]).await;
    assert_eq!(refused.headers()["access-control-allow-origin"], "https://app.example");
    assert_error(refused, 429, "Too Many Requests").await;
}

#[tokio::test]
async fn a_route_lets_through_more_when_time_has_passed() {
    let rate = Rate { per_second: 20.0, burst: 1 };
    let site = Site::start(api([throttled(echo("GET /a"), rate)])).await;
    assert_eq!(site.send("GET", "/a", &[]).await.status(), 200);
    let until_admitted = async { while site.send("GET", "/a", &[]).await.status() != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), until_admitted).await.unwrap();
}

fn throttle_route(routes: &mut [WebSocketRoute], key: &str, rate: Rate) {
    let route = routes.iter_mut().find(|route| route.key == key).unwrap();
    route.throttle = Throttle::new(Some(rate));
}

#[tokio::test]
async fn connect_refuses_what_it_may_not_let_through() {
    let mut world = World::start_api(|api, _recorder| {
        throttle_route(&mut api.routes, "$connect", only(1));
        // Nobody would hear of that.
        throttle_route(&mut api.routes, "$disconnect", only(0));
    })
    .await;
    let (_one, _id) = world.connect().await;
    for _ in 0..2 {
        let (status, body) = world.open("").await.unwrap_err();
        assert_eq!(status, 429);
        assert!(body.starts_with(r#"{"message": "Too Many Requests", "connectionId":""#), "{body}");
    }
    assert_eq!(world.stop().await, ["$disconnect"]);
}

/// Sends a message that is refused.
async fn send_in_vain(socket: &mut Socket, text: &str) {
    send(socket, text).await;
    let frame = next_message(socket).await.into_text().unwrap();
    assert!(frame.starts_with(r#"{"message": "Too Many Requests", "connectionId":""#), "{frame}");
}

#[tokio::test]
async fn a_route_of_messages_has_its_own_rate() {
    let change = |gateway: &mut Gateway, recorder: &Recorder| {
        gateway.assumptions.throttled_messages_max = 3;
        let routes = &mut gateway.websocket_apis[0].routes;
        routes.push(websocket_route("rare", recorder.function("rare", script_of_message)));
        throttle_route(routes, "rare", only(1));
    };
    let mut world = World::start_changed(Limits::default(), None, change).await;
    let (mut socket, id) = world.connect().await;
    let rare = r#"{"action":"rare"}"#;
    send(&mut socket, rare).await;
    world.event("rare").await;
    for _ in 0..2 {
        // One that is let through ends the row of those that are not.
        for _ in 0..2 {
            send_in_vain(&mut socket, rare).await;
        }
        send(&mut socket, "hi").await;
        world.event("$default").await;
    }
    for _ in 0..3 {
        send_in_vain(&mut socket, rare).await;
    }
    assert_eq!(closed(&mut socket).await, (1008, "Policy violation".to_owned()));
    assert_eq!(world.disconnect().await, (id, 1008, "Policy violation".to_owned()));
}
