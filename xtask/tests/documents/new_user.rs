//! The README, followed by somebody who has just cloned the repository.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    document::Document,
    {local_dev, root},
};

/// local-dev, as `cargo run` starts it, on a free port and in a folder of its own.
pub struct Running {
    child: Child,
    pub port: String,
    pub folder: tempfile::TempDir,
}

impl Running {
    pub fn start() -> Self {
        Self::of(&local_dev())
    }

    /// The same of another program.
    pub fn of(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(program)
            .args(["--port", "0", "--static-dir"])
            .arg(root().join("static"))
            .current_dir(&folder)
            // Hashing takes its time on purpose, which is of no use here.
            .env("BCRYPT_COST", "4")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://127.0.0.1:");
        let port = address.expect("it says where it listens").to_owned();
        Self { child, port, folder }
    }

    /// What a command of the README prints, if it succeeds.
    pub fn run(&self, command: &str, variables: &[(&str, &str)]) -> String {
        let command = command.replace(":3000", &format!(":{}", self.port));
        let output = Command::new("bash")
            .args(["-c", &command])
            .envs(variables.iter().copied())
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{problem}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs a command of the README in the repository, as it stands.
fn succeeds(command: &str) {
    let output = Command::new("bash").args(["-c", command]).current_dir(root()).output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}\n{problem}");
}

pub fn follows_the_readme() {
    let readme = Document::read(&root().join("README.md"));
    let shown: Vec<&str> = readme
        .blocks
        .iter()
        .filter(|(language, _)| language == "sh")
        .flat_map(|(_, block)| block.lines())
        .collect();
    let command = |start: &str| {
        let found = shown.iter().find(|line| line.starts_with(start));
        *found.unwrap_or_else(|| panic!("the README doesn't show {start}"))
    };
    let chat = Running::start();
    assert!(chat.run(command("curl -i localhost:3000/auth/register"), &[]).contains(" 201 "));

    let answer = chat.run(command("curl -s localhost:3000/auth/login"), &[]);
    let tokens: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let token = tokens["access_token"].as_str().unwrap();
    let authorized = [("ACCESS_TOKEN", token)];
    assert_eq!(chat.run(command("curl -s localhost:3000/auth/messages"), &authorized), "[]");
    let present = chat.run(command("curl -s localhost:3000/auth/presence"), &authorized);
    assert_eq!(present, r#"{"count":0,"users":[]}"#);

    for told in ["cargo run -- --help", "cargo xtask deploy --dry-run"] {
        succeeds(command(told));
    }
    let cost = Document::read(&root().join("docs/cost.md"));
    let reckoned = cost.blocks.iter().filter(|(language, _)| language == "sh");
    let reckoned: Vec<&str> = reckoned.flat_map(|(_, block)| block.lines()).collect();
    assert!(!reckoned.is_empty(), "docs/cost.md shows nothing");
    reckoned.into_iter().for_each(succeeds);
    for page in ["/", "/_local"] {
        let shown = chat.run(&format!("curl -sSf http://127.0.0.1:3000{page}"), &[]);
        assert!(shown.contains("<title>"), "{page}: {shown}");
    }
    // Within the lines of another document.
    let local_dev = Document::read(&root().join("docs/local-dev.md"));
    let asked = local_dev.spans.iter().filter(|span| span.contains("localhost:3000"));
    let asked: Vec<String> =
        asked.map(|command| chat.run(&format!("{command} -sSf"), &[])).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    // What the README says is left in the folder.
    for file in ["chat.db", "chat.db.jwt-secret"] {
        assert!(chat.folder.path().join(file).is_file(), "{file}");
    }
}
