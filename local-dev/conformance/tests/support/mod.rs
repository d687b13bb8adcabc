//! What the suite needs to probe something on this machine, and how what comes of it is judged.

use std::{fs, time::Duration};

use conformance::{Outcome, Probe, Target, report};
use gateway::Credentials;
use secrecy::ExposeSecret;

/// Where the gateway is known to do otherwise, and why. What no longer does must leave this list.
pub(crate) const KNOWN: &[(&str, &str)] = &[
    (
        "ws.handshake.deflate",
        "not compressing is legal, and AWS's compression is known to fail with some clients",
    ),
    ("ws.connect-event.header-case-any", "the HTTP parser has made names of headers lower-case"),
];

/// A target without addresses, with the credentials that gateways on this machine know.
pub(crate) fn target() -> Target {
    let Credentials { access_key_id, secret_access_key, region, .. } = Credentials::default();
    let secret = secret_access_key.expose_secret();
    let credentials =
        aws_credential_types::Credentials::new(access_key_id, secret, None, None, "test");
    Target {
        credentials: Some(credentials),
        region,
        patience: Duration::from_secs(20),
        ..Target::default()
    }
}

/// A folder with the fixture's bootstrap in it, as `cargo lambda build` leaves it.
pub(crate) fn functions_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let fixture = dir.path().join("fixture");
    fs::create_dir(&fixture).unwrap();
    let bootstrap = fixture.join("bootstrap");
    if fs::hard_link(env!("CARGO_BIN_EXE_fixture"), &bootstrap).is_err() {
        fs::copy(env!("CARGO_BIN_EXE_fixture"), &bootstrap).unwrap();
    }
    dir
}

/// Whether a probe only makes sense with short times.
pub(crate) fn waits(probe: &Probe) -> bool {
    ["ws.close.idle", "ws.close.duration", "ws.disconnect.idle"]
        .iter()
        .any(|prefix| probe.name.starts_with(prefix))
}

pub(crate) fn table(outcomes: &[(&Probe, Outcome)]) -> String {
    let mut table = Vec::new();
    report::write_table(&mut table, outcomes).unwrap();
    String::from_utf8(table).unwrap()
}

/// The names of the probes that came out in some way.
pub(crate) fn names<'a>(
    outcomes: &[(&'a Probe, Outcome)],
    filter: impl Fn(&str, &Outcome) -> bool,
) -> Vec<&'a str> {
    let names = outcomes.iter().filter(|(probe, outcome)| filter(probe.name, outcome));
    names.map(|(probe, _)| probe.name).collect()
}

/// Nothing may be otherwise but what is known to be. The gateway assumes what the probes do.
pub(crate) fn assert_conforms(outcomes: &[(&Probe, Outcome)]) {
    let is_otherwise =
        |_: &str, outcome: &Outcome| matches!(outcome, Outcome::Differs(_) | Outcome::Assumed(_));
    let is_known = |name: &str, _: &Outcome| KNOWN.iter().any(|(known, _)| *known == name);
    let table = table(outcomes);
    assert_eq!(names(outcomes, is_otherwise), names(outcomes, is_known), "\n{table}");
}
