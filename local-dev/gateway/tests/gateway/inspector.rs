//! The inspector: what it shows, what it does, and whom it refuses.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt};
use gateway::{Direct, Function, FunctionError, Invocation, Limits, Rate, Throttle};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use crate::support::{OK, PATIENCE, World, closed, impatient, next_message, response, send};

const SECRET: &str = "S3cr3t-0123456789";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";

impl World {
    fn inspect(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(&format!("/_local{path}")))
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.inspect(method, path).body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    async fn look(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn script(&self, script: &str) -> u16 {
        let request = self.http.post(self.url("/api/script")).header("content-type", "text/plain");
        request.body(script.to_owned()).send().await.unwrap().status().as_u16()
    }

    async fn follow(&self) -> Feed {
        let answer = self.inspect(Method::GET, "/events").send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Feed { bytes: Box::pin(answer.bytes_stream()), text: String::new() }
    }

    /// All that is known of the last invocation of a function.
    async fn told(&self, function: &str) -> Value {
        let list = self.look(&format!("/invocations?function={function}&limit=1")).await;
        self.look(&format!("/invocations/{}", list[0]["id"].as_str().unwrap())).await
    }

    async fn post_to(&self, connection: &str) -> u16 {
        let url = self.url(&format!("/ws/@connections/{connection}"));
        self.http.post(url).body("hi").send().await.unwrap().status().as_u16()
    }
}

/// The live feed.
struct Feed {
    bytes: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    text: String,
}

impl Feed {
    /// The next event's kind and document. `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                let found = field("event: ").zip(field("data: "));
                self.text = self.text.split_off(self.text.len() - rest.len());
                if let Some((kind, document)) = found {
                    return Some((kind, serde_json::from_str(&document).unwrap()));
                }
            } else {
                let bytes = timeout(PATIENCE, self.bytes.next()).await.expect("an event")?;
                self.text.push_str(str::from_utf8(&bytes.unwrap()).unwrap());
            }
        }
    }

    /// The next event of a kind for which `accept` is true.
    async fn until(&mut self, wanted: &str, accept: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (kind, document) = self.next().await.unwrap();
            if kind == wanted && accept(&document) {
                return document;
            }
        }
    }
}

#[tokio::test]
async fn invocations_are_listed_and_told() {
    let world = World::start().await;
    let answer = response(201, &json!({ "x-one": "1" }), "done");
    assert_eq!(world.script(&answer).await, 201);
    assert_eq!(world.script("fail").await, 500);
    world.http.get(world.url("/api/echo")).send().await.unwrap();

    let list = world.look("/invocations").await;
    let outcomes = |list: &Value| -> Vec<Value> {
        let list = list.as_array().unwrap().iter();
        list.map(|entry| json!([entry["function"], entry["outcome"], entry["status"]])).collect()
    };
    let expected = [
        json!(["echo", "ok", null]),
        json!(["script", "error", null]),
        json!(["script", "ok", 201]),
    ];
    assert_eq!(outcomes(&list), expected);
    assert_eq!(outcomes(&world.look("/invocations?function=script").await), expected[1..]);
    assert_eq!(outcomes(&world.look("/invocations?function=script&limit=1").await), expected[1..2]);
    assert_eq!(outcomes(&world.look("/invocations?function=nobody").await), [Value::Null; 0]);
    assert_eq!(list[1]["error"], "Test: as told");

    let id = list[2]["id"].as_str().unwrap();
    let told = world.look(&format!("/invocations/{id}")).await;
    assert_eq!(told["route"], "POST /api/script");
    assert_eq!(told["start"], "in-process");
    assert_eq!(told["replay_of"], Value::Null);
    assert_eq!(told["request_id"], told["event"]["requestContext"]["requestId"]);
    assert_eq!(told["event"]["body"], answer);
    assert_eq!(told["response"].to_string(), answer);
    assert_eq!(told["response_is_json"], true);
    assert_eq!(told["response_bytes"], answer.len());
    assert_eq!(told["log"], json!([]));
    assert!(told["duration_ms"].as_f64().unwrap() >= 0.0);

    assert_eq!(world.ask(Method::GET, "/invocations?limit=-1", &Value::Null).await.0, 400);
    let (status, answer) = world.ask(Method::GET, "/invocations/unknown", &Value::Null).await;
    assert_eq!((status, answer["message"].is_string()), (404, true));
}

#[tokio::test]
async fn no_more_invocations_are_listed_than_are_remembered() {
    let world = World::start().await;
    for number in 0..205 {
        world.http.get(world.url(&format!("/api/echo?n={number}"))).send().await.unwrap();
    }
    let list = world.look("/invocations").await;
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 200);
    let oldest = world.look(&format!("/invocations/{}", list[199]["id"].as_str().unwrap())).await;
    assert_eq!(oldest["event"]["rawQueryString"], "n=5");
}

#[tokio::test]
async fn large_bodies_are_shown_cut() {
    let world = World::start().await;
    let body = "x".repeat(1024 * 1024);
    let request = world.http.post(world.url("/api/echo")).header("content-type", "text/plain");
    request.body(body.clone()).send().await.unwrap();
    let list = world.look("/invocations").await;
    assert!(list[0]["event_bytes"].as_u64().unwrap() > 1024 * 1024);
    let told = world.look(&format!("/invocations/{}", list[0]["id"].as_str().unwrap())).await;
    let shown = told["event"]["body"].as_str().unwrap();
    assert!(shown.len() < 100_000 && shown.ends_with("… [cut: 1048576 bytes in all]"));
}

#[tokio::test]
async fn connections_are_listed_and_can_be_cut() {
    let mut world = World::start().await;
    assert_eq!(world.look("/connections").await, json!([]));
    let (_first, first_id) = world.connect().await;
    let (mut second, second_id) = world.connect().await;
    let list = world.look("/connections").await;
    let connection =
        list.as_array().unwrap().iter().find(|entry| entry["id"] == *second_id).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(
        (&connection["stage"], &connection["source_ip"]),
        (&json!("ws"), &json!("127.0.0.1"))
    );
    assert_eq!(connection["queued_bytes"], 0);
    assert_eq!(
        connection["connected_at"].as_str().unwrap().len(),
        "2026-11-23T10:15:43.377Z".len()
    );

    let (status, _) =
        world.ask(Method::DELETE, &format!("/connections/{second_id}"), &Value::Null).await;
    assert_eq!(status, 204);
    let end = timeout(PATIENCE, second.next()).await.unwrap();
    assert!(matches!(end, Some(Err(_)) | None), "{end:?}");
    let (id, code, _reason) = world.disconnect().await;
    assert_eq!((id, code), (second_id.clone(), 1006));
    let list = world.look("/connections").await;
    assert_eq!((list.as_array().unwrap().len(), &list[0]["id"]), (1, &json!(first_id)));
    let (status, _) =
        world.ask(Method::DELETE, &format!("/connections/{second_id}"), &Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn the_feed_tells_what_begins_and_ends() {
    let mut world = World::start().await;
    assert_eq!(world.script(OK).await, 200);
    let mut feed = world.follow().await;
    let (kind, snapshot) = feed.next().await.unwrap();
    assert_eq!(kind, "snapshot");
    assert_eq!(snapshot["invocations"][0]["function"], "script");
    assert_eq!(snapshot["connections"], json!({ "total": 0, "connections": [] }));
    assert_eq!(snapshot["queues"], json!([]));
    world.any_event().await;

    let (mut socket, id) = world.connect().await;
    let connections = feed.until("connections", |document| document["total"] == 1).await;
    assert_eq!(connections["connections"][0]["id"], *id);
    send(&mut socket, "wait").await;
    let is_message = |document: &Value| document["function"] == "message";
    let running = feed.until("invocation", is_message).await;
    assert_eq!((&running["outcome"], &running["duration_ms"]), (&json!("running"), &Value::Null));
    world.gate.add_permits(1);
    let ended = feed
        .until("invocation", |document| is_message(document) && document["outcome"] != "running")
        .await;
    assert_eq!(
        (&ended["id"], &ended["outcome"], &ended["status"]),
        (&running["id"], &json!("ok"), &json!(200))
    );
    drop(socket);
    feed.until("connections", |document| document["total"] == 0).await;

    // The feed does not hold up the gateway's end.
    let begun = std::time::Instant::now();
    world.stop().await;
    assert!(begun.elapsed() < PATIENCE);
    while feed.next().await.is_some() {}
}

#[tokio::test]
async fn a_replay_has_the_original_event() {
    let mut world = World::start().await;
    let body = json!({ "username": "alice", "password": SECRET });
    world.http.post(world.url("/api/echo")).json(&body).send().await.unwrap();
    let original = world.any_event().await;
    let id = world.look("/invocations").await[0]["id"].as_str().unwrap().to_owned();

    let (status, replay) =
        world.ask(Method::POST, &format!("/invocations/{id}/replay"), &Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(world.any_event().await, original);
    assert_eq!((&replay["replay_of"], &replay["outcome"]), (&json!(id), &json!("ok")));
    assert_ne!(replay["id"], id);
    assert!(!replay.to_string().contains(SECRET), "{replay}");
    assert_eq!(world.look("/invocations").await[0]["id"], replay["id"]);
    let (status, _) = world.ask(Method::POST, "/invocations/unknown/replay", &Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn no_secret_leaves() {
    let world = World::start_api(|api, recorder| {
        api.routes[0].function = recorder.function("connect", |_event| {
            response(200, &json!({ "sec-websocket-protocol": "chat.v1" }), "")
        });
        api.routes[1].function = Function::new("talkative", async |invocation: Invocation| {
            invocation.entry.say(format!("tried password={SECRET} ok"));
            invocation.entry.say(format!("{{\"fields\":{{\"refresh_token\":\"{SECRET}\"}}}}"));
            invocation.entry.say(format!("got {JWT}"));
            Ok(json!({ "statusCode": 200, "headers": { "set-cookie": SECRET }, "body": JWT })
                .to_string()
                .into())
        });
    })
    .await;
    let mut feed = world.follow().await;
    let mut request = world.socket_url(&format!("?token={SECRET}")).into_client_request().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", format!("chat.v1, bearer.{SECRET}").parse().unwrap());
    request.headers_mut().insert("user-agent", JWT.parse().unwrap());
    let mut socket = World::open_request(request).await.unwrap();
    send(&mut socket, &json!({ "password": SECRET, "x": JWT }).to_string()).await;
    let echo = world.http.post(world.url(&format!("/api/echo?token={SECRET}&n=1")));
    let echo = echo
        .header("authorization", format!("Bearer {SECRET}"))
        .header("cookie", format!("sid={SECRET}"));
    let echo = echo.header("content-type", "application/x-www-form-urlencoded");
    echo.body(format!("password={SECRET}")).send().await.unwrap();

    let is_done =
        |document: &Value| document["function"] == "talkative" && document["outcome"] == "ok";
    let mut seen = String::new();
    loop {
        let (_kind, document) = feed.next().await.unwrap();
        seen.push_str(&document.to_string());
        if is_done(&document) {
            break;
        }
    }
    let list = world.look("/invocations").await;
    let mut functions = Vec::new();
    for entry in list.as_array().unwrap() {
        functions.push(entry["function"].as_str().unwrap());
        let told = world.look(&format!("/invocations/{}", entry["id"].as_str().unwrap())).await;
        assert!(told.to_string().contains("[redacted]"), "{told}");
        seen.push_str(&told.to_string());
    }
    functions.sort_unstable();
    assert_eq!(functions, ["connect", "echo", "talkative"]);
    seen.push_str(&list.to_string());
    seen.push_str(&world.look("/connections").await.to_string());
    assert!(seen.contains("tried password=[redacted] ok"));
    // The form is a body in base64.
    let form_start =
        &base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "password=S3cr3t")
            [..16];
    for secret in [SECRET, JWT, form_start] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
}

#[tokio::test]
async fn faults_can_be_switched() {
    let mut world = World::start().await;
    let faults = world.look("/faults").await;
    assert_eq!(faults["post-410"], 0.0);
    assert!(faults.as_object().unwrap().values().all(|value| *value == 0.0));
    let (mut socket, id) = world.connect().await;
    assert_eq!(world.post_to(&id).await, 200);
    next_message(&mut socket).await;

    let (status, faults) = world.ask(Method::PUT, "/faults", &json!({ "post-410": 1 })).await;
    assert_eq!((status, &faults["post-410"]), (200, &json!(1.0)));
    assert_eq!(world.post_to(&id).await, 410);
    let (status, faults) =
        world.ask(Method::PATCH, "/faults", &json!({ "crash-before@script": 1 })).await;
    assert_eq!(
        (status, &faults["post-410"], &faults["crash-before@script"]),
        (200, &json!(1.0), &json!(1.0))
    );
    assert_eq!(world.script(OK).await, 500);
    assert_eq!(world.look("/invocations?function=script").await[0]["outcome"], "error");

    for (faults, problem) in [
        (
            json!({ "post-404": 1 }),
            "there is no fault \"post-404\"; there are drop-disconnect, post-410",
        ),
        (json!({ "cut": 2 }), "allowed is a share from 0 to 1"),
        (json!({ "cut": "1" }), "an object of names and numbers"),
        (json!(["cut"]), "an object of names and numbers"),
    ] {
        for method in [Method::PUT, Method::PATCH] {
            let (status, answer) = world.ask(method, "/faults", &faults).await;
            assert_eq!(status, 400);
            assert!(answer["message"].as_str().unwrap().contains(problem), "{answer}");
        }
    }
    assert_eq!(world.look("/faults").await["post-410"], 1.0, "a bad request changes nothing");

    world.ask(Method::PATCH, "/faults", &json!({ "post-410": null })).await;
    assert_eq!(world.post_to(&id).await, 200);
    let (_, faults) = world.ask(Method::PUT, "/faults", &json!({})).await;
    assert!(faults.as_object().unwrap().values().all(|value| *value == 0.0));
    assert_eq!(world.script(OK).await, 200);
}

#[tokio::test]
async fn limits_and_assumptions_are_shown() {
    let limits = Limits { message_bytes_max: 1000, ..Limits::default() };
    let world = World::start_with(limits, None).await;
    let shown = world.look("/limits").await;
    let limit = limit(&shown, "message-bytes");
    assert_eq!((&limit["value"], &limit["default"]), (&json!(1000), &json!(131_072)));
    assert_eq!(
        shown["assumptions"].as_array().unwrap().len(),
        gateway::assumptions::ASSUMPTIONS.len()
    );
}

/// A limit among those that are shown.
fn limit<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let limits = shown["limits"].as_array().unwrap();
    limits.iter().find(|limit| limit["name"] == name).unwrap()
}

#[tokio::test]
async fn limits_say_what_is_in_use() {
    let limits = Limits {
        message_bytes_max: 1000,
        request_rate: Some(Rate { per_second: 0.001, burst: 10 }),
        connection_rate: None,
        ..Limits::default()
    };
    let mut world = World::start_changed(limits, None, |gateway, _recorder| {
        let rate = Some(Rate { per_second: 0.001, burst: 4 });
        gateway.websocket_apis[0].routes[1].throttle = Throttle::new(rate);
    })
    .await;
    let used =
        async |world: &World, name: &str| limit(&world.look("/limits").await, name)["used"].clone();
    assert_eq!(world.look("/limits").await["connections"], 0);
    assert_eq!(used(&world, "idle-timeout").await, Value::Null);

    let (mut socket, id) = world.connect().await;
    send(&mut socket, &"x".repeat(300)).await;
    world.event("$default").await;
    assert_eq!(world.post_to(&id).await, 200);
    let shown = world.look("/limits").await;
    assert_eq!(shown["connections"], 1);
    assert_eq!(limit(&shown, "message-bytes")["used"], 300);
    assert_eq!(limit(&shown, "frame-bytes")["used"], 300);
    assert_eq!(limit(&shown, "outbound-bytes")["used"], 0);
    let inbound = limit(&shown, "inbound-bytes")["used"].as_u64().unwrap();
    assert!((300..10_000).contains(&inbound), "{inbound}");
    assert_eq!(limit(&shown, "connection-rate")["used"], Value::Null, "nobody counts them");
    assert_eq!(limit(&shown, "request-rate")["used"]["admitted"], 2);
    assert!(limit(&shown, "request-rate")["used"]["taken"].as_f64().unwrap() > 1.99);
    assert!(limit(&shown, "max-duration")["used"].as_f64().unwrap() > 0.0);
    assert!(limit(&shown, "integration-timeout")["used"].as_f64().unwrap() > 0.0);
    assert_eq!(shown["routes"].as_array().unwrap().len(), 1);
    let route = &shown["routes"][0];
    assert_eq!((&route["route"], &route["admitted"]), (&json!("ws $default"), &json!(1)));
    assert_eq!(route["rate"]["burst"], 4);
}

#[tokio::test]
async fn steps_are_shown_with_their_invocation() {
    let direct = Direct::default();
    let mut world = World::start_changed(Limits::default(), None, |gateway, _recorder| {
        gateway.direct = direct.clone();
        let posting = Function::new("posting", move |invocation: Invocation| {
            let direct = direct.clone();
            async move {
                invocation.entry.say("about to post");
                let event: Value = serde_json::from_slice(&invocation.event).unwrap();
                let own = event["requestContext"]["connectionId"].as_str().unwrap();
                let text = Bytes::from_static(b"hi");
                let gone = "QkT3rfHsDoECHlw=";
                direct.post_all("ws", [own, gone, gone, gone].map(|id| (id, &text)));
                let label = format!("select $1 where password={SECRET}");
                invocation.entry.step("sql", label, Duration::from_millis(1), "1 row".to_owned());
                Ok(OK.into())
            }
        });
        gateway.websocket_apis[0].routes[1].function = posting;
    })
    .await;
    let (mut socket, id) = world.connect().await;
    send(&mut socket, "go").await;
    next_message(&mut socket).await;
    let told = world.told("posting").await;
    let steps = told["step_list"].as_array().unwrap();
    let step = |kind: &str| steps.iter().find(|step| step["kind"] == kind).unwrap();
    assert_eq!((steps.len(), &told["steps"], &told["has_steps"]), (3, &json!(3), &json!(true)));
    assert_eq!(told["log"], json!(["about to post"]));
    assert_eq!(step("log")["label"], "about to post");
    assert_eq!(step("sql")["label"], "select $1 where password=[redacted]");
    assert_eq!(
        (&step("sql")["duration_ms"], &step("sql")["outcome"]),
        (&json!(1.0), &json!("1 row"))
    );
    let named = format!("to {id}, QkT3rfHsDoECHlw=, QkT3rfHsDoECHlw= and 1 more");
    assert_eq!(step("post")["label"], named);
    assert_eq!(step("post")["outcome"], "1 sent, 3 410 gone");
    let took = told["duration_ms"].as_f64().unwrap();
    for step in steps {
        assert!((0.0..=took).contains(&step["offset_ms"].as_f64().unwrap()), "{step} of {took} ms");
    }
    let kinds: Vec<_> =
        told["parts"].as_array().unwrap().iter().map(|part| part[0].as_str().unwrap()).collect();
    assert_eq!(kinds, ["post", "sql"]);
    assert_eq!(told["connection_id"], *id);
}

#[tokio::test]
async fn a_post_is_shown_with_the_invocation_whose_trace_it_names() {
    let own_url = Arc::new(OnceLock::<String>::new());
    let mut world = World::start_changed(Limits::default(), None, |gateway, _recorder| {
        let own_url = Arc::clone(&own_url);
        let posting = Function::new("posting", move |invocation: Invocation| {
            let url = own_url.get().unwrap().clone();
            async move {
                let trace = invocation.entry.trace_header();
                // In a task of its own, as if it came from another program.
                let post = reqwest::Client::new().post(url).header("x-amzn-trace-id", trace);
                let posted = tokio::spawn(post.body("hi").send()).await.unwrap().unwrap();
                assert_eq!(posted.status(), 200);
                Ok(OK.into())
            }
        });
        gateway.websocket_apis[0].routes[1].function = posting;
    })
    .await;
    let (mut socket, id) = world.connect().await;
    own_url.set(world.url(&format!("/ws/@connections/{id}"))).unwrap();
    for _ in 0..2 {
        send(&mut socket, "go").await;
        next_message(&mut socket).await;
    }
    // Nobody knows whose these are.
    assert_eq!(world.post_to(&id).await, 200);
    for stranger in ["Root=1-6b041242-0123456789abcdef01234567", "Root=", "nonsense", ""] {
        let url = world.url(&format!("/ws/@connections/{id}"));
        let post = world.http.post(url).header("x-amzn-trace-id", stranger).body("hi");
        assert_eq!(post.send().await.unwrap().status(), 200, "{stranger}");
    }
    let list = world.look("/invocations?function=posting").await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    for summary in list.as_array().unwrap() {
        let told = world.look(&format!("/invocations/{}", summary["id"].as_str().unwrap())).await;
        let [step] = &told["step_list"].as_array().unwrap()[..] else { panic!("{told}") };
        let expected = json!(["post", format!("to {id}"), "1 sent"]);
        assert_eq!(json!([step["kind"], step["label"], step["outcome"]]), expected);
    }
}

#[tokio::test]
async fn invocations_are_found_by_their_texts() {
    let world = World::start().await;
    for body in ["{\"text\":\"Grüße an \\\"Bob\\\"\"}", &format!("{{\"password\":\"{SECRET}\"}}")]
    {
        let request =
            world.http.post(world.url("/api/echo")).header("content-type", "application/json");
        request.body(body.to_owned()).send().await.unwrap();
    }
    world.script("fail").await;
    let found = async |query: &str| {
        let list = world.look(&format!("/invocations?{query}")).await;
        list.as_array().unwrap().len()
    };
    for (query, number) in [
        ("text=", 3),
        ("text=gr%C3%BC%C3%9Fe", 1),
        ("text=AN+gr%C3%BC%C3%9Fe", 1),
        ("text=%22bob%22", 1),
        ("text=gr%C3%BC%C3%9Fe+nowhere", 0),
        ("text=echo", 2),
        ("text=as+told", 1),
        ("text=echo&function=script", 0),
        ("text=echo&limit=1", 1),
        // What is not shown is not found either.
        ("text=s3cr3t-0123456789", 0),
    ] {
        assert_eq!(found(query).await, number, "{query}");
    }
}

/// A gateway that soon refuses.
async fn strict() -> World {
    let limits = Limits {
        http_body_bytes_max: 2000,
        payload_bytes_max: 1500,
        http_head_bytes_max: 1000,
        message_bytes_max: 500,
        frame_bytes_max: 400,
        upgrade_url_chars_max: 200,
        ..impatient()
    };
    World::start_with(limits, None).await
}

impl World {
    /// Fails unless just this was refused, once each: the title of the note, and how what AWS would do begins.
    async fn has_refused(&self, expected: &[(&str, String)]) {
        let refusals = self.look("/refusals").await;
        let refusals = refusals.as_array().unwrap();
        for (title, aws) in expected {
            let refusal = refusals.iter().find(|refusal| refusal["title"] == *title).expect(title);
            assert!(refusal["aws"].as_str().unwrap().starts_with(aws), "{refusal}");
            assert_eq!(refusal["count"], 1, "{refusal}");
            assert!(!refusal["subject"].as_str().unwrap().is_empty(), "{refusal}");
        }
        assert_eq!(refusals.len(), expected.len(), "{refusals:?}");
    }

    /// The notes that stand with a function's invocations, the newest first, as lists and as details have them.
    async fn notes_of(&self, function: &str) -> Vec<String> {
        let list = self.look(&format!("/invocations?function={function}")).await;
        let mut notes = Vec::new();
        for entry in list.as_array().unwrap().iter().filter(|entry| !entry["refused"].is_null()) {
            let told = self.look(&format!("/invocations/{}", entry["id"].as_str().unwrap())).await;
            assert_eq!(told["refusals"][0]["title"], entry["refused"]);
            notes.push(entry["refused"].as_str().unwrap().to_owned());
        }
        notes
    }
}

#[tokio::test]
async fn refused_requests_are_noted_with_what_aws_would_do() {
    let world = strict().await;
    world.has_refused(&[]).await;
    let mut expected = Vec::new();
    let post = |body: String| {
        world.http.post(world.url("/api/script")).header("content-type", "text/plain").body(body)
    };
    let get = |path: &str| world.http.get(world.url(path));
    let nobody = "/ws/@connections/QkT3rfHsDoECHlw=";
    for (request, status, title) in [
        (get("/api/nothing?token=abc"), 404, "No route of the HTTP API"),
        (post("fail".to_owned()), 500, "Function failed"),
        (post("{\"statusCode\":\"x\"}".to_owned()), 500, "Malformed response"),
        (post("hang".to_owned()), 503, "Function too slow"),
        (post("throttled".to_owned()), 503, "Function throttled"),
        (post("x".repeat(2001)), 413, "Request body too large"),
        (post("x".repeat(1400)), 413, "Event too large"),
        (post(String::new()).header("x", "y".repeat(1000)), 431, "Request head too large"),
        (get("/ws"), 426, "No WebSocket handshake"),
        (get("/ws/other"), 403, "Nothing to call"),
        (get("/ws/@connections/x"), 400, "No connection id"),
        (get(nobody), 410, "No such connection"),
        (world.http.post(world.url(nobody)).body("x".repeat(501)), 413, "Post too large"),
    ] {
        assert_eq!(request.send().await.unwrap().status(), status, "{title}");
        expected.push((title, status.to_string()));
    }
    world.has_refused(&expected).await;
    let refusals = world.look("/refusals").await.to_string();
    assert!(refusals.contains("GET /api/nothing") && !refusals.contains("abc"), "{refusals}");
    assert_eq!(
        world.notes_of("script").await,
        ["Function throttled", "Function too slow", "Malformed response", "Function failed"]
    );
}

#[tokio::test]
async fn refused_handshakes_are_noted_with_what_aws_would_do() {
    let world = strict().await;
    let mut expected = Vec::new();
    for (script, status, title) in [
        ("fail", 502, "$connect failed"),
        ("malformed", 502, "$connect answered malformed"),
        ("hang", 504, "$connect too slow"),
        ("throttled", 429, "$connect throttled by Lambda"),
    ] {
        assert_eq!(world.connect_with(script).await.unwrap_err().0, status, "{title}");
        expected.push((title, status.to_string()));
    }
    assert_eq!(
        world.notes_of("connect").await,
        expected.iter().rev().map(|(title, _)| *title).collect::<Vec<_>>()
    );
    let long = format!("?{}", "x".repeat(200));
    assert_eq!(world.open(&long).await.unwrap_err().0, 414);
    expected.push(("URL too long", "414".to_owned()));
    world.has_refused(&expected).await;
}

#[tokio::test]
async fn refused_messages_are_noted_with_what_aws_would_do() {
    let world = strict().await;
    let mut socket = world.open("").await.unwrap();
    let mut expected = Vec::new();
    for (message, text, title) in [
        ("fail", "Internal server error", "Function failed at a message"),
        ("malformed", "Internal server error", "Malformed response to a message"),
        ("hang", "Endpoint request timed out", "Function too slow at a message"),
    ] {
        send(&mut socket, message).await;
        let frame = next_message(&mut socket).await;
        let frame: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
        assert_eq!(frame["message"], text);
        expected.push((title, format!("the frame {text}")));
    }
    assert_eq!(
        world.notes_of("message").await,
        expected.iter().rev().map(|(title, _)| *title).collect::<Vec<_>>()
    );
    send(&mut socket, &"x".repeat(401)).await;
    assert_eq!(closed(&mut socket).await.0, 1009);
    expected.push(("Message too big", "close code 1009".to_owned()));
    let mut socket = world.open("").await.unwrap();
    socket.send(Message::binary("x")).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1003);
    expected.push(("Binary message", "close code 1003".to_owned()));
    world.has_refused(&expected).await;
}

#[tokio::test]
async fn a_failure_at_a_queue_is_noted_with_what_aws_would_do() {
    let world = World::start().await;
    let failing = Function::new("failing", async |_invocation| {
        Err(FunctionError::Failed { error_type: "Test".to_owned(), message: "as told".to_owned() })
    });
    let invoker = world.server.invoker();
    invoker.invoke_by("SQS Queue", &failing, Bytes::from("{}"), PATIENCE).await.unwrap_err();
    let title = "Function failed at messages of a queue";
    world.has_refused(&[(title, "the same messages again".to_owned())]).await;
    assert_eq!(world.notes_of("failing").await, [title]);
}

#[tokio::test]
async fn who_floods_or_idles_is_noted_with_what_aws_would_do() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(300),
        request_rate: Some(Rate { per_second: 0.001, burst: 1 }),
        connection_rate: Some(Rate { per_second: 0.001, burst: 2 }),
        ..Limits::default()
    };
    let world = World::start_changed(limits, None, |gateway, _recorder| {
        gateway.assumptions.set("throttled-messages-max", "2").unwrap();
    })
    .await;
    let mut idle = world.open("").await.unwrap();
    let mut flooding = world.open("").await.unwrap();
    assert_eq!(world.open("").await.unwrap_err().0, 429);
    for _ in 0..3 {
        send(&mut flooding, "x").await;
    }
    assert_eq!(closed(&mut flooding).await.0, 1008);
    assert_eq!(world.script(OK).await, 429);
    assert_eq!(world.post_to("QkT3rfHsDoECHlw=").await, 429);
    assert_eq!(closed(&mut idle).await.0, 1001);
    let refusals = world.look("/refusals").await;
    let count = |title: &str| {
        let mut refusals = refusals.as_array().unwrap().iter();
        refusals.find(|refusal| refusal["title"] == title).map(|refusal| refusal["count"].clone())
    };
    for (title, number) in [
        ("New connection throttled", 1),
        ("Message throttled", 2),
        ("Too many messages too fast", 1),
        ("Request throttled", 1),
        ("Call of @connections throttled", 1),
        ("Idle for too long", 1),
    ] {
        assert_eq!(count(title), Some(json!(number)), "{title} of {refusals}");
    }
}

#[tokio::test]
async fn the_page_and_its_files_are_served_with_their_headers() {
    let world = World::start().await;
    for (path, content_type) in [
        ("", "text/html; charset=utf-8"),
        ("/", "text/html; charset=utf-8"),
        ("/inspector.js", "text/javascript; charset=utf-8"),
        ("/base.css", "text/css; charset=utf-8"),
        ("/limits", "application/json"),
    ] {
        let answer = world.inspect(Method::GET, path).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &content_type.parse().unwrap())
        );
        assert!(
            answer.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'; ")
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers()[name], value, "{path}");
        }
    }
    let page = world.inspect(Method::GET, "").send().await.unwrap().text().await.unwrap();
    for link in page.split("=\"/_local").skip(1) {
        let path = link.split('"').next().unwrap();
        assert_eq!(
            world.inspect(Method::GET, path).send().await.unwrap().status().as_u16(),
            200,
            "{path}"
        );
    }
    for (method, path, status) in [
        (Method::GET, "/nothing", 404),
        (Method::GET, "/a/b/c", 404),
        (Method::POST, "/faults", 405),
    ] {
        let (answered, answer) = world.ask(method, path, &Value::Null).await;
        assert_eq!((answered, answer["message"].is_string()), (status, true), "{path}");
    }
}

#[tokio::test]
async fn only_this_machine_and_this_origin_are_answered() {
    let world = World::start().await;
    let own = world.server.local_addr();
    let status = async |method: &str, path: &str, headers: &str| {
        let request = format!(
            "{method} /_local{path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let answer = world.exchange(request).await;
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    for path in [
        "",
        "/",
        "/inspector.js",
        "/connections",
        "/invocations",
        "/events",
        "/faults",
        "/limits",
        "/nothing",
    ] {
        assert_eq!(status("GET", path, "Host: evil.example\r\n").await, 403, "{path}");
    }
    assert_eq!(
        status("GET", "/faults", "Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n").await,
        403
    );
    for (method, path) in [
        ("PUT", "/faults"),
        ("PATCH", "/faults"),
        ("DELETE", "/connections/x"),
        ("POST", "/invocations/x/replay"),
    ] {
        let foreign = format!("Host: {own}\r\nOrigin: http://evil.example\r\n");
        assert_eq!(status(method, path, &foreign).await, 403, "{method}");
        let same_site = format!("Host: {own}\r\nSec-Fetch-Site: same-site\r\n");
        assert_eq!(status(method, path, &same_site).await, 403, "{method}");
    }
    let ours = format!("Host: {own}\r\nOrigin: http://{own}\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(status("PUT", "/faults", &ours).await, 200);
    assert_eq!(status("GET", "/faults", "Host: inspector.localhost\r\n").await, 200);
}
