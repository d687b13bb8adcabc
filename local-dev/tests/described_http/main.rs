//! What `infra/openapi.yaml` says of the HTTP API, held against the running program by schemathesis: it makes requests of
//! the description, good ones and bad ones, and looks for answers that are not in it.
//!
//! It is skipped in plain sight where schemathesis is not installed; with `CI` set it must be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    runtime::Runtime,
    time::timeout,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

const HINT: &str = "needs schemathesis: pip install schemathesis";

/// Where CI puts Python's packages.
const VENV: &str = "../target/ci-venv/bin";

/// The same requests each time. Another number finds others.
const SEED: &str = "20261123";

/// Requests that are made up for each operation, beside those for each of the description's limits.
const EXAMPLES_MAX: &str = "50";

/// How long the program may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long all requests together may take.
const RUN_TIME_MAX: Duration = Duration::from_mins(5);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let name = "no_request_finds_an_answer_that_is_not_described";
    let trial = match find_schemathesis() {
        Some(schemathesis) => Trial::test(name, move || {
            Runtime::new().unwrap().block_on(hold_against_description(&schemathesis))
        }),
        None => Trial::test(name, || Err(Failed::from(format!("this test {HINT}"))))
            .with_kind(HINT)
            .with_ignored_flag(std::env::var_os("CI").is_none()),
    };
    libtest_mimic::run(&arguments, vec![trial]).exit_code()
}

async fn hold_against_description(schemathesis: &Path) -> Result<(), Failed> {
    let program = Program::start().await;
    let token = program.log_in().await;
    program.say_something(&token).await;

    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(schemathesis)
        .arg("--config-file")
        .arg(manifest_dir.join("tests/described_http/schemathesis.toml"))
        .arg("run")
        .arg(manifest_dir.join("../infra/openapi.yaml"))
        .args(["--url", &program.url, "--header", &format!("Authorization: Bearer {token}")])
        .args(["--seed", SEED, "--max-examples", EXAMPLES_MAX])
        .args(["--continue-on-failure", "--no-color"])
        // Nothing is remembered from run to run.
        .args(["--generation-database", "none"])
        .current_dir(program.folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(RUN_TIME_MAX, output).await.map_err(|_elapsed| "it takes too long")?;
    let output = output.unwrap();
    if output.status.success() {
        return Ok(());
    }
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Failed::from(format!("with the seed {SEED}:\n{report}{errors}")))
}

/// local-dev on a database of its own.
struct Program {
    url: String,
    http: reqwest::Client,
    folder: TempDir,
    _child: Child,
}

impl Program {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../static");
        let mut child = Command::new(env!("CARGO_BIN_EXE_local-dev"))
            .args(["--port", "0", "--static-dir"])
            .arg(page)
            .current_dir(folder.path())
            .env_clear()
            .env("BCRYPT_COST", "4")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("it starts in time").unwrap();
        let line = line.expect("it says where it listens");
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { url, http: reqwest::Client::new(), folder, _child: child }
    }

    /// Registers a user; an access token.
    async fn log_in(&self) -> String {
        let account = json!({ "username": "carol", "password": "correct horse" });
        self.post("/auth/register", &account).await;
        let tokens = self.post("/auth/login", &account).await;
        tokens["access_token"].as_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    /// Gives the history a few pages.
    async fn say_something(&self, token: &str) {
        let url = format!("{}/ws?token={token}", self.url.replacen("http", "ws", 1));
        let (mut socket, _response) = connect_async(url).await.unwrap();
        for text in ["one", "two", "three"] {
            socket.send(Message::text(text)).await.unwrap();
            let echo = timeout(PATIENCE, socket.next()).await.expect("an echo").unwrap().unwrap();
            assert_eq!(echo, Message::text(format!("carol: {text}")));
        }
        socket.close(None).await.unwrap();
    }
}

/// Where schemathesis is: where CI puts it, or on the `PATH`.
fn find_schemathesis() -> Option<PathBuf> {
    let in_venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(VENV).join("schemathesis");
    [in_venv, PathBuf::from("schemathesis")].into_iter().find(|program| {
        let mut version = std::process::Command::new(program);
        let version = version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    })
}
