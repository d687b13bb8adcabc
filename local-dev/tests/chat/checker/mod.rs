//! The promises under faults: random schedules of clients against the program local-dev, with functions that crash, posts
//! that fail, programs that are killed and databases that go away; afterwards the recorded history is checked.
//!
//! A seed makes the schedule: who does what, what goes wrong and after which operation. What runs at the same time is up
//! to the machine, so a replay of a seed asks the same of the program, and may need a few tries to see the same answer.
//!
//! Short in the normal test run; `cargo xtask check` makes it as long as one likes.

mod client;
mod ledger;
mod schedule;
mod site;

use std::{
    future::pending,
    panic::AssertUnwindSafe,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt, future::join_all, stream};

use self::{client::Client, ledger::Ledger, schedule::Schedule, site::Place};
use crate::{Needs, support::World};

crate::stories! {
    Needs::Nothing;
    random_schedules_keep_the_promises,
}

/// How much is checked, by the environment.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// How many schedules, unless the time is given.
    schedules: u64,
    /// Operations of a schedule.
    operations: usize,
    /// As long as this.
    time: Option<Duration>,
    /// The first schedule's seed; the next one's is one more.
    seed: u64,
    /// Schedules at a time.
    parallel: usize,
}

impl Extent {
    fn from_environment(world: &World) -> Self {
        fn number<T: FromStr>(name: &str) -> Option<T> {
            let text = std::env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number: {text}")))
        }
        // Instances take their time to start.
        let schedules = if world.compiled_functions().is_some() { 2 } else { 6 };
        Self {
            schedules: number("CHECKER_SCHEDULES").unwrap_or(schedules),
            operations: number("CHECKER_OPERATIONS").unwrap_or(80),
            time: number("CHECKER_SECONDS").map(Duration::from_secs),
            seed: number("CHECKER_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>())),
            parallel: number("CHECKER_PARALLEL").unwrap_or(2),
        }
    }

    /// Whether somebody asked for another extent than that of a normal run, so is ready to wait.
    pub fn was_asked_for() -> bool {
        ["CHECKER_SCHEDULES", "CHECKER_SECONDS"].iter().any(|name| std::env::var_os(name).is_some())
    }
}

async fn random_schedules_keep_the_promises(world: World) {
    let extent = Extent::from_environment(&world);
    let place = Arc::new(Place::prepare(&world, extent.parallel).await);
    let started = Instant::now();
    let wanted = |number: u64| match extent.time {
        Some(time) => started.elapsed() < time,
        None => number < extent.schedules,
    };
    let mut runs = stream::iter((0..).take_while(|number| wanted(*number)))
        .map(|number| {
            let (place, seed) = (Arc::clone(&place), extent.seed + number);
            async move { (seed, run(&place, seed, extent.operations).await) }
        })
        .buffer_unordered(extent.parallel);
    let (mut passed, mut stored) = (0_u64, 0);
    while let Some((seed, outcome)) = runs.next().await {
        match outcome {
            Ok(done) => {
                (passed, stored) = (passed + 1, stored + done);
                if passed % 50 == 0 {
                    println!("{passed} schedules, {:.0} s", started.elapsed().as_secs_f64());
                }
            }
            Err(violations) => {
                let backend = place.name();
                panic!(
                    "a promise was broken in schedule {}, {passed} were kept before:\n{}\n\
                     again: cargo xtask check --on {backend} --seed {seed} --schedules 1 --operations {}\n{:#?}",
                    passed + 1,
                    violations.join("\n"),
                    extent.operations,
                    Schedule::generate(seed, extent.operations, place.has_postgres()),
                );
            }
        }
    }
    drop(runs);
    println!(
        "{}: {passed} schedules of {} operations, {stored} messages stored, {:.1} s",
        place.name(),
        extent.operations,
        started.elapsed().as_secs_f64(),
    );
    Arc::into_inner(place).unwrap().clear_up();
}

/// Runs one schedule. Says how many messages were stored, or how promises were broken.
async fn run(place: &Place, seed: u64, operations: usize) -> Result<usize, Vec<String>> {
    let schedule = Schedule::generate(seed, operations, place.has_postgres());
    let ledger = Arc::new(Ledger::default());
    let mut site = place.open(&schedule).await;
    let outcome = AssertUnwindSafe(async {
        let users = site.sign_up(&schedule).await;
        let clients = schedule.clients.iter().enumerate().map(|(number, plan)| {
            Client::new(number, plan, &users[plan.user], site.room(), Arc::clone(&ledger))
        });
        let mut clients: Vec<Client> = clients.collect();

        // The disturbances end with the clients' work, even halfway: whatever is away then comes back.
        let trouble = async {
            site.disturb(&schedule, &ledger).await;
            pending::<()>().await;
        };
        tokio::select! {
            _ = join_all(clients.iter_mut().map(Client::work)) => {}
            () = trouble => {}
        }

        site.settle().await;
        join_all(clients.iter_mut().map(Client::settle)).await;
        site.check_that_the_dead_are_forgotten(&mut clients, &ledger).await;
        let stored = site.stored(&users[0]).await;
        ledger.check(&stored);
        for client in &clients {
            client.check_view(&stored);
        }
        stored.len()
    })
    .catch_unwind()
    .await;
    site.close().await;
    let violations = ledger.violations();
    match outcome {
        Ok(stored) if violations.is_empty() => Ok(stored),
        Ok(_) => Err(violations),
        Err(panic) => {
            let why = panic.downcast_ref::<String>().map(String::as_str);
            let why = why.or_else(|| panic.downcast_ref::<&str>().copied());
            Err([violations, vec![why.unwrap_or("it panicked").to_owned()]].concat())
        }
    }
}
