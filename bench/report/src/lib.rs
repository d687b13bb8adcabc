//! What was measured, as JSON: `bench` writes it, `cargo xtask bench` makes tables and charts of it.

use clap::Args;
use serde::{Deserialize, Serialize};

/// All of one run.
#[derive(Debug, Deserialize, Serialize)]
pub struct Results {
    /// What it was measured on.
    pub machine: Machine,
    /// In the order in which it was measured.
    pub rows: Vec<Row>,
    /// What each bootstrap weighs.
    pub sizes: Vec<Size>,
    /// The fan-out on the simulated AWS.
    pub curve: Option<Curve>,
    /// What was not measured, and how it could be.
    pub skipped: Vec<String>,
}

/// A machine, and the state of the code.
#[derive(Debug, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub os: String,
    pub kernel: String,
    /// `2026-11-26`, UTC.
    pub date: String,
    pub commit: String,
    /// Of this program: `release`, or `debug`, which says nothing about speed.
    pub profile: String,
}

/// One thing that was measured, beside what it is compared with.
#[derive(Debug, Deserialize, Serialize)]
pub struct Row {
    /// Which of the measurements it belongs to: `cold-start`.
    pub measurement: String,
    /// What was measured: `message, start`.
    pub what: String,
    /// Of the figures: `ms`.
    pub unit: String,
    /// What came out.
    pub figure: Figure,
    /// What it is compared with.
    pub baseline: Option<Baseline>,
    /// What must hold.
    pub target: Option<Target>,
}

/// What it is compared with, measured in turns with it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Baseline {
    /// What that is: `hello`.
    pub what: String,
    /// What came out.
    pub figure: Figure,
    /// The figure over the baseline's: the median of all rounds' ratios.
    pub ratio: f64,
}

/// Several rounds' figures in one.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figure {
    /// The middle one.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

/// What must hold.
#[derive(Debug, Deserialize, Serialize)]
pub struct Target {
    /// Of what.
    pub of: Measure,
    /// At least so much; else at most.
    pub at_least: bool,
    /// So much.
    pub bound: f64,
    /// Whether it does.
    pub is_met: bool,
}

/// What a target is about.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The figure itself, in the row's unit.
    Figure,
    /// The ratio to the baseline.
    Ratio,
}

impl Figure {
    /// Of one round or more.
    ///
    /// # Panics
    /// Without any.
    pub fn of(rounds: &[f64]) -> Self {
        let mut rounds = rounds.to_vec();
        rounds.sort_unstable_by(f64::total_cmp);
        let (Some(low), Some(high)) = (rounds.first(), rounds.last()) else {
            panic!("nothing was measured");
        };
        let (lower, upper) = (rounds[(rounds.len() - 1) / 2], rounds[rounds.len() / 2]);
        Self { median: f64::midpoint(lower, upper), low: *low, high: *high }
    }
}

impl Row {
    /// A row without a baseline.
    pub fn new(measurement: &str, what: impl Into<String>, unit: &str, rounds: &[f64]) -> Self {
        Self {
            measurement: measurement.to_owned(),
            what: what.into(),
            unit: unit.to_owned(),
            figure: Figure::of(rounds),
            baseline: None,
            target: None,
        }
    }

    /// Beside what was measured in the same `rounds` of both.
    #[must_use]
    pub fn against(self, what: impl Into<String>, rounds: &[f64], baseline: &[f64]) -> Self {
        let ratios: Vec<f64> =
            rounds.iter().zip(baseline).map(|(one, other)| one / other).collect();
        let baseline = Baseline {
            what: what.into(),
            figure: Figure::of(baseline),
            ratio: Figure::of(&ratios).median,
        };
        Self { baseline: Some(baseline), ..self }
    }

    /// What must be at most `bound`.
    #[must_use]
    pub fn at_most(self, of: Measure, bound: f64) -> Self {
        let is_met = self.measure(of) <= bound;
        Self { target: Some(Target { of, at_least: false, bound, is_met }), ..self }
    }

    /// What must be at least `bound`.
    #[must_use]
    pub fn at_least(self, of: Measure, bound: f64) -> Self {
        let is_met = self.measure(of) >= bound;
        Self { target: Some(Target { of, at_least: true, bound, is_met }), ..self }
    }

    fn measure(&self, of: Measure) -> f64 {
        match (of, &self.baseline) {
            (Measure::Ratio, Some(baseline)) => baseline.ratio,
            (Measure::Ratio, None) => f64::NAN,
            (Measure::Figure, _) => self.figure.median,
        }
    }
}

/// A bootstrap.
#[derive(Debug, Deserialize, Serialize)]
pub struct Size {
    /// The function's name.
    pub function: String,
    /// As a file.
    pub bytes: u64,
}

/// The fan-out curve.
#[derive(Debug, Deserialize, Serialize)]
pub struct Curve {
    /// What AWS was taken to be like.
    pub assumptions: Assumptions,
    /// By connections and mode.
    pub points: Vec<Point>,
}

/// What AWS is taken to be like; options of `bench`.
#[derive(Args, Clone, Debug, Deserialize, Serialize)]
pub struct Assumptions {
    /// Median of a call's latency in milliseconds, log-normal
    #[arg(long, default_value_t = 8.0)]
    pub latency_median_ms: f64,

    /// Standard deviation of the latency's natural logarithm: at 0.5, one call in a hundred takes 3.2 times the median
    #[arg(long, default_value_t = 0.5)]
    pub latency_sigma: f64,

    /// Requests per second that an account is allowed, in the long run
    #[arg(long, default_value_t = 10_000.0)]
    pub requests_per_second: f64,

    /// Requests that it is allowed at once
    #[arg(long, default_value_t = 5_000.0)]
    pub burst: f64,

    /// New connections per second
    #[arg(long, default_value_t = 500.0)]
    pub connections_per_second: f64,

    /// What passes between a record's arrival in the queue and the invocation for it, in milliseconds
    #[arg(long, default_value_t = 30)]
    pub queue_ms: u64,
}

/// A way to show a message to many.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `message` posts all of them.
    Inline,
    /// `message` leaves them to the queue.
    Sharded,
    /// The same with messages that come faster than they can be shown.
    Coalesced,
}

/// A point of the fan-out curve: what was seen, and what AWS would count.
#[derive(Debug, Deserialize, Serialize)]
pub struct Point {
    /// How they were shown.
    pub mode: Mode,
    /// To so many.
    pub connections: usize,
    /// Said at once.
    pub messages: usize,
    /// From the first send to the last delivery.
    pub seconds: f64,
    /// Messages that reached a connection.
    pub deliveries: usize,
    /// Pairs of a message and a connection that it didn't reach. The history has them.
    pub missed: usize,
    /// Deliveries that had been made before.
    pub repeated: usize,
    /// Posts that were taken.
    pub posts: usize,
    /// Posts that were answered 429.
    pub throttled: usize,
    /// Posts taken, of those that the throttle allowed in that time, burst included; 0–1.
    pub share_of_allowed: f64,
    /// Of the function `message`.
    pub message_invocations: usize,
    /// Their time in all, in milliseconds.
    pub message_ms: f64,
    /// Of the function `broadcast`.
    pub broadcast_invocations: usize,
    /// Their time in all, in milliseconds.
    pub broadcast_ms: f64,
    /// Requests to SQS: sends, receives and deletes.
    pub queue_requests: usize,
    /// How long API Gateway takes to let that many connect, in seconds; computed.
    pub connect_seconds: f64,
    /// US dollars for a million deliveries; `cargo xtask bench` knows the prices.
    pub dollars_per_million: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_middle_of_its_rounds() {
        assert_eq!(Figure::of(&[3.0, 1.0, 2.0]), Figure { median: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(Figure::of(&[4.0, 1.0, 2.0, 9.0]), Figure { median: 3.0, low: 1.0, high: 9.0 });
        assert_eq!(Figure::of(&[7.0]), Figure { median: 7.0, low: 7.0, high: 7.0 });
    }

    #[test]
    fn ratios_are_of_rounds_that_belong_together() {
        // The machine was half as fast in the second round, for both.
        let (rounds, baseline) = ([3.0, 6.0, 3.0], [2.0, 4.0, 2.0]);
        let row = Row::new("post", "SDK", "µs", &rounds).against("hyper", &rounds, &baseline);
        assert!((row.baseline.as_ref().unwrap().ratio - 1.5).abs() < 1e-12);
        let is_met = |row: Row| row.target.unwrap().is_met;
        assert!(is_met(row.at_most(Measure::Ratio, 1.5)));
        let row = Row::new("post", "SDK", "µs", &rounds).against("hyper", &rounds, &baseline);
        assert!(!is_met(row.at_most(Measure::Figure, 2.9)));
        let row = Row::new("post", "SDK", "µs", &rounds);
        assert!(is_met(row.at_least(Measure::Figure, 3.0)));
        // A ratio to nothing meets nothing.
        let row = Row::new("post", "SDK", "µs", &rounds);
        assert!(!is_met(row.at_most(Measure::Ratio, 1e9)));
    }
}
