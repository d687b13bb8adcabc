//! What happens, made from a seed.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Who does what, and what goes wrong.
#[derive(Debug)]
pub(super) struct Schedule {
    /// How many users there are.
    pub users: usize,
    pub clients: Vec<ClientPlan>,
    /// How much a user may say.
    pub message_rate: &'static str,
    /// What local-dev is told to do wrong, from its first start and from each start after a kill.
    pub faults: Vec<Vec<String>>,
    /// What goes wrong beside it, in order.
    pub disturbances: Vec<Trouble>,
}

/// When something goes wrong, and what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    /// Once so many operations have been done,
    pub operations: usize,
    /// and a moment later: in the middle of what the last one has set off.
    pub delay: Duration,
    pub what: Disturbance,
}

/// What one client does.
#[derive(Debug)]
pub(super) struct ClientPlan {
    /// Whose client it is.
    pub user: usize,
    pub speaks_chat_v1: bool,
    pub steps: Vec<Step>,
}

/// One operation of a client. Whatever needs a socket opens one if there is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Connect,
    Send,
    /// Sends one message on two connections at the same time, with the same `client_id`.
    SendTwice,
    /// Sends the message of so many sends ago again, with the same `client_id`.
    Retry(usize),
    /// Waits until the last message is seen, but not for long.
    AwaitEcho,
    /// Ends the connection without a close frame.
    Drop,
    Close,
    /// Fetches what it lacks.
    CatchUp,
    /// Reads some page of the history.
    Peek {
        limit: u8,
        share: f64,
    },
    Pause(Duration),
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Disturbance {
    /// local-dev is killed and started again.
    Kill,
    /// The database is stopped and started again; at once, it recovers from its log.
    RestartDatabase { at_once: bool },
    /// All connections to the database break.
    CutDatabase,
    /// The database does not answer for a while.
    StallDatabase(Duration),
    /// Another program holds the lock that writers need.
    LockDatabase(Duration),
}

impl Schedule {
    /// The schedule of `seed`.
    pub(super) fn generate(seed: u64, operations: usize, has_postgres: bool) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let users = random.random_range(2..=3);
        let count = random.random_range(3..=7);
        let mut clients: Vec<ClientPlan> = (0..count)
            .map(|_| ClientPlan {
                user: random.random_range(0..users),
                speaks_chat_v1: random.random_bool(0.75),
                steps: vec![Step::Connect],
            })
            .collect();
        for _ in count..operations {
            let client = random.random_range(0..count);
            clients[client].steps.push(step(&mut random));
        }
        let mut disturbances: Vec<Trouble> = (0..random.random_range(0..=4))
            .map(|_| Trouble {
                operations: random.random_range(0..operations),
                delay: Duration::from_micros(random.random_range(0..8000)),
                what: disturbance(&mut random, has_postgres),
            })
            .collect();
        disturbances.sort_unstable_by_key(|trouble| trouble.operations);
        let message_rate = if random.random_bool(0.2) { "5/1" } else { "1000/1" };
        let faults = (0..=disturbances.len()).map(|_| faults(&mut random)).collect();
        Self { users, clients, message_rate, faults, disturbances }
    }
}

fn step(random: &mut StdRng) -> Step {
    match random.random_range(0..100) {
        0..38 => Step::Send,
        38..44 => Step::SendTwice,
        44..54 => Step::Retry(random.random_range(1..=5)),
        54..62 => Step::AwaitEcho,
        62..68 => Step::Drop,
        68..72 => Step::Close,
        72..76 => Step::Connect,
        76..86 => Step::CatchUp,
        86..91 => {
            Step::Peek { limit: random.random_range(1..=200), share: random.random_range(0.0..1.0) }
        }
        _ => Step::Pause(Duration::from_millis(random.random_range(0..15))),
    }
}

fn disturbance(random: &mut StdRng, has_postgres: bool) -> Disturbance {
    let mut time = |range| Duration::from_millis(random.random_range(range));
    let (stall, lock) = (time(50..400), time(50..400));
    let of_the_database = if has_postgres {
        [
            Disturbance::RestartDatabase { at_once: false },
            Disturbance::RestartDatabase { at_once: true },
            Disturbance::CutDatabase,
            Disturbance::StallDatabase(stall),
        ]
    } else {
        [Disturbance::LockDatabase(lock); 4]
    };
    match random.random_range(0..10) {
        0..5 => Disturbance::Kill,
        _ => *of_the_database.choose(random).expect("there are some"),
    }
}

/// Up to four faults, in local-dev's own words.
fn faults(random: &mut StdRng) -> Vec<String> {
    let all = [
        format!("drop-disconnect={}", [0.5, 1.0].choose(random).expect("there are some")),
        "post-410=0.1".to_owned(),
        "post-429=0.15".to_owned(),
        "post-500=0.15".to_owned(),
        format!("post-delay={}", random.random_range(1..40)),
        format!("function-delay@Message={}", random.random_range(1..30)),
        "crash-before@Message=0.15".to_owned(),
        "crash-after@Message=0.15".to_owned(),
        "crash-before@Connect=0.2".to_owned(),
        "crash-after@Connect=0.2".to_owned(),
        "crash-before@Disconnect=0.5".to_owned(),
        "crash-before@Messages=0.1".to_owned(),
        "cut=0.02".to_owned(),
    ];
    let count = random.random_range(0..=4);
    all.sample(random, count).cloned().collect()
}
