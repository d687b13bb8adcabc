//! Commands of others that documents show, run as they stand: cargo's, cargo-lambda's.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{document::Document, new_user::Running, root, without_cargos_own};

/// How often it is looked whether something has begun.
const PAUSE: Duration = Duration::from_millis(50);

/// The line of a document that begins with this or has it after its variables, without its comment.
fn shown(document: &str, command: &str) -> String {
    let document = Document::read(&root().join(document));
    let mut lines = document
        .blocks
        .iter()
        .filter(|(language, _)| language == "sh")
        .flat_map(|(_, block)| block.lines());
    let line = lines.find(|line| line.contains(command));
    let line = line.unwrap_or_else(|| panic!("{command} is not shown"));
    line.split(" #").next().unwrap().trim().to_owned()
}

/// A command to be run in the repository.
fn shell(command: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-c", command]).current_dir(root());
    without_cargos_own(&mut bash);
    bash
}

/// What a command prints, if it succeeds.
fn run(command: &str) -> String {
    let output = shell(command).output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}\n{problem}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn local_dev_is_installed() {
    let folder = tempfile::tempdir().unwrap();
    let install = shown("docs/local-dev.md", "cargo install");
    run(&format!("{install} --debug --offline --locked --root {}", folder.path().display()));
    let chat = Running::of(&folder.path().join("bin/local-dev"));
    let page = run(&format!("curl -sSf http://127.0.0.1:{}/", chat.port));
    assert!(page.contains("<title>"), "{page}");
}

/// cargo-lambda's stand-in for Lambda, with what it has started.
struct Watched(Child);

impl Watched {
    fn start(command: &str, port: u16) -> Self {
        let mut command = shell(command);
        let child = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        let mut watched = Self(child.stderr(Stdio::null()).spawn().unwrap());
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(watched.0.try_wait().unwrap().is_none(), "it has ended");
            thread::sleep(PAUSE);
        }
        watched
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        Command::new("kill").args(["-KILL", "--", &group]).status().ok();
        self.0.wait().ok();
    }
}

pub fn one_function_is_tried_by_itself() {
    let chat = Running::start();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let at = format!("--invoke-address 127.0.0.1 --invoke-port {port}");

    let folder = chat.folder.path().display().to_string();
    let watch = shown("README.md", "cargo lambda watch").replace("$PWD", &folder);
    let _watched = Watched::start(&format!("{watch} {at}"), port);
    let invoke = shown("README.md", "cargo lambda invoke");
    let answer = run(&format!("{invoke} {at}"));
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["statusCode"], 201, "{answer}");

    // On the same database.
    let event = root().join("functions/register/events/register.json");
    let event: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(event).unwrap()).unwrap();
    let account = event["body"].as_str().unwrap();
    let tokens = chat.run(&format!("curl -sSf localhost:3000/auth/login --json '{account}'"), &[]);
    assert!(tokens.contains("access_token"), "{tokens}");
}

/// To one that is gone, so the command itself, its keys and its file are right if that is what it says.
pub fn a_socket_is_posted_to() {
    let chat = Running::start();
    let document = Document::read(&root().join("docs/local-dev.md"));
    let has_it = |block: &&String| block.contains("post-to-connection");
    let block = document.blocks.iter().map(|(_, block)| block).find(has_it).unwrap();
    std::fs::write(chat.folder.path().join("hello.txt"), "hello").unwrap();
    let mut bash = shell(&block.replace(":3000", &format!(":{}", chat.port)));
    let output = bash.current_dir(&chat.folder).env("ID", "QkT3rfHsDoECHlw=").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("GoneException") && said.contains("PostToConnection"), "{said}");
}
