//! Many who come at once, and what they take while nothing happens: `storm` and `idle`.

use std::{path::Path, time::Instant};

use report::{Measure, Row};

use crate::{
    Failure, Plan,
    chat::{Chat, Options},
    room::open,
    to_f64,
};

const KIB: f64 = 1024.0;

/// Two thousand who come at once, 64 handshakes at a time; a row for each is stored.
///
/// # Errors
/// When one is refused.
pub(crate) async fn storm(plan: &Plan, local_dev: &Path) -> Result<Vec<Row>, Failure> {
    let count = plan.of(2000, 100);
    let (mut ours, mut bare) = (<[Vec<f64>; 2]>::default(), <[Vec<f64>; 2]>::default());
    for _ in 0..plan.of(5, 1) {
        for is_bare in [true, false] {
            let rounds = if is_bare { &mut bare } else { &mut ours };
            let chat = start(is_bare, local_dev)?;
            let (began, before) = (Instant::now(), chat.process.cpu_seconds()?);
            let members = open(chat.address, &chat.token, count).await?;
            rounds[0].push(to_f64(count) / began.elapsed().as_secs_f64());
            rounds[1].push(chat.process.cpu_seconds_since(before)? * 1e6 / to_f64(count));
            drop(members);
        }
    }
    let row = Row::new("storm", "connections opened, 64 at a time", "/s", &ours[0]);
    let per_second = row.against("bare chat", &ours[0], &bare[0]);
    let row = Row::new("storm", "processor time of a connection that opens", "µs", &ours[1]);
    Ok(vec![per_second, row.against("bare chat", &ours[1], &bare[1])])
}

/// Four thousand who say nothing.
///
/// # Errors
/// When one is refused.
pub(crate) async fn idle(plan: &Plan, local_dev: &Path) -> Result<Vec<Row>, Failure> {
    let count = plan.of(4000, 200);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..plan.of(3, 1) {
        for is_bare in [true, false] {
            let rounds = if is_bare { &mut bare } else { &mut ours };
            let chat = start(is_bare, local_dev)?;
            // What is made once is not any connection's.
            let first = open(chat.address, &chat.token, 10).await?;
            let before = chat.process.resident_bytes()?;
            let members = open(chat.address, &chat.token, count).await?;
            rounds.push((chat.process.resident_bytes()? - before) / to_f64(count) / KIB);
            drop((first, members));
        }
    }
    let row = Row::new("idle", format!("memory of one of {count} idle connections"), "KiB", &ours);
    Ok(vec![row.against("bare chat", &ours, &bare).at_most(Measure::Figure, 16.0)])
}

fn start(is_bare: bool, local_dev: &Path) -> Result<Chat, Failure> {
    if is_bare { Chat::bare() } else { Chat::local_dev(local_dev, &Options::default()) }
}
