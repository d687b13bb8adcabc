//! What was measured, as tables, and where they stand.

use std::{fmt::Write, path::PathBuf};

use report::{Curve, Figure, Measure, Mode, Results, Row};

use super::chart::{Chart, Line};
use crate::{
    document::{self, amount, set_apart},
    root,
};

/// The file with all of it.
pub(crate) const RESULTS: &str = "results.json";

const COMMAND: &str = "cargo xtask bench";

/// What the README shows, in this order: the measurement, and the row's text or its beginning.
const HEADLINES: [(&str, &str); 14] = [
    ("cold-start", "start of message"),
    ("cold-start", "first answer of message"),
    ("warm", "processor time of an event of message"),
    ("post", "…"),
    ("deliveries", "deliveries to 10 connections, 8 talking, functions linked in"),
    ("deliveries", "deliveries to 100 connections, 8 talking, functions linked in"),
    ("deliveries", "deliveries to 1000 connections, 8 talking, functions linked in"),
    (
        "deliveries",
        "processor time of a delivery to 1000 connections, 8 talking, functions linked in",
    ),
    ("deliveries", "deliveries to 100 connections, 8 talking, functions compiled"),
    ("storm", "…"),
    ("history", "oldest…"),
    ("idle", "…"),
    ("login", "…"),
    ("fan-out", "…"),
];

/// The measurements, and their headings.
pub(crate) const HEADINGS: [(&str, &str); 9] = [
    ("cold-start", "Starts and first answers of functions"),
    ("warm", "Further events"),
    ("post", "Posts to connections"),
    ("deliveries", "Deliveries in a room, on local-dev"),
    ("storm", "Many who connect at once, on local-dev"),
    ("history", "Pages of a long history, on local-dev"),
    ("idle", "Memory of idle connections, on local-dev"),
    ("login", "Logins, on local-dev"),
    ("fan-out", "Fan-out on a simulated AWS"),
];

/// Where the results are.
pub(crate) fn folder() -> PathBuf {
    root().join("docs/benchmarks")
}

/// Documents, and what they have of the results.
pub(crate) fn parts(results: &Results) -> [(&'static str, String); 3] {
    let curve = results.curve.as_ref().map(curve_table).unwrap_or_default();
    [
        ("README.md", headlines(results)),
        ("docs/benchmarks/README.md", everything(results)),
        ("docs/scaling.md", curve),
    ]
}

/// A document with its part made anew.
///
/// # Errors
/// When it has lost its marks.
pub(crate) fn renewed(document: &str, file: &str, part: &str) -> Result<String, String> {
    document::renewed(document, file, COMMAND, part)
}

/// All tables.
pub(crate) fn everything(results: &Results) -> String {
    let mut text = machine(results);
    for what in &results.skipped {
        write!(text, "\nNot measured: {what}\n").expect("a string takes all");
    }
    for (measurement, heading) in HEADINGS {
        let rows = results.rows.iter().filter(|row| row.measurement == measurement);
        let rows: Vec<&Row> = rows.collect();
        if !rows.is_empty() {
            let table = table(&rows);
            write!(text, "\n### {heading}\n\n{table}").expect("a string takes all");
        }
    }
    if let Some(curve) = &results.curve {
        write!(text, "\n{}", curve_table(curve)).expect("a string takes all");
    }
    if !results.sizes.is_empty() {
        text += "\n### Sizes\n\n| function | bytes |\n| --- | ---: |\n";
        for size in &results.sizes {
            let bytes = set_apart(&size.bytes.to_string());
            writeln!(text, "| {} | {bytes} |", size.function).expect("a string takes all");
        }
    }
    text
}

fn headlines(results: &Results) -> String {
    let rows = HEADLINES.iter().filter_map(|(measurement, what)| {
        let mut rows = results.rows.iter();
        let is_it = |row: &Row| match what.strip_suffix('…') {
            Some(beginning) => row.what.starts_with(beginning),
            None => row.what == *what,
        };
        rows.find(|row| row.measurement == *measurement && is_it(row))
    });
    let rows: Vec<&Row> = rows.collect();
    format!("{}\n{}", machine(results), table(&rows))
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let warning = match machine.profile.as_str() {
        "release" => "",
        _ => " **Unoptimised: none of it says anything about speed.**",
    };
    format!(
        "Measured on {} processors ({}) with {}, Linux {}, on {} at commit {}.{warning}\n",
        machine.cores, machine.cpu, machine.os, machine.kernel, machine.date, machine.commit
    )
}

fn table(rows: &[&Row]) -> String {
    let mut table =
        "| what | median | lowest to highest | compared with | its median | ratio | must be |\n\
                     | --- | ---: | ---: | --- | ---: | ---: | --- |\n"
            .to_owned();
    for row in rows {
        let Row { what, unit, figure, .. } = row;
        let (median, spread) = (amount(figure.median), spread(figure));
        let unit = if unit.starts_with('/') { unit.clone() } else { format!(" {unit}") };
        let [other, its_median, ratio] = match &row.baseline {
            None => Default::default(),
            Some(baseline) => {
                let its_median = format!("{}{unit}", amount(baseline.figure.median));
                [baseline.what.clone(), its_median, format!("{}×", amount(baseline.ratio))]
            }
        };
        let target = target(row, &unit);
        writeln!(
            table,
            "| {what} | {median}{unit} | {spread} | {other} | {its_median} | {ratio} | {target} |"
        )
        .expect("a string takes all");
    }
    table
}

fn spread(figure: &Figure) -> String {
    if figure.low.to_bits() == figure.high.to_bits() {
        return String::new();
    }
    format!("{} to {}", amount(figure.low), amount(figure.high))
}

fn target(row: &Row, unit: &str) -> String {
    let Some(target) = &row.target else { return String::new() };
    let least = if target.at_least { "≥" } else { "≤" };
    let unit = if target.of == Measure::Ratio { "×" } else { unit };
    let verdict = if target.is_met { "ok" } else { "**missed**" };
    format!("{least} {}{unit}: {verdict}", amount(target.bound))
}

fn curve_table(curve: &Curve) -> String {
    let aws = &curve.assumptions;
    let mut table = format!(
        "Taken for granted: calls of {} ms (median; log-normal with σ = {}), {} requests per second and {} at once, {} ms from \
         the queue to an invocation. Coalesced: {} messages said at once.\n\n\
         | connections | way | last delivery after | posts | throttled | of those allowed | not reached | \
         per million deliveries | all connected after |\n\
         | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        amount(aws.latency_median_ms),
        amount(aws.latency_sigma),
        amount(aws.requests_per_second),
        amount(aws.burst),
        aws.queue_ms,
        curve.points.iter().map(|point| point.messages).max().unwrap_or_default(),
    );
    for point in &curve.points {
        let dollars =
            point.dollars_per_million.map_or(String::new(), |dollars| format!("${dollars:.2}"));
        let count = |count: usize| set_apart(&count.to_string());
        writeln!(
            table,
            "| {} | {} | {} s | {} | {} | {:.1} % | {} | {dollars} | {} s |",
            count(point.connections),
            name(point.mode),
            amount(point.seconds),
            count(point.posts),
            count(point.throttled),
            point.share_of_allowed * 100.0,
            count(point.missed),
            amount(point.connect_seconds),
        )
        .expect("a string takes all");
    }
    table
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Inline => "inline",
        Mode::Sharded => "sharded",
        Mode::Coalesced => "coalesced",
    }
}

/// Charts of the curve, and their files.
pub(crate) fn charts(results: &Results) -> Vec<(&'static str, String)> {
    let Some(curve) = &results.curve else { return Vec::new() };
    let lines = |value: &dyn Fn(&report::Point) -> Option<f64>| -> Vec<Line> {
        [Mode::Inline, Mode::Sharded, Mode::Coalesced]
            .into_iter()
            .map(|mode| {
                let points = curve.points.iter().filter(|point| point.mode == mode);
                let points =
                    points.filter_map(|point| Some((to_f64(point.connections), value(point)?)));
                let name = match mode {
                    Mode::Coalesced => "ten, coalesced",
                    other => name(other),
                };
                Line { name: name.to_owned(), points: points.collect(), is_bound: false }
            })
            .collect()
    };
    let aws = &curve.assumptions;
    // Every post takes a token, and as many as the burst are there at once.
    let bound = curve.points.iter().filter_map(|point| {
        let connections = to_f64(point.connections);
        let seconds = (connections - aws.burst) / aws.requests_per_second;
        (point.mode == Mode::Inline && seconds > 0.0).then_some((connections, seconds))
    });
    let mut times = lines(&|point| Some(point.seconds));
    times.push(Line { name: "AWS's throttle".to_owned(), points: bound.collect(), is_bound: true });
    let time = Chart {
        title: "From a send to its last delivery",
        x: "connections",
        y: "seconds",
        lines: times,
    };
    let dollars = Chart {
        title: "What a million deliveries cost",
        x: "connections",
        y: "US dollars",
        lines: lines(&|point| point.dollars_per_million),
    };
    vec![("fan-out-time.svg", time.svg()), ("fan-out-dollars.svg", dollars.svg())]
}

fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("no curve goes that far"))
}
