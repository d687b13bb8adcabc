//! The program `local-dev`, probed as users have it: it reads the templates and runs the fixture as Lambda does.
//!
//! `cargo test --workspace` builds the program. Where it has not been built, the test is ignored in plain sight; with `CI`
//! set, it fails instead.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

use std::{
    env::{self, consts::EXE_SUFFIX},
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use conformance::{Outcome, Probe, Target, all, report, run};
use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    runtime::Runtime,
    time::timeout,
};

use support::{KNOWN, assert_conforms, functions_dir, names, table, waits};

const HINT: &str = "needs the program local-dev: cargo build -p local-dev";

/// How long the program may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let program =
        Path::new(env!("CARGO_BIN_EXE_fixture")).with_file_name(format!("local-dev{EXE_SUFFIX}"));
    let is_built = program.is_file();
    let must_run = env::var_os("CI").is_some();
    let trial = |name: &str, test: fn(&Path)| {
        let program: PathBuf = program.clone();
        let trial = Trial::test(name, move || {
            if !is_built {
                return Err(Failed::from(HINT));
            }
            test(&program);
            Ok(())
        });
        let kind = if is_built { "" } else { HINT };
        trial.with_kind(kind).with_ignored_flag(!is_built && !must_run)
    };
    let trials = vec![trial("it_does_as_aws_does_and_the_readme_says_so", it_does_as_aws_does)];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn it_does_as_aws_does(program: &Path) {
    let runtime = Runtime::new().unwrap();
    let mut outcomes = runtime.block_on(probe_with_aws_times(program));
    assert_conforms(&outcomes);
    let is_skipped = |_: &str, outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
    assert_eq!(names(&outcomes, is_skipped), [""; 0]);
    assert!(KNOWN.iter().all(|(known, _why)| all().any(|probe| probe.name == *known)));

    let with_short_times = runtime.block_on(probe_with_short_times(program));
    let is_ok = |_: &str, outcome: &Outcome| *outcome == Outcome::Ok;
    let are_ok = names(&with_short_times, is_ok).len();
    assert_eq!(are_ok, with_short_times.len(), "\n{}", table(&with_short_times));

    outcomes.extend(with_short_times);
    readme_says(&outcomes);
}

async fn probe_with_aws_times(program: &Path) -> Vec<(&'static Probe, Outcome)> {
    let main = Running::start(program, "template.yaml", &[]).await;
    let named = Running::start(program, "named-stage.yaml", &[]).await;
    let http_named = format!("http://{}/v1", named.address).parse().unwrap();
    let mut target =
        Target { has_processes: true, http_named: Some(http_named), ..support::target() };
    target.place(main.address);
    let outcomes = run(&target, all().filter(|probe| !waits(probe)).collect()).await;
    main.stop().await;
    named.stop().await;
    outcomes
}

async fn probe_with_short_times(program: &Path) -> Vec<(&'static Probe, Outcome)> {
    let (idle_timeout, max_duration) = (Duration::from_secs(4), Duration::from_secs(10));
    let times = ["--idle-timeout", "4", "--max-duration", "10"];
    let running = Running::start(program, "template.yaml", &times).await;
    let mut target = Target {
        has_processes: true,
        idle_timeout: Some(idle_timeout),
        max_duration: Some(max_duration),
        ..support::target()
    };
    target.place(running.address);
    let outcomes = run(&target, all().filter(|probe| waits(probe)).collect()).await;
    running.stop().await;
    outcomes
}

/// The README's table is what came out just now. `cargo xtask fidelity` writes it.
fn readme_says(outcomes: &[(&Probe, Outcome)]) {
    const BEGIN: &str = "<!-- Made by `cargo xtask fidelity` -->\n";
    const END: &str = "\n<!-- To here -->";

    let mut table = Vec::new();
    report::write_markdown(&mut table, outcomes).unwrap();
    let table = String::from_utf8(table).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(&file).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has a table");
    let (_, after) = rest.split_once(END).expect("its table ends");
    let renewed = format!("{before}{BEGIN}\n{table}{END}{after}");
    if env::var_os("WRITE_DOC").is_some() {
        fs::write(file, renewed).unwrap();
    } else {
        assert!(readme == renewed, "README.md is out of date: run cargo xtask fidelity\n{table}");
    }
}

/// The program while it runs.
struct Running {
    child: Child,
    address: SocketAddr,
    /// Its log.
    log: PathBuf,
    /// Its working directory, and its functions. Removed when nobody is in it any more.
    dir: TempDir,
}

impl Running {
    /// Runs a template as it is, with the fixture behind it.
    async fn start(program: &Path, template: &str, arguments: &[&str]) -> Self {
        let dir = functions_dir();
        let log = dir.path().join("local-dev.log");
        let mut child = Command::new(program)
            .args(["--port", "0", "--template"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(template))
            .arg("--functions")
            .arg(dir.path())
            .args(arguments)
            .current_dir(&dir)
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("an address").unwrap();
        let address = line
            .as_deref()
            .and_then(|line| line.strip_prefix("listening on http://")?.parse().ok());
        let Some(address) = address else {
            panic!("it says {line:?}\n{}", fs::read_to_string(&log).unwrap());
        };
        Self { child, address, log, dir }
    }

    /// Ends the program, which must end well.
    async fn stop(mut self) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap()));
        kill_process(id.expect("it still runs"), Signal::TERM).unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.expect("an end").unwrap();
        assert!(status.success(), "{status}\n{}", fs::read_to_string(&self.log).unwrap());
        drop(self.dir);
    }
}
