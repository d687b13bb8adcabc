//! Users and clients of one chat room, wherever it runs.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::account::Username;

use super::{
    MovableClock,
    http::{Answer, Client},
    socket::{Handshake, Socket},
};

/// A user who has logged in.
#[derive(Clone, Debug)]
pub struct User {
    pub username: String,
    pub access: String,
    pub refresh: String,
}

/// Those who have come to a room for one story, known by the end of their names. Others may talk there, too.
#[derive(Clone, Default)]
pub struct Guests {
    /// Empty when there is nobody else.
    suffix: String,
}

impl Guests {
    /// Guests whose names nobody has yet.
    pub fn unheard_of() -> Self {
        let number: u64 = rand::random();
        Self { suffix: format!("-{number:016x}") }
    }

    fn has(&self, username: &str) -> bool {
        username.ends_with(&self.suffix)
    }

    /// Whether a frame is not somebody else's message, nor news of them.
    pub fn may_have_said(&self, frame: &str) -> bool {
        if let Ok(frame) = serde_json::from_str::<Value>(frame) {
            let is_ours = |message: &Value| {
                message["username"].as_str().is_some_and(|username| self.has(username))
            };
            match frame["type"].as_str() {
                Some("message" | "presence" | "typing") => return is_ours(&frame),
                Some("messages") => {
                    return frame["messages"].as_array().is_some_and(|all| all.iter().any(is_ours));
                }
                _ => {}
            }
        }
        let plain =
            frame.split_once(": ").filter(|(username, _)| Username::parse(username).is_ok());
        plain.is_none_or(|(username, _)| self.has(username))
    }
}

/// A chat at some URL.
#[derive(Clone)]
pub struct Room {
    pub http: Client,
    base_url: String,
    socket_url: String,
    guests: Guests,
    /// If it can be moved.
    clock: Option<MovableClock>,
}

impl Room {
    pub const PASSWORD: &str = "correct horse battery staple";

    /// A room with nobody else in it.
    pub fn new(base_url: String) -> Self {
        let http = Client::new(base_url.clone());
        let socket_url = format!("{}/ws", base_url.replacen("http", "ws", 1));
        Self { http, base_url, socket_url, guests: Guests::default(), clock: None }
    }

    /// The same room, whose time is this clock's.
    pub fn with_clock(self, clock: MovableClock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// The same room, where others may talk, too.
    pub fn shared(self, guests: Guests) -> Self {
        Self { guests, ..self }
    }

    /// The same room, with its sockets elsewhere.
    pub fn with_sockets_at(self, socket_url: String) -> Self {
        Self { socket_url, ..self }
    }

    /// The same room, of a chat that this repository doesn't describe.
    pub fn of_any_chat(self) -> Self {
        Self { http: self.http.of_any_chat(), ..self }
    }

    /// The username that somebody of this story has here.
    pub fn name(&self, name: &str) -> String {
        format!("{name}{}", self.guests.suffix)
    }

    /// Whether somebody of this story has written a message.
    pub fn is_ours(&self, message: &Value) -> bool {
        message["username"].as_str().is_some_and(|username| self.guests.has(username))
    }

    /// Lets time pass, where it can be moved: what follows must hold now and then.
    pub fn pass(&self, time: Duration) {
        if let Some(clock) = &self.clock {
            clock.advance(time);
        }
    }

    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    pub fn socket_url(&self) -> String {
        self.socket_url.clone()
    }

    pub async fn register(&self, username: &str) {
        let account = json!({"username": self.name(username), "password": Self::PASSWORD});
        assert_eq!(self.http.post("/auth/register", &account).await.status, 201);
    }

    pub async fn log_in(&self, username: &str) -> User {
        let username = self.name(username);
        let login = json!({"username": username, "password": Self::PASSWORD});
        let Answer { status, body, .. } = self.http.post("/auth/login", &login).await;
        assert_eq!(status, 200, "{body}");
        let token = |name: &str| body[name].as_str().unwrap().to_owned();
        User { username, access: token("access_token"), refresh: token("refresh_token") }
    }

    /// A new user, logged in.
    pub async fn user(&self, username: &str) -> User {
        self.register(username).await;
        self.log_in(username).await
    }

    /// A `chat.v1` handshake.
    pub fn handshake(&self, access_token: &str) -> Handshake {
        let offers = format!("chat.v1, bearer.{access_token}");
        Handshake::new(self.socket_url()).protocols(&offers).among(&self.guests)
    }

    pub fn plain_handshake(&self, access_token: &str) -> Handshake {
        let url = format!("{}?token={access_token}", self.socket_url());
        Handshake::new(url).among(&self.guests)
    }

    /// A socket that speaks `chat.v1`.
    pub async fn connect(&self, user: &User) -> Socket {
        self.handshake(&user.access).open().await.unwrap()
    }

    pub async fn connect_plain(&self, user: &User) -> Socket {
        self.plain_handshake(&user.access).open().await.unwrap()
    }

    /// Posts to a socket as a function would.
    pub async fn post_to_socket(&self, connection_id: &str, frame: &str) {
        assert_eq!(self.try_post_to_socket(connection_id, frame).await, 200);
    }

    /// The answer to such a post.
    pub async fn try_post_to_socket(&self, connection_id: &str, frame: &str) -> StatusCode {
        let path = format!("/ws/@connections/{connection_id}");
        let request = self.http.request(reqwest::Method::POST, &path).body(frame.to_owned());
        request.send().await.unwrap().status()
    }

    /// What this story's users have said, of the newest page.
    pub async fn history(&self, user: &User) -> Vec<Value> {
        let page = self.http.get("/auth/messages?limit=200", &user.access).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let page = page.body.as_array().unwrap().iter();
        page.filter(|message| self.is_ours(message)).cloned().collect()
    }

    /// The newest message's number; 0 when nobody has said anything.
    pub async fn last_id(&self, user: &User) -> i64 {
        let page = self.http.get("/auth/messages?limit=1", &user.access).await;
        assert_eq!(page.status, 200, "{}", page.body);
        page.body[0]["id"].as_i64().unwrap_or(0)
    }

    /// Everything that was ever said.
    pub async fn pages(&self, user: &User) -> Vec<Value> {
        self.pages_after(user, 0).await
    }

    /// Everything that was said after a message, by whomever.
    pub async fn pages_after(&self, user: &User, id: i64) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(id, |message| message["id"].as_i64().unwrap());
            let path = format!("/auth/messages?limit=200&after={after}");
            let page = self.http.get(&path, &user.access).await;
            let page = page.body.as_array().unwrap().clone();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }
}
