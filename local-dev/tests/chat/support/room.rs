//! Users and clients of one chat room, wherever it runs.

use serde_json::{Value, json};

use super::{
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

/// A chat at some URL.
pub struct Room {
    pub http: Client,
    base_url: String,
}

impl Room {
    pub const PASSWORD: &str = "correct horse battery staple";

    pub fn new(base_url: String) -> Self {
        Self { http: Client::new(base_url.clone()), base_url }
    }

    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    pub fn socket_url(&self) -> String {
        format!("{}/ws", self.base_url.replacen("http", "ws", 1))
    }

    pub async fn register(&self, username: &str) {
        let account = json!({"username": username, "password": Self::PASSWORD});
        assert_eq!(self.http.post("/auth/register", &account).await.status, 201);
    }

    pub async fn log_in(&self, username: &str) -> User {
        let login = json!({"username": username, "password": Self::PASSWORD});
        let Answer { status, body, .. } = self.http.post("/auth/login", &login).await;
        assert_eq!(status, 200, "{body}");
        let token = |name: &str| body[name].as_str().unwrap().to_owned();
        User {
            username: username.to_owned(),
            access: token("access_token"),
            refresh: token("refresh_token"),
        }
    }

    /// A new user, logged in.
    pub async fn user(&self, username: &str) -> User {
        self.register(username).await;
        self.log_in(username).await
    }

    /// A `chat.v1` handshake.
    pub fn handshake(&self, access_token: &str) -> Handshake {
        Handshake::new(self.socket_url()).protocols(&format!("chat.v1, bearer.{access_token}"))
    }

    pub fn plain_handshake(&self, access_token: &str) -> Handshake {
        Handshake::new(format!("{}?token={access_token}", self.socket_url()))
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
        let path = format!("/ws/@connections/{connection_id}");
        let request = self.http.request(reqwest::Method::POST, &path).body(frame.to_owned());
        assert_eq!(request.send().await.unwrap().status(), 200);
    }

    /// The newest page.
    pub async fn history(&self, user: &User) -> Vec<Value> {
        let page = self.http.get("/auth/messages?limit=200", &user.access).await;
        assert_eq!(page.status, 200, "{}", page.body);
        page.body.as_array().unwrap().clone()
    }

    /// Everything that was ever said.
    pub async fn pages(&self, user: &User) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(0, |message| message["id"].as_i64().unwrap());
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
