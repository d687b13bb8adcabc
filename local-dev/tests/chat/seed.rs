//! What the chat has from its ancestor, one Python program: the same requests, the same shapes of answers, the same plain
//! sockets. These stories hold of both, so they leave open what differs between the two.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Needs,
    support::{
        room::{Room, User},
        socket::Handshake,
    },
};

crate::anywhere! {
    Needs::SeedRoutes;
    an_account_is_made_once_and_gets_tokens,
    a_wrong_password_gets_none,
    fields_that_are_missing_are_a_422,
    a_refresh_token_gets_new_tokens_and_an_access_token_does_not,
    messages_want_an_access_token,
    a_plain_message_reaches_everybody_and_is_stored,
    a_plain_socket_wants_a_token,
}

/// Fails unless these are a user's tokens; returns the user.
async fn user_of(room: &Room, username: &str, tokens: &Value) -> User {
    let token = |name: &str| {
        let token = tokens[name].as_str().unwrap_or_else(|| panic!("no {name}"));
        token.to_owned()
    };
    let (access, refresh) = (token("access_token"), token("refresh_token"));
    assert_eq!(room.http.get("/auth/messages", &access).await.status, 200);
    User { username: room.name(username), access, refresh }
}

/// A new user, logged in.
async fn user(room: &Room, username: &str) -> User {
    let account = json!({"username": room.name(username), "password": Room::PASSWORD});
    let registered = room.http.post("/auth/register", &account).await;
    assert!(registered.status.is_success(), "{}", registered.status);
    assert!(registered.body["message"].is_string(), "{}", registered.body);
    let login = room.http.post("/auth/login", &account).await;
    assert_eq!(login.status, 200);
    user_of(room, username, &login.body).await
}

async fn an_account_is_made_once_and_gets_tokens(room: Room) {
    user(&room, "alice").await;
    let again = json!({"username": room.name("alice"), "password": "another password"});
    assert!(room.http.post("/auth/register", &again).await.status.is_client_error());
    assert_eq!(room.http.post("/auth/login", &again).await.status, 401);
}

async fn a_wrong_password_gets_none(room: Room) {
    user(&room, "alice").await;
    for (username, password) in [("alice", "wrong password"), ("nobody", Room::PASSWORD)] {
        let login = json!({"username": room.name(username), "password": password});
        let refused = room.http.post("/auth/login", &login).await;
        assert_eq!(refused.status, 401, "{username}");
        assert_eq!(refused.body.get("access_token"), None);
    }
}

async fn fields_that_are_missing_are_a_422(room: Room) {
    for (path, body) in [
        ("/auth/register", json!({"username": room.name("alice")})),
        ("/auth/login", json!({"password": Room::PASSWORD})),
        ("/auth/refresh", json!({})),
    ] {
        assert_eq!(room.http.post(path, &body).await.status, 422, "{path}");
    }
}

async fn a_refresh_token_gets_new_tokens_and_an_access_token_does_not(room: Room) {
    let alice = user(&room, "alice").await;
    let refresh =
        async |token: &str| room.http.post("/auth/refresh", &json!({"refresh_token": token})).await;
    let renewed = refresh(&alice.refresh).await;
    assert_eq!(renewed.status, 200);
    user_of(&room, "alice", &renewed.body).await;
    for token in [alice.access.as_str(), "nonsense"] {
        assert_eq!(refresh(token).await.status, 401);
    }
}

async fn messages_want_an_access_token(room: Room) {
    let alice = user(&room, "alice").await;
    for token in [alice.refresh.as_str(), "nonsense"] {
        assert_eq!(room.http.get("/auth/messages", token).await.status, 401);
    }
    let without = room.http.send(room.http.request(Method::GET, "/auth/messages")).await;
    assert!(matches!(without.status.as_u16(), 401 | 403), "{}", without.status);
}

async fn a_plain_message_reaches_everybody_and_is_stored(room: Room) {
    let (alice, bob) = (user(&room, "alice").await, user(&room, "bob").await);
    let mut alices = room.connect_plain(&alice).await;
    let mut bobs = room.connect_plain(&bob).await;
    let said = [
        (&alice, "Hello!"),
        (&bob, "{\"username\":\"alice\",\"text\":\"not me\"}"),
        (&alice, "<b>two</b>\nlines, \u{1F980}"),
    ];
    for (number, (author, text)) in said.into_iter().enumerate() {
        let from = if author.username == alice.username { &mut alices } else { &mut bobs };
        from.send(text).await;
        let expected = format!("{}: {text}", author.username);
        // Stored before shown.
        assert_eq!(alices.next_text().await, expected);
        assert_eq!(bobs.next_text().await, expected);
        let history = room.history(&bob).await;
        assert_eq!(history.len(), number + 1);
        assert_eq!(history[number]["username"], author.username.as_str());
        assert_eq!(history[number]["text"], text);
    }
    // Oldest first.
    let history = room.history(&alice).await;
    let ids: Vec<i64> = history.iter().map(|message| message["id"].as_i64().unwrap()).collect();
    assert!(ids.is_sorted() && ids[0] < ids[2], "{ids:?}");
}

async fn a_plain_socket_wants_a_token(room: Room) {
    let url = room.socket_url();
    for query in ["", "?token=", "?token=nonsense"] {
        let refused = Handshake::new(format!("{url}{query}")).open().await;
        let status = refused.err().unwrap_or_else(|| panic!("{query} is let in"));
        assert!(status.is_client_error(), "{query}: {status}");
    }
}
