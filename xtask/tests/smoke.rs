//! `cargo xtask smoke`, against local-dev: what it tries, and that it tells a chat that doesn't work.
//!
//! What the machine lacks is said in a story's line (`[needs …] … ignored`); with `CI` set nothing may be missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "nobody uses this crate from outside")]

mod with_local_dev;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitCode, Stdio},
};

use tempfile::TempDir;

use crate::with_local_dev::local_dev;

const STORIES: [(&str, fn()); 2] = [
    ("a_chat_that_works_is_tried_in_all_its_parts", a_chat_that_works_is_tried_in_all_its_parts),
    ("a_part_that_fails_is_named", a_part_that_fails_is_named),
];

fn main() -> ExitCode {
    with_local_dev::run(&STORIES)
}

/// The chat, in a folder of its own.
struct Chat {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Chat {
    fn start(faults: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("static")).unwrap();
        fs::write(folder.path().join("static/index.html"), "").unwrap();
        let mut child = Command::new(local_dev())
            .args(["--port", "0"])
            .args(faults.iter().flat_map(|fault| ["--fault", fault]))
            .current_dir(&folder)
            .env_clear()
            .env("BCRYPT_COST", "4")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let mut chat = Self { child, url: String::new(), _folder: folder };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).unwrap();
        line.trim_end().strip_prefix("listening on ").unwrap().clone_into(&mut chat.url);
        chat
    }

    /// Whether `xtask smoke` is content, and what it says.
    fn smoke(&self) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = command.args(["smoke", "--url", &self.url]).env_clear().output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout) + &text(output.stderr))
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn a_chat_that_works_is_tried_in_all_its_parts() {
    let (is_content, said) = Chat::start(&[]).smoke();
    assert!(is_content, "{said}");
    let parts: Vec<&str> =
        said.lines().map(|line| line.split(" after ").next().unwrap().trim()).collect();
    assert_eq!(
        parts,
        [
            "registered",
            "logged in",
            "opened two sockets",
            "a message came to both",
            "is online",
            "logged out"
        ]
    );
}

fn a_part_that_fails_is_named() {
    for (function, part) in [
        ("Register", "POST /auth/register was answered 500"),
        ("Login", "POST /auth/login was answered 500"),
        ("Presence", "GET /auth/presence?limit=1&after=deploy-check-"),
        ("Logout", "POST /auth/logout was answered 500"),
    ] {
        let (is_content, said) = Chat::start(&[&format!("crash-before@{function}=1")]).smoke();
        assert!(!is_content && said.contains(part), "{function}: {said}");
    }
}
