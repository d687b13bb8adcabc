//! The cases of the Autobahn test suite against the code that all sockets use, without API Gateway's manners.
//!
//! What runs them is kosoku, a Python package: the suite's own runner needs Python 2. Without it, the test is ignored in plain
//! sight; with `CI` set it may not be missing. Sections 8 (HTTP), 9 (performance), 12 and 13 (compression, which the
//! gateway does not negotiate) are left out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use gateway::{Gateway, Limits, WebSocketApi, server::Bound};
use libtest_mimic::{Arguments, Failed, Trial};

const HINT: &str =
    "needs kosoku: python3 -m venv target/ci-venv && target/ci-venv/bin/pip install kosoku==0.1.0";

/// The sections, what they are about, and how many cases they have.
const SECTIONS: [(&str, &str, usize); 8] = [
    ("1", "framing", 16),
    ("2", "pings_and_pongs", 11),
    ("3", "reserved_bits", 7),
    ("4", "opcodes", 10),
    ("5", "fragmentation", 20),
    ("6", "utf_8", 145),
    ("7", "close_handling", 37),
    ("10", "autofragmentation", 1),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Some cases allow a second; a machine that runs all of them at once may need longer.
    arguments.test_threads.get_or_insert(1);
    let kosoku = find_kosoku();
    let trials = SECTIONS.map(|(section, subject, cases)| {
        let Some(kosoku) = kosoku.clone() else {
            let fail = || Err(Failed::from(format!("this test {HINT}")));
            let must_run = env::var_os("CI").is_some();
            return Trial::test(subject, fail).with_kind(HINT).with_ignored_flag(!must_run);
        };
        Trial::test(subject, move || run_section(&kosoku, section, cases))
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

/// In the directory that `.ci/run` installs tools to, or on the path.
fn find_kosoku() -> Option<PathBuf> {
    let of_ci = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ci-venv/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories = std::iter::once(of_ci).chain(env::split_paths(&path));
    directories.find_map(|directory| Some(directory.join("kosoku")).filter(|file| file.is_file()))
}

/// Runs the `cases` of a section; fails unless every one of them passes.
fn run_section(kosoku: &Path, section: &str, cases: usize) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let gateway = Gateway {
            websocket_apis: vec![WebSocketApi { echo: true, ..WebSocketApi::default() }],
            limits: Limits { connection_rate: None, ..Limits::default() },
            ..Gateway::default()
        };
        let server = Bound::to("127.0.0.1", 0).await.unwrap().serve(gateway);
        let address = server.local_addr().to_string();
        let reports = tempfile::tempdir().unwrap();
        let mut command = Command::new(kosoku);
        command.arg("--include").arg(format!("{section}.*")).arg("--parallelism").arg("4");
        command.arg("--outdir").arg(reports.path()).arg(address);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        server.shutdown().await;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        // It says so only when none has failed. Its status does not count: now and then it crashes after that.
        let passed = said.lines().any(|line| line == format!("{cases} cases passed"));
        if passed { Ok(()) } else { Err(Failed::from(said)) }
    })
}
