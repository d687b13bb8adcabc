//! More of everything than is allowed: messages of one user, passwords to hash.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use shared::{
    chat::{Draft, Text},
    clock::UnixMillis,
    rate::MessageRate,
    store::Outcome,
};

use crate::{
    Needs,
    support::{World, proxy::Proxy, socket::Socket},
};

crate::stories! {
    Needs::Nothing;
    who_says_too_much_is_refused_and_told_when_to_go_on,
    parallel_sends_do_not_slip_through_the_limit,
    repeated_sends_count_like_any_other;
    Needs::InProcess;
    the_limit_holds_in_every_stretch_of_time,
    more_passwords_than_there_is_room_for_are_refused_at_once;
    Needs::Postgres;
    the_limit_costs_no_round_trip,
}

const LIMIT: usize = 5;

/// Longer than any story takes: the clock of compiled functions goes on by itself.
const PERIOD: Duration = Duration::from_mins(10);

/// A limit of five messages in any ten minutes.
async fn with_limit(world: &mut World) {
    world.restart_with("MESSAGE_RATE_LIMIT", "5/600").await;
}

async fn who_says_too_much_is_refused_and_told_when_to_go_on(mut world: World) {
    with_limit(&mut world).await;
    let alice = world.user("alice").await;
    let elsewhere = world.log_in("alice").await;
    let mut bob = world.connect(&world.user("bob").await).await;
    // All of a user's connections count together, of any session and protocol.
    let mut first = world.connect(&alice).await;
    let mut second = world.connect(&elsewhere).await;
    let mut plain = world.connect_plain(&alice).await;
    for number in 0..LIMIT {
        match number % 3 {
            0 => first.say("hello", &number.to_string()).await,
            1 => second.say("hello", &number.to_string()).await,
            _ => plain.send("hello").await,
        }
        for socket in [&mut first, &mut second, &mut bob] {
            assert_eq!(socket.next_frame().await["type"], "message");
        }
        assert_eq!(plain.next_text().await, "alice: hello");
    }
    for socket in [&mut first, &mut second] {
        socket.say("one too many", "late").await;
        let refusal = socket.next_frame().await;
        assert_eq!(
            (&refusal["code"], &refusal["client_id"]),
            (&json!("rate_limited"), &json!("late"))
        );
        let seconds = refusal["retry_after"].as_u64().unwrap();
        assert!((300..=PERIOD.as_secs()).contains(&seconds), "{seconds}");
        assert_eq!(
            refusal["detail"],
            format!("Too many messages. Try again in {seconds} seconds.")
        );
    }
    plain.send("one too many").await;
    let refusal = plain.next_text().await;
    assert!(refusal.starts_with("system: Too many messages. Try again in "), "{refusal}");
    assert_eq!(world.history(&alice).await.len(), LIMIT);

    // What is stored already is shown again to whoever repeats it, but no more to everyone. Others may speak.
    for _ in 0..3 {
        first.say("hello", "0").await;
        assert_eq!(first.next_frame().await["id"], 1);
    }
    bob.say("may I?", "bob").await;
    for socket in [&mut first, &mut second, &mut bob] {
        assert_eq!(socket.next_frame().await["text"], "may I?");
    }
    assert_eq!(plain.next_text().await, "bob: may I?");

    // The refused send goes through when its time has come, with the same key.
    world.clock.advance(PERIOD);
    first.say("one too many", "late").await;
    assert_eq!(first.next_frame().await["client_id"], "late");
    assert_eq!(world.history(&alice).await.len(), LIMIT + 2);
}

async fn parallel_sends_do_not_slip_through_the_limit(mut world: World) {
    with_limit(&mut world).await;
    let alice = world.user("alice").await;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(world.connect(&alice).await);
    }
    let sends =
        sockets.iter_mut().enumerate().map(async |(number, socket): (usize, &mut Socket)| {
            for count in 0..LIMIT {
                socket.say("hello", &format!("{number} {count}")).await;
            }
            // Every send is answered: by the message, which everyone sees, or by a refusal.
            let (mut seen, mut own, mut refused) = (0, 0, 0);
            while seen < LIMIT || own + refused < LIMIT {
                let frame = socket.next_frame().await;
                if frame["type"] == "message" {
                    seen += 1;
                    own += usize::from(
                        frame["client_id"].as_str().unwrap().starts_with(&number.to_string()),
                    );
                } else {
                    refused += 1;
                }
            }
            refused
        });
    let refused: Vec<usize> = futures_util::future::join_all(sends).await;
    assert_eq!(refused.iter().sum::<usize>(), 3 * LIMIT, "{refused:?}");
    assert_eq!(world.history(&alice).await.len(), LIMIT);
}

async fn repeated_sends_count_like_any_other(mut world: World) {
    with_limit(&mut world).await;
    let mut alice = world.connect(&world.user("alice").await).await;
    let mut bob = world.connect(&world.user("bob").await).await;
    for _ in 0..2 * LIMIT {
        alice.say("hello", "the same").await;
        assert_eq!(alice.next_frame().await["id"], 1);
    }
    bob.say("enough", "1").await;
    for _ in 0..LIMIT {
        assert_eq!(bob.next_frame().await["id"], 1);
    }
    assert_eq!(bob.next_frame().await["text"], "enough");
    alice.next_frame().await;
    alice.say("something new", "another").await;
    assert_eq!(alice.next_frame().await["code"], "rate_limited");
}

async fn the_limit_holds_in_every_stretch_of_time(world: World) {
    let alice = world.user("alice").await;
    world.insert_connection(&alice, "c1").await;
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let draft = Draft { text: Text::parse("hello").unwrap(), client_id: None };
    let mut now = world.clock.clock().now();
    let mut stored: Vec<UnixMillis> = Vec::new();
    for (rate, count) in [("3/2", 60), ("7/5", 120), ("2/1", 60)] {
        let rate = MessageRate::parse(rate).unwrap();
        // A row knows as much as the limit before asked for.
        now = now.plus(rate.period());
        for _ in 0..count {
            now = now.plus(Duration::from_millis(random.random_range(0..900)));
            let counts = |at: &&UnixMillis| **at > now.minus(rate.period());
            let recent: Vec<UnixMillis> = stored.iter().filter(counts).copied().collect();
            let allowed = recent.len() < usize::from(rate.messages());
            match world.append("c1", &draft, Some(rate), now).await {
                Outcome::Stored(_) => {
                    assert!(allowed, "{recent:?} at {now:?}, seed {seed}");
                    stored.push(now);
                }
                Outcome::TooMany(wait) => {
                    assert!(!allowed, "{recent:?} at {now:?}, seed {seed}");
                    // After exactly that time it would have gone through.
                    let oldest = recent[recent.len() - usize::from(rate.messages())];
                    assert_eq!(now.plus(wait), oldest.plus(rate.period()), "seed {seed}");
                }
                other => panic!("there is a draft, and no other like it: {other:?}"),
            }
        }
    }
    assert_eq!(world.pages(&alice).await.len(), stored.len());
}

async fn the_limit_costs_no_round_trip(mut world: World) {
    let proxy = Proxy::before(world.database_url()).await;
    world.restart_with("DATABASE_URL", proxy.url()).await;
    let mut turns = Vec::new();
    for rate in ["off", "1000/1"] {
        world.restart_with("MESSAGE_RATE_LIMIT", rate).await;
        let user = if turns.is_empty() { "alice" } else { "bob" };
        let mut socket = world.connect(&world.user(user).await).await;
        let mut fewest = u32::MAX;
        // The first ones prepare their statements; a pause would make the store ask whether its connection lives.
        for number in 0..20 {
            let before = proxy.turns();
            socket.say("hello", &number.to_string()).await;
            socket.next_frame().await;
            fewest = fewest.min(proxy.turns() - before);
        }
        turns.push(fewest);
    }
    // One to store, one to read the connections.
    assert_eq!(turns, [2, 2]);
}

async fn more_passwords_than_there_is_room_for_are_refused_at_once(mut world: World) {
    world.restart_with("BCRYPT_COST", "11").await;
    world.register("alice").await;
    let http = world.http.clone();
    let log_in = move |username: String, password: &'static str| {
        let http = http.clone();
        let login = json!({"username": username, "password": password});
        async move { http.post("/auth/login", &login).await }
    };
    // More than there is room for, all the time.
    let flood = (0..40).map(|number| {
        let log_in = log_in.clone();
        tokio::spawn(async move {
            loop {
                let answer = log_in(format!("nobody-{number}"), "wrong password").await;
                if answer.status != 401 {
                    // Not more often than the route's throttle allows, or that would be what refuses.
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            }
        })
    });
    let flood: Vec<_> = flood.collect();

    let (mut busy, mut wrong) = (0, 0);
    while busy < 12 && wrong < 9 {
        let answer = log_in("alice".to_owned(), "wrong password").await;
        if answer.status == 401 {
            wrong += 1;
            continue;
        }
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert_eq!(answer.body["type"], "urn:lambda-chat:problem:busy");
        assert_eq!(answer.header("retry-after"), Some("1"));
        busy += 1;
    }
    let account = json!({"username": "carol", "password": World::PASSWORD});
    let registered = world.http.post("/auth/register", &account).await;
    assert!(matches!(registered.status.as_u16(), 201 | 503), "{}", registered.body);
    for task in &flood {
        task.abort();
    }
    assert_eq!(busy, 12, "there was room for {wrong} wrong passwords");

    // Whoever found no room has not failed, so is not locked out.
    world
        .until("there is room again", async || {
            log_in("alice".to_owned(), World::PASSWORD).await.status == 200
        })
        .await;
}
