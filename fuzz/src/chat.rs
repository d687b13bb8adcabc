//! The chat's functions, as Lambda would have them, with a user who is logged in.

use std::{
    net::Ipv6Addr,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use connect::Connect;
use disconnect::Disconnect;
use gateway::{
    FunctionError, Gateway, Limits, WebSocketApi,
    server::{Bound, Server},
};
use local_dev::in_process::{handle_http, handle_websocket};
use login::Login;
use logout::Logout;
use message::Message;
use messages::Messages;
use migrate::Migrate;
use presence::Presence;
use refresh::Refresh;
use register::Register;
use secrecy::ExposeSecret;
use serde_json::Value;
use shared::{
    account::Username,
    clock::{Clock, UnixMillis},
    lambda::{HttpFunction, WebSocketFunction},
    settings::{Lookup, Settings},
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::Request;

const LOGIN_EVENT: &str = include_str!("../../functions/login/events/login.json");
const SECRET: &str = "what-no-answer-may-hold-d1b5ed5c-4dc6-4a8e";
const ALICE: &str = r#"{"username":"alice","password":"correct horse"}"#;

/// 2026-11-23T10:15:30Z, and it stays so: a token is good however long a run takes.
const NOW: UnixMillis = UnixMillis(1_795_428_930_000);

/// The functions on a SQLite database of their own, and a management API that has no connections.
pub struct Chat {
    runtime: Runtime,
    functions: Functions,
    /// What stands for `ACCESS_TOKEN` and `REFRESH_TOKEN` in an input.
    tokens: Mutex<[String; 2]>,
    /// How often alice was logged in.
    logins: AtomicU64,
    /// What no answer may hold.
    secrets: [String; 2],
    _server: Server,
    _folder: TempDir,
}

struct Functions {
    register: Register,
    login: Login,
    refresh: Refresh,
    logout: Logout,
    messages: Messages,
    presence: Presence,
    connect: Connect,
    message: Message,
    disconnect: Disconnect,
}

impl Chat {
    /// Starts it.
    pub fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let server = runtime.block_on(serve_connections());
        let endpoint = format!("http://{}/ws", server.local_addr());
        let database = format!("sqlite://{}/chat.db", folder.path().display());
        let lookup = Lookup::from_fn(move |name| match name {
            "DATABASE_URL" => Some(database.clone()),
            "JWT_SECRET" => Some(SECRET.to_owned()),
            "CONNECTIONS_ENDPOINT" => Some(endpoint.clone()),
            "BCRYPT_COST" => Some("4".to_owned()),
            "MESSAGE_RATE_LIMIT" => Some("off".to_owned()),
            _ => None,
        });
        let (functions, hash) = runtime.block_on(async {
            let settings = Settings::new(lookup, Clock::from_fn(|| NOW), 1).expect("settings");
            Migrate::new(&settings).migrate().await.expect("a database");
            let functions = Functions::new(&settings);
            let register = account_event("/auth/register").to_string().into_bytes();
            functions.http("POST /auth/register", &register).await;
            let alice = Username::parse("alice").expect("a name");
            let hash = settings.store().password_hash(&alice).await.expect("a database");
            (functions, hash.expect("alice has registered"))
        });
        let chat = Self {
            runtime,
            functions,
            tokens: Mutex::default(),
            logins: AtomicU64::default(),
            secrets: [SECRET.to_owned(), hash.expose_secret().to_owned()],
            _server: server,
            _folder: folder,
        };
        chat.log_in();
        chat
    }

    /// Gives alice a session that lives.
    pub fn log_in(&self) {
        let mut event = account_event("/auth/login");
        // From an address where no input has failed to log in as her too often.
        let source = Ipv6Addr::from(u128::from(self.logins.fetch_add(1, Ordering::Relaxed)));
        event["requestContext"]["http"]["sourceIp"] = source.to_string().into();
        let event = event.to_string().into_bytes();
        let answer = self.runtime.block_on(self.functions.http("POST /auth/login", &event));
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let body = answer["body"].as_str().unwrap_or_default();
        let pair: Value = serde_json::from_str(body).expect("JSON");
        *self.tokens.lock().expect("one thread") = ["access_token", "refresh_token"]
            .map(|name| pair[name].as_str().expect("a login brings tokens").to_owned());
    }

    /// The input with alice's tokens in it.
    pub fn with_tokens(&self, input: &[u8]) -> Vec<u8> {
        let tokens = self.tokens.lock().expect("one thread");
        let input = replace(input, b"ACCESS_TOKEN", tokens[0].as_bytes());
        replace(&input, b"REFRESH_TOKEN", tokens[1].as_bytes())
    }

    /// What the function behind the HTTP API's route `key` answers to `event`. `None` if there is no such route.
    pub fn http(&self, key: &str, event: &[u8]) -> Option<Value> {
        if !Self::HTTP_ROUTES.contains(&key) {
            return None;
        }
        let answer = self.runtime.block_on(self.functions.http(key, event));
        Some(self.read(&answer))
    }

    /// What the function behind the WebSocket API's route `key` answers to `event`.
    pub fn websocket(&self, key: &str, event: &[u8]) -> Result<Value, FunctionError> {
        let answer = self.runtime.block_on(async {
            match key {
                "$connect" => handle_websocket(&self.functions.connect, event).await,
                "$disconnect" => handle_websocket(&self.functions.disconnect, event).await,
                _ => handle_websocket(&self.functions.message, event).await,
            }
        });
        answer.map(|answer| self.read(&answer))
    }

    /// The HTTP API's routes.
    pub const HTTP_ROUTES: [&str; 6] = [
        "POST /auth/register",
        "POST /auth/login",
        "POST /auth/refresh",
        "POST /auth/logout",
        "GET /auth/messages",
        "GET /auth/presence",
    ];

    fn read(&self, answer: &[u8]) -> Value {
        let answer_text = str::from_utf8(answer).expect("an answer is text");
        for secret in &self.secrets {
            assert!(!answer_text.contains(secret), "an answer holds a secret: {answer_text}");
        }
        serde_json::from_slice(answer).expect("an answer is JSON")
    }
}

impl Functions {
    fn new(settings: &Settings) -> Self {
        Self {
            register: Register::new(settings).expect("settings"),
            login: Login::new(settings).expect("settings"),
            refresh: Refresh::new(settings).expect("settings"),
            logout: Logout::new(settings).expect("settings"),
            messages: Messages::new(settings).expect("settings"),
            presence: Presence::new(settings).expect("settings"),
            connect: Connect::new(settings).expect("settings"),
            message: Message::new(settings).expect("settings"),
            disconnect: Disconnect::new(settings).expect("settings"),
        }
    }

    async fn http(&self, key: &str, event: &[u8]) -> Bytes {
        let answer = match key {
            "POST /auth/register" => handle_http(&self.register, event).await,
            "POST /auth/login" => handle_http(&self.login, event).await,
            "POST /auth/refresh" => handle_http(&self.refresh, event).await,
            "POST /auth/logout" => handle_http(&self.logout, event).await,
            "GET /auth/presence" => handle_http(&self.presence, event).await,
            _ => handle_http(&self.messages, event).await,
        };
        answer.expect("a function answers every event of API Gateway's")
    }
}

fn account_event(path: &str) -> Value {
    let key = format!("POST {path}");
    let request = format!("{key}\ncontent-type: application/json\n\n{ALICE}");
    let request = Request::read(request.as_bytes()).expect("a request");
    request.http_event(&key, LOGIN_EVENT)
}

async fn serve_connections() -> Server {
    let api = WebSocketApi { stage: "ws".to_owned(), ..WebSocketApi::default() };
    let limits = Limits { request_rate: None, ..Limits::default() };
    let gateway = Gateway { websocket_apis: vec![api], limits, ..Gateway::default() };
    Bound::to("127.0.0.1", 0).await.expect("a port").serve(gateway)
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
