//! Servers that a browser has no reason to trust: another site, or one that answers the page in the chat's place.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, StatusCode, header},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};
use tower_service::Service;

/// What a site answers.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    pub fn html(body: impl Into<String>) -> Self {
        Self::new(200, "text/html; charset=utf-8", body)
    }

    pub fn json(body: &Value) -> Self {
        Self::new(200, "application/json", body.to_string())
    }

    pub fn problem(status: u16, body: &Value) -> Self {
        Self::new(status, "application/problem+json", body.to_string())
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, "text/plain", "").with("location", location)
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(self.body.into()).unwrap()
    }
}

#[derive(Default)]
struct State {
    answers: Mutex<HashMap<String, Answer>>,
    /// What a socket is shown when it opens.
    frames: Mutex<Vec<Message>>,
    /// What it is shown for each message that it sends, the next one first.
    replies: Mutex<Vec<Value>>,
    /// Method and path of every request.
    asked: Mutex<Vec<String>>,
    said: Mutex<Vec<Value>>,
}

/// A server that answers as it is told and remembers what it was asked.
pub struct Site {
    port: u16,
    state: Arc<State>,
}

impl Site {
    /// A site with nothing on it yet.
    pub async fn empty() -> Self {
        Self::over(Router::new()).await
    }

    /// A site with the page, or whatever `files` has, at all paths that are told nothing else. Its chat lets everybody
    /// in as alice and is empty.
    pub async fn over(files: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<State>::default();
        let router = Router::new().fallback({
            let state = Arc::clone(&state);
            move |request| answer(Arc::clone(&state), files.clone(), request)
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let site = Self { port, state };
        site.answers("/auth/login", Answer::json(&tokens("alice")));
        site.answers("/auth/refresh", Answer::json(&tokens("alice")));
        site.answers("/auth/messages", Answer::json(&json!([])));
        site.answers("/auth/presence", Answer::json(&json!({"count": 0, "users": []})));
        site
    }

    /// Its origin, of the same site as others that are addressed by number.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The same server under a name that is another site for a browser.
    pub fn foreign_origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub fn answers(&self, path: &str, answer: Answer) {
        self.state.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub fn shows(&self, frames: Vec<Message>) {
        *self.state.frames.lock().unwrap() = frames;
    }

    /// What the next sends are answered with; `client_id` is added.
    pub fn replies(&self, mut frames: Vec<Value>) {
        frames.reverse();
        *self.state.replies.lock().unwrap() = frames;
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }

    /// The frames that sockets have sent so far, without pings.
    pub fn said(&self) -> Vec<Value> {
        self.state.said.lock().unwrap().clone()
    }
}

/// An answer to a login: tokens that look right.
pub fn tokens(username: &str) -> Value {
    let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = part(json!({"sub": username, "exp": 4_000_000_000_i64}));
    let access_token = format!("{}.{claims}.signature", part(json!({"alg": "HS256"})));
    json!({"access_token": access_token, "refresh_token": "refresh", "token_type": "Bearer", "expires_in": 900})
}

async fn answer(state: Arc<State>, mut files: Router, mut request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    state.asked.lock().unwrap().push(format!("{} {path}", request.method()));
    if let Some(answer) = state.answers.lock().unwrap().get(&path) {
        return answer.clone().into_response();
    }
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return files.call(request).await.unwrap_or_else(|never| match never {});
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stream = TokioIo::new(upgrade.await.unwrap());
        talk(&state, WebSocketStream::from_raw_socket(stream, Role::Server, None).await).await;
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .header(header::SEC_WEBSOCKET_PROTOCOL, "chat.v1")
        .body(Body::empty())
        .unwrap()
}

async fn talk(
    state: &State,
    mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
) -> Option<()> {
    let frames = state.frames.lock().unwrap().clone();
    for frame in frames {
        socket.send(frame).await.ok()?;
    }
    while let Ok(Message::Text(text)) = socket.next().await? {
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["action"] != "send" {
            continue;
        }
        let reply = state.replies.lock().unwrap().pop();
        state.said.lock().unwrap().push(frame.clone());
        if let Some(mut reply) = reply {
            reply["client_id"] = frame["client_id"].clone();
            socket.send(Message::text(reply.to_string())).await.ok()?;
        }
    }
    Some(())
}
