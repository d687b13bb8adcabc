//! local-dev as a process: killed, stopped, misconfigured.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    Needs,
    support::{
        World,
        http::Client,
        leaks::{self, Secret},
        process::{Process, run_to_end},
    },
};

crate::stories! {
    Needs::Nothing;
    messages_survive_kill_9,
    sigterm_closes_sockets_and_ends_in_time,
    bad_settings_stop_the_program_with_one_line,
    a_database_that_is_away_stops_the_program_with_one_line;
    Needs::InProcess;
    the_secret_is_kept_beside_the_database;
    Needs::Postgres;
    a_server_that_refuses_stops_the_program_with_the_remedy
}

async fn messages_survive_kill_9(world: World) {
    let mut process = Process::start(&world, &[]).await;
    let alice = process.user("alice").await;
    let bob = process.user("bob").await;
    let mut shown: BTreeMap<i64, Value> = BTreeMap::new();
    let mut sent = 0;
    for round in 0..3 {
        let mut reader = process.connect(&bob).await;
        let mut senders = [process.connect(&alice).await, process.connect(&alice).await];
        // A stream of messages, cut off when enough of them have been seen.
        let enough = shown.len() + 25 + round * 10;
        while shown.len() < enough {
            for sender in &mut senders {
                sent += 1;
                let frame = json!({"action": "send", "text": format!("message {sent}"), "client_id": sent.to_string()});
                sender.try_send(frame.to_string()).await;
            }
            let frame: Value = serde_json::from_str(&reader.next_text().await).unwrap();
            shown.insert(frame["id"].as_i64().unwrap(), frame);
        }
        process.kill_9().await;
        while let Some(frame) = reader.try_next_text().await {
            let frame: Value = serde_json::from_str(&frame).unwrap();
            shown.insert(frame["id"].as_i64().unwrap(), frame);
        }
        process = Process::start(&world, &[]).await;

        // The tokens of before still work, ids have no gap, and what was shown is stored.
        let stored = process.pages(&alice).await;
        let ids: Vec<i64> = stored.iter().map(|message| message["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, (1..=i64::try_from(ids.len()).unwrap()).collect::<Vec<_>>());
        for (id, frame) in &shown {
            let message = &stored[usize::try_from(id - 1).unwrap()];
            assert_eq!(message["text"], frame["text"]);
            assert_eq!(message["username"], "alice");
        }
    }
    process.stop().await;
}

async fn sigterm_closes_sockets_and_ends_in_time(world: World) {
    let process = Process::start(&world, &[]).await;
    let alice = process.user("alice").await;
    let mut sockets = [process.connect(&alice).await, process.connect(&alice).await];
    assert_eq!(world.connection_ids().await.len(), 2);
    let asked = Instant::now();
    process.terminate();
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, (1001, "Going away".to_owned()));
    }
    let status = process.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    // $disconnect ran for each.
    assert_eq!(world.connection_ids().await, Vec::<String>::new());
}

async fn the_secret_is_kept_beside_the_database(world: World) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("chat.db").display());
    let without_secret = [("DATABASE_URL", url.as_str()), ("JWT_SECRET", "")];
    let process = Process::start(&world, &without_secret).await;
    let alice = process.user("alice").await;
    process.stop().await;

    let secrets: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".jwt-secret"))
        .collect();
    assert_eq!(secrets.len(), 1);
    leaks::remember(Secret::SigningKey, &std::fs::read_to_string(&secrets[0]).unwrap());
    assert_eq!(std::fs::metadata(&secrets[0]).unwrap().permissions().mode() & 0o777, 0o600);

    let process = Process::start(&world, &without_secret).await;
    let page = Client::new(process.base_url()).get("/auth/messages", &alice.access).await;
    assert_eq!(page.status, 200);
    process.stop().await;
}

async fn bad_settings_stop_the_program_with_one_line(world: World) {
    for (name, value, says) in [
        (
            "DATABASE_URL",
            "mysql://root:hunter2@db/chat",
            "DATABASE_URL: must start with sqlite://, postgres:// or dsql://",
        ),
        ("JWT_SECRET", "hunter2", "JWT_SECRET: secret 1 of 1 is 7 bytes long"),
        ("BCRYPT_COST", "99", "BCRYPT_COST: \"99\" is not allowed"),
        ("ACCESS_TOKEN_TTL", "15 minutes", "ACCESS_TOKEN_TTL: \"15 minutes\" is not allowed"),
        ("REFRESH_TOKEN_TTL", "0", "REFRESH_TOKEN_TTL: \"0\" is not allowed"),
        ("ALLOWED_ORIGINS", "*", "ALLOWED_ORIGINS: \"*\" is not an origin"),
        ("MESSAGE_RATE_LIMIT", "many", "MESSAGE_RATE_LIMIT: \"many\" is not allowed"),
        (
            "PRESENCE_LIMIT",
            "1001",
            "PRESENCE_LIMIT: \"1001\" is not allowed, it takes a whole number from 1 to 1000, or the word off",
        ),
        ("PRESENCE_LIMIT", "0", "PRESENCE_LIMIT: \"0\" is not allowed"),
        ("BROADCAST_CONCURRENCY", "0", "BROADCAST_CONCURRENCY: \"0\" is not allowed"),
        (
            "BROADCAST_INLINE_LIMIT",
            "all",
            "BROADCAST_INLINE_LIMIT: \"all\" is not allowed, it takes a whole number from 1 to 10000",
        ),
        (
            "BROADCAST_QUEUE_URL",
            "queue",
            "BROADCAST_QUEUE_URL: \"queue\" is not the URL of a queue",
        ),
        ("AWS_ENDPOINT_URL_SQS", "sqs", "AWS_ENDPOINT_URL_SQS: \"sqs\" is not the URL of an SQS"),
        ("CONNECTIONS_ENDPOINT", "localhost", "CONNECTIONS_ENDPOINT: \"localhost\" is not"),
        ("LOG", "loud", "LOG: \"loud\" is not"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT: \"xml\" is not a log format"),
    ] {
        // Where queues are is only asked where one is named.
        let queue = ("BROADCAST_QUEUE_URL", "https://sqs.example.com/1/shards.fifo");
        let (status, stdout, stderr) = run_to_end(&world, &[queue, (name, value)]).await;
        assert_eq!(status.code(), Some(1), "{name}: {stderr}");
        assert_eq!(stdout, "", "{name}");
        assert!(stderr.contains(says), "{name}: {stderr}");
        assert_eq!(stderr.trim().lines().count(), 1, "{name}: {stderr}");
        assert!(stderr.contains(&format!("for example {name}=")), "{name}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{name}: {stderr}");
    }
}

async fn a_server_that_refuses_stops_the_program_with_the_remedy(world: World) {
    let url = url::Url::parse(world.database_url()).unwrap();
    let changed = |change: &dyn Fn(&mut url::Url)| {
        let mut url = url.clone();
        change(&mut url);
        url.to_string()
    };
    // A server's roles are those of all its databases.
    let role = format!("reader_{:016x}", rand::random::<u64>());
    let mut admin = PgConnection::connect(url.as_str()).await.unwrap();
    admin.execute(sqlx::AssertSqlSafe(format!("create role {role}"))).await.unwrap();
    for (url, problem, remedy) in [
        (
            changed(&|url| url.set_username("nobody_has_this_name").unwrap()),
            "the server does not let this user in",
            "check user and password in DATABASE_URL",
        ),
        (
            changed(&|url| url.set_path("no_such_database")),
            "the server has no database of that name",
            "make it, for example with createdb, or check the name in DATABASE_URL",
        ),
        (
            changed(&|url| {
                url.query_pairs_mut().append_pair("options[role]", &role);
            }),
            "the user may not make tables there",
            "have the database's owner run: grant create on schema public to USER",
        ),
    ] {
        let settings = [("DATABASE_URL", url.as_str()), ("BCRYPT_COST", "10"), ("LOG", "error")];
        let (status, stdout, stderr) = run_to_end(&world, &settings).await;
        assert_eq!((status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(
            stderr.starts_with("local-dev: the database cannot be used: PostgreSQL, "),
            "{stderr}"
        );
        assert!(stderr.ends_with(&format!(": {problem}; {remedy}\n")), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
    admin.execute(sqlx::AssertSqlSafe(format!("drop role {role}"))).await.unwrap();
}

async fn a_database_that_is_away_stops_the_program_with_one_line(world: World) {
    // Nobody listens on port 1.
    let url = "postgres://chat:hunter2@127.0.0.1:1/chat";
    let (status, stdout, stderr) =
        run_to_end(&world, &[("DATABASE_URL", url), ("BCRYPT_COST", "10")]).await;
    assert_eq!((status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
    let says = "local-dev: the database cannot be used: PostgreSQL, chat on 127.0.0.1:1: ";
    assert!(stderr.starts_with(says), "{stderr}");
    let remedy = "; start PostgreSQL there, or check host and port in DATABASE_URL";
    assert!(stderr.trim_end().ends_with(remedy), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}
