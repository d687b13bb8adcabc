//! What docs/testing.md shows of the suite of the chat, run as it stands on the suite that this build has made: contracts against
//! any URL, the checker.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{document::Document, new_user::Running, root, without_cargos_own};

/// The suite as a program.
fn built() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    without_cargos_own(&mut cargo);
    // Of the whole workspace, or dependencies would be compiled anew with fewer features.
    cargo.args(["test", "--offline", "--workspace", "--test", "chat", "--no-run"]);
    let output = cargo.args(["--message-format", "json"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let mut artifacts = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let folder = root().join("local-dev/tests/chat");
    let is_suite = |artifact: &Value| {
        let source = artifact["target"]["src_path"].as_str();
        source.is_some_and(|source| Path::new(source).starts_with(&folder))
    };
    let suite = artifacts.find(is_suite).expect("there is a suite");
    suite["executable"].as_str().unwrap().into()
}

/// A cargo that has compiled the suite already.
fn cargo_of(suite: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cargo");
    let script = format!(
        "#!/bin/sh
        case \"$* \" in
        'test --no-run --package local-dev --test chat ') exit ;;
        'test --quiet --package local-dev --test chat -- '*) shift 7; exec {} \"$@\" ;;
        esac
        echo \"$*: this is not expected\" >&2
        exit 1\n",
        suite.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

pub fn is_run_as_shown() {
    let cargo = cargo_of(&built());
    let chat = Running::start();
    let http = format!("http://127.0.0.1:{}", chat.port);
    let sockets = format!("ws://127.0.0.1:{}", chat.port);
    let run = |shown: &str, more: &str| {
        let mut command = shown.replace("cargo xtask", env!("CARGO_BIN_EXE_xtask"));
        for elsewhere in ["https://chat.example.com", "https://HTTP_API", "http://127.0.0.1:8000"] {
            command = command.replace(elsewhere, &http);
        }
        command = command.replace("wss://WEBSOCKET_API", &sockets);
        let folder = cargo.path().display();
        let output = Command::new("bash")
            .args(["-c", &format!("PATH={folder}:$PATH; {command} {more}")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{said}\n{problem}");
        assert!(said.contains(" passed") && !said.contains(" 0 passed"), "{command}\n{said}");
    };
    let document = Document::read(&root().join("docs/testing.md"));
    let shown = document.blocks.iter().flat_map(|(_, block)| block.lines());
    let mut number = 0;
    for line in shown.map(|line| line.split(" #").next().unwrap().trim()) {
        match line.split_once(" --").map(|(task, _)| task) {
            // Stories that the other lines have run but for the address of their sockets.
            Some("cargo xtask contract") if line.contains("--ws-url") => run(line, "seed::"),
            Some("cargo xtask contract") => run(line, ""),
            // The others are this one for an hour.
            Some("cargo xtask check") if line.ends_with(" --schedules 1") => run(line, ""),
            _ => continue,
        }
        number += 1;
    }
    assert_eq!(number, 5);
}
