//! Tokens: rotation, replay, logout, forgery.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};

use crate::{
    Needs,
    support::{World, http::Answer, room::Room, socket::Socket},
};

crate::anywhere! {
    Needs::Nothing;
    a_refresh_rotates_the_token,
    two_refreshes_at_once_get_the_same_successor,
    a_token_from_before_two_rotations_ends_the_session,
    a_logout_ends_the_session_and_closes_its_sockets,
    tokens_of_another_kind_or_signer_are_refused,
}

crate::stories! {
    Needs::Nothing;
    the_previous_token_leads_to_the_same_successor_for_30_seconds,
    a_token_replayed_after_30_seconds_ends_the_session,
    a_session_ends_with_its_refresh_token,
    tokens_that_are_no_good_are_refused,
    a_new_secret_signs_and_the_old_one_still_verifies,
}

const ANOTHER_KEY: &str = "another key of thirty-two bytes.";

/// A token signed with `key` by `M`, which its header calls `algorithm`.
fn jwt<M: Mac + KeyInit>(algorithm: &str, key: &str, claims: &Value) -> String {
    let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&json!({"alg": algorithm, "typ": "JWT"})), encode(claims));
    let mac = <M as KeyInit>::new_from_slice(key.as_bytes()).unwrap().chain_update(&signed);
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

async fn refresh(room: &Room, token: &str) -> Answer {
    room.http.post("/auth/refresh", &json!({"refresh_token": token})).await
}

fn refresh_token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["refresh_token"].as_str().unwrap().to_owned()
}

async fn a_refresh_rotates_the_token(room: Room) {
    let alice = room.user("alice").await;
    let mut current = alice.refresh.clone();
    for _ in 0..3 {
        room.pass(Duration::from_mins(10));
        let answer = refresh(&room, &current).await;
        let next = refresh_token(&answer);
        assert_ne!(next, current);
        let access = answer.body["access_token"].as_str().unwrap();
        assert_eq!(room.http.get("/auth/messages", access).await.status, 200);
        current = next;
    }
}

async fn the_previous_token_leads_to_the_same_successor_for_30_seconds(world: World) {
    let alice = world.user("alice").await;
    let successor = refresh_token(&refresh(&world, &alice.refresh).await);
    for seconds in [10, 10, 9] {
        world.clock.advance(Duration::from_secs(seconds));
        assert_eq!(refresh_token(&refresh(&world, &alice.refresh).await), successor);
    }
    // The successor itself goes on as usual.
    assert_ne!(refresh_token(&refresh(&world, &successor).await), successor);
}

async fn two_refreshes_at_once_get_the_same_successor(room: Room) {
    let alice = room.user("alice").await;
    let answers =
        futures_util::future::join_all((0..8).map(|_| refresh(&room, &alice.refresh))).await;
    let successors: Vec<String> = answers.iter().map(refresh_token).collect();
    assert!(successors.iter().all(|token| *token == successors[0]), "{successors:?}");
    assert_eq!(refresh(&room, &successors[0]).await.status, 200);
}

async fn a_token_from_before_two_rotations_ends_the_session(room: Room) {
    let alice = room.user("alice").await;
    let socket = room.connect(&alice).await;
    let next = refresh_token(&refresh(&room, &alice.refresh).await);
    let current = refresh(&room, &next).await;
    assert_replay_ends_the_session(&room, &alice.refresh, &current, socket).await;
}

async fn a_token_replayed_after_30_seconds_ends_the_session(world: World) {
    let alice = world.user("alice").await;
    let socket = world.connect(&alice).await;
    let current = refresh(&world, &alice.refresh).await;
    world.clock.advance(Duration::from_secs(31));
    assert_replay_ends_the_session(&world, &alice.refresh, &current, socket).await;
}

/// Fails unless the replay of an `old` token leaves nothing of its session.
async fn assert_replay_ends_the_session(
    room: &Room,
    old: &str,
    current: &Answer,
    mut socket: Socket,
) {
    let replay = refresh(room, old).await;
    assert_eq!(replay.status, 401, "{}", replay.body);

    assert_eq!(socket.closed().await, (1000, "Connection Closed Normally".to_owned()));
    assert_eq!(refresh(room, &refresh_token(current)).await.status, 401);
    let access = current.body["access_token"].as_str().unwrap();
    assert_eq!(room.http.get("/auth/messages", access).await.status, 401);
    assert_eq!(room.handshake(access).open().await.err().unwrap(), 401);
}

async fn a_logout_ends_the_session_and_closes_its_sockets(room: Room) {
    let alice = room.user("alice").await;
    let elsewhere = room.log_in("alice").await;
    let mut closed = [room.connect(&alice).await, room.connect_plain(&alice).await];
    let mut open = room.connect(&elsewhere).await;

    let logout = json!({"refresh_token": alice.refresh});
    for _ in 0..2 {
        assert_eq!(room.http.post("/auth/logout", &logout).await.status, 204);
    }
    for socket in &mut closed {
        assert_eq!(socket.closed().await.0, 1000);
    }
    assert_eq!(refresh(&room, &alice.refresh).await.status, 401);
    let refused = room.http.get("/auth/messages", &alice.access).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    assert_eq!(room.handshake(&alice.access).open().await.err().unwrap(), 401);

    // The user's other session goes on.
    open.say("still here", "1").await;
    assert_eq!(open.next_frame().await["text"], "still here");
}

async fn tokens_of_another_kind_or_signer_are_refused(room: Room) {
    let alice = room.user("alice").await;
    let signed_by_another = |good: &str| {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        jwt::<Hmac<Sha256>>("HS256", ANOTHER_KEY, &claims)
    };
    for access in ["nonsense", &signed_by_another(&alice.access), &alice.refresh] {
        let refused = room.http.get("/auth/messages", access).await;
        assert_eq!(refused.status, 401);
        assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
        assert_eq!(room.handshake(access).open().await.err().unwrap(), 401);
        assert_eq!(room.plain_handshake(access).open().await.err().unwrap(), 401);
    }
    for token in ["nonsense", &signed_by_another(&alice.refresh), &alice.access] {
        assert_eq!(refresh(&room, token).await.status, 401);
        let logout = json!({"refresh_token": token});
        assert_eq!(room.http.post("/auth/logout", &logout).await.status, 401);
    }
    // None of it has harmed the session.
    assert_eq!(refresh(&room, &alice.refresh).await.status, 200);
}

async fn a_session_ends_with_its_refresh_token(world: World) {
    let alice = world.user("alice").await;
    world.clock.advance(Duration::from_hours(30 * 24) + Duration::from_secs(31));
    assert_eq!(refresh(&world, &alice.refresh).await.status, 401);
    assert_eq!(
        world.http.post("/auth/logout", &json!({"refresh_token": alice.refresh})).await.status,
        401
    );
}

async fn tokens_that_are_no_good_are_refused(world: World) {
    let alice = world.user("alice").await;
    let claims = |token: &str| -> Value {
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    };
    let sign = jwt::<Hmac<Sha256>>;
    let without = |claims: &Value, claim: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(claim).unwrap();
        claims
    };
    let forge = |good: &str| {
        let good = claims(good);
        let payload = BASE64_URL_SAFE_NO_PAD.encode(good.to_string());
        vec![
            String::new(),
            "nonsense".to_owned(),
            format!(
                "{}.{payload}.",
                BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#)
            ),
            jwt::<Hmac<Sha512>>("HS512", World::SECRET, &good),
            sign("HS256", ANOTHER_KEY, &good),
            sign("HS256", World::SECRET, &without(&good, "exp")),
            sign("HS256", World::SECRET, &without(&good, "typ")),
            sign("HS256", World::SECRET, &without(&good, "sid")),
        ]
    };
    let mut bad_access = forge(&alice.access);
    bad_access.push(alice.refresh.clone());
    let mut bad_refresh = forge(&alice.refresh);
    bad_refresh.push(alice.access.clone());

    let check = async |bad_access: &[String], bad_refresh: &[String]| {
        for token in bad_access {
            assert_eq!(world.http.get("/auth/messages", token).await.status, 401, "{token}");
            assert_eq!(world.handshake(token).open().await.err().unwrap(), 401, "{token}");
            let plain = world.plain_handshake(token).open().await;
            assert_eq!(plain.err().unwrap(), 401, "{token}");
        }
        for token in bad_refresh {
            assert_eq!(refresh(&world, token).await.status, 401, "{token}");
            let logout = json!({"refresh_token": token});
            assert_eq!(world.http.post("/auth/logout", &logout).await.status, 401, "{token}");
        }
    };
    check(&bad_access, &bad_refresh).await;

    let request = world.http.request(reqwest::Method::GET, "/auth/messages");
    assert_eq!(world.http.send(request).await.status, 401);
    let request = world.http.request(reqwest::Method::GET, "/auth/messages");
    let basic = request.header("authorization", "Basic YWxpY2U6c2VjcmV0");
    assert_eq!(world.http.send(basic).await.status, 401);

    // 15 minutes, and 30 seconds for clocks that differ.
    world.clock.advance(Duration::from_secs(900 + 15));
    assert_eq!(world.http.get("/auth/messages", &alice.access).await.status, 200);
    world.clock.advance(Duration::from_secs(16));
    check(std::slice::from_ref(&alice.access), &[]).await;
}

async fn a_new_secret_signs_and_the_old_one_still_verifies(mut world: World) {
    let alice = world.user("alice").await;
    let new_secret = "a new secret that is long enough";
    world.restart_with("JWT_SECRET", &format!("{new_secret},{}", World::SECRET)).await;
    assert_eq!(world.http.get("/auth/messages", &alice.access).await.status, 200);
    let renewed = refresh(&world, &alice.refresh).await;
    let access = renewed.body["access_token"].as_str().unwrap().to_owned();
    world.restart_with("JWT_SECRET", new_secret).await;
    assert_eq!(world.http.get("/auth/messages", &access).await.status, 200);
    assert_eq!(world.http.get("/auth/messages", &alice.access).await.status, 401);
}
