//! The database away: cut off, silent, restarted.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use crate::{
    Needs,
    support::{World, http::Answer, proxy::Proxy, room::User, socket::Socket},
};

crate::stories! {
    Needs::Postgres;
    a_database_that_is_away_is_told_to_everyone_in_time,
    the_first_request_after_an_outage_succeeds,
    a_database_that_only_reads_is_away_for_writers,
    an_instance_has_one_connection;
    Needs::Sqlite;
    a_database_that_another_program_has_locked_is_told_in_time
}

/// The longest that anybody may wait for the bad news.
const NEWS_TIME_MAX: Duration = Duration::from_secs(3);

/// What every function is asked to do.
async fn ask_everything(world: &World, user: &User) -> Vec<(&'static str, Answer, Duration)> {
    let account = json!({"username": "carol", "password": World::PASSWORD});
    let login = json!({"username": "alice", "password": World::PASSWORD});
    let refresh = json!({"refresh_token": user.refresh});
    let http = &world.http;
    let (register, login, refresh, logout, messages, presence) = tokio::join!(
        timed("register", http.post("/auth/register", &account)),
        timed("login", http.post("/auth/login", &login)),
        timed("refresh", http.post("/auth/refresh", &refresh)),
        timed("logout", http.post("/auth/logout", &refresh)),
        timed("messages", http.get("/auth/messages", &user.access)),
        timed("presence", http.get("/auth/presence", &user.access)),
    );
    vec![register, login, refresh, logout, messages, presence]
}

async fn timed<T>(
    name: &'static str,
    answer: impl Future<Output = T>,
) -> (&'static str, T, Duration) {
    let asked = Instant::now();
    let answer = answer.await;
    (name, answer, asked.elapsed())
}

/// Every request is answered 503 and every send with a frame that says so, in time.
async fn all_hear_that_it_is_away(world: &World, other: &User, [socket, plain]: [&mut Socket; 2]) {
    let asked = Instant::now();
    socket.say("lost?", "lost").await;
    plain.send("lost?").await;
    let handshakes = async {
        let refused = world.handshake(&other.access).open().await.err().unwrap();
        assert_eq!(refused, 503);
        asked.elapsed()
    };
    let frames = async {
        let frame = socket.next_frame().await;
        assert_eq!((&frame["code"], &frame["client_id"]), (&json!("unavailable"), &json!("lost")));
        assert_eq!(frame["retry_after"], 1);
        let text = plain.next_text().await;
        assert_eq!(text, "system: The service is busy or restarting. Try again in a moment.");
        asked.elapsed()
    };
    let (answers, handshake, frame) =
        tokio::join!(ask_everything(world, other), handshakes, frames);
    for (name, answer, elapsed) in answers {
        assert_eq!(answer.status, 503, "{name}: {}", answer.body);
        assert_eq!(answer.body["type"], "urn:lambda-chat:problem:unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"), "{name}");
        assert!(elapsed < NEWS_TIME_MAX, "{name} took {elapsed:?}");
    }
    assert!(handshake < NEWS_TIME_MAX, "the handshake took {handshake:?}");
    assert!(frame < NEWS_TIME_MAX, "the frames took {frame:?}");
}

async fn a_database_that_is_away_is_told_to_everyone_in_time(mut world: World) {
    let proxy = Proxy::before(world.database_url()).await;
    world.restart_with("DATABASE_URL", proxy.url()).await;
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    let mut plain = world.connect_plain(&alice).await;
    // Instances are warm, two of them for two sends at once, so that their start isn't measured.
    // Somebody else asks: a logout that was on its way when the database fell silent may end the session after all.
    let bob = world.user("bob").await;
    Box::pin(ask_everything(&world, &bob)).await;
    socket.say("before", "before").await;
    plain.send("before").await;
    for _ in 0..2 {
        socket.next_frame().await;
        plain.next_text().await;
    }

    for (go_away, sent_again) in
        [(Proxy::stall as fn(&Proxy), "lost"), (Proxy::refuse, "lost once more")]
    {
        go_away(&proxy);
        Box::pin(all_hear_that_it_is_away(&world, &bob, [&mut socket, &mut plain])).await;
        proxy.forward();
        // The first try after that succeeds, with the same key.
        socket.say("lost?", sent_again).await;
        while socket.next_frame().await["client_id"] != sent_again {}
        while plain.next_text().await != "alice: lost?" {}
    }
    // What was on its way when the database fell silent may have got through in the end. Whoever sends it again with its
    // key has sent it once; a plain message has none.
    let history = world.history(&alice).await;
    for (key, times) in [("lost", 1..=1), ("lost once more", 1..=1), ("", 0..=2)] {
        let count = history.iter().filter(|message| {
            message["text"] == "lost?" && message["client_id"].as_str().unwrap_or_default() == key
        });
        assert!(times.contains(&count.count()), "{key}: {history:?}");
    }
}

async fn the_first_request_after_an_outage_succeeds(mut world: World) {
    let proxy = Proxy::before(world.database_url()).await;
    world.restart_with("DATABASE_URL", proxy.url()).await;
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    let mut plain = world.connect_plain(&alice).await;
    for farewell in [true, false] {
        let mut user = world.log_in("alice").await;
        // Each is the first that comes upon a dead connection, right after it was used and so still trusted.
        let die = async || {
            assert_eq!(world.http.get("/auth/messages", &alice.access).await.status, 200);
            if farewell {
                end_connections(&world).await;
            } else {
                proxy.cut();
            }
        };
        die().await;
        assert_eq!(world.http.get("/auth/messages", &user.access).await.status, 200);
        die().await;
        world.register(if farewell { "bob" } else { "carol" }).await;
        die().await;
        user = world.log_in(&user.username).await;
        die().await;
        let refresh = json!({"refresh_token": user.refresh});
        let answer = world.http.post("/auth/refresh", &refresh).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        die().await;
        assert_eq!(world.http.post("/auth/logout", &refresh).await.status, 204);
        die().await;
        let passing = world.connect(&alice).await;
        die().await;
        let rows = world.connection_ids().await.len();
        passing.close().await;
        world
            .until("the row is gone", async || world.connection_ids().await.len() == rows - 1)
            .await;
        die().await;
        socket.say("hello", &format!("{farewell}")).await;
        assert_eq!(socket.next_frame().await["type"], "message");
        assert_eq!(plain.next_text().await, "alice: hello");
        if farewell {
            // Without one, nobody can tell whether a plain message got through; its sender is told to try again.
            die().await;
            plain.send("hello").await;
            assert_eq!(plain.next_text().await, "alice: hello");
            socket.next_frame().await;
        }
    }
    assert_eq!(world.history(&alice).await.len(), 3);
}

/// After a failover the old writer is a reader for a while.
async fn a_database_that_only_reads_is_away_for_writers(world: World) {
    let alice = world.user("alice").await;
    let name =
        url::Url::parse(world.database_url()).unwrap().path().trim_start_matches('/').to_owned();
    let become_a = async |kind: &str| {
        let mut admin = PgConnection::connect(world.database_url()).await.unwrap();
        let sql = format!("alter database {name} set default_transaction_read_only = {kind}");
        admin.execute("set default_transaction_read_only = off").await.unwrap();
        admin.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        end_connections(&world).await;
    };
    become_a("on").await;
    let account = json!({"username": "bob", "password": World::PASSWORD});
    let refused = world.http.post("/auth/register", &account).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(world.http.get("/auth/messages", &alice.access).await.status, 200);
    become_a("off").await;
    world.register("bob").await;
}

/// Ends all connections to the world's database, as its server does when it stops.
async fn end_connections(world: &World) {
    let mut admin = PgConnection::connect(world.database_url()).await.unwrap();
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()";
    admin.execute(sql).await.unwrap();
}

async fn an_instance_has_one_connection(mut world: World) {
    let proxy = Proxy::before(world.database_url()).await;
    world.restart_with("DATABASE_URL", proxy.url()).await;
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    for number in 0..20 {
        socket.say("hello", &number.to_string()).await;
        socket.next_frame().await;
        world.http.get("/auth/messages", &alice.access).await;
    }
    // One thing at a time was asked of five functions. Linked in, they share their connections.
    let most = if world.compiled_functions().is_some() { 5 } else { 1 };
    assert_eq!(proxy.connections(), most);
}

async fn a_database_that_another_program_has_locked_is_told_in_time(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    let mut other = SqliteConnection::connect(world.database_url()).await.unwrap();
    let transaction = other.begin_with("begin immediate").await.unwrap();
    let asked = Instant::now();
    for number in 0..5 {
        socket.say("lost?", &number.to_string()).await;
    }
    for _ in 0..5 {
        assert_eq!(socket.next_frame().await["code"], "unavailable");
    }
    assert!(asked.elapsed() < NEWS_TIME_MAX, "it took {:?}", asked.elapsed());
    // Readers don't mind.
    assert_eq!(world.http.get("/auth/messages", &alice.access).await.status, 200);
    transaction.rollback().await.unwrap();
    socket.say("found", "found").await;
    let mut frame = socket.next_frame().await;
    // A writer that was at the lock when its time was over may have got it after all.
    while frame["client_id"] != "found" {
        frame = socket.next_frame().await;
    }
    let stored = world.history(&alice).await;
    assert!((1..=2).contains(&stored.len()), "{stored:?}");
}
