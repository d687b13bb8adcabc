//! boto3, which compares the digests of attributes, too.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::support::{World, fifo};

/// Where CI puts Python's packages, or else the machine's Python.
async fn python() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ci-venv/bin/python3");
    for python in [own, "python3".into()] {
        let has_boto3 = Command::new(&python).args(["-c", "import boto3"]).output().await;
        if has_boto3.is_ok_and(|output| output.status.success()) {
            return Some(python);
        }
    }
    None
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "what is skipped is said")]
#[expect(clippy::disallowed_methods, reason = "CI says so in the environment")]
async fn boto3_finds_every_digest_right() {
    let Some(python) = python().await else {
        assert!(std::env::var("CI").is_err(), "needs boto3: pip install boto3");
        eprintln!("skipped: needs boto3: pip install boto3");
        return;
    };
    let world = World::with(vec![fifo("jobs.fifo")]).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/queue/client.py");
    let output = Command::new(python)
        .arg(script)
        .args([&world.endpoint, &world.url("jobs.fifo")])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "done", "{error}");
    assert_eq!(world.counts("jobs.fifo"), (0, 0, 0));
}
