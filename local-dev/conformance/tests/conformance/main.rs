//! The gateway, probed: with the fixture inside of this program, and with the fixture as Lambda runs it. What is put
//! together of it for users, the program `local-dev`, has a test of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;
mod world;

use std::{process::Command, time::Duration};

use conformance::{Outcome, all, run};
use gateway::{Assumptions, Faults};

use crate::{
    support::{KNOWN, assert_conforms, names, table, waits},
    world::{Functions, World},
};

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
    ("invalid-utf8-is-replaced=false", "ws.management.post-not-utf8"),
    ("lenient-json=true", "ws.route.lenient-json"),
    ("long-url-status=400", "ws.handshake.url-too-long-414"),
    ("multi-value-subprotocol=false", "ws.handshake.subprotocol-multi-value"),
    ("parameters-keep-text=false", "http.event.body-charset"),
    ("plain-request-status=400", "ws.handshake.plain-get-426"),
    ("preflight-status=200", "http.cors.preflight-204"),
    ("raw-path-is-decoded=false", "http.event.path-decoded"),
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
    let mut assumptions = Assumptions::default();
    assumptions.set_pair("function-throttled-status=429").unwrap();
    let world = World::start_with(Functions::InProcess, &assumptions, Faults::default()).await;
    let http = world.target.http.as_ref().unwrap().to_string();
    for (only, is_success, line) in [
        ("http.route.any", true, "1 probes: 1 ok"),
        ("lambda.concurrency.http-503", false, "1 probes: 1 differs"),
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
