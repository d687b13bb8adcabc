//! What whoever operates the chat is told: logs that say which event, metrics, traces.

use std::{
    net::UdpSocket,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::LocalBoxFuture;
use local_dev::in_process::{handle_http, handle_websocket};
use serde_json::{Value, json};
use shared::{
    clock::Clock,
    invocation::Watch,
    lambda::{HttpFunction, WebSocketFunction},
    metrics::Namespace,
    settings::{Lookup, SettingError, Settings},
};
use tokio::net::TcpListener;

use crate::{
    Needs,
    bootstraps::{Handled, Lambda, sample_event, variables},
    support::{
        World,
        bootstraps::directory,
        connections::FakeConnections,
        emf::{self, Told},
        leaks,
        process::Process,
        sqs::Sqs,
    },
};

crate::stories! {
    Needs::InProcess;
    every_post_is_counted_by_what_became_of_it,
    a_silent_queue_costs_the_time_of_one_call,
    failed_logins_are_counted_and_hashes_timed,
    what_measures_nothing_tells_nothing,
    a_bad_namespace_is_explained,
    lines_of_local_dev_say_which_event;
    Needs::Queue;
    shards_left_to_the_queue_are_counted;
    Needs::Bootstraps;
    every_line_of_a_compiled_function_says_which_event,
    compiled_functions_tell_metrics_by_event,
    without_a_namespace_nothing_is_told,
    parts_of_sampled_events_go_to_x_ray,
    events_that_are_not_sampled_send_nothing,
}

const TRACE: &str = "1-5759e988-bd862e3fe1be46a994272793";

/// A function in this process, and what it tells.
struct Watched {
    watch: Watch,
    lines: Arc<Mutex<Vec<String>>>,
    settings: Settings,
}

impl Watched {
    /// Of a world, with more settings.
    fn of(world: &World, function: &'static str, more: &[(&str, &str)]) -> Self {
        let mut settings = world.settings().clone();
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let lookup = Lookup::from_fn(move |name| settings.get(name).cloned());
        let settings = Settings::new(lookup, world.clock.clock(), 1).unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let written = Arc::clone(&lines);
        let write = move |line: &str| written.lock().unwrap().push(line.to_owned());
        let namespace = Some(Namespace::parse("chat/tests").unwrap());
        let watch = Watch::new(function, world.clock.clock(), namespace, None, write);
        Self { watch, lines, settings }
    }

    /// Handles an event, and says what was told of it.
    fn told_of<'a, T: 'a>(
        &'a self,
        handling: impl Future<Output = T> + 'a,
    ) -> LocalBoxFuture<'a, (T, Option<Told>)> {
        let invocation = self.watch.begin("8476a536", None);
        Box::pin(invocation.scope(async move {
            let done = handling.await;
            self.watch.end();
            (done, self.told())
        }))
    }

    /// Has `message` handle what a connection says, and says what was told of it.
    async fn told_of_saying(&self, message: &message::Message, id: &str, text: &str) -> Told {
        let (answer, told) = self.told_of(handle_websocket(message, &says(id, text))).await;
        answer.unwrap();
        told.unwrap()
    }

    /// What was told of the latest event.
    fn told(&self) -> Option<Told> {
        let mut lines = self.lines.lock().unwrap();
        assert!(lines.len() <= 1, "one line for one event: {lines:?}");
        let told = emf::read(&lines.pop()?);
        assert_eq!(told.namespace, "chat/tests");
        assert_eq!(told.dimensions.keys().collect::<Vec<_>>(), ["Function"], "{}", told.line);
        assert_eq!(told.line["request_id"], "8476a536");
        Some(told)
    }
}

fn says(connection_id: &str, text: &str) -> Vec<u8> {
    let mut event = sample_event("message");
    event["requestContext"]["connectionId"] = connection_id.into();
    event["body"] = json!({"action": "send", "text": text, "client_id": text}).to_string().into();
    event.to_string().into_bytes()
}

async fn every_post_is_counted_by_what_became_of_it(world: World) {
    let posts = FakeConnections::listen().await;
    let alice = world.user("alice").await;
    for id in ["old 1", "old 2"] {
        world.insert_connection(&alice, id).await;
    }
    world.clock.advance(Duration::from_mins(131));
    let alice = world.log_in("alice").await;
    for id in ["fine", "gone", "fails", "hangs", "second", "third", "fourth"] {
        world.insert_connection(&alice, id).await;
    }
    world.clock.advance(Duration::from_mins(1));
    let watched = Watched::of(&world, "message", &[("CONNECTIONS_ENDPOINT", &posts.endpoint)]);
    let message = message::Message::new(&watched.settings).unwrap();
    let told = watched.told_of_saying(&message, "fine", "anybody?").await;
    assert_eq!(told.dimensions["Function"], "message");
    let counts = |told: &Told| {
        ["Deliveries", "Gone", "Failed", "ColdStarts", "Queued"].map(|name| told.count(name))
    };
    assert_eq!(counts(&told), [4, 3, 2, 1, 0], "{}", told.line);
    // The one that hangs was given up after three seconds.
    let fan_out = told.times["FanOutTime"];
    assert!((3000.0..10_000.0).contains(&fan_out), "{fan_out}");
    let store = told.times["StoreTime"];
    assert!(store > 0.0 && store < fan_out, "{store}");
    assert_eq!(told.times.len(), 2, "{}", told.line);
    assert_eq!(told.line["connection_id"], "fine");
    assert_eq!(told.line["api_request_id"], sample_event("message")["requestContext"]["requestId"]);
    assert_eq!(told.line["cold_start"], true);

    // The next event begins at nothing.
    let told = watched.told_of_saying(&message, "fine", "you?").await;
    assert_eq!(counts(&told), [4, 0, 2, 0, 0], "{}", told.line);
    assert_eq!(told.line["cold_start"], false);
}

async fn a_silent_queue_costs_the_time_of_one_call(world: World) {
    let posts = FakeConnections::listen().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let alice = world.user("alice").await;
    // Twenty calls, of which eight are made at once.
    for number in 0..201 {
        world.insert_connection(&alice, &format!("{number:03}")).await;
    }
    let settings = [
        ("CONNECTIONS_ENDPOINT", posts.endpoint.as_str()),
        ("AWS_ENDPOINT_URL_SQS", &endpoint),
        ("BROADCAST_QUEUE_URL", &format!("{endpoint}/123456789012/broadcasts.fifo")),
        ("BROADCAST_INLINE_LIMIT", "1"),
    ];
    let watched = Watched::of(&world, "message", &settings);
    let message = message::Message::new(&watched.settings).unwrap();
    let told = watched.told_of_saying(&message, "000", "everybody!").await;
    assert_eq!([told.count("Queued"), told.count("Deliveries")], [0, 201], "{}", told.line);
    // Two seconds and what the posts take, not three times as much.
    assert!((2000.0..5500.0).contains(&told.times["FanOutTime"]), "{}", told.line);
}

async fn failed_logins_are_counted_and_hashes_timed(world: World) {
    world.register("alice").await;
    let watched = Watched::of(&world, "login", &[]);
    let login = login::Login::new(&watched.settings).unwrap();
    let event = |username: &str, password: &str| {
        let mut event = sample_event("login");
        event["body"] = json!({"username": username, "password": password}).to_string().into();
        event.to_string().into_bytes()
    };
    let told_of = async |event: Vec<u8>| {
        let (answer, told) = watched.told_of(handle_http(&login, &event)).await;
        let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
        let told = told.unwrap();
        let counts = ["LoginFailures", "LoginsThrottled"].map(|name| told.count(name));
        (answer["statusCode"].as_u64().unwrap(), counts, told)
    };
    let (status, counts, told) = told_of(event("alice", World::PASSWORD)).await;
    assert_eq!((status, counts), (200, [0, 0]));
    // bcrypt of the lowest cost that is allowed anywhere takes a millisecond.
    assert!(told.times["HashTime"] > 0.1, "{}", told.line);
    assert_eq!(told.line["connection_id"], Value::Null);
    for (username, password) in [("alice", "wrong password"), ("nobody", "x"), ("No name!", "x")] {
        let (status, counts, told) = told_of(event(username, password)).await;
        assert_eq!((status, counts), (401, [1, 0]), "{username}");
        assert!(told.times["HashTime"] > 0.1, "{}", told.line);
    }
    for _ in 0..9 {
        told_of(event("alice", "wrong password")).await;
    }
    let (status, counts, told) = told_of(event("alice", World::PASSWORD)).await;
    assert_eq!((status, counts), (429, [0, 1]));
    assert!(!told.times.contains_key("HashTime"), "{}", told.line);
}

async fn shards_left_to_the_queue_are_counted(world: World) {
    let (sqs, posts) = (Sqs::start().await, FakeConnections::listen().await);
    let alice = world.user("alice").await;
    for number in 0..26 {
        world.insert_connection(&alice, &format!("{number:02}")).await;
    }
    let settings = sqs.settings(2);
    let mut settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("CONNECTIONS_ENDPOINT", &posts.endpoint));
    let watched = Watched::of(&world, "message", &settings);
    let message = message::Message::new(&watched.settings).unwrap();
    let told = watched.told_of_saying(&message, "00", "everybody!").await;
    assert_eq!([told.count("Queued"), told.count("Deliveries")], [13, 1], "{}", told.line);

    let watched = Watched::of(&world, "broadcast", &settings);
    let broadcast = broadcast::Broadcast::new(&watched.settings).unwrap();
    let mut delivered = 0;
    for event in sqs.events(13).await {
        let event = serde_json::from_value(event).unwrap();
        let (_, told) = watched.told_of(broadcast.handle(event)).await;
        let told = told.unwrap();
        assert_eq!(told.dimensions["Function"], "broadcast");
        delivered += told.count("Deliveries");
    }
    assert_eq!(delivered, 25);
}

async fn what_measures_nothing_tells_nothing(world: World) {
    let watched = Watched::of(&world, "connect", &[]);
    let connect = connect::Connect::new(&watched.settings).unwrap();
    let mut event = sample_event("connect");
    event["headers"] = json!({"Host": "x"});
    event["multiValueHeaders"] = json!({"Host": ["x"]});
    event["queryStringParameters"] = Value::Null;
    event["multiValueQueryStringParameters"] = Value::Null;
    let event = event.to_string();
    let refused = || handle_websocket(&connect, event.as_bytes());
    let (answer, told) = watched.told_of(refused()).await;
    assert!(String::from_utf8_lossy(&answer.unwrap()).contains("\"statusCode\":401"));
    assert_eq!(
        told.unwrap().counts.into_iter().collect::<Vec<_>>(),
        [("ColdStarts".to_owned(), 1)]
    );
    let (_, told) = watched.told_of(refused()).await;
    assert!(told.is_none(), "{told:?}");
}

async fn a_bad_namespace_is_explained(world: World) {
    let watch = |namespace: &'static str| -> Result<Watch, SettingError> {
        let url = world.database_url().to_owned();
        let lookup = Lookup::from_fn(move |name| match name {
            "DATABASE_URL" => Some(url.clone()),
            "METRICS_NAMESPACE" => Some(namespace.to_owned()),
            _ => None,
        });
        Settings::new(lookup, Clock::system(), 1).unwrap().watch("message")
    };
    assert!(watch("lambda-chat").is_ok());
    for (bad, why) in
        [("AWS/Lambda", "which is Amazon's"), ("my chat", "1 to 255 of the characters")]
    {
        let error = watch(bad).err().unwrap().to_string();
        let start = format!("METRICS_NAMESPACE: {bad:?} is not a CloudWatch namespace, ");
        assert!(error.starts_with(&start) && error.contains(why), "{error}");
        assert!(error.ends_with("for example METRICS_NAMESPACE=lambda-chat"), "{error}");
    }
}

/// The lines of a log in JSON that were written by `target`.
fn lines_of(log: &str, target: &str) -> Vec<Value> {
    // local-dev says first where it listens.
    let lines = log.lines().filter(|line| !line.starts_with("listening on "));
    let lines =
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")));
    lines.filter(|line: &Value| line["target"].as_str().unwrap().starts_with(target)).collect()
}

async fn lines_of_local_dev_say_which_event(world: World) {
    let posts = FakeConnections::listen().await;
    let settings = [("CONNECTIONS_ENDPOINT", posts.endpoint.as_str())];
    let process = Process::start(&world, &settings).await;
    let alice = process.user("alice").await;
    world.insert_connection(&alice, "fails").await;
    let mut socket = process.connect(&alice).await;
    socket.say("anybody?", "1").await;
    let failures = || lines_of(&leaks::log_of_this_story("local-dev"), "shared::management");
    world.until("the failure is logged", async || !failures().is_empty()).await;
    let failure = failures().remove(0);
    assert_eq!(failure["message"], "post failed");
    assert_eq!(failure["function"], "message");
    assert_eq!(failure["recipient"], "fails");
    assert!(failure["request_id"].as_str().is_some_and(|id| id.len() == 36), "{failure}");
    let ids = world.connection_ids().await;
    assert!(ids.iter().any(|id| failure["connection_id"] == **id), "{failure}");
    process.stop().await;
}

/// Three messages of the sample's connection, handled by one compiled instance; one connection's post fails. What is told
/// of the third may get lost: it is told after the answer, and then the instance ends.
async fn three_messages(
    world: &World,
    more: &[(&str, &str)],
    trace_header: Option<&str>,
) -> Handled {
    let posts = FakeConnections::listen().await;
    let alice = world.user("alice").await;
    world.insert_connection(&alice, "QkT3rfHsDoECHlw=").await;
    world.insert_connection(&alice, "fails").await;
    let mut environment = variables([
        ("DATABASE_URL", world.database_url()),
        ("CONNECTIONS_ENDPOINT", &posts.endpoint),
        ("LOG", "trace"),
    ]);
    environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let lambda = Lambda { directory: directory().unwrap(), environment };
    let event = sample_event("message");
    lambda.run("message", &[(&event, trace_header); 3]).await
}

async fn every_line_of_a_compiled_function_says_which_event(world: World) {
    let header = format!("Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=0");
    let handled = three_messages(&world, &[], Some(&header)).await;
    let lines = lines_of(&handled.stderr, "");
    for (number, cold_start) in [(0, true), (1, false)] {
        let request_id = format!("8476a536-e9f4-11e8-9739-{number:012}");
        let of_event: Vec<&Value> =
            lines.iter().filter(|line| line["request_id"] == *request_id).collect();
        let failures: Vec<_> =
            of_event.iter().filter(|line| line["message"] == "post failed").collect();
        assert_eq!(failures.len(), 1, "{}", handled.stderr);
        assert_eq!(failures[0]["recipient"], "fails");
        // What libraries say, too.
        assert!(of_event.iter().any(|line| line["target"] == "sqlx::query"), "{}", handled.stderr);
        for line in of_event {
            assert_eq!(line["function"], "message", "{line}");
            assert_eq!(line["cold_start"], cold_start, "{line}");
            assert_eq!(line["connection_id"], "QkT3rfHsDoECHlw=", "{line}");
            assert_eq!(line["api_request_id"], "QkT5xEIcDoEFo_A=", "{line}");
            assert_eq!(line["trace_id"], TRACE, "{line}");
        }
    }
    for line in &lines {
        assert!(line["request_id"].is_string(), "it belongs to no event: {line}");
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
}

async fn compiled_functions_tell_metrics_by_event(world: World) {
    let handled = three_messages(&world, &[("METRICS_NAMESPACE", "lambda-chat")], None).await;
    let told: Vec<Told> = handled.stdout.lines().map(emf::read).collect();
    assert!((2..=3).contains(&told.len()), "{}", handled.stdout);
    for (number, told) in told.iter().enumerate() {
        assert_eq!(told.namespace, "lambda-chat");
        assert_eq!(told.dimensions["Function"], "message");
        assert_eq!([told.count("Deliveries"), told.count("Failed")], [1, 1], "{}", told.line);
        assert_eq!(told.count("ColdStarts"), u64::from(number == 0));
        assert!(told.times["StoreTime"] > 0.0 && told.times["FanOutTime"] > 0.0, "{}", told.line);
        assert_eq!(told.line["request_id"], format!("8476a536-e9f4-11e8-9739-{number:012}"));
        assert_eq!(told.line["connection_id"], "QkT3rfHsDoECHlw=");
    }
}

async fn without_a_namespace_nothing_is_told(world: World) {
    let handled = three_messages(&world, &[], None).await;
    assert_eq!(handled.stdout, "");
    assert!(handled.stderr.contains("post failed"));
}

/// Where X-Ray's daemon would listen.
fn daemon() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

/// What has come already: whoever sent has ended.
fn datagrams(socket: &UdpSocket) -> Vec<String> {
    socket.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let received = std::iter::from_fn(|| {
        socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())
    });
    received.map(|datagram| String::from_utf8(datagram).unwrap()).collect()
}

async fn parts_of_sampled_events_go_to_x_ray(world: World) {
    let (socket, address) = daemon();
    let header = format!("Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:0");
    let before = f64::from(u32::try_from(Clock::system().now().as_secs()).unwrap());
    let handled =
        three_messages(&world, &[("AWS_XRAY_DAEMON_ADDRESS", &address)], Some(&header)).await;
    assert_eq!(handled.stdout, "", "there is no namespace");
    let datagrams = datagrams(&socket);
    let mut names = Vec::new();
    let mut ids = Vec::new();
    for datagram in &datagrams {
        let (head, document) = datagram.split_once('\n').unwrap();
        let head: Value = serde_json::from_str(head).unwrap();
        assert_eq!(head, json!({"format": "json", "version": 1}));
        let document: Value = serde_json::from_str(document).unwrap();
        assert_eq!(document["trace_id"], TRACE);
        assert_eq!(document["parent_id"], "53995c3f42cd8ad8");
        assert_eq!(document["type"], "subsegment");
        let id = document["id"].as_str().unwrap();
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        ids.push(id.to_owned());
        let [start, end] = ["start_time", "end_time"].map(|name| document[name].as_f64().unwrap());
        assert!(before <= start && start <= end && end < before + 180.0, "{document}");
        names.push(document["name"].as_str().unwrap().to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), datagrams.len());
    let number = |name: &str| names.iter().filter(|own| *own == name).count();
    assert!((2..=3).contains(&number("FanOutTime")), "{names:?}");
    // Storing it, and reading who is there, for each.
    assert!(number("StoreTime") >= 4, "{names:?}");
}

async fn events_that_are_not_sampled_send_nothing(world: World) {
    let (socket, address) = daemon();
    let header = format!("Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=0");
    let more = [("AWS_XRAY_DAEMON_ADDRESS", address.as_str())];
    three_messages(&world, &more, Some(&header)).await;
    assert_eq!(datagrams(&socket), Vec::<String>::new());
}
