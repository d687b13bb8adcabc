//! Messages to more connections than are posted to at once: the queue, and the function behind it.

use futures_util::future::join_all;
use gateway::Credentials;
use serde_json::{Value, json};
use shared::settings::{Lookup, Settings};
use tokio::net::TcpListener;

use crate::{
    Needs,
    bootstraps::Lambda,
    support::{
        World,
        connections::FakeConnections,
        room::User,
        socket::Socket,
        sqs::{Picky, Sqs},
    },
};

crate::stories! {
    Needs::Queue;
    what_is_too_much_is_left_to_the_queue_and_reaches_everyone_once,
    who_connects_meanwhile_is_shown_the_message,
    gone_connections_of_a_shard_are_forgotten,
    few_connections_need_no_queue,
    what_the_queue_refuses_at_first_is_queued_again,
    what_the_queue_refuses_for_good_is_posted_at_once,
    records_that_fail_are_named_and_harm_no_other,
    what_waits_for_a_shard_comes_in_one_frame,
    a_send_that_is_repeated_is_queued_once;
    Needs::Nothing;
    what_is_throttled_is_tried_again_and_holds_up_nobody,
    its_sender_is_shown_a_message_first,
    more_than_a_page_of_connections_are_reached_once,
    without_its_queue_a_message_reaches_everyone_all_the_same,
    with_a_silent_queue_a_message_reaches_everyone_all_the_same,
}

/// A room with sockets of both protocols. The first is the sender's.
struct Crowd {
    alice: User,
    sockets: Vec<Socket>,
}

impl Crowd {
    /// `number` sockets of two users.
    async fn gather(world: &World, number: usize) -> Self {
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let mut crowd = Self { alice, sockets: Vec::new() };
        for socket in 0..number {
            crowd.sockets.push(match socket % 4 {
                0 => world.connect(&crowd.alice).await,
                1 => world.connect_plain(&bob).await,
                2 => world.connect(&bob).await,
                _ => world.connect_plain(&crowd.alice).await,
            });
        }
        crowd
    }

    /// How often each socket is shown a text before the mark that is posted to it now.
    async fn times_shown(&mut self, world: &World, text: &str) -> Vec<usize> {
        let ids = world.connection_ids().await;
        join_all(ids.iter().map(|id| world.post_to_socket(id, "system: that was all"))).await;
        join_all(self.sockets.iter_mut().map(async |socket| {
            let mut shown = 0;
            loop {
                // The mark is no frame of `chat.v1`.
                let frame = socket.try_next_text().await.expect("the socket is open");
                if frame == "system: that was all" {
                    return shown;
                }
                assert!(frame.contains(text), "another text is shown");
                shown += 1;
            }
        }))
        .await
    }
}

/// The function `broadcast` of a world, run by what runs its other functions.
pub enum Broadcast {
    InProcess(Box<broadcast::Broadcast>),
    Compiled(Lambda),
}

impl Broadcast {
    fn of(world: &World) -> Self {
        Self::on(world, world.database_url())
    }

    /// On another database.
    pub fn on(world: &World, database_url: &str) -> Self {
        let mut settings = world.settings().clone();
        settings.insert("DATABASE_URL".to_owned(), database_url.to_owned());
        settings.insert("CONNECTIONS_ENDPOINT".to_owned(), format!("{}/ws", world.base_url()));
        if let Some(directory) = world.compiled_functions() {
            let region = Credentials::from_environment(|name| settings.get(name).cloned()).region;
            settings.insert("AWS_REGION".to_owned(), region);
            let variables = settings.into_iter().chain(world.clock.variables());
            return Self::Compiled(Lambda { directory, environment: variables.collect() });
        }
        let lookup = Lookup::from_fn(move |name| settings.get(name).cloned());
        let settings = Settings::new(lookup, world.clock.clock(), 1).unwrap();
        Self::InProcess(Box::new(broadcast::Broadcast::new(&settings).unwrap()))
    }

    /// The records of an event that have failed.
    pub async fn handle(&self, event: &Value) -> Vec<String> {
        let answer = match self {
            Self::InProcess(function) => {
                let event = serde_json::from_value(event.clone()).unwrap();
                serde_json::to_value(function.handle(event).await).unwrap()
            }
            Self::Compiled(lambda) => lambda.invoke_with("broadcast", event).await,
        };
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }
}

async fn what_is_too_much_is_left_to_the_queue_and_reaches_everyone_once(mut world: World) {
    let sqs = Sqs::start().await;
    world.restart_with_all(sqs.settings(2)).await;
    let mut crowd = Crowd::gather(&world, 26).await;
    // Four bytes each, as many as there may be, and what SQS would not take as part of an entry.
    let text = format!("{}\u{FFFF}", "🦀".repeat(4095));
    crowd.sockets[0].say(&text, "1").await;
    let shown = crowd.sockets[0].next_frame().await;
    assert_eq!((&shown["id"], shown["text"].as_str()), (&json!(1), Some(text.as_str())));

    // 26 by 2.
    let events = sqs.events(13).await;
    assert_eq!(crowd.times_shown(&world, &text).await, vec![0; 26], "only the sender was told");

    let broadcast = Broadcast::of(&world);
    for event in &events {
        assert_eq!(broadcast.handle(event).await, Vec::<String>::new());
    }
    let mut once = vec![1; 26];
    once[0] = 0;
    assert_eq!(crowd.times_shown(&world, &text).await, once);

    // A queue may hand over what it has twice: the same is shown again, and stored once.
    assert_eq!(broadcast.handle(&events[0]).await, Vec::<String>::new());
    let again = crowd.times_shown(&world, &text).await;
    assert!((1..=20).contains(&again.iter().sum::<usize>()), "{again:?}");
    assert_eq!(world.history(&crowd.alice).await.len(), 1);
}

async fn who_connects_meanwhile_is_shown_the_message(mut world: World) {
    let sqs = Sqs::start().await;
    world.restart_with_all(sqs.settings(1)).await;
    let mut crowd = Crowd::gather(&world, 5).await;
    crowd.sockets[0].say("hello everyone", "1").await;
    assert_eq!(crowd.sockets[0].next_frame().await["id"], 1);
    let events = sqs.events(5).await;
    // Wherever their ids are.
    for _ in 0..5 {
        crowd.sockets.push(world.connect(&crowd.alice).await);
    }
    let broadcast = Broadcast::of(&world);
    for event in events {
        assert_eq!(broadcast.handle(&event).await, Vec::<String>::new());
    }
    assert_eq!(crowd.times_shown(&world, "hello everyone").await, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
}

async fn gone_connections_of_a_shard_are_forgotten(mut world: World) {
    let sqs = Sqs::start().await;
    world.restart_with_all(sqs.settings(3)).await;
    let mut crowd = Crowd::gather(&world, 4).await;
    let open = world.connection_ids().await;
    for number in 0..5 {
        world.insert_connection(&crowd.alice, &format!("{number}L0SM9cOFvHcCIh=")).await;
    }
    world.clock.advance(std::time::Duration::from_mins(1));
    crowd.sockets[0].say("who is there?", "1").await;
    assert_eq!(crowd.sockets[0].next_frame().await["id"], 1);
    assert_eq!(world.connection_ids().await.len(), 9);
    let broadcast = Broadcast::of(&world);
    // Nine by 3.
    for event in sqs.events(3).await {
        assert_eq!(broadcast.handle(&event).await, Vec::<String>::new());
    }
    assert_eq!(world.connection_ids().await, open);
    assert_eq!(crowd.times_shown(&world, "who is there?").await, [0, 1, 1, 1]);
}

async fn few_connections_need_no_queue(mut world: World) {
    let sqs = Sqs::start().await;
    world.restart_with_all(sqs.settings(4)).await;
    let mut crowd = Crowd::gather(&world, 4).await;
    crowd.sockets[0].say("just us", "1").await;
    crowd.sockets[0].next_frame().await;
    for socket in &mut crowd.sockets[1..] {
        assert!(socket.next_text().await.contains("just us"));
    }
    assert_eq!(sqs.events(0).await, Vec::<Value>::new());
}

async fn what_the_queue_refuses_at_first_is_queued_again(mut world: World) {
    let sqs = Sqs::start().await;
    // Half of the entries once.
    let picky = Picky::before(&sqs, false, |_entry, refused| refused < 3).await;
    world.restart_with_all(picky.settings(&sqs, 1)).await;
    let mut crowd = Crowd::gather(&world, 7).await;
    crowd.sockets[0].say("hello everyone", "1").await;
    assert_eq!(crowd.sockets[0].next_frame().await["id"], 1);
    world.until("three were refused", async || picky.refused().len() == 3).await;

    let broadcast = Broadcast::of(&world);
    for event in sqs.events(7).await {
        assert_eq!(broadcast.handle(&event).await, Vec::<String>::new());
    }
    assert_eq!(crowd.times_shown(&world, "hello everyone").await, [0, 1, 1, 1, 1, 1, 1]);
}

async fn what_the_queue_refuses_for_good_is_posted_at_once(mut world: World) {
    for (number, is_senders_fault, tries) in [(1, true, 1), (2, false, 3)] {
        let sqs = Sqs::start().await;
        // The shard at the end.
        let is_last =
            |entry: &Value| entry["MessageBody"].as_str().unwrap().contains("\"through\":null");
        let picky = Picky::before(&sqs, is_senders_fault, move |entry, _| is_last(entry)).await;
        world.restart_with_all(picky.settings(&sqs, 2)).await;
        let mut crowd = if number == 1 {
            Crowd::gather(&world, 24).await
        } else {
            // The restart has closed all sockets.
            let alice = world.log_in("alice").await;
            let sockets = join_all((0..24).map(|_| world.connect(&alice))).await;
            Crowd { alice, sockets }
        };
        crowd.sockets[0].say("hello everyone", &number.to_string()).await;
        assert_eq!(crowd.sockets[0].next_frame().await["id"], number);
        // Whoever is shown it now is in the shard that was refused: two, or one beside the sender.
        world.until("it was tried", async || picky.refused().len() == tries).await;
        let (text, _, others) = futures_util::future::select_all(
            crowd.sockets[1..].iter_mut().map(|socket| Box::pin(socket.next_text())),
        )
        .await;
        drop(others);
        assert!(text.contains("hello everyone"));
        let events = sqs.events(11).await;
        let broadcast = Broadcast::of(&world);
        for event in events {
            assert_eq!(broadcast.handle(&event).await, Vec::<String>::new());
        }
        let mut shown = crowd.times_shown(&world, "hello everyone").await;
        shown.sort_unstable();
        // The sender, and who was shown it already.
        assert_eq!(shown, [vec![0; 2], vec![1; 22]].concat());
    }
}

async fn records_that_fail_are_named_and_harm_no_other(mut world: World) {
    let sqs = Sqs::start().await;
    world.restart_with_all(sqs.settings(1)).await;
    let mut crowd = Crowd::gather(&world, 3).await;
    crowd.sockets[0].say("hello everyone", "1").await;
    assert_eq!(crowd.sockets[0].next_frame().await["id"], 1);
    let events = sqs.events(3).await;
    let good: Vec<Value> =
        events.iter().flat_map(|event| event["Records"].as_array().unwrap().clone()).collect();
    let poison = |id: &str, body: &str| {
        let mut record = good[0].clone();
        record["messageId"] = id.into();
        record["body"] = body.into();
        record
    };
    let event = json!({"Records": [
        poison("no shard", "what is this text that nobody knows?"),
        good[0],
        poison("no message", r#"{"message_id":99,"told":"x"}"#),
        poison("more than we know", r#"{"message_id":1,"told":"x","until":"y"}"#),
        good[1],
        good[2],
    ]});
    let mut failures = Broadcast::of(&world).handle(&event).await;
    failures.sort_unstable();
    assert_eq!(failures, ["more than we know", "no message", "no shard"]);
    assert_eq!(crowd.times_shown(&world, "hello everyone").await, [0, 1, 1]);

    // All of them fail where the database cannot be read, and can be tried again.
    let empty = world.empty_database().await;
    let failures = Broadcast::on(&world, &empty).handle(&json!({"Records": good})).await;
    assert_eq!(failures.len(), 3);
    world.drop_database(&empty).await;
    assert_eq!(crowd.times_shown(&world, "hello everyone").await, [0, 0, 0]);
}

async fn what_waits_for_a_shard_comes_in_one_frame(mut world: World) {
    let sqs = Sqs::start().await;
    world.restart_with_all(sqs.settings(7)).await;
    // Two shards: what is said in the one is told in the other, too.
    let mut crowd = Crowd::gather(&world, 8).await;
    let [alice, bob] = [0, 2];
    for (sender, client_id) in [(alice, "1"), (bob, "2"), (alice, "3")] {
        crowd.sockets[sender].say("hello everyone", client_id).await;
        assert_eq!(crowd.sockets[sender].next_frame().await["client_id"], client_id);
    }
    // And one whose text is as long as there may be, three bytes each: with the others it fills a frame to the half.
    let long = "€".repeat(4096);
    for client_id in ["4", "5", "6"] {
        crowd.sockets[alice].say(&long, client_id).await;
        assert_eq!(crowd.sockets[alice].next_frame().await["client_id"], client_id);
    }

    let events = sqs.events(12).await;
    let broadcast = Broadcast::of(&world);
    let records = events.iter().flat_map(|event| event["Records"].as_array().unwrap().clone());
    let (first, second): (Vec<Value>, Vec<Value>) =
        records.partition(|record| record["attributes"]["MessageGroupId"] == "0");
    assert_eq!((first.len(), second.len()), (6, 6));
    for records in [first, second] {
        assert_eq!(broadcast.handle(&json!({"Records": records})).await, Vec::<String>::new());
    }

    let history = world.history(&crowd.alice).await;
    let of =
        |ids: &[usize]| -> Vec<Value> { ids.iter().map(|id| history[id - 1].clone()).collect() };
    let message = |id: usize| {
        let mut frame = history[id - 1].clone();
        frame["type"] = json!("message");
        frame
    };
    let messages = |ids: &[usize]| json!({"type": "messages", "messages": of(ids)});
    for (place, socket) in crowd.sockets.iter_mut().enumerate() {
        if place == alice {
            assert_eq!(socket.next_frame().await, message(2));
        } else if place == bob {
            assert_eq!(socket.next_frame().await, messages(&[1, 3, 4, 5]));
            assert_eq!(socket.next_frame().await, message(6));
        } else if socket.protocol.is_some() {
            assert_eq!(socket.next_frame().await, messages(&[1, 2, 3, 4, 5]));
            assert_eq!(socket.next_frame().await, message(6));
        } else {
            for message in &history {
                let text = |name: &str| message[name].as_str().unwrap().to_owned();
                let expected = format!("{}: {}", text("username"), text("text"));
                assert!(socket.next_text().await == expected, "another is due");
            }
        }
    }
    assert_eq!(crowd.times_shown(&world, "nothing more").await, vec![0; 8]);
}

async fn a_send_that_is_repeated_is_queued_once(mut world: World) {
    let sqs = Sqs::start().await;
    let picky = Picky::never(&sqs).await;
    world.restart_with_all(picky.settings(&sqs, 1)).await;
    let mut crowd = Crowd::gather(&world, 3).await;
    for _ in 0..2 {
        crowd.sockets[0].say("hello everyone", "1").await;
        assert_eq!(crowd.sockets[0].next_frame().await["id"], 1);
    }
    crowd.sockets[0].say("the end", "2").await;
    assert_eq!(crowd.sockets[0].next_frame().await["id"], 2);
    // The sender is told first. Nothing may be taken before the rest is done: moto knows again only what it still has.
    world.until("all was sent", async || picky.passed() >= 9).await;
    let shards = sqs.events(6).await;
    let shards = shards.iter().flat_map(|event| event["Records"].as_array().unwrap());
    let of_first = shards.filter(|record| record["body"].as_str().unwrap().contains(":1,"));
    assert_eq!(of_first.count(), 3);
}

async fn what_is_throttled_is_tried_again_and_holds_up_nobody(mut world: World) {
    let posts = FakeConnections::listen().await;
    world
        .restart_with_all([
            ("CONNECTIONS_ENDPOINT", posts.endpoint.clone()),
            // With so few at a time, whoever waits for long must give up its place.
            ("BROADCAST_CONCURRENCY", "1".to_owned()),
        ])
        .await;
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    for id in ["busy", "fails", "gone", "zoe"] {
        world.insert_connection(&alice, id).await;
    }
    world.clock.advance(std::time::Duration::from_mins(1));
    socket.say("who is there?", "1").await;
    world.until("it was taken", async || posts.posted("busy") == 4).await;
    world.until("it was given up", async || posts.posted("fails") == 8).await;
    world.until("it is forgotten", async || world.connection_ids().await.len() == 4).await;
    let taken = posts.take();
    let tries = |id: &str| -> Vec<usize> {
        let places = taken.iter().enumerate();
        places.filter(|(_, post)| post.what.ends_with(id)).map(|(place, _)| place).collect()
    };
    assert_eq!(["busy", "fails", "gone", "zoe"].map(|id| tries(id).len()), [4, 8, 1, 1]);
    // The last one had it before any was tried a third time.
    assert!(tries("zoe")[0] < tries("busy")[2] && tries("zoe")[0] < tries("fails")[2]);
}

async fn its_sender_is_shown_a_message_first(mut world: World) {
    let posts = FakeConnections::listen().await;
    let settings = [
        ("CONNECTIONS_ENDPOINT", posts.endpoint.clone()),
        ("BROADCAST_CONCURRENCY", "1".to_owned()),
    ];
    world.restart_with_all(settings).await;
    let alice = world.user("alice").await;
    // Before it and after it, whatever its id is.
    for id in ["!", "-", "~"] {
        world.insert_connection(&alice, id).await;
    }
    let mut socket = world.connect(&alice).await;
    let sender = world.connection_ids().await.into_iter().find(|id| id.len() > 1).unwrap();
    socket.say("hello everyone", "1").await;
    let mut taken = Vec::new();
    while taken.len() < 4 {
        taken.extend(posts.take());
        tokio::task::yield_now().await;
    }
    let path = |id: &str| format!("POST /ws/@connections/{}", id.replace('=', "%3D"));
    assert_eq!(taken[0].what, path(&sender));
    assert!(taken.iter().all(|post| post.frame == taken[0].frame));
}

async fn more_than_a_page_of_connections_are_reached_once(mut world: World) {
    let posts = FakeConnections::listen().await;
    world.restart_with("CONNECTIONS_ENDPOINT", &posts.endpoint).await;
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    let sender = world.connection_ids().await.remove(0);
    // One more than there are in a page.
    let ids: Vec<String> = (0..2_000).map(|number| format!("{number:04}")).collect();
    for id in &ids {
        world.insert_connection(&alice, id).await;
    }
    socket.say("hello everyone", "1").await;
    let mut taken = Vec::new();
    while taken.len() < 2_001 {
        taken.extend(posts.take());
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let path = |id: &String| format!("POST /ws/@connections/{}", id.replace('=', "%3D"));
    let mut expected: Vec<String> = ids.iter().chain([&sender]).map(path).collect();
    let mut reached: Vec<String> = taken.into_iter().map(|post| post.what).collect();
    expected.sort_unstable();
    reached.sort_unstable();
    assert!(reached == expected, "somebody was left out, or shown it twice");
}

async fn reaches_everyone_without(mut world: World, endpoint: String) {
    let queue = format!("{endpoint}/123456789012/broadcasts.fifo");
    let settings = [
        ("AWS_ENDPOINT_URL_SQS", endpoint),
        ("BROADCAST_QUEUE_URL", queue),
        ("BROADCAST_INLINE_LIMIT", "2".to_owned()),
    ];
    world.restart_with_all(settings).await;
    let mut crowd = Crowd::gather(&world, 6).await;
    crowd.sockets[0].say("hello everyone", "1").await;
    assert_eq!(crowd.sockets[0].next_frame().await["id"], 1);
    for socket in &mut crowd.sockets[1..] {
        assert!(socket.next_text().await.contains("hello everyone"));
    }
    assert_eq!(crowd.times_shown(&world, "hello everyone").await, [0; 6]);
}

async fn without_its_queue_a_message_reaches_everyone_all_the_same(world: World) {
    // Nobody listens on port 1.
    reaches_everyone_without(world, "http://127.0.0.1:1".to_owned()).await;
}

async fn with_a_silent_queue_a_message_reaches_everyone_all_the_same(world: World) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    reaches_everyone_without(world, format!("http://{}", silent.local_addr().unwrap())).await;
}
