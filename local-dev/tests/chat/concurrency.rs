//! Several programs on one database, all at once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    Needs,
    support::{World, process::Process, socket::Socket},
};

crate::stories! {
    Needs::Nothing;
    processes_append_side_by_side_without_gaps,
    one_client_id_at_the_same_instant_is_one_message,
    refreshes_at_once_through_two_processes_get_the_same_successor,
    of_two_registrations_at_once_in_two_processes_one_wins,
}

/// A process is told that the connections of another one are gone, and forgets them when they are as old as this.
const CONNECTIONS_ARE_KEPT: Duration = Duration::from_secs(30);

/// So many processes on the world's database.
async fn processes(world: &World, number: usize) -> Vec<Process> {
    join_all((0..number).map(|_| Process::start(world, &[]))).await
}

async fn stop(processes: Vec<Process>) {
    join_all(processes.into_iter().map(Process::stop)).await;
}

async fn processes_append_side_by_side_without_gaps(world: World) {
    const ROUNDS: usize = 3;
    const MESSAGES: usize = 8;

    let processes = processes(&world, 3).await;
    let mut users = Vec::new();
    for (name, process) in ["alice", "bob", "carol"].into_iter().zip(&processes) {
        users.push(process.user(name).await);
    }
    let mut acknowledged: BTreeMap<String, Value> = BTreeMap::new();
    for round in 0..ROUNDS {
        let began = Instant::now();
        // Everybody in every process, and one of them twice.
        let people = || users.iter().chain(&users[..1]);
        let everywhere =
            processes.iter().flat_map(|process| people().map(move |user| process.connect(user)));
        let sockets = join_all(everywhere).await;
        let senders = sockets.into_iter().enumerate().map(async |(sender, mut socket)| {
            let mut acknowledged = Vec::new();
            for number in 0..MESSAGES {
                let key = format!("{round} {sender} {number}");
                socket.say(&format!("message {key}"), &key).await;
                acknowledged.push(shown(&mut socket, &key).await);
            }
            socket.close().await;
            acknowledged
        });
        for frame in join_all(senders).await.into_iter().flatten() {
            let key = frame["client_id"].as_str().unwrap().to_owned();
            assert_eq!(acknowledged.insert(key, frame), None);
        }
        assert!(began.elapsed() < CONNECTIONS_ARE_KEPT, "it took {:?}", began.elapsed());
    }

    let stored = processes[0].pages(&users[0]).await;
    let ids: Vec<i64> = stored.iter().map(|message| message["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=i64::try_from(ROUNDS * 12 * MESSAGES).unwrap()).collect::<Vec<_>>());
    assert_eq!(stored.len(), acknowledged.len());
    for message in &stored {
        let mut shown = acknowledged.remove(message["client_id"].as_str().unwrap()).unwrap();
        shown.as_object_mut().unwrap().remove("type");
        assert_eq!(*message, shown);
    }
    stop(processes).await;
    assert_eq!(deadlocks(world.database_url()).await, 0);
}

/// How often the database had to end a transaction because two waited for each other. What processes have seen of it is
/// known when they have ended.
async fn deadlocks(url: &str) -> i64 {
    // SQLite has one writer.
    if url.starts_with("sqlite") {
        return 0;
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("select deadlocks from pg_stat_database where datname = current_database()")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

async fn one_client_id_at_the_same_instant_is_one_message(world: World) {
    const ROUNDS: usize = 30;

    let processes = processes(&world, 2).await;
    let alice = processes[0].user("alice").await;
    let began = Instant::now();
    // Two in one process, one in another.
    let mut sockets = [
        processes[0].connect(&alice).await,
        processes[0].connect(&alice).await,
        processes[1].connect(&alice).await,
    ];
    for round in 1..=ROUNDS {
        let key = format!("key {round}");
        join_all(sockets.iter_mut().map(|socket| socket.say("the same", &key))).await;
        let shown = join_all(sockets.iter_mut().map(|socket| shown(socket, &key))).await;
        for frame in &shown {
            assert_eq!(frame["id"], round, "{shown:?}");
        }
    }
    assert!(began.elapsed() < CONNECTIONS_ARE_KEPT, "it took {:?}", began.elapsed());
    assert_eq!(processes[1].pages(&alice).await.len(), ROUNDS);
    stop(processes).await;
}

/// What a socket is shown of the message with this key; what it is shown again of others is passed over.
async fn shown(socket: &mut Socket, key: &str) -> Value {
    loop {
        let frame = socket.next_frame().await;
        assert_eq!(frame["type"], "message", "{frame}");
        if frame["client_id"] == key {
            return frame;
        }
    }
}

async fn refreshes_at_once_through_two_processes_get_the_same_successor(world: World) {
    let processes = processes(&world, 2).await;
    let alice = processes[0].user("alice").await;
    let mut current = alice.refresh;
    for times in [2, 2, 2, 2, 8, 8] {
        let body = json!({"refresh_token": current});
        let through = processes.iter().cycle().take(times);
        let answers =
            join_all(through.map(|process| process.http.post("/auth/refresh", &body))).await;
        let successor = answers[0].body["refresh_token"].clone();
        for answer in &answers {
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.body["refresh_token"], successor);
            let access = answer.body["access_token"].as_str().unwrap();
            assert_eq!(processes[1].http.get("/auth/messages", access).await.status, 200);
        }
        assert_ne!(successor, current.as_str());
        current = successor.as_str().unwrap().to_owned();
    }
    stop(processes).await;
}

async fn of_two_registrations_at_once_in_two_processes_one_wins(world: World) {
    let processes = processes(&world, 2).await;
    let passwords = ["the first password", "the second password"];
    let account =
        |username: &str, password: &str| json!({"username": username, "password": password});
    for username in ["alice", "bob", "carol", "dave", "erin"] {
        let registrations = processes.iter().zip(passwords).map(async |(process, password)| {
            let account = account(username, password);
            process.http.post("/auth/register", &account).await.status.as_u16()
        });
        let statuses = join_all(registrations).await;
        assert!(statuses == [201, 409] || statuses == [409, 201], "{statuses:?}");
        for (status, password) in statuses.into_iter().zip(passwords) {
            let login = processes[0].http.post("/auth/login", &account(username, password)).await;
            assert_eq!(login.status, if status == 201 { 200 } else { 401 });
        }
    }
    stop(processes).await;
}
