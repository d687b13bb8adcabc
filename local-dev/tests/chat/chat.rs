//! The room: what is sent, who sees it, and what no bad connection can spoil.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    Needs,
    support::{World, connections::FakeConnections},
};

crate::stories! {
    Needs::Nothing;
    plain_and_chat_v1_share_one_room,
    a_message_is_stored_before_it_is_shown,
    ids_count_without_gaps_however_many_send_at_once,
    a_repeated_send_is_the_same_message,
    the_same_send_on_two_connections_at_once_is_one_message,
    nobody_speaks_for_another,
    a_ping_is_answered,
    gone_connections_are_forgotten_and_harm_nobody,
    a_connection_in_its_handshake_is_not_taken_for_gone,
    a_connection_older_than_any_can_be_gets_no_post,
    a_socket_that_outlived_its_session_hears_nothing_and_is_closed,
    a_post_that_hangs_is_given_up_and_harms_nobody,
    a_client_that_does_not_read_holds_up_nobody,
    a_connection_without_a_row_is_closed,
    a_disconnect_forgets_the_connection,
}

async fn plain_and_chat_v1_share_one_room(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut alice_json = world.connect(&alice).await;
    let mut bob_plain = world.connect_plain(&bob).await;

    alice_json.say("Hello!", "7f1c").await;
    let frame = alice_json.next_frame().await;
    let sent_at = frame["sent_at"].clone();
    let expected = json!({"type": "message", "id": 1, "username": "alice", "text": "Hello!",
                          "sent_at": sent_at, "client_id": "7f1c"});
    assert_eq!(frame, expected);
    assert_eq!(bob_plain.next_text().await, "alice: Hello!");

    bob_plain.send("Hi, alice").await;
    assert_eq!(bob_plain.next_text().await, "bob: Hi, alice");
    let frame = alice_json.next_frame().await;
    assert_eq!(
        (&frame["id"], &frame["username"], &frame["text"]),
        (&json!(2), &json!("bob"), &json!("Hi, alice"))
    );
    assert_eq!(frame.get("client_id"), None);

    let history = world.history(&bob).await;
    assert_eq!(
        history[0],
        json!({"id": 1, "username": "alice", "text": "Hello!", "sent_at": sent_at, "client_id": "7f1c"})
    );
    assert_eq!(history[1]["text"], "Hi, alice");
}

async fn a_message_is_stored_before_it_is_shown(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut sender = world.connect(&alice).await;
    let mut reader = world.connect(&bob).await;
    for number in 1..=20 {
        sender.say("x", &number.to_string()).await;
        let shown = reader.next_frame().await["id"].as_i64().unwrap();
        let stored = world.history(&bob).await;
        assert_eq!(stored.last().unwrap()["id"], shown);
    }
}

async fn ids_count_without_gaps_however_many_send_at_once(world: World) {
    const EACH: usize = 10;
    let names = ["ann", "ben", "cleo", "dan", "eve"];
    let users = join_all(names.map(|name| world.user(name))).await;
    let mut sockets = Vec::new();
    for (number, user) in users.iter().enumerate() {
        sockets.push(if number % 2 == 0 {
            world.connect(user).await
        } else {
            world.connect_plain(user).await
        });
    }
    let total = EACH * sockets.len();
    let views = join_all(sockets.into_iter().enumerate().map(|(number, mut socket)| async move {
        let mut seen = Vec::new();
        for message in 0..EACH {
            if number % 2 == 0 {
                socket.say(&format!("{message}"), &format!("{message}")).await;
            } else {
                socket.send(format!("{message}")).await;
            }
        }
        for _ in 0..total {
            seen.push(socket.next_text().await);
        }
        seen
    }))
    .await;

    let history = world.pages(&users[0]).await;
    let ids: Vec<i64> = history.iter().map(|message| message["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=i64::try_from(total).unwrap()).collect::<Vec<_>>());
    for (number, view) in views.into_iter().enumerate() {
        // What one saw is what is stored, in whatever order the pushes came.
        let mut seen: Vec<String> = if number % 2 == 0 {
            let frames = view.iter().map(|frame| serde_json::from_str::<Value>(frame).unwrap());
            frames.map(|frame| plain(&frame)).collect()
        } else {
            view
        };
        let mut stored: Vec<String> = history.iter().map(plain).collect();
        seen.sort_unstable();
        stored.sort_unstable();
        assert_eq!(seen, stored, "what {} saw", names[number]);
    }
}

/// A message as a plain client is shown it.
fn plain(message: &Value) -> String {
    format!("{}: {}", message["username"].as_str().unwrap(), message["text"].as_str().unwrap())
}

async fn a_repeated_send_is_the_same_message(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut first = world.connect(&alice).await;
    first.say("once", "key").await;
    let original = first.next_frame().await;
    // The text of the repetition doesn't matter; the key does.
    first.say("twice?", "key").await;
    assert_eq!(first.next_frame().await, original);
    let mut second = world.connect(&alice).await;
    second.say("once", "key").await;
    assert_eq!(second.next_frame().await, original);
    first.close().await;

    // Another user's key is another key.
    let mut other = world.connect(&bob).await;
    other.say("mine", "key").await;
    let frame = other.next_frame().await;
    assert_eq!((&frame["id"], &frame["text"]), (&json!(2), &json!("mine")));
    assert_eq!(world.history(&alice).await.len(), 2);
}

async fn the_same_send_on_two_connections_at_once_is_one_message(world: World) {
    let alice = world.user("alice").await;
    let mut sockets = join_all((0..4).map(|_| world.connect(&alice))).await;
    for round in 1..=10 {
        let key = round.to_string();
        join_all(sockets.iter_mut().map(|socket| socket.say("same", &key))).await;
        for socket in &mut sockets {
            // Each of the four sends shows the one message to each socket.
            for _ in 0..4 {
                let frame = socket.next_frame().await;
                assert_eq!((&frame["id"], &frame["client_id"]), (&json!(round), &json!(key)));
            }
        }
    }
    assert_eq!(world.history(&alice).await.len(), 10);
}

async fn nobody_speaks_for_another(world: World) {
    let (alice, _bob) = (world.user("alice").await, world.user("bob").await);
    let mut socket = world.connect(&alice).await;
    let frame = json!({"action": "send", "text": "I am bob", "username": "bob", "id": 99, "sent_at": "1970-01-01T00:00:00.000Z"});
    socket.send(frame.to_string()).await;
    let shown = socket.next_frame().await;
    assert_eq!((&shown["username"], &shown["id"]), (&json!("alice"), &json!(1)));
}

async fn a_ping_is_answered(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    socket.send(r#"{"action":"ping"}"#).await;
    assert_eq!(socket.next_frame().await, json!({"type": "pong"}));
    assert_eq!(world.history(&alice).await, Vec::<Value>::new());
}

async fn gone_connections_are_forgotten_and_harm_nobody(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    let open = world.connection_ids().await;
    for number in 0..5 {
        world.insert_connection(&alice, &format!("L0SM9cOFvHcCIh{number}=")).await;
    }
    // An id that API Gateway would call malformed harms nobody either.
    world.insert_connection(&alice, "not an id").await;
    world.clock.advance(Duration::from_mins(1));

    socket.say("who is there?", "1").await;
    assert_eq!(socket.next_frame().await["id"], 1);
    let mut left = open.clone();
    left.push("not an id".to_owned());
    left.sort_unstable();
    world.until("the gone ones are forgotten", async || world.connection_ids().await == left).await;
}

async fn a_connection_in_its_handshake_is_not_taken_for_gone(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    world.insert_connection(&alice, "L0SM9cOFvHcCIhw=").await;
    world.insert_connection(&alice, "M0SM9cOFvHcCIhw=").await;
    world.clock.advance(Duration::from_secs(29));
    world.insert_connection(&alice, "N0SM9cOFvHcCIhw=").await;
    socket.say("hello?", "1").await;
    assert_eq!(socket.next_frame().await["id"], 1);
    // A second later the older two are known to be gone, and when they are, all that the first message did is done.
    world.clock.advance(Duration::from_secs(1));
    socket.say("hello?", "2").await;
    assert_eq!(socket.next_frame().await["id"], 2);
    world.until("the older ones are gone", async || world.connection_ids().await.len() == 2).await;
    assert!(world.connection_ids().await.contains(&"N0SM9cOFvHcCIhw=".to_owned()));
}

async fn a_connection_older_than_any_can_be_gets_no_post(world: World) {
    let alice = world.user("alice").await;
    let mut old = world.connect(&alice).await;
    let old_id = world.connection_ids().await.remove(0);
    world.clock.advance(Duration::from_mins(131));
    let alice = world.log_in("alice").await;
    let mut new = world.connect(&alice).await;
    new.say("a new day", "1").await;
    new.next_frame().await;
    world.until("the old row is gone", async || world.connection_ids().await.len() == 1).await;
    // The old socket is open in truth: this is the first that it hears.
    world.post_to_socket(&old_id, "first").await;
    assert_eq!(old.next_text().await, "first");
}

async fn a_socket_that_outlived_its_session_hears_nothing_and_is_closed(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut leaving = world.connect(&alice).await;
    let mut staying = world.connect(&bob).await;
    // As when the socket opened in the very moment in which its session was revoked.
    world.revoke_silently(&alice).await;
    staying.say("Is she gone?", "1").await;
    assert_eq!(staying.next_frame().await["id"], 1);
    assert_eq!(leaving.next_close().await.0, 1000);
}

async fn a_post_that_hangs_is_given_up_and_harms_nobody(mut world: World) {
    let posts = FakeConnections::listen().await;
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    for id in ["hangs", "fails", "gone", "fine"] {
        world.insert_connection(&alice, id).await;
    }
    world.clock.advance(Duration::from_mins(1));
    world.restart_with("CONNECTIONS_ENDPOINT", &posts.endpoint).await;
    let mut again = world.connect(&alice).await;
    again.say("anybody?", "1").await;
    world.until("the fine one has its message", async || posts.posted("fine") == 1).await;
    // Forgetting the gone one is the last thing that a broadcast does: it ended although one post hangs.
    world
        .until("the broadcast ends", async || {
            !world.connection_ids().await.contains(&"gone".to_owned())
        })
        .await;
    assert_eq!(posts.posted("fine"), 1);
    assert_eq!(posts.posted("fails"), 2, "a failed post is tried once more");
    assert!(world.connection_ids().await.contains(&"hangs".to_owned()));
    assert!(world.connection_ids().await.contains(&"fails".to_owned()));
    assert_eq!(world.history(&alice).await.len(), 1);
    assert_eq!(socket.closed().await.0, 1001);
}

async fn a_client_that_does_not_read_holds_up_nobody(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut reader = world.connect(&alice).await;
    let _deaf = world.connect(&bob).await;
    let long = "🦀".repeat(4096);
    for number in 1..=600 {
        reader.say(&long, &number.to_string()).await;
        assert_eq!(reader.next_frame().await["id"], number);
    }
}

async fn a_connection_without_a_row_is_closed(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    world.delete_connections().await;
    socket.say("anybody?", "1").await;
    assert_eq!(socket.closed().await.0, 1000);
    assert_eq!(world.history(&alice).await, Vec::<Value>::new());
}

async fn a_disconnect_forgets_the_connection(world: World) {
    let alice = world.user("alice").await;
    let (closed, dropped) = (world.connect(&alice).await, world.connect_plain(&alice).await);
    assert_eq!(world.connection_ids().await.len(), 2);
    closed.close().await;
    drop(dropped);
    world.until("both are forgotten", async || world.connection_ids().await.is_empty()).await;
}
