//! What was written: the search finds what it is for, and hears everything.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use clap::Parser;
use gateway::Credentials;
use local_dev::{cli::Cli, environment::EnvVars};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;
use shared::{
    account::{Password, Username},
    aws::{Access, Trust},
    clock::{Clock, UnixMillis},
    management::Management,
    password::{Hasher, Hashing},
    queue::Queue,
    session::TokenPair,
    settings::{Lookup, Settings},
    store::Store,
    token::{SessionId, TokenId, Tokens},
};

use crate::{
    Needs,
    support::{
        World,
        leaks::{self, Needles, Secret},
    },
};

crate::stories! {
    Needs::Nothing;
    what_is_refused_is_not_repeated;
    Needs::InProcess;
    every_form_of_a_secret_is_found,
    what_holds_a_secret_does_not_print_it,
    the_log_is_heard_at_every_level,
}

/// Secrets where none belong, and in what cannot be read.
async fn what_is_refused_is_not_repeated(world: World) {
    let alice = world.user("alice").await;
    let password = "tr0ub4dor \"&3\" ☃";
    leaks::remember(Secret::Password, password);
    let post = |path: &str| {
        let request = world.http.request(Method::POST, path);
        request.header("content-type", "application/json")
    };
    for path in ["/auth/register", "/auth/login"] {
        for body in [
            format!(r#"{{"username": "alice", "password": "{password}"#),
            json!({"username": "alice", "password": {password: 1}}).to_string(),
            json!({"username": ["alice"], "password": [password]}).to_string(),
        ] {
            let refused = world.http.send(post(path).body(body.clone())).await;
            assert!(refused.status.is_client_error(), "{path}: {body}");
        }
    }
    for (path, token) in [("/auth/refresh", &alice.access), ("/auth/logout", &alice.access)] {
        for body in [json!({"refresh_token": token}), json!({"refresh_token": [token]})] {
            let refused = world.http.post(path, &body).await;
            assert!(refused.status.is_client_error(), "{path}");
        }
    }
    let get = |path: String| world.http.request(Method::GET, &path);
    for request in [
        get(format!("/auth/messages?token={}", alice.access)),
        get(format!("/auth/messages?before={}", alice.access)).bearer_auth(&alice.access),
        get(format!("/auth/presence?after={}", alice.access)).bearer_auth(&alice.access),
        get("/auth/messages".to_owned())
            .header("authorization", format!("Basic {}", alice.refresh)),
        get(format!("/auth/{}", alice.refresh)),
        post(&format!("/auth/login?password={}", alice.refresh)),
    ] {
        assert!(world.http.send(request).await.status.is_client_error());
    }
    let offers = format!("bearer.{}", alice.access);
    assert_eq!(world.handshake("x").protocols(&offers).open().await.err().unwrap(), 400);

    let mut socket = world.connect(&alice).await;
    for frame in [
        format!(r#"{{"action": "send", "text": "{}"#, alice.refresh),
        json!({"action": alice.refresh, "text": "a text that nobody may log"}).to_string(),
        json!({"action": "send", "text": ["a text that nobody may log"], "client_id": "1"})
            .to_string(),
    ] {
        socket.send(frame).await;
        assert_eq!(socket.next_frame().await["type"], "error");
    }
    // Its frames reach a function that has nothing to store them for.
    world.revoke_silently(&alice).await;
    socket.say("a text that comes too late", "2").await;
    socket.closed().await;
    if world.compiled_functions().is_some() {
        let is_talkative =
            async || leaks::log_of_this_story("this process").contains(r#""level":"DEBUG""#);
        world.until("compiled functions are heard at every level", is_talkative).await;
    }
}

async fn every_form_of_a_secret_is_found(_world: World) {
    let secret = "tr0ub4dor \"&3\" ☃";
    let needles = Needles::new([(secret.to_owned(), Secret::Password)]);
    let body = json!({"password": secret}).to_string();
    let event = json!({"body": body}).to_string();
    let base64 = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
    for written in [
        format!("the password {secret} is wrong"),
        format!("{secret:?}"),
        body.clone(),
        event,
        base64(secret),
        base64(&body),
        base64(&format!(" {body}")),
        base64(&format!("  {body}")),
        "?p=tr0ub4dor%20%22%263%22%20%E2%98%83".to_owned(),
        "p=tr0ub4dor+%22%263%22+%E2%98%83".to_owned(),
    ] {
        assert_eq!(needles.find(&written), [Secret::Password], "{written}");
        assert!(needles.find(&needles.masked(&written)).is_empty(), "{written}");
    }
    let nothing_known = Needles::new([]);
    assert_eq!(nothing_known.find("Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"), [Secret::Token]);
    assert_eq!(nothing_known.find("$2b$12$abc"), [Secret::PasswordHash]);
    assert_eq!(nothing_known.find("nothing"), []);
}

/// What a panic or a log may print of a value.
struct Printed<'a, T>(&'a T);

/// A type without `Debug` prints nothing. Rust asks a type's own methods first, so this is for those that have none.
trait Unprinted {
    fn printed(&self) -> String {
        String::new()
    }
}

impl<T> Unprinted for Printed<'_, T> {}

impl<T: Debug> Printed<'_, T> {
    fn printed(&self) -> String {
        format!("{0:?} {0:#?}", self.0)
    }
}

async fn what_holds_a_secret_does_not_print_it(world: World) {
    const SECRET: &str = "a-secret-that-nobody-may-print-ever";

    let tokens =
        Tokens::new(&SECRET.into(), Duration::from_mins(1), Duration::from_mins(1)).unwrap();
    let alice = Username::parse("alice").unwrap();
    let (session, id) = (SessionId::random(), TokenId::random());
    let now = UnixMillis(1_795_428_943_377);
    let pair = TokenPair::sign(&tokens, &alice, &session, &id, now, now);
    let hash =
        Hasher::new(4, Hashing::default()).hash(&Password::parse(SECRET).unwrap()).await.unwrap();
    let lookup = Lookup::from_fn(|_| Some(SECRET.to_owned()));
    let database_url = format!("sqlite://{}/unused.db", world.directory().display());
    let settings = Lookup::from_fn(move |name| {
        Some(if name == "DATABASE_URL" { database_url.clone() } else { SECRET.to_owned() })
    });
    let credentials = Credentials {
        secret_access_key: SECRET.into(),
        session_token: Some(SECRET.into()),
        ..Credentials::default()
    };
    let access = || {
        let secret = || SECRET.to_owned();
        let own = aws_credential_types::Credentials::new;
        let credentials = own(secret(), secret(), Some(secret()), None, "test");
        Access::new(None, Some(credentials), Trust::Amazon)
    };
    let variables = || BTreeMap::from([("JWT_SECRET".to_owned(), SECRET.to_owned())]);
    let mut config = lambda::Config::new("Shop", "bootstrap");
    config.environment = variables().into_iter().collect();
    let invocation =
        lambda::Invocation { request_id: "1".to_owned(), event: SECRET.into(), trace_id: None };
    let options = template::Options { parameters: variables(), ..template::Options::default() };
    let database_url = format!("--database-url=postgres://chat:{SECRET}@localhost/chat");
    let parameter = format!("--parameter=JwtSecret={SECRET}");

    macro_rules! print {
        ($($value:expr),+ $(,)?) => { [$((stringify!($value), Printed(&$value).printed())),+] };
    }
    let printed = print![
        SecretString::from(SECRET),
        Store::open(&format!("postgres://chat:{SECRET}@localhost/chat"), 1).unwrap(),
        Password::parse(SECRET).unwrap(),
        Hasher::new(4, Hashing::default()),
        hash,
        tokens,
        pair,
        lookup,
        Settings::new(settings, Clock::system(), 1).unwrap(),
        credentials,
        Management::new(None, access(), 1),
        access(),
        Queue::new("http://queue".to_owned(), 1, None, access()),
        config,
        invocation,
        EnvVars::for_all(variables()),
        options,
        Cli::parse_from(["local-dev", &database_url]),
        Cli::parse_from(["local-dev", "--template=t", "--functions=f", &parameter]),
    ];
    let needles = Needles::new([(SECRET.to_owned(), Secret::Password)]);
    for (value, printed) in printed {
        assert!(needles.find(&printed).is_empty(), "{value} prints a secret");
    }
    assert_eq!(Printed(&SECRET).printed().matches(SECRET).count(), 2);
}

async fn the_log_is_heard_at_every_level(world: World) {
    world.user("alice").await;
    // The Lambda runtime traces whole events, so libraries must not be heard like that.
    tracing::trace!(target: "shared::store", "a whisper of ours");
    tracing::trace!(target: "lambda_runtime", "a whisper of a library");
    let log = leaks::log_of_this_story("this process");
    for part in [" INFO gateway::", "function=\"Login\"", "a whisper of ours"] {
        assert!(log.contains(part), "{part} is not in the log");
    }
    assert!(!log.contains("a whisper of a library"));
}
