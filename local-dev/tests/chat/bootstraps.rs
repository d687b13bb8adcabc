//! The functions as they run on Lambda: each compiled bootstrap with its sample event.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use lambda::{Account, Config, Entry, Function, Invocation, InvokeError, Record, Stream};
use serde_json::{Value, json};
use shared::{account::Username, clock::UnixMillis, store::NewSession, token::TokenId};

use crate::{
    Needs, deployments,
    storage::STEPS,
    support::{
        World,
        bootstraps::{bootstrap, directory},
        callbacks::Callbacks,
        connections::{FakeConnections, Taken},
        dsql::{Dsql, SECRET_KEY},
        leaks::{self, Written},
        process::Launch,
        proxy::Proxy,
        role_arns_by_name, session_of,
    },
};

crate::stories! {
    Needs::Bootstraps;
    every_bootstrap_answers_its_sample_event,
    message_posts_over_tls_to_where_its_event_came_from,
    an_instance_opens_one_connection_to_the_database,
    migrate_makes_roles_on_dsql_and_answers_cloudformation_over_tls,
    the_deployed_template_is_served_unchanged,
    statements_are_shown_and_not_logged,
}

/// The secret that the tokens in the sample events are signed with.
const SAMPLE_SECRET: &str = "sample-secret-of-the-sample-events";

/// What there is of an event in the function's folder.
pub fn sample_event(function: &str) -> Value {
    let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let file = functions.join(function).join("events").join(format!("{function}.json"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

async fn every_bootstrap_answers_its_sample_event(world: World) {
    let posts = FakeConnections::listen().await;
    let url = world.empty_database().await;
    let lambda = Lambda {
        directory: directory().unwrap(),
        environment: variables([
            ("DATABASE_URL", &url),
            ("JWT_SECRET", SAMPLE_SECRET),
            ("BCRYPT_COST", "10"),
            ("CONNECTIONS_ENDPOINT", &posts.endpoint),
            ("LOG", "trace"),
        ]),
    };
    let body = |answer: &Value| -> Value {
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    };

    assert_eq!(lambda.invoke("migrate").await, json!({"steps_applied": STEPS}));
    assert_eq!(lambda.invoke("migrate").await, json!({"steps_applied": 0}));

    let registered = lambda.invoke("register").await;
    assert_eq!(registered["statusCode"], 201);
    assert_eq!(body(&registered), json!({"message": "Registration successful"}));
    assert_eq!(lambda.invoke("register").await["statusCode"], 409);

    let login = lambda.invoke("login").await;
    assert_eq!(login["statusCode"], 200);
    assert_eq!(body(&login)["token_type"], "Bearer");

    assert_eq!(lambda.invoke("messages").await["statusCode"], 401);
    open_sample_session(&url).await;
    let messages = lambda.invoke("messages").await;
    assert_eq!((&messages["statusCode"], body(&messages)), (&json!(200), json!([])));

    let connect = lambda.invoke("connect").await;
    assert_eq!(connect["statusCode"], 200);
    assert_eq!(connect["headers"], json!({"Sec-WebSocket-Protocol": "chat.v1"}));

    assert_eq!(lambda.invoke("message").await["statusCode"], 200);
    let stored = &body(&lambda.invoke("messages").await)[0];
    assert_shows(&posts.take(), stored);
    // The sample's shard is all there are but another sender.
    assert_eq!(lambda.invoke("broadcast").await, json!({"batchItemFailures": []}));
    assert_shows(&posts.take(), stored);

    let presence = lambda.invoke("presence").await;
    assert_eq!(body(&presence), json!({"count": 1, "users": ["alice"]}));

    let refresh = lambda.invoke("refresh").await;
    assert_eq!(refresh["statusCode"], 200);
    assert_eq!(body(&refresh)["expires_in"], 900);

    assert_eq!(lambda.invoke("logout").await["statusCode"], 204);
    assert_eq!(posts.take()[0].what, "DELETE /ws/@connections/QkT3rfHsDoECHlw%3D");
    assert_eq!(lambda.invoke("connect").await["statusCode"], 401);
    assert_eq!(lambda.invoke("disconnect").await["statusCode"], 200);
    world.drop_database(&url).await;
}

/// As in the cloud, where nothing but the event says where to post to, and that is behind TLS.
async fn message_posts_over_tls_to_where_its_event_came_from(world: World) {
    let posts = FakeConnections::listen_with_tls().await;
    let certificate = posts.certificate.as_ref().unwrap().path().to_str().unwrap();
    let alice = world.user("alice").await;
    world.insert_connection(&alice, "QkT3rfHsDoECHlw=").await;
    let lambda = Lambda {
        directory: directory().unwrap(),
        environment: variables([
            ("DATABASE_URL", world.database_url()),
            ("SSL_CERT_FILE", certificate),
        ]),
    };
    let mut event = sample_event("message");
    let host = posts.endpoint.trim_start_matches("https://").trim_end_matches("/ws");
    event["requestContext"]["domainName"] = json!(host);
    assert_eq!(lambda.invoke_with("message", &event).await["statusCode"], 200);
    assert_shows(&posts.take(), &world.history(&alice).await[0]);
}

/// It opens it beside the first event's reading, whatever becomes of that event.
async fn an_instance_opens_one_connection_to_the_database(world: World) {
    let posts = FakeConnections::listen().await;
    let alice = world.user("alice").await;
    world.insert_connection(&alice, "QkT3rfHsDoECHlw=").await;
    for (function, answers) in [("message", 200), ("connect", 401)] {
        let proxy = Proxy::before(world.database_url()).await;
        let lambda = Lambda {
            directory: directory().unwrap(),
            environment: variables([
                ("DATABASE_URL", proxy.url()),
                ("JWT_SECRET", SAMPLE_SECRET),
                ("CONNECTIONS_ENDPOINT", &posts.endpoint),
            ]),
        };
        let event = sample_event(function);
        let handled = lambda.run(function, &[(&event, None), (&event, None)]).await;
        for answer in handled.results {
            let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
            assert_eq!(answer["statusCode"], answers, "{function}");
        }
        assert_eq!(proxy.opened(), 1, "{function}");
    }
}

async fn migrate_makes_roles_on_dsql_and_answers_cloudformation_over_tls(world: World) {
    let mut callbacks = Callbacks::listen_with_tls().await;
    let url = world.empty_database().await;
    let dsql = Dsql::before(&url).await;
    let certificate = callbacks.certificate.as_ref().unwrap().path().to_str().unwrap().to_owned();
    let lambda = Lambda {
        directory: directory().unwrap(),
        environment: variables([
            ("DATABASE_URL", &dsql.url("admin")),
            ("SSL_CERT_FILE", &certificate),
            ("LOG", "trace"),
        ]),
    };
    let status = lambda.invoke_with("migrate", &json!({"action": "status"})).await;
    assert_eq!((&status["steps_pending"], &status["database"]), (&json!(STEPS), &json!("dsql")));
    let arns = role_arns_by_name("chat");
    let event = deployments::request("Create", &callbacks, Some(&arns));
    lambda.invoke_with("migrate", &event).await;
    let data = json!({"steps_applied": STEPS});
    assert_eq!(callbacks.take(), deployments::success(&data));
    let mappings = arns.into_iter().map(|(role, arn)| (role, vec![arn])).collect();
    assert_eq!(dsql.mappings().await, mappings);
    assert_eq!(dsql.take_refused(), Vec::<String>::new());
    world.drop_database(&url).await;
}

/// As anybody else's: local-dev knows nothing of the chat then, and the settings come from its environment.
async fn the_deployed_template_is_served_unchanged(world: World) {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
    let options = ["--template", template.to_str().unwrap()];
    let mut launch = Launch::of(&world);
    launch.functions = directory();
    let process = launch.start(0, &[], options).await;
    let alice = process.user("alice").await;
    let bob = process.user("bob").await;
    let mut speaker = process.connect(&alice).await;
    let mut listener = process.connect_plain(&bob).await;
    speaker.say("Hello!", "1").await;
    assert_eq!(listener.next_text().await, "alice: Hello!");
    assert_eq!(speaker.next_frame().await["id"], 1);
    assert_eq!(process.history(&bob).await[0]["text"], "Hello!");
    process.stop().await;
}

async fn statements_are_shown_and_not_logged(world: World) {
    let shown = shown_of_a_message(&world, "info").await;
    let steps = shown["step_list"].as_array().unwrap();
    let of_kind = |kind: &str| -> Vec<&str> {
        let steps = steps.iter().filter(|step| step["kind"] == kind);
        steps.map(|step| step["label"].as_str().unwrap()).collect()
    };
    assert!(of_kind("sql").iter().any(|label| label.contains("message_sequence")), "{shown}");
    assert_eq!(of_kind("post").len(), 1, "{shown}");
    assert!(!shown["log"].to_string().contains("sqlx"), "{shown}");
    let logged = leaks::log_of_this_story("local-dev");
    assert!(logged.contains("REPORT") && !logged.contains("sqlx::query"), "{logged}");

    // Who wants no log wants no work done for it either.
    let shown = shown_of_a_message(&world, "warn").await;
    let kinds = shown["step_list"].as_array().unwrap().iter().map(|step| &step["kind"]);
    assert!(kinds.clone().any(|kind| kind == "post"), "{shown}");
    assert!(!kinds.into_iter().any(|kind| kind == "sql"), "{shown}");
}

/// What the inspector shows of a message by a local-dev that has this for `LOG`.
async fn shown_of_a_message(world: &World, log: &'static str) -> Value {
    let mut launch = Launch::of(world).saying(log);
    launch.functions = directory();
    let process = launch.start(0, &[], []).await;
    let mut socket = process.connect(&process.user(&format!("alice_{log}")).await).await;
    socket.say("Hello!", "1").await;
    socket.next_frame().await;
    let inspect = async |path: &str| -> Value {
        let url = format!("{}/_local/invocations{path}", process.base_url());
        reqwest::get(url).await.unwrap().json().await.unwrap()
    };
    let newest = inspect("?function=Message&limit=1").await;
    let path = format!("/{}", newest[0]["id"].as_str().unwrap());
    world
        .until("the function has said how it went", async || {
            inspect(&path).await["log"].to_string().contains("REPORT")
        })
        .await;
    let shown = inspect(&path).await;
    process.stop().await;
    shown
}

/// Environment variables, as a configuration takes them.
pub fn variables<const N: usize>(variables: [(&str, &str); N]) -> Vec<(String, String)> {
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// The one post is that of the sample message, as it is stored.
fn assert_shows(posts: &[Taken], stored: &Value) {
    let [Taken { what, frame }] = posts else { panic!("one post was due: {posts:?}") };
    assert_eq!(what, "POST /ws/@connections/QkT3rfHsDoECHlw%3D");
    let expected = json!({"type": "message", "id": 1, "username": "alice", "text": "Hello!",
                          "sent_at": stored["sent_at"], "client_id": "7f1c2b9a"});
    assert_eq!(serde_json::from_str::<Value>(frame).unwrap(), expected);
}

/// Lambda, with the same variables for all functions.
pub struct Lambda {
    pub directory: PathBuf,
    pub environment: Vec<(String, String)>,
}

/// What became of events that one instance had one after the other.
pub struct Handled {
    results: Vec<Result<Bytes, InvokeError>>,
    /// What it wrote to standard output and to standard error.
    pub stdout: String,
    pub stderr: String,
}

impl Lambda {
    /// Invokes a function with its sample event.
    async fn invoke(&self, function: &str) -> Value {
        self.invoke_with(function, &sample_event(function)).await
    }

    /// Invokes a function and checks that its log keeps the event's secrets.
    pub async fn invoke_with(&self, function: &str, event: &Value) -> Value {
        let Handled { results, stdout, stderr } = self.run(function, &[(event, None)]).await;
        for secret in ["correct horse battery staple", SAMPLE_SECRET, "eyJ0eXAi", "Hello!", "$2b$"]
        {
            for log in [&stdout, &stderr] {
                assert!(!log.contains(secret), "{function} logged {secret}: {log}");
            }
        }
        serde_json::from_slice(results[0].as_ref().unwrap()).unwrap()
    }

    /// Has a fresh instance handle events, each with X-Ray's header if there is one. Their ids end with their numbers.
    pub async fn run(&self, name: &str, events: &[(&Value, Option<&str>)]) -> Handled {
        let mut config = Config::new(name, bootstrap(&self.directory, name));
        let credentials = [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_SESSION_TOKEN", "an example"),
        ];
        let credentials = credentials.map(|(name, value)| (name.to_owned(), value.to_owned()));
        config.environment = credentials.into_iter().chain(self.environment.clone()).collect();
        config.timeout = Duration::from_secs(30);
        let log: Arc<Mutex<[String; 2]>> = Arc::default();
        let written = Arc::clone(&log);
        let sink = Arc::new(move |record: &Record<'_>| {
            if let Entry::Line { text, stream } = record.entry {
                let [stdout, stderr] = &mut *written.lock().unwrap();
                let stream = if stream == Stream::Stdout { stdout } else { stderr };
                stream.extend([text, "\n"]);
            }
        });
        let function = Function::new(config, Account::default(), sink).unwrap();
        let mut results = Vec::new();
        for (number, (event, trace_id)) in events.iter().enumerate() {
            let request_id = format!("8476a536-e9f4-11e8-9739-{number:012}");
            let trace_id = trace_id.map(str::to_owned);
            let event = event.to_string().into();
            let invocation = Invocation { request_id, event, trace_id };
            results.push(function.invoke(invocation).await.result);
        }
        // The log is complete when the instance has ended.
        function.shutdown().await;
        let [stdout, stderr] = log.lock().unwrap().clone();
        leaks::keep("bootstraps", Written::Log, &format!("{stdout}{stderr}"));
        Handled { results, stdout, stderr }
    }
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
