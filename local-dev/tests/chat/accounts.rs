//! Registering and logging in.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::{
    Needs, storage,
    support::{World, room::Room},
};

crate::anywhere! {
    Needs::Nothing;
    a_user_registers_and_logs_in,
    a_username_is_given_once,
    of_two_registrations_at_once_one_wins,
    a_wrong_password_and_an_unknown_user_are_the_same_answer,
    ten_failures_lock_a_login,
}

crate::stories! {
    Needs::Nothing;
    ten_failures_lock_a_login_until_the_window_has_passed,
    failures_whose_window_is_over_are_forgotten_by_and_by,
    failures_in_parallel_do_not_slip_through,
    behind_a_cdn_failures_are_counted_by_its_viewers,
    a_login_renews_a_hash_of_another_cost,
}

async fn a_user_registers_and_logs_in(room: Room) {
    let username = room.name("Alice");
    let account = json!({"username": username, "password": "correct horse"});
    let registered = room.http.post("/auth/register", &account).await;
    assert_eq!(registered.status, 201);
    assert_eq!(registered.body, json!({"message": "Registration successful"}));
    assert_eq!(registered.header("cache-control"), Some("no-store"));

    // Upper case is folded.
    for username in [username.to_lowercase(), username.to_uppercase()] {
        let login = json!({"username": username, "password": "correct horse"});
        let tokens = room.http.post("/auth/login", &login).await;
        assert_eq!(tokens.status, 200);
        assert_eq!(tokens.body["token_type"], "Bearer");
        assert_eq!(tokens.body["expires_in"], 900);
        assert_eq!(tokens.header("cache-control"), Some("no-store"));
        let access = tokens.body["access_token"].as_str().unwrap();
        assert_eq!(room.http.get("/auth/messages", access).await.status, 200);
    }
}

async fn a_username_is_given_once(room: Room) {
    room.register("alice").await;
    for username in ["alice", "Alice"] {
        let account = json!({"username": room.name(username), "password": "another password"});
        let refused = room.http.post("/auth/register", &account).await;
        assert_eq!(refused.status, 409);
        assert_eq!(refused.body["type"], "urn:lambda-chat:problem:username-taken");
    }
    room.log_in("alice").await;
}

async fn of_two_registrations_at_once_one_wins(room: Room) {
    let username = room.name("alice");
    let register = |password: &'static str| {
        let (http, username) = (room.http.clone(), username.clone());
        async move {
            let account = json!({"username": username, "password": password});
            http.post("/auth/register", &account).await.status.as_u16()
        }
    };
    let (one, other) = tokio::join!(register("password one"), register("password two"));
    let mut statuses = [one, other];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let winner = if one == 201 { "password one" } else { "password two" };
    let login = json!({"username": username, "password": winner});
    assert_eq!(room.http.post("/auth/login", &login).await.status, 200);
}

async fn a_wrong_password_and_an_unknown_user_are_the_same_answer(room: Room) {
    room.register("alice").await;
    let (alice, nobody) = (room.name("alice"), room.name("nobody"));
    let too_long = "x".repeat(73);
    let mut answers = Vec::new();
    for (username, password) in [
        (alice.as_str(), "wrong password"),
        (&nobody, "wrong password"),
        (&alice, ""),
        (&alice, &too_long),
        ("no such name!", "wrong password"),
        ("alice\0", "wrong password"),
        ("system", "wrong password"),
    ] {
        let login = json!({"username": username, "password": password});
        let answer = room.http.post("/auth/login", &login).await;
        assert_eq!(answer.status, 401, "{username:?} {password:?}");
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

async fn ten_failures_lock_a_login(room: Room) {
    room.register("alice").await;
    let wrong = json!({"username": room.name("alice"), "password": "wrong password"});
    let right = json!({"username": room.name("alice"), "password": Room::PASSWORD});
    for _ in 0..10 {
        assert_eq!(room.http.post("/auth/login", &wrong).await.status, 401);
    }
    for login in [&wrong, &right] {
        let refused = room.http.post("/auth/login", login).await;
        assert_eq!(refused.status, 429);
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=900).contains(&seconds), "{seconds}");
    }
    // Only this name is locked.
    room.user("bob").await;
}

async fn ten_failures_lock_a_login_until_the_window_has_passed(world: World) {
    world.register("alice").await;
    let wrong = json!({"username": "alice", "password": "wrong password"});
    let right = json!({"username": "alice", "password": World::PASSWORD});
    for _ in 0..10 {
        assert_eq!(world.http.post("/auth/login", &wrong).await.status, 401);
    }
    assert_eq!(world.http.post("/auth/login", &right).await.status, 429);

    world.clock.advance(Duration::from_mins(15));
    world.log_in("alice").await;
    // A success forgets the failures before it.
    for _ in 0..10 {
        assert_eq!(world.http.post("/auth/login", &wrong).await.status, 401);
    }
}

/// Nobody but the database is the worse for them.
async fn failures_whose_window_is_over_are_forgotten_by_and_by(world: World) {
    world.register("alice").await;
    for number in 0..3 {
        let login = json!({"username": format!("nobody-{number}"), "password": "a guess"});
        assert_eq!(world.http.post("/auth/login", &login).await.status, 401);
    }
    let rows =
        || storage::run(world.database_url(), "update login_failures set failures = failures");
    assert_eq!(rows().await, 3);
    world.clock.advance(Duration::from_mins(15));
    // One login in ten sweeps: of three hundred, at least one, but for once in 10^13.
    for _ in 0..300 {
        world.log_in("alice").await;
        if rows().await == 0 {
            return;
        }
    }
    panic!("no login has swept");
}

async fn failures_in_parallel_do_not_slip_through(world: World) {
    world.register("alice").await;
    let attempts = (0..30).map(|_| {
        let http = world.http.clone();
        tokio::spawn(async move {
            let wrong = json!({"username": "alice", "password": "wrong password"});
            http.post("/auth/login", &wrong).await.status.as_u16()
        })
    });
    let mut statuses = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        statuses.push(attempt.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 20, "{statuses:?}");
}

async fn behind_a_cdn_failures_are_counted_by_its_viewers(mut world: World) {
    const CDN_SECRET: &str = "cdn-secret-of-the-stories-5f1b7c0e9a";
    world.restart_with("CDN_SECRET", CDN_SECRET).await;
    world.register("alice").await;
    let log_in = async |password: &str, secret: &str, viewer: &str| {
        let login = json!({"username": "alice", "password": password});
        let request = world.http.request(Method::POST, "/auth/login").json(&login);
        let request = request.header("x-cdn-secret", secret).header("x-viewer-address", viewer);
        world.http.send(request).await.status.as_u16()
    };
    for _ in 0..10 {
        assert_eq!(log_in("wrong password", CDN_SECRET, "198.51.100.7").await, 401);
    }
    assert_eq!(log_in(World::PASSWORD, CDN_SECRET, "198.51.100.7").await, 429);
    assert_eq!(log_in(World::PASSWORD, CDN_SECRET, "198.51.100.8").await, 200);

    // Whoever goes around the CDN may say what they like, and is counted by where they are.
    for attempt in 0..10 {
        let viewer = format!("203.0.113.{attempt}");
        assert_eq!(log_in("wrong password", "a guess", &viewer).await, 401);
    }
    assert_eq!(log_in(World::PASSWORD, "a guess", "198.51.100.9").await, 429);
    assert_eq!(log_in(World::PASSWORD, CDN_SECRET, "198.51.100.8").await, 200);
}

async fn a_login_renews_a_hash_of_another_cost(mut world: World) {
    world.register("alice").await;
    let old = world.password_hash("alice").await;
    world.restart_with("BCRYPT_COST", "11").await;
    world.log_in("alice").await;
    let new = world.password_hash("alice").await;
    assert!(new.starts_with("$2b$11$"), "{new}");
    assert_ne!(old, new);
    world.log_in("alice").await;
    assert_eq!(world.password_hash("alice").await, new);
}
