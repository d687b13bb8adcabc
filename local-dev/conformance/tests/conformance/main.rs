//! The gateway, probed: with the fixture inside of this program, and with the fixture as Lambda runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::{process::Command, time::Duration};

use conformance::{Outcome, Probe, all, report, run};
use gateway::{Assumptions, Faults};

use crate::world::{Functions, World};

/// Where the gateway is known to do otherwise, and why. What no longer does must leave this list.
const KNOWN: &[(&str, &str)] = &[
    (
        "ws.handshake.deflate",
        "not compressing is legal, and AWS's compression is known to fail with some clients",
    ),
    ("ws.connect-event.header-case-any", "the HTTP parser has made names of headers lower-case"),
    ("ws.management.unknown-stage-403", "what is at no stage is the site's"),
    ("http.route.unknown-404", "a path that begins as no route does is the site's"),
    ("http.route.case-404", "a path that begins as no route does is the site's"),
    ("http.route.other-stage-404", "what is at no stage is the site's"),
    ("http.answer.request-id", "a path that begins as no route does is the site's"),
    ("http.answer.error-format", "a path that begins as no route does is the site's"),
    ("http.cors.errors", "a path that begins as no route does is the site's"),
];

/// Whether a probe only makes sense with short times.
fn waits(probe: &Probe) -> bool {
    ["ws.close.idle", "ws.close.duration", "ws.disconnect.idle"]
        .iter()
        .any(|prefix| probe.name.starts_with(prefix))
}

fn table(outcomes: &[(&Probe, Outcome)]) -> String {
    let mut table = Vec::new();
    report::write_table(&mut table, outcomes).unwrap();
    String::from_utf8(table).unwrap()
}

/// The names of the probes that came out in some way.
fn names<'a>(
    outcomes: &[(&'a Probe, Outcome)],
    filter: impl Fn(&str, &Outcome) -> bool,
) -> Vec<&'a str> {
    let names = outcomes.iter().filter(|(probe, outcome)| filter(probe.name, outcome));
    names.map(|(probe, _)| probe.name).collect()
}

/// Nothing may be otherwise but what is known to be. The gateway assumes what the probes do.
fn assert_conforms(outcomes: &[(&Probe, Outcome)]) {
    let is_otherwise =
        |_: &str, outcome: &Outcome| matches!(outcome, Outcome::Differs(_) | Outcome::Assumed(_));
    let is_known = |name: &str, _: &Outcome| KNOWN.iter().any(|(known, _)| *known == name);
    let table = table(outcomes);
    assert_eq!(names(outcomes, is_otherwise), names(outcomes, is_known), "\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_with_the_fixture_inside_of_this_program() {
    let world = World::start(Functions::InProcess).await;
    let outcomes = run(&world.target, all().filter(|probe| !waits(probe)).collect()).await;
    assert_conforms(&outcomes);
    let is_skipped = |name: &str, outcome: &Outcome| {
        matches!(outcome, Outcome::Skipped(_)) && !name.starts_with("lambda.")
    };
    assert_eq!(names(&outcomes, is_skipped), [""; 0]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_with_the_fixture_as_lambda_runs_it() {
    let world = World::start(Functions::Bootstraps).await;
    let outcomes = run(&world.target, all().filter(|probe| !waits(probe)).collect()).await;
    assert_conforms(&outcomes);
    let is_skipped = |_: &str, outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
    assert_eq!(names(&outcomes, is_skipped), [""; 0]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_with_short_times() {
    let world = World::start_with_short_times().await;
    let probes: Vec<_> = all().filter(|probe| waits(probe)).collect();
    assert_eq!(probes.len(), 5);
    let outcomes = run(&world.target, probes).await;
    let is_ok = |_: &str, outcome: &Outcome| *outcome == Outcome::Ok;
    assert_eq!(names(&outcomes, is_ok).len(), 5, "\n{}", table(&outcomes));
    world.stop().await;
}

/// What the gateway may assume otherwise, and the probe that must notice.
const FLIPPED: &[(&str, &str)] = &[
    ("connect-timeout-status=502", "ws.handshake.timeout-504"),
    ("default-content-type=application/json", "http.answer.default-type"),
    ("disconnect-after-refusal=true", "ws.handshake.refusal-no-disconnect"),
    ("dropped-reason=gone", "ws.disconnect.dropped-reason"),
    ("function-throttled-status=429", "lambda.concurrency.http-503"),
    ("lenient-json=true", "ws.route.lenient-json"),
    ("long-url-status=400", "ws.handshake.url-too-long-414"),
    ("multi-value-subprotocol=false", "ws.handshake.subprotocol-multi-value"),
    ("parameters-keep-text=false", "http.event.body-charset"),
    ("plain-request-status=400", "ws.handshake.plain-get-426"),
    ("preflight-status=200", "http.cors.preflight-204"),
    ("refusal-has-body=false", "ws.handshake.refusal-body"),
    ("suffix-json-is-text=true", "http.event.body-suffix"),
    ("throttled-message-text=No", "ws.limits.throttled-message"),
    ("two-way-error-body=false", "ws.answer.two-way-status"),
    ("unknown-stage-status=404", "ws.handshake.unknown-stage-403"),
];

#[tokio::test(flavor = "multi_thread")]
async fn probes_notice_what_is_otherwise() {
    let mut assumptions = Assumptions::default();
    for (pair, _) in FLIPPED {
        assumptions.set_pair(pair).unwrap();
    }
    let world = World::start_with(Functions::InProcess, &assumptions, Faults::default()).await;
    let expected: Vec<_> = FLIPPED.iter().map(|(_, name)| *name).collect();
    let probes = all().filter(|probe| expected.contains(&probe.name)).collect();
    let outcomes = run(&world.target, probes).await;
    let is_otherwise =
        |_: &str, outcome: &Outcome| matches!(outcome, Outcome::Differs(_) | Outcome::Assumed(_));
    let mut otherwise = names(&outcomes, is_otherwise);
    otherwise.sort_by_key(|name| expected.iter().position(|expected| expected == name));
    assert_eq!(otherwise, expected, "\n{}", table(&outcomes));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_notice_what_goes_wrong() {
    for (fault, name) in [
        ("drop-disconnect=1", "ws.disconnect.keys"),
        ("post-410=1", "ws.management.post"),
        ("crash-before@HttpFunction=1", "http.answer.status"),
        ("crash-after@SocketFunction=1", "ws.handshake.101"),
        ("cut=1", "ws.message.keys"),
    ] {
        let mut faults = Faults::default();
        faults.set_pair(fault).unwrap();
        let assumptions = Assumptions::default();
        let mut world = World::start_with(Functions::InProcess, &assumptions, faults).await;
        world.target.patience = Duration::from_secs(1);
        let outcomes = run(&world.target, all().filter(|probe| probe.name == name).collect()).await;
        assert!(outcomes[0].1.is_difference(), "{fault}\n{}", table(&outcomes));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_prints_a_table_and_fails_if_anything_differs() {
    let world = World::start(Functions::InProcess).await;
    let http = world.target.http.as_ref().unwrap().to_string();
    for (only, is_success, line) in [
        ("http.route.any", true, "1 probes: 1 ok"),
        ("http.route.unknown-404", false, "1 probes: 1 differs"),
        ("ws.handshake.101", true, "why: needs --websocket"),
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_conformance"));
        program.args(["--in-process", "--http", &http, "--only", only]);
        let output = tokio::task::spawn_blocking(move || program.output()).await.unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.success(), is_success, "{text}");
        assert!(text.contains(line), "{text}");
    }
    world.stop().await;
    let mut program = Command::new(env!("CARGO_BIN_EXE_conformance"));
    let output = program.args(["--http", &http]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with(&format!("conformance: {http}: ")), "{error}");
    assert!(!output.status.success() && output.stdout.is_empty(), "{error}");
}

#[test]
fn what_is_known_is_a_probe() {
    for (name, why) in KNOWN {
        assert!(all().any(|probe| probe.name == *name) && !why.is_empty(), "{name}");
    }
}
