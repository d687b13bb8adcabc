//! Trying probes, several at once.

use futures_util::{StreamExt, stream};

use crate::{
    probe::{Outcome, Probe},
    target::Target,
};

/// How many probes run at once. Most of their time is waiting for functions.
const CONCURRENCY: usize = 24;

/// Tries `probes`; what came of each, in their order.
pub async fn run(target: &Target, probes: Vec<&'static Probe>) -> Vec<(&'static Probe, Outcome)> {
    let mut outcomes: Vec<_> = stream::iter(probes.into_iter().enumerate())
        .map(async |(number, probe)| (number, probe, probe.run(target).await))
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    outcomes.sort_unstable_by_key(|(number, ..)| *number);
    outcomes.into_iter().map(|(_, probe, outcome)| (probe, outcome)).collect()
}
