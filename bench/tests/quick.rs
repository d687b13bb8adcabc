//! `cargo xtask bench --quick`, from the measuring to the charts.
//!
//! What the machine lacks is said in its line (`[needs …] … ignored`); with `CI` set nothing may be missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use libtest_mimic::{Arguments, Failed, Trial};
use report::Results;

/// Measurements that need nothing, and those that need compiled functions and PostgreSQL.
const ALWAYS: [&str; 6] = ["post", "deliveries", "storm", "history", "idle", "login"];
const COMPILED: [&str; 2] = ["cold-start", "warm"];

const HINT: &str = "needs xtask, hello, hello-postgres and local-dev: cargo test --workspace";

fn main() -> ExitCode {
    let name = "quick_measures_everything";
    let programs = ["xtask", "hello", "hello-postgres", "local-dev"];
    let test = if programs.into_iter().all(|name| program(name).is_file()) {
        Trial::test(name, || {
            quick_measures_everything();
            Ok(())
        })
    } else {
        let must_run = std::env::var_os("CI").is_some();
        let fail = || Err(Failed::from(format!("this test {HINT}")));
        Trial::test(name, fail).with_kind(HINT).with_ignored_flag(!must_run)
    };
    libtest_mimic::run(&Arguments::from_args(), vec![test]).exit_code()
}

/// A program that the same build has made.
fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_bench")).with_file_name(name)
}

fn quick_measures_everything() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(program("xtask"))
        .args(["bench", "--quick", "--programs"])
        .arg(Path::new(env!("CARGO_BIN_EXE_bench")).parent().unwrap())
        .arg("--out")
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let results = fs::read(folder.path().join("results.json")).unwrap();
    let results: Results = serde_json::from_slice(&results).unwrap();
    let rows = |measurement: &str| {
        results.rows.iter().filter(|row| row.measurement == measurement).count()
    };
    for measurement in ALWAYS {
        assert!(rows(measurement) > 0, "{measurement}");
    }
    for measurement in COMPILED {
        assert_eq!(rows(measurement) > 0, results.skipped.is_empty(), "{measurement}");
    }
    if std::env::var_os("CI").is_some() {
        assert_eq!(results.skipped, [""; 0]);
    }
    for point in results.curve.unwrap().points {
        assert_eq!((point.missed, point.repeated), (0, 0));
        assert!(point.dollars_per_million.unwrap() > 1.0);
    }
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("| processor time of a post by the AWS SDK | "), "{table}");
    for chart in ["fan-out-time.svg", "fan-out-dollars.svg"] {
        assert!(fs::read_to_string(folder.path().join(chart)).unwrap().ends_with("</svg>\n"));
    }
}
