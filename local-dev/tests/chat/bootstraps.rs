//! The functions as they run on Lambda: each compiled bootstrap against a Runtime API, with its sample event.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Uri},
};
use serde_json::{Value, json};
use shared::{account::Username, clock::UnixMillis, store::NewSession, token::TokenId};
use tokio::net::TcpListener;

use crate::{
    Needs,
    support::{World, runtime_api, session_of},
};

pub const NEEDS: Needs = Needs::Bootstraps;
pub const HINT: &str = "needs the functions as Lambda runs them: cargo xtask build";

/// The secret that the tokens in the sample events are signed with.
const SAMPLE_SECRET: &str = "sample-secret-of-the-sample-events";

const FUNCTIONS: [&str; 9] = [
    "migrate",
    "register",
    "login",
    "messages",
    "connect",
    "message",
    "disconnect",
    "refresh",
    "logout",
];

/// Where `cargo xtask build` has put the bootstraps, if it has.
pub fn directory() -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lambda");
    let all_there = FUNCTIONS.iter().all(|name| directory.join(name).join("bootstrap").is_file());
    all_there.then_some(directory)
}

fn sample_event(function: &str) -> Value {
    let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let file = functions.join(function).join("events").join(format!("{function}.json"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

pub async fn every_bootstrap_answers_its_sample_event(world: World) {
    let posts = Posts::listen().await;
    let url = world.empty_database().await;
    let environment = [
        ("DATABASE_URL", url.as_str()),
        ("JWT_SECRET", SAMPLE_SECRET),
        ("BCRYPT_COST", "10"),
        ("CONNECTIONS_ENDPOINT", &posts.endpoint),
    ];
    let invoke = async |function: &str| {
        let bootstrap = directory().unwrap().join(function).join("bootstrap");
        let event = sample_event(function).to_string().into_bytes();
        runtime_api::invoke(&bootstrap, &environment, event).await.unwrap()
    };
    let body = |answer: &Value| -> Value {
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    };

    assert_eq!(invoke("migrate").await, json!({"steps_applied": 7}));
    assert_eq!(invoke("migrate").await, json!({"steps_applied": 0}));

    let registered = invoke("register").await;
    assert_eq!(registered["statusCode"], 201);
    assert_eq!(body(&registered), json!({"message": "Registration successful"}));
    assert_eq!(invoke("register").await["statusCode"], 409);

    let login = invoke("login").await;
    assert_eq!(login["statusCode"], 200);
    assert_eq!(body(&login)["token_type"], "Bearer");

    assert_eq!(invoke("messages").await["statusCode"], 401);
    open_sample_session(&url).await;
    let messages = invoke("messages").await;
    assert_eq!((&messages["statusCode"], body(&messages)), (&json!(200), json!([])));

    let connect = invoke("connect").await;
    assert_eq!(connect["statusCode"], 200);
    assert_eq!(connect["headers"], json!({"Sec-WebSocket-Protocol": "chat.v1"}));

    assert_eq!(invoke("message").await["statusCode"], 200);
    let stored = &body(&invoke("messages").await)[0];
    let (path, frame) = posts.take().pop().unwrap();
    assert_eq!(path, "POST /ws/@connections/QkT3rfHsDoECHlw%3D");
    let expected = json!({"type": "message", "id": 1, "username": "alice", "text": "Hello!",
                          "sent_at": stored["sent_at"], "client_id": "7f1c2b9a"});
    assert_eq!(serde_json::from_str::<Value>(&frame).unwrap(), expected);

    let refresh = invoke("refresh").await;
    assert_eq!(refresh["statusCode"], 200);
    assert_eq!(body(&refresh)["expires_in"], 900);

    assert_eq!(invoke("logout").await["statusCode"], 204);
    assert_eq!(posts.take().pop().unwrap().0, "DELETE /ws/@connections/QkT3rfHsDoECHlw%3D");
    assert_eq!(invoke("connect").await["statusCode"], 401);
    assert_eq!(invoke("disconnect").await["statusCode"], 200);
    world.drop_database(&url).await;
}

/// The session that the tokens in the sample events belong to.
async fn open_sample_session(url: &str) {
    let event = sample_event("refresh");
    let body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
    let token = body["refresh_token"].as_str().unwrap();
    let token_id: TokenId =
        serde_json::from_value(json!("6f1d2c0e-0000-4000-8000-000000000003")).unwrap();
    let store = shared::store::Store::open(url, 1).unwrap();
    store
        .insert_session(&NewSession {
            id: &session_of(token),
            username: &Username::parse("alice").unwrap(),
            token_id: &token_id,
            now: UnixMillis(1_795_428_900_000),
            expires_at: UnixMillis(4_102_444_800_000),
        })
        .await
        .unwrap();
    store.close().await;
}

/// An `@connections` API that takes whatever is signed.
struct Posts {
    endpoint: String,
    taken: Arc<Mutex<Vec<(String, String)>>>,
}

impl Posts {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/ws", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let posts = Arc::clone(&taken);
        let take =
            async move |method: axum::http::Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let signature = headers["authorization"].to_str().unwrap();
                assert!(signature.contains("Credential=AKIDEXAMPLE/"), "{signature}");
                let frame = String::from_utf8(body.to_vec()).unwrap();
                posts.lock().unwrap().push((format!("{method} {uri}"), frame));
            };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
        Self { endpoint, taken }
    }

    fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.taken.lock().unwrap())
    }
}
