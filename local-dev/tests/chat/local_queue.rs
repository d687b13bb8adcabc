//! Messages to more connections than are posted to at once, by local-dev's own queue: nobody sets it up, and the same code runs
//! as on AWS.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    Needs,
    support::{
        World,
        process::Process,
        room::{Room, User},
        socket::Socket,
    },
};

crate::stories! {
    Needs::Nothing;
    the_queue_brings_every_message_to_everyone_once,
    a_broadcast_that_crashes_is_done_again,
    what_is_given_up_can_be_moved_back,
    the_program_has_the_queue_for_who_signs,
}

/// The queue of broadcasts, and that of those that were given up, by the template's names.
const QUEUE: &str = "BroadcastQueue";
const DEAD_LETTERS: &str = "BroadcastDeadLetters";

/// Sockets of both protocols. The first is the sender's.
async fn gather(room: &Room, number: usize) -> (User, Vec<Socket>) {
    let (alice, bob) = (room.user("alice").await, room.user("bob").await);
    let mut sockets = Vec::new();
    for socket in 0..number {
        sockets.push(match socket % 3 {
            0 => room.connect(&alice).await,
            1 => room.connect_plain(&bob).await,
            _ => room.connect(&bob).await,
        });
    }
    (alice, sockets)
}

/// The texts of the next messages that a socket is shown, as many as there must be. Several may come in one frame.
async fn shown(socket: &mut Socket, number: usize) -> Vec<String> {
    let text = |message: &Value| message["text"].as_str().unwrap().to_owned();
    let mut texts = Vec::new();
    while texts.len() < number {
        let frame = socket.next_text().await;
        match serde_json::from_str::<Value>(&frame) {
            Err(_) => texts.push(frame.split_once(": ").unwrap().1.to_owned()),
            Ok(frame) => match frame["messages"].as_array() {
                Some(messages) => texts.extend(messages.iter().map(text)),
                None => texts.push(text(&frame)),
            },
        }
    }
    texts
}

/// Asserts that a socket is shown nothing before a mark that is posted to it now.
async fn assert_quiet(world: &World, sockets: &mut [Socket]) {
    for id in world.connection_ids().await {
        world.post_to_socket(&id, "system: that was all").await;
    }
    for socket in sockets {
        // The mark is no frame of `chat.v1`.
        assert_eq!(socket.try_next_text().await.unwrap(), "system: that was all");
    }
}

/// Asks the inspector.
pub async fn inspect(room: &Room, method: Method, path: &str, body: Value) -> Value {
    let url = format!("{}/_local{path}", room.base_url());
    let answer = reqwest::Client::new().request(method, url).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

/// How many messages a queue holds. The name of a FIFO queue has a suffix.
async fn held(room: &Room, queue: &str) -> u64 {
    let queues = inspect(room, Method::GET, "/queues", Value::Null).await;
    let mut queues = queues.as_array().unwrap().iter();
    let is_it = |found: &&Value| found["name"].as_str().unwrap().trim_end_matches(".fifo") == queue;
    let found = queues.find(is_it).unwrap();
    ["waiting", "in_flight", "delayed"].map(|what| found[what].as_u64().unwrap()).iter().sum()
}

async fn the_queue_brings_every_message_to_everyone_once(mut world: World) {
    world.restart_with("BROADCAST_INLINE_LIMIT", "2").await;
    let (alice, mut sockets) = gather(&world, 11).await;
    let texts: Vec<String> = (0..15).map(|number| format!("message {number}")).collect();
    for (number, text) in texts.iter().enumerate() {
        sockets[0].say(text, &number.to_string()).await;
        // The sender's echo.
        assert_eq!(shown(&mut sockets[0], 1).await[0], *text);
    }
    let mut sorted = texts.clone();
    sorted.sort_unstable();
    for socket in &mut sockets[1..] {
        let mut shown = shown(socket, texts.len()).await;
        // Their order is not promised.
        shown.sort_unstable();
        assert_eq!(shown, sorted);
    }
    world.until("all has been handled", async || held(&world, QUEUE).await == 0).await;
    assert_eq!(held(&world, DEAD_LETTERS).await, 0);
    assert_quiet(&world, &mut sockets).await;
    assert_eq!(world.history(&alice).await.len(), texts.len());
    let invocations = "/invocations?function=Broadcast";
    let invocations = inspect(&world, Method::GET, invocations, Value::Null).await;
    let route = invocations[0]["route"].as_str().unwrap();
    assert!(route.starts_with("SQS BroadcastQueue"), "{route}");
}

async fn a_broadcast_that_crashes_is_done_again(mut world: World) {
    world.visibility_timeout = Some(Duration::from_secs(3));
    world.restart_with("BROADCAST_INLINE_LIMIT", "1").await;
    let (_, mut sockets) = gather(&world, 4).await;
    inspect(&world, Method::PUT, "/faults", json!({"crash-before@Broadcast": 1})).await;
    sockets[0].say("again?", "1").await;
    assert_eq!(shown(&mut sockets[0], 1).await, ["again?"]);
    let has_crashed = async || {
        let path = "/invocations?function=Broadcast";
        let invocations = inspect(&world, Method::GET, path, Value::Null).await;
        invocations.as_array().unwrap().iter().any(|invocation| invocation["outcome"] == "error")
    };
    world.until("a broadcast crashes", has_crashed).await;
    inspect(&world, Method::PUT, "/faults", json!({})).await;
    for socket in &mut sockets[1..] {
        assert_eq!(shown(socket, 1).await, ["again?"]);
    }
    world.until("all has been handled", async || held(&world, QUEUE).await == 0).await;
    assert_quiet(&world, &mut sockets).await;
}

async fn what_is_given_up_can_be_moved_back(mut world: World) {
    world.visibility_timeout = Some(Duration::from_millis(100));
    world.restart_with("BROADCAST_INLINE_LIMIT", "1").await;
    let (_, mut sockets) = gather(&world, 4).await;
    inspect(&world, Method::PUT, "/faults", json!({"crash-before@Broadcast": 1})).await;
    sockets[0].say("given up?", "1").await;
    assert_eq!(shown(&mut sockets[0], 1).await, ["given up?"]);
    let are_dead = async || held(&world, DEAD_LETTERS).await > 0 && held(&world, QUEUE).await == 0;
    world.until("all are given up", are_dead).await;
    let dead_letters = held(&world, DEAD_LETTERS).await;
    inspect(&world, Method::PUT, "/faults", json!({})).await;
    assert_quiet(&world, &mut sockets).await;

    let queues = inspect(&world, Method::GET, "/queues", Value::Null).await;
    let dead =
        queues.as_array().unwrap().iter().find(|queue| queue["is_dead_letter_queue"] == true);
    let name = dead.unwrap()["name"].as_str().unwrap();
    let moved =
        inspect(&world, Method::POST, &format!("/queues/{name}/redrive"), Value::Null).await;
    assert_eq!(moved, json!({"messages": dead_letters}));
    for socket in &mut sockets[1..] {
        assert_eq!(shown(socket, 1).await, ["given up?"]);
    }
}

async fn the_program_has_the_queue_for_who_signs(world: World) {
    let process = Process::start(&world, &[("BROADCAST_INLINE_LIMIT", "1")]).await;
    let (_, mut sockets) = gather(&process, 5).await;
    sockets[0].say("hello everyone", "1").await;
    for socket in &mut sockets {
        assert_eq!(shown(socket, 1).await, ["hello everyone"]);
    }
    let invocations = "/invocations?function=Broadcast";
    let invocations = inspect(&process, Method::GET, invocations, Value::Null).await;
    assert!(!invocations.as_array().unwrap().is_empty(), "it went by the queue");

    let call = reqwest::Client::new()
        .post(process.base_url())
        .header("x-amz-target", "AmazonSQS.ListQueues")
        .body("{}");
    let refused = call.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.headers()["x-amzn-query-error"], "MissingAuthenticationToken;Sender");
    process.stop().await;
}
