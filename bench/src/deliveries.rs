//! How much a room is shown: local-dev in its two ways, beside the bare chat. `deliveries`.

use std::{path::Path, time::Duration};

use report::{Measure, Row};

use crate::{
    Failure, Plan,
    chat::{Chat, Options},
    postgres::Postgres,
    room::{Seen, open, talk},
    to_f64,
};

const CONNECTIONS: [usize; 3] = [10, 100, 1000];

/// How many of them talk at a time.
const SENDERS: [usize; 2] = [1, 8];

/// What talks, in the order of [`Subject::ALL`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Bare,
    InProcess,
    Compiled,
}

impl Subject {
    const ALL: [Self; 3] = [Self::Bare, Self::InProcess, Self::Compiled];
}

/// Of one subject, number of connections and number of senders: all rounds.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    cpu_micros: Vec<f64>,
}

impl Rounds {
    fn push(&mut self, seen: &Seen) {
        self.per_second.push(to_f64(seen.deliveries) / seen.seconds);
        self.cpu_micros.push(seen.cpu_seconds * 1e6 / to_f64(seen.deliveries));
    }
}

/// Measures all subjects in turns. Without PostgreSQL and compiled functions, those are left out.
///
/// # Errors
/// When a chat fails, or loses or repeats a message.
pub(crate) async fn measure(
    plan: &Plan,
    local_dev: &Path,
    compiled: Option<(&Path, &Postgres)>,
) -> Result<Vec<Row>, Failure> {
    let mut rounds: [[[Rounds; 2]; 3]; 3] = Default::default();
    for round in 0..plan.of(5, 1) {
        for (connections, of_size) in CONNECTIONS.iter().zip(&mut rounds) {
            for (subject, rounds) in Subject::ALL.into_iter().zip(of_size) {
                let chat = match (subject, compiled) {
                    (Subject::Bare, _) => Chat::bare()?,
                    (Subject::InProcess, _) => Chat::local_dev(local_dev, &Options::default())?,
                    (Subject::Compiled, None) => continue,
                    (Subject::Compiled, Some((folder, postgres))) => {
                        let url = postgres.create(&format!("room_{connections}_{round}")).await?;
                        let compiled = Some((folder, url.as_str()));
                        Chat::local_dev(local_dev, &Options { compiled, ..Options::default() })?
                    }
                };
                let connections = plan.of(*connections, connections / 10);
                round_of(plan, &chat, connections, rounds).await?;
            }
        }
    }
    Ok(rows(&rounds, compiled.is_some()))
}

async fn round_of(
    plan: &Plan,
    chat: &Chat,
    connections: usize,
    rounds: &mut [Rounds; 2],
) -> Result<(), Failure> {
    let time = Duration::from_millis(if plan.quick { 50 } else { 1000 });
    let mut members = open(chat.address, &chat.token, connections).await?;
    // The first ones find nothing prepared.
    let most = SENDERS[1].min(connections);
    talk(&mut members, most, time / 4, &chat.process).await?;
    for (senders, rounds) in SENDERS.iter().zip(rounds) {
        let senders = (*senders).min(connections);
        rounds.push(&talk(&mut members, senders, time, &chat.process).await?);
    }
    Ok(())
}

fn rows(rounds: &[[[Rounds; 2]; 3]; 3], has_compiled: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for (connections, [bare, in_process, compiled]) in CONNECTIONS.iter().zip(rounds) {
        for (place, senders) in SENDERS.iter().enumerate() {
            let (bare, in_process, compiled) = (&bare[place], &in_process[place], &compiled[place]);
            let room = format!("{connections} connections, {senders} talking");
            let mut compare = |what: &str, rounds: &Rounds, to: &str, other: &Rounds| {
                let (per_second, cpu) = (&rounds.per_second, &rounds.cpu_micros);
                let row = Row::new(
                    "deliveries",
                    format!("deliveries to {room}, {what}"),
                    "/s",
                    per_second,
                );
                rows.push(row.against(to, per_second, &other.per_second));
                let what = format!("processor time of a delivery to {room}, {what}");
                let row = Row::new("deliveries", what, "µs", cpu);
                rows.push(row.against(to, cpu, &other.cpu_micros));
            };
            compare("functions linked in", in_process, "bare chat", bare);
            if has_compiled {
                compare("functions compiled", compiled, "linked in", in_process);
            }
        }
    }
    let [hundred, thousand] = [&rounds[1][1][1].cpu_micros, &rounds[2][1][1].cpu_micros];
    let row = Row::new(
        "deliveries",
        "processor time of a delivery to 1000 connections, not of 100",
        "µs",
        thousand,
    );
    rows.push(row.against("100 connections", thousand, hundred).at_most(Measure::Ratio, 1.3));
    rows
}
