//! How long stories take: what makes the suite slow is said at its end.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

static TIMES: Mutex<Vec<(Duration, &'static str)>> = Mutex::new(Vec::new());

/// How many of the slowest are named.
const NAMED_MAX: usize = 15;

/// Measures a story until it is dropped.
pub struct Measured {
    story: &'static str,
    began: Instant,
}

impl Measured {
    pub fn begin(story: &'static str) -> Self {
        Self { story, began: Instant::now() }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        TIMES.lock().unwrap().push((self.began.elapsed(), self.story));
    }
}

/// The stories that took longest, and what all of them took on each database; nothing of a single one.
pub fn report() -> Option<String> {
    let mut times = std::mem::take(&mut *TIMES.lock().unwrap());
    if times.len() < 2 {
        return None;
    }
    times.sort_unstable_by(|one, other| other.cmp(one));
    let mut databases = BTreeMap::<&str, (usize, Duration)>::new();
    for (time, story) in &times {
        let database = story.split_once("::").map_or("", |(database, _)| database);
        let sum = databases.entry(database).or_default();
        *sum = (sum.0 + 1, sum.1 + *time);
    }
    let slowest = times.iter().take(NAMED_MAX);
    let slowest = slowest.map(|(time, story)| format!("{:8.1} s  {story}", time.as_secs_f64()));
    let sums = databases.into_iter().map(|(database, (count, time))| {
        format!("{:8.1} s  {count} on {database}", time.as_secs_f64())
    });
    let lines: Vec<String> = slowest.chain(sums).collect();
    Some(format!("stories that took longest, and all, side by side:\n{}\n", lines.join("\n")))
}
