//! What `cargo xtask` shows of what takes a while.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// An AWS CLI that answers nothing before there is a file `go`, and then that nobody has logged in.
const AWS: &str = r#"#!/bin/sh
case "$1" in
--version) echo aws-cli/2.31.0 ;;
*)
    while [ ! -e "${0%/*}/go" ]; do sleep 0.05; done
    echo "Unable to locate credentials" >&2
    exit 1
    ;;
esac
"#;

/// What measures, or runs the checker: it says that it has begun, works until there is a file `go`, and fails.
const SELDOM_SAYS_SOMETHING: &str = r#"#!/bin/sh
case "$*" in
*--no-run*) exit 0 ;;
esac
echo "it has begun" >&2
while [ ! -e "${0%/*}/go" ]; do sleep 0.05; done
echo "it has ended"
exit 3
"#;

/// A folder with a program.
fn folder_with(name: &str, script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(name);
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
    folder
}

fn path(folder: &TempDir) -> String {
    format!("{}:/usr/bin:/bin", folder.path().display())
}

/// Runs a task in a terminal until all of this is shown, lets it go on, and returns everything that was shown.
fn watch(folder: &TempDir, task: &str, until: &[&str]) -> String {
    let line = format!("{} {task}", env!("CARGO_BIN_EXE_xtask"));
    // It makes a terminal.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env_clear().env("TERM", "xterm").env("SHELL", "/bin/sh").env("PATH", path(folder));
    let mut child = script.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let (mut shown, mut bytes) = (String::new(), [0; 1024]);
    while !until.iter().all(|text| shown.contains(text)) {
        let length = output.read(&mut bytes).unwrap();
        assert_ne!(length, 0, "{shown}");
        shown.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    fs::write(folder.path().join("go"), "").unwrap();
    output.read_to_string(&mut shown).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{shown}");
    shown
}

/// What stays when the line that moves has made way.
fn left(shown: &str) -> &str {
    shown.rsplit("\x1b[2K").next().unwrap()
}

#[test]
fn in_a_terminal_one_sees_what_is_waited_for() {
    let folder = folder_with("aws", AWS);
    let shown = watch(&folder, "doctor --region eu-central-1", &["aws sts get-caller-identity"]);
    assert!(!left(&shown).contains("get-caller-identity 0s"), "{shown:?}");
}

#[test]
fn in_a_terminal_one_sees_that_it_is_measured_and_checked() {
    let bench = folder_with("bench", SELDOM_SAYS_SOMETHING);
    let measure = format!("bench --only idle --programs {}", bench.path().display());
    let cargo = folder_with("cargo", SELDOM_SAYS_SOMETHING);
    for (folder, task, moving) in
        [(bench, measure.as_str(), "measuring "), (cargo, "check", "checking ")]
    {
        let shown = watch(&folder, task, &["it has begun", moving]);
        for said in ["it has begun\r\n", "it has ended\r\n", "ended with exit status: 3"] {
            assert!(shown.contains(said), "{said} is not in {shown:?}");
        }
        assert!(!left(&shown).contains(moving), "{shown:?}");
    }
}

#[test]
fn elsewhere_there_is_nothing_but_lines() {
    let folder = folder_with("aws", AWS);
    fs::write(folder.path().join("go"), "").unwrap();
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_xtask"));
    doctor.args(["doctor", "--region", "eu-central-1"]).env_clear().env("PATH", path(&folder));
    let output = doctor.output().unwrap();
    for text in [output.stdout, output.stderr] {
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains('\x1b') && !text.contains('\r'), "{text:?}");
    }
    assert_eq!(output.status.code(), Some(1));
}
