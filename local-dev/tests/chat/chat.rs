//! The room: what is sent, who sees it, and what no bad connection can spoil.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    Needs,
    support::{World, connections::FakeConnections, room::Room, socket::Socket},
};

crate::anywhere! {
    Needs::Nothing;
    plain_and_chat_v1_share_one_room,
    a_message_is_stored_before_it_is_shown,
    ids_count_without_gaps_however_many_send_at_once,
    a_repeated_send_is_the_same_message,
    the_same_send_on_two_connections_at_once_is_one_message,
    nobody_speaks_for_another,
    a_ping_is_answered,
}

crate::stories! {
    Needs::Nothing;
    gone_connections_are_forgotten_and_harm_nobody,
    a_connection_in_its_handshake_is_not_taken_for_gone,
    a_connection_older_than_any_can_be_gets_no_post,
    a_socket_that_outlived_its_session_hears_nothing_and_is_closed,
    a_post_that_hangs_is_given_up_and_harms_nobody,
    a_client_that_does_not_read_holds_up_nobody,
    a_connection_without_a_row_is_closed,
    a_disconnect_forgets_the_connection,
}

async fn plain_and_chat_v1_share_one_room(room: Room) {
    let (alice, bob) = (room.user("alice").await, room.user("bob").await);
    let mut alice_json = room.connect(&alice).await;
    let mut bob_plain = room.connect_plain(&bob).await;

    alice_json.say("Hello!", "7f1c").await;
    let frame = alice_json.next_frame().await;
    let (id, sent_at) = (frame["id"].clone(), frame["sent_at"].clone());
    let expected = json!({"type": "message", "id": id, "username": alice.username, "text": "Hello!",
                          "sent_at": sent_at, "client_id": "7f1c"});
    assert_eq!(frame, expected);
    assert_eq!(bob_plain.next_text().await, format!("{}: Hello!", alice.username));

    bob_plain.send("Hi, alice").await;
    assert_eq!(bob_plain.next_text().await, format!("{}: Hi, alice", bob.username));
    let frame = alice_json.next_frame().await;
    assert!(frame["id"].as_i64() > id.as_i64(), "{} comes after {id}", frame["id"]);
    assert_eq!((&frame["username"], &frame["text"]), (&json!(bob.username), &json!("Hi, alice")));
    assert_eq!(frame.get("client_id"), None);

    let history = room.history(&bob).await;
    assert_eq!(
        history[0],
        json!({"id": id, "username": alice.username, "text": "Hello!", "sent_at": sent_at, "client_id": "7f1c"})
    );
    assert_eq!(history[1]["text"], "Hi, alice");
}

async fn a_message_is_stored_before_it_is_shown(room: Room) {
    let (alice, bob) = (room.user("alice").await, room.user("bob").await);
    let mut sender = room.connect(&alice).await;
    let mut reader = room.connect(&bob).await;
    for number in 1..=20 {
        sender.say("x", &number.to_string()).await;
        let shown = reader.next_frame().await["id"].as_i64().unwrap();
        let stored = room.history(&bob).await;
        assert_eq!(stored.last().unwrap()["id"], shown);
    }
}

async fn ids_count_without_gaps_however_many_send_at_once(room: Room) {
    const EACH: usize = 10;
    let names = ["ann", "ben", "cleo", "dan", "eve"];
    let mut users = Vec::new();
    for name in names {
        users.push(room.user(name).await);
    }
    let mark = room.last_id(&users[0]).await;
    let mut sockets = Vec::new();
    for (number, user) in users.iter().enumerate() {
        sockets.push(if number % 2 == 0 {
            room.connect(user).await
        } else {
            room.connect_plain(user).await
        });
    }
    let total = EACH * sockets.len();
    let names = users.iter().map(|user| user.username.clone());
    let views = join_all(sockets.into_iter().zip(names).map(|(mut socket, name)| async move {
        let is_json = socket.protocol.is_some();
        let mut seen: Vec<String> = Vec::new();
        for message in 0..EACH {
            let text = message.to_string();
            if is_json {
                socket.say(&text, &text).await;
            } else {
                socket.send(text.as_str()).await;
            }
            // Five at a time, or a slow machine is busy for longer than a sender may wait.
            let own = format!("{name}: {text}");
            while seen.last() != Some(&own) {
                seen.push(shown(&mut socket).await);
            }
        }
        while seen.len() < total {
            seen.push(shown(&mut socket).await);
        }
        seen
    }))
    .await;

    let mut history = room.pages_after(&users[0], mark).await;
    let ids: Vec<i64> = history.iter().map(|message| message["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (mark + 1..).take(history.len()).collect::<Vec<_>>());
    history.retain(|message| room.is_ours(message));
    assert_eq!(history.len(), total);
    for (user, mut seen) in users.iter().zip(views) {
        // What one saw is what is stored, in whatever order the pushes came.
        let mut stored: Vec<String> = history.iter().map(plain).collect();
        seen.sort_unstable();
        stored.sort_unstable();
        assert_eq!(seen, stored, "what {} saw", user.username);
    }
}

/// The next message, as a plain client is shown it.
async fn shown(socket: &mut Socket) -> String {
    if socket.protocol.is_none() {
        let frame = socket.next_text().await;
        assert!(!frame.starts_with("system: "), "{frame}");
        return frame;
    }
    let frame = socket.next_frame().await;
    assert_eq!(frame["type"], "message", "{frame}");
    plain(&frame)
}

/// A message as a plain client is shown it.
fn plain(message: &Value) -> String {
    format!("{}: {}", message["username"].as_str().unwrap(), message["text"].as_str().unwrap())
}

async fn a_repeated_send_is_the_same_message(room: Room) {
    let (alice, bob) = (room.user("alice").await, room.user("bob").await);
    let mut first = room.connect(&alice).await;
    first.say("once", "key").await;
    let original = first.next_frame().await;
    // The text of the repetition doesn't matter; the key does.
    first.say("twice?", "key").await;
    assert_eq!(first.next_frame().await, original);
    let mut second = room.connect(&alice).await;
    second.say("once", "key").await;
    assert_eq!(second.next_frame().await, original);
    first.close().await;

    // Another user's key is another key.
    let mut other = room.connect(&bob).await;
    other.say("mine", "key").await;
    let frame = other.next_frame().await;
    assert_eq!(frame["text"], "mine");
    assert!(frame["id"].as_i64() > original["id"].as_i64(), "{} is new", frame["id"]);
    assert_eq!(room.history(&alice).await.len(), 2);
}

async fn the_same_send_on_two_connections_at_once_is_one_message(room: Room) {
    let alice = room.user("alice").await;
    let mut sockets = join_all((0..4).map(|_| room.connect(&alice))).await;
    let mut last_id = 0;
    for round in 1..=5 {
        let key = round.to_string();
        join_all(sockets.iter_mut().map(|socket| socket.say("same", &key))).await;
        let mut ids = Vec::new();
        for socket in &mut sockets {
            // Each of the four sends shows the one message to each socket.
            for _ in 0..4 {
                let frame = socket.next_frame().await;
                assert_eq!(frame["client_id"], key);
                ids.push(frame["id"].as_i64().unwrap());
            }
        }
        assert!(ids[0] > last_id, "{ids:?} after {last_id}");
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        last_id = ids[0];
    }
    assert_eq!(room.history(&alice).await.len(), 5);
}

async fn nobody_speaks_for_another(room: Room) {
    let (alice, bob) = (room.user("alice").await, room.user("bob").await);
    let mut socket = room.connect(&alice).await;
    let frame = json!({"action": "send", "text": "I am bob", "username": bob.username, "id": -99, "sent_at": "1970-01-01T00:00:00.000Z"});
    socket.send(frame.to_string()).await;
    let shown = socket.next_frame().await;
    assert_eq!(shown["username"], alice.username);
    let stored = room.history(&bob).await;
    assert_eq!((&stored[0]["username"], &stored[0]["id"]), (&shown["username"], &shown["id"]));
    assert_ne!(shown["id"], -99);
    assert_ne!(shown["sent_at"], "1970-01-01T00:00:00.000Z");
}

async fn a_ping_is_answered(room: Room) {
    let alice = room.user("alice").await;
    let mut socket = room.connect(&alice).await;
    socket.send(r#"{"action":"ping"}"#).await;
    assert_eq!(socket.next_frame().await, json!({"type": "pong"}));
    assert_eq!(room.history(&alice).await, Vec::<Value>::new());
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
    assert_eq!(posts.posted("fails"), 8, "a failed post is tried again, but not for ever");
    assert!(world.connection_ids().await.contains(&"hangs".to_owned()));
    assert!(world.connection_ids().await.contains(&"fails".to_owned()));
    assert_eq!(world.history(&alice).await.len(), 1);
    assert_eq!(socket.closed().await.0, 1001);
}

async fn a_client_that_does_not_read_holds_up_nobody(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let _deaf = world.connect(&bob).await;
    let deaf = world.connection_ids().await.remove(0);
    let mut reader = world.connect(&alice).await;
    // More than the gateway and the system keep for a client: it takes no more when it hasn't for a while.
    let filler = "x".repeat(128 * 1024);
    let (mut taken, mut refused) = (0, 0);
    while refused < 20 {
        if world.try_post_to_socket(&deaf, &filler).await == StatusCode::OK {
            (taken, refused) = (taken + 1, 0);
        } else {
            refused += 1;
        }
        assert!(taken < 1000, "the gateway keeps all");
    }
    // Few enough for the functions that try again for a while to be within the account's concurrency.
    let long = "🦀".repeat(4096);
    for number in 1..=60 {
        reader.say(&long, &number.to_string()).await;
        let frame = reader.next_frame().await;
        assert_eq!(frame["id"], number, "{frame}");
    }
    let answer = world.try_post_to_socket(&deaf, &filler).await;
    assert_eq!(answer, StatusCode::TOO_MANY_REQUESTS);
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
