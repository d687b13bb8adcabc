//! Who is online, who comes and leaves, who is writing.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::join;

use crate::{
    Needs,
    history::link,
    local_queue::inspect,
    support::{
        World,
        proxy::Proxy,
        room::{Room, User},
        socket::Socket,
    },
};

crate::anywhere! {
    Needs::Nothing;
    who_has_a_socket_is_online,
    queries_that_make_no_sense_are_refused,
}

crate::stories! {
    Needs::Nothing;
    everyone_is_named_once_page_by_page,
    who_comes_and_who_leaves_is_told_to_the_others,
    somebody_with_two_connections_comes_and_leaves_once,
    two_connections_that_open_or_close_at_once_are_told_of_once,
    a_plain_client_is_online_and_is_told_nothing,
    who_died_without_a_word_is_found_by_who_asks,
    who_died_without_a_word_is_found_by_the_next_message,
    who_has_logged_out_is_not_online,
    nobody_is_online_for_longer_than_a_connection_lives,
    in_a_larger_room_nobody_is_told,
    without_presence_nobody_is_told,
    who_is_writing_is_told_to_the_others,
    writing_is_passed_on_every_three_seconds,
    a_disconnect_that_is_lost_is_found_by_who_asks;
    Needs::Postgres;
    presence_takes_few_round_trips,
    among_plain_sockets_it_takes_none,
}

/// Longer than a connection is taken to live without a look, and than its handshake may take.
const UNCHECKED: Duration = Duration::from_secs(61);

/// Who says that they are writing is passed on no more often than this.
const TYPING_EVERY: Duration = Duration::from_secs(3);

fn joined(user: &User) -> Value {
    json!({"type": "presence", "event": "joined", "username": user.username})
}

fn left(user: &User) -> Value {
    json!({"type": "presence", "event": "left", "username": user.username})
}

fn typing(user: &User) -> Value {
    json!({"type": "typing", "username": user.username})
}

async fn ask(room: &Room, user: &User, query: &str) -> Value {
    let answer = room.http.get(&format!("/auth/presence{query}"), &user.access).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// All who are online, along the links.
async fn online(room: &Room, user: &User, limit: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut next = Some(format!("/auth/presence?limit={limit}"));
    while let Some(path) = next {
        let page = room.http.get(&path, &user.access).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let users = page.body["users"].as_array().unwrap();
        assert!(users.len() <= limit, "{path}: {}", page.body);
        names.extend(users.iter().map(|name| name.as_str().unwrap().to_owned()));
        next = link(page.header("link"), "next");
    }
    names
}

/// Fails if sockets were told anything that wasn't asked for, before they all see a message of the first one's.
async fn no_more_news<const N: usize>(mut sockets: [&mut Socket; N]) {
    sockets[0].say("all quiet", &rand::random::<u64>().to_string()).await;
    for socket in &mut sockets {
        assert_eq!(socket.next_frame().await["text"], "all quiet");
        assert_eq!(socket.news_so_far(), Vec::<Value>::new());
    }
}

/// Adds a row for a connection of somebody's that died without a word.
async fn die_silently(world: &World, user: &User, name: &str) {
    world.insert_connection(user, &BASE64_STANDARD.encode(format!("{name:>11}"))).await;
}

async fn who_has_a_socket_is_online(room: Room) {
    let (alice, carol) = (room.user("alice").await, room.user("carol").await);
    let names = online(&room, &alice, 200).await;
    assert!(!names.contains(&alice.username) && !names.contains(&carol.username), "{names:?}");
    let (first, second) = (room.connect(&alice).await, room.connect_plain(&carol).await);
    let third = room.connect(&carol).await;
    let names = online(&room, &alice, 200).await;
    assert!(names.is_sorted(), "{names:?}");
    for user in [&alice, &carol] {
        assert_eq!(names.iter().filter(|name| **name == user.username).count(), 1, "{names:?}");
        // Nobody else's name comes after this one and before the user's.
        let before = &user.username[..user.username.len() - 1];
        let page = ask(&room, &alice, &format!("?limit=1&after={before}")).await;
        assert_eq!(page["users"], json!([user.username]));
        assert!(page["count"].as_i64().unwrap() >= 2, "{page}");
    }
    for socket in [first, second, third] {
        socket.close().await;
    }
}

async fn queries_that_make_no_sense_are_refused(room: Room) {
    let alice = room.user("alice").await;
    for (query, fields) in [
        ("limit=0", &["limit"][..]),
        ("limit=201", &["limit"]),
        ("limit=", &["limit"]),
        ("limit=1&limit=2", &["limit"]),
        ("after=", &["after"]),
        ("after=al", &["after"]),
        ("after=%00", &["after"]),
        ("after=alice%20", &["after"]),
        ("after=alice&after=bob", &["after"]),
        ("limit=x&after=-", &["limit", "after"]),
    ] {
        let refused = room.http.get(&format!("/auth/presence?{query}"), &alice.access).await;
        assert_eq!(refused.status, 422, "{query}: {}", refused.body);
        assert_eq!(refused.fields(), fields, "{query}");
    }
    for query in ["", "?limit=1", "?limit=200", "?after=zzz", "?after=Alice", "?x=y"] {
        ask(&room, &alice, query).await;
    }
    for token in ["", "nonsense", &alice.refresh] {
        let refused = room.http.get("/auth/presence", token).await;
        assert_eq!(refused.status, 401, "{}", refused.body);
    }
}

async fn everyone_is_named_once_page_by_page(world: World) {
    // In the order of their bytes, which is no language's.
    let names = ["a-c", "a.b", "a1b", "a_a", "aab", "bob"];
    let mut users = Vec::new();
    let mut sockets = Vec::new();
    for name in ["bob", "a_a", "a.b", "aab", "a-c", "a1b"] {
        let user = world.user(name).await;
        sockets.push(world.connect(&user).await);
        users.push(user);
    }
    let bob = &users[0];
    assert_eq!(ask(&world, bob, "").await, json!({"count": 6, "users": names}));
    for limit in [1, 2, 4, 5, 6, 7] {
        assert_eq!(online(&world, bob, limit).await, names, "{limit}");
    }
    for (query, expected) in [
        ("?limit=2", &names[..2]),
        ("?limit=2&after=a.b", &names[2..4]),
        ("?after=a0a", &names[2..]),
        ("?after=A_a", &names[4..]),
        ("?limit=3&after=bob", &[]),
        ("?after=zoe", &[]),
    ] {
        let expected = json!({"count": 6, "users": expected});
        assert_eq!(ask(&world, bob, query).await, expected, "{query}");
    }
}

async fn who_comes_and_who_leaves_is_told_to_the_others(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut at_home = world.connect(&alice).await;
    let mut on_the_way = world.connect(&alice).await;
    let guest = world.connect(&bob).await;
    assert_eq!(at_home.next_news().await, joined(&bob));
    assert_eq!(on_the_way.next_news().await, joined(&bob));
    guest.close().await;
    assert_eq!(at_home.next_news().await, left(&bob));
    assert_eq!(on_the_way.next_news().await, left(&bob));
    let mut back = world.connect(&bob).await;
    assert_eq!(at_home.next_news().await, joined(&bob));
    assert_eq!(on_the_way.next_news().await, joined(&bob));
    no_more_news([&mut at_home, &mut on_the_way, &mut back]).await;
}

async fn somebody_with_two_connections_comes_and_leaves_once(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let elsewhere = world.log_in("bob").await;
    let mut told = world.connect(&alice).await;
    let first = world.connect_plain(&bob).await;
    assert_eq!(told.next_news().await, joined(&bob));
    let second = world.connect(&elsewhere).await;
    first.close().await;
    world
        .until("one of bob's connections is gone", async || world.connection_ids().await.len() == 2)
        .await;
    no_more_news([&mut told]).await;
    assert_eq!(ask(&world, &alice, "").await, json!({"count": 2, "users": ["alice", "bob"]}));
    second.close().await;
    assert_eq!(told.next_news().await, left(&bob));
    assert_eq!(ask(&world, &alice, "").await, json!({"count": 1, "users": ["alice"]}));
}

async fn two_connections_that_open_or_close_at_once_are_told_of_once(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut told = world.connect(&alice).await;
    for _ in 0..10 {
        let (first, second) = join!(world.connect(&bob), world.connect(&bob));
        assert_eq!(told.next_news().await, joined(&bob));
        join!(first.close(), second.close());
        assert_eq!(told.next_news().await, left(&bob));
    }
    world
        .until("bob's connections are gone", async || world.connection_ids().await.len() == 1)
        .await;
    no_more_news([&mut told]).await;
}

async fn a_plain_client_is_online_and_is_told_nothing(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut plain = world.connect_plain(&alice).await;
    let mut guest = world.connect(&bob).await;
    assert_eq!(ask(&world, &bob, "").await, json!({"count": 2, "users": ["alice", "bob"]}));
    guest.type_something().await;
    guest.close().await;
    world.until("bob is gone", async || world.connection_ids().await.len() == 1).await;
    let mut guest = world.connect(&bob).await;
    // What looks like a frame of the others is a text here.
    plain.send(r#"{"action":"typing"}"#).await;
    assert_eq!(plain.next_text().await, r#"alice: {"action":"typing"}"#);
    assert_eq!(guest.next_frame().await["text"], r#"{"action":"typing"}"#);
    plain.close().await;
    assert_eq!(guest.next_news().await, left(&alice));
}

async fn who_died_without_a_word_is_found_by_who_asks(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut told = world.connect(&alice).await;
    die_silently(&world, &bob, "bob").await;
    die_silently(&world, &alice, "alice").await;
    // API Gateway says of a connection that is just being opened that it is gone, too.
    let both = json!({"count": 2, "users": ["alice", "bob"]});
    assert_eq!(ask(&world, &alice, "").await, both);
    world.clock.advance(UNCHECKED);
    let alone = json!({"count": 1, "users": ["alice"]});
    assert_eq!(ask(&world, &alice, "").await, alone);
    assert_eq!(told.next_news().await, left(&bob));
    assert_eq!(world.connection_ids().await.len(), 1);
    no_more_news([&mut told]).await;

    // What was looked at is looked at again in a minute.
    die_silently(&world, &bob, "bob again").await;
    world.clock.advance(UNCHECKED);
    assert_eq!(ask(&world, &alice, "").await, alone);
    assert_eq!(told.next_news().await, left(&bob));
}

async fn a_disconnect_that_is_lost_is_found_by_who_asks(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut told = world.connect(&alice).await;
    let guest = world.connect(&bob).await;
    assert_eq!(told.next_news().await, joined(&bob));
    inspect(&world, Method::PUT, "/faults", json!({"drop-disconnect": 1})).await;
    guest.close().await;
    inspect(&world, Method::PUT, "/faults", json!({})).await;
    world.clock.advance(UNCHECKED);
    // Two who ask at once: bob has left once.
    join!(ask(&world, &alice, ""), ask(&world, &alice, ""));
    assert_eq!(told.next_news().await, left(&bob));
    assert_eq!(ask(&world, &alice, "").await, json!({"count": 1, "users": ["alice"]}));
    no_more_news([&mut told]).await;
}

async fn who_died_without_a_word_is_found_by_the_next_message(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let carol = world.user("carol").await;
    let mut told = world.connect(&alice).await;
    die_silently(&world, &bob, "bob").await;
    die_silently(&world, &bob, "bob again").await;
    world.clock.advance(UNCHECKED);
    told.say("is anybody there?", "1").await;
    assert_eq!(told.next_frame().await["text"], "is anybody there?");
    assert_eq!(told.next_news().await, left(&bob));

    // Or when somebody else comes.
    die_silently(&world, &bob, "bob").await;
    world.clock.advance(UNCHECKED);
    let _guest = world.connect(&carol).await;
    let mut news = [told.next_news().await, told.next_news().await];
    news.sort_unstable_by_key(|news| news["username"].to_string());
    assert_eq!(news, [left(&bob), joined(&carol)]);
    no_more_news([&mut told]).await;
}

async fn who_has_logged_out_is_not_online(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut told = world.connect(&alice).await;
    let mut guest = world.connect(&bob).await;
    assert_eq!(told.next_news().await, joined(&bob));
    let logout = json!({"refresh_token": bob.refresh});
    assert_eq!(world.http.post("/auth/logout", &logout).await.status, 204);
    guest.closed().await;
    assert_eq!(told.next_news().await, left(&bob));
    assert_eq!(ask(&world, &alice, "").await, json!({"count": 1, "users": ["alice"]}));
    assert_eq!(world.http.get("/auth/presence", &bob.access).await.status, 401);
    no_more_news([&mut told]).await;

    // A socket that couldn't be closed counts no more, either.
    let carol = world.user("carol").await;
    let _socket = world.connect(&carol).await;
    assert_eq!(told.next_news().await, joined(&carol));
    world.revoke_silently(&carol).await;
    assert_eq!(ask(&world, &alice, "").await, json!({"count": 1, "users": ["alice"]}));
}

async fn nobody_is_online_for_longer_than_a_connection_lives(world: World) {
    let bob = world.user("bob").await;
    die_silently(&world, &bob, "bob").await;
    world.clock.advance(Duration::from_mins(2 * 60 + 11));
    let alice = world.user("alice").await;
    assert_eq!(ask(&world, &alice, "").await, json!({"count": 0, "users": []}));
    let mut told = world.connect(&alice).await;
    // The row is removed in passing.
    no_more_news([&mut told]).await;
    world.until("it is forgotten", async || world.connection_ids().await.len() == 1).await;
}

async fn in_a_larger_room_nobody_is_told(mut world: World) {
    world.restart_with("PRESENCE_LIMIT", "2").await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let carol = world.user("carol").await;
    let mut told = world.connect(&alice).await;
    let mut guest = world.connect(&bob).await;
    assert_eq!(told.next_news().await, joined(&bob));
    let third = world.connect(&carol).await;
    guest.type_something().await;
    let all = json!({"count": 3, "users": ["alice", "bob", "carol"]});
    assert_eq!(ask(&world, &alice, "").await, all);
    no_more_news([&mut told, &mut guest]).await;
    third.close().await;
    world.until("carol is gone", async || world.connection_ids().await.len() == 2).await;
    // Two are few again.
    guest.type_something().await;
    assert_eq!(told.next_news().await, typing(&bob));
    no_more_news([&mut told, &mut guest]).await;
}

async fn without_presence_nobody_is_told(mut world: World) {
    world.restart_with("PRESENCE_LIMIT", "off").await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut told = world.connect(&alice).await;
    let mut guest = world.connect(&bob).await;
    guest.type_something().await;
    let both = json!({"count": 2, "users": ["alice", "bob"]});
    assert_eq!(ask(&world, &alice, "").await, both);
    no_more_news([&mut told, &mut guest]).await;
    guest.close().await;
    world.until("bob is gone", async || world.connection_ids().await.len() == 1).await;
    no_more_news([&mut told]).await;
}

async fn who_is_writing_is_told_to_the_others(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut writer = world.connect(&alice).await;
    let mut elsewhere = world.connect(&alice).await;
    let mut first = world.connect(&bob).await;
    assert_eq!(writer.next_news().await, joined(&bob));
    assert_eq!(elsewhere.next_news().await, joined(&bob));
    let mut second = world.connect(&bob).await;
    writer.type_something().await;
    assert_eq!(first.next_news().await, typing(&alice));
    assert_eq!(second.next_news().await, typing(&alice));
    first.type_something().await;
    assert_eq!(writer.next_news().await, typing(&bob));
    assert_eq!(elsewhere.next_news().await, typing(&bob));
    assert!(world.history(&alice).await.is_empty(), "nothing was said");
    no_more_news([&mut writer, &mut elsewhere, &mut first, &mut second]).await;
}

async fn writing_is_passed_on_every_three_seconds(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut reader = world.connect(&bob).await;
    let mut writer = world.connect(&alice).await;
    let mut elsewhere = world.connect(&alice).await;
    assert_eq!(reader.next_news().await, joined(&alice));
    for _ in 0..3 {
        // On whichever connection, the others are dropped without a word.
        for number in 0..4 {
            let socket = if number % 2 == 0 { &mut writer } else { &mut elsewhere };
            socket.type_something().await;
            socket.send(r#"{"action":"ping"}"#).await;
            assert_eq!(socket.next_frame().await["type"], "pong");
        }
        assert_eq!(reader.next_news().await, typing(&alice));
        world.clock.advance(TYPING_EVERY);
    }
    writer.say("there", "1").await;
    assert_eq!(reader.next_frame().await["text"], "there");
    assert_eq!(reader.news_so_far(), Vec::<Value>::new());
}

async fn presence_takes_few_round_trips(mut world: World) {
    let proxy = Proxy::before(world.database_url()).await;
    world.restart_with("DATABASE_URL", proxy.url()).await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut reader = world.connect(&bob).await;
    let mut writer = world.connect(&alice).await;
    assert_eq!(reader.next_news().await, joined(&alice));
    let (mut writing, mut asking) = (u32::MAX, u32::MAX);
    for _ in 0..20 {
        let before = proxy.turns();
        writer.type_something().await;
        assert_eq!(reader.next_news().await, typing(&alice));
        writing = writing.min(proxy.turns() - before);
        let before = proxy.turns();
        ask(&world, &alice, "").await;
        asking = asking.min(proxy.turns() - before);
        world.clock.advance(TYPING_EVERY);
    }
    // One to know whether it is to be passed on, one to read the connections; who is online takes one with the session.
    assert_eq!([writing, asking], [2, 1]);
}

async fn among_plain_sockets_it_takes_none(mut world: World) {
    let proxy = Proxy::before(world.database_url()).await;
    world.restart_with("DATABASE_URL", proxy.url()).await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let _stays = world.connect_plain(&alice).await;
    let (mut coming, mut going) = (u32::MAX, u32::MAX);
    for _ in 0..20 {
        let before = proxy.turns();
        let socket = world.connect_plain(&bob).await;
        coming = coming.min(proxy.turns() - before);
        let before = proxy.turns();
        socket.close().await;
        let is_forgotten = async || world.connection_ids().await.len() == 1;
        world.until("the connection is forgotten", is_forgotten).await;
        going = going.min(proxy.turns() - before);
    }
    // The row is written, and it is deleted: as without presence.
    assert_eq!([coming, going], [1, 1]);
}
