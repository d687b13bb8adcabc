//! A day in a minute: connections come and go by API Gateway's own limits, many without a word.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use crate::{
    Needs,
    support::{
        World, bootstraps,
        process::Launch,
        room::{Room, User},
        socket::Socket,
    },
};

crate::stories! {
    Needs::FakeTime;
    a_day_leaves_nothing_behind,
}

/// How much faster time passes, for sockets and for the functions' clock.
const FACTOR: u32 = 1440;

const HOUR: Duration = Duration::from_micros(3_600_000_000 / FACTOR as u64);
const HOURS: u32 = 24;

/// Sockets that are open at a time.
const CLIENTS: usize = 16;

/// Rows of connections after a message: whoever is there, and whoever left since.
const ROWS_MAX: usize = 2 * CLIENTS;

/// What a program may gain from noon to midnight, in KiB: something for more posts at once than ever before that day, and
/// for each connection less than a socket costs that is not forgotten, which is 10.
const GROWTH_KIB_MAX: u64 = 2 * 1024;
const GROWTH_PER_CONNECTION_KIB_MAX: u64 = 3;

/// How long a slow machine may take for what must come about.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    is_over: AtomicBool,
    connections: AtomicUsize,
    dropped: AtomicUsize,
    /// How long the connections lived that the gateway has closed.
    closed_after: Mutex<Vec<Duration>>,
}

async fn a_day_leaves_nothing_behind(world: World) {
    let factor = FACTOR.to_string();
    let library = bootstraps::fake_time_library().expect("the suite has looked for it");
    let rate = format!("+0 x{FACTOR}");
    let settings = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME", &rate),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("ACCESS_TOKEN_TTL", "1000000"),
    ];
    // Half of the connections end without the function that forgets them.
    let options = ["--time-factor", &factor, "--no-throttle", "--fault", "drop-disconnect=0.5"];
    let process = Launch::of(&world).start(0, &settings, options).await;
    let (alice, bob) = (process.user("alice").await, process.user("bob").await);

    let seen = Seen::default();
    let mut rows = Vec::new();
    let mut memory = Vec::new();
    let mut connections = Vec::new();
    let day = async {
        let mut talker = None;
        for hour in 0..HOURS {
            let ends_at = Instant::now() + HOUR;
            // Three hours of silence, in which sockets idle; then three hours of talk.
            let is_talk = hour / 3 % 2 == 1;
            while Instant::now() < ends_at {
                if is_talk {
                    say_something(&process, &bob, &mut talker).await;
                }
                tokio::time::sleep(HOUR / 40).await;
            }
            if is_talk {
                rows.push(rows_after_talk(&world, &process, &bob, &mut talker).await);
            }
            memory.push(resident_kib(process.id()));
            connections.push(seen.connections.load(Ordering::Relaxed));
        }
        seen.is_over.store(true, Ordering::Relaxed);
    };
    let clients = (0..CLIENTS).map(|number| live(number, &process, &alice, &seen));
    tokio::join!(day, join_all(clients));
    let talk = process.pages(&bob).await.len();
    process.stop().await;

    let closed_after = seen.closed_after.into_inner().unwrap();
    let dropped = seen.dropped.into_inner();
    let (at_noon, at_midnight) = (connections[11], connections[23]);
    let (by_age, by_silence): (Vec<Duration>, Vec<Duration>) =
        closed_after.into_iter().partition(|age| *age >= HOUR * 19 / 10);
    let summary = format!(
        "{talk} messages, {at_midnight} connections: {dropped} dropped by their clients, {} closed for their age, {} for silence; \
         rows in the table {rows:?}; memory in KiB by the hour {memory:?}",
        by_age.len(),
        by_silence.len()
    );
    println!("{summary}");
    assert!(at_midnight - at_noon > 10 * CLIENTS, "{summary}");
    assert!(by_age.len() >= CLIENTS / 2 && by_silence.len() >= CLIENTS, "{summary}");
    assert!(rows.iter().all(|rows| *rows <= ROWS_MAX), "{summary}");
    let since_noon = u64::try_from(at_midnight - at_noon).unwrap();
    let growth_max = GROWTH_KIB_MAX + GROWTH_PER_CONNECTION_KIB_MAX * since_noon;
    assert!(memory[23] <= memory[11] + growth_max, "{summary}");
}

/// Opens a socket whenever it has none. Every third one ends without a word.
async fn live(number: usize, room: &Room, user: &User, seen: &Seen) {
    for count in number.. {
        if seen.is_over.load(Ordering::Relaxed) {
            return;
        }
        let mut socket = room.connect(user).await;
        let since = Instant::now();
        seen.connections.fetch_add(1, Ordering::Relaxed);
        if count % 3 == 0 {
            // After up to an hour, each at another time.
            let until = HOUR * u32::try_from(count % 7).unwrap() / 7;
            tokio::time::timeout(until, socket.closed()).await.ok();
            seen.dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        // Nobody else closes it, and nothing lives longer than two hours.
        assert_eq!(socket.closed().await.0, 1001);
        seen.closed_after.lock().unwrap().push(since.elapsed());
    }
}

/// Talk is heard on a socket that is opened anew whenever the gateway has closed it.
async fn say_something(room: &Room, user: &User, talker: &mut Option<Socket>) {
    let mut socket = match talker.take() {
        Some(socket) => socket,
        None => room.connect(user).await,
    };
    if socket.try_send(r#"{"action":"send","text":"hello"}"#.to_owned()).await
        && socket.try_next_text().await.is_some()
    {
        *talker = Some(socket);
    }
}

/// The rows of connections that messages leave, however many it takes on a slow machine.
async fn rows_after_talk(
    world: &World,
    room: &Room,
    user: &User,
    talker: &mut Option<Socket>,
) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        say_something(room, user, talker).await;
        let rows = world.connection_ids().await.len();
        if rows <= ROWS_MAX || Instant::now() > deadline {
            return rows;
        }
    }
}

/// What a process holds in memory.
fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
