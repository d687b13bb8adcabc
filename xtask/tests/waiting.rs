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

fn folder_with_aws() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let aws = folder.path().join("aws");
    fs::write(&aws, AWS).unwrap();
    fs::set_permissions(&aws, PermissionsExt::from_mode(0o700)).unwrap();
    folder
}

fn path(folder: &TempDir) -> String {
    format!("{}:/usr/bin:/bin", folder.path().display())
}

#[test]
fn in_a_terminal_one_sees_what_is_waited_for() {
    let folder = folder_with_aws();
    let doctor = format!("{} doctor --region eu-central-1", env!("CARGO_BIN_EXE_xtask"));
    // It makes a terminal.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &doctor, "/dev/null"]);
    script.env_clear().env("TERM", "xterm").env("SHELL", "/bin/sh").env("PATH", path(&folder));
    let mut child = script.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let (mut shown, mut bytes) = (String::new(), [0; 1024]);
    while !shown.contains("aws sts get-caller-identity") {
        let length = output.read(&mut bytes).unwrap();
        assert_ne!(length, 0, "{shown}");
        shown.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    fs::write(folder.path().join("go"), "").unwrap();
    output.read_to_string(&mut shown).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{shown}");
    // The line has made way.
    let last = shown.rsplit("\x1b[2K").next().unwrap();
    assert!(!last.contains("get-caller-identity 0s"), "{shown:?}");
}

#[test]
fn elsewhere_there_is_nothing_but_lines() {
    let folder = folder_with_aws();
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
