//! docs/extending.md, followed to the letter on a copy of this repository, whose tests must pass then.

use std::{
    env::consts::EXE_SUFFIX,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{document::Document, new_user::Running, root, without_cargos_own};

/// What the compiler has made of others' crates is the same in the copy.
const SHARED: [&str; 3] = [".fingerprint", "build", "deps"];

pub fn is_followed() {
    // Not below this repository, or Cargo would read its settings twice.
    let place = tempfile::tempdir().unwrap();
    let (copy, target) = (place.path().join("source"), place.path().join("target"));
    copy_sources(&copy);
    share_dependencies(&target);

    let document = Document::read(&root().join("docs/extending.md"));
    let mut steps = 0;
    for (language, block) in &document.blocks {
        match language.split_once(' ') {
            Some((_, path)) => write(&copy.join(path), block.as_bytes()),
            None if language == "diff" => apply(&copy, block),
            None => continue,
        }
        steps += 1;
    }
    assert!(steps > 10, "there are only {steps} steps");

    let mut cargo = Command::new(env!("CARGO"));
    without_cargos_own(&mut cargo);
    let tested = cargo
        // Of the whole workspace, or dependencies would be compiled anew with fewer features.
        .args(["test", "--offline", "--workspace", "--test", "chat", "--", "sqlite::edits::"])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    let problem = String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success(), "{said}\n{problem}");
    assert!(said.contains("3 passed"), "{said}\n{problem}");
    is_tried(&document, &target);
}

/// Whoever has followed it edits a message.
fn is_tried(document: &Document, target: &Path) {
    let lines = |document: &Document| -> Vec<String> {
        let shell = document.blocks.iter().filter(|(language, _)| language == "sh");
        shell.flat_map(|(_, block)| block.lines()).map(str::to_owned).collect()
    };
    let readme = lines(&Document::read(&root().join("README.md")));
    let command = |lines: &[String], of: &str| {
        lines.iter().find(|line| line.contains(of)).expect("it is shown").clone()
    };
    let profile = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap().file_name().unwrap();
    let chat = Running::of(&target.join(profile).join(format!("local-dev{EXE_SUFFIX}")));
    chat.run(&command(&readme, "/auth/register"), &[]);
    let tokens = chat.run(&command(&readme, "/auth/login"), &[]);
    let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
    let token = [("ACCESS_TOKEN", tokens["access_token"].as_str().unwrap())];
    let talk = format!("echo Hello | {} chat --user alice", env!("CARGO_BIN_EXE_xtask"));
    chat.run(&format!("{talk} --url http://127.0.0.1:3000"), &[("CHAT_PASSWORD", "correct horse")]);
    chat.run(&command(&lines(document), "-X PUT"), &token);
    let messages = chat.run(&command(&readme, "/auth/messages"), &token);
    assert!(messages.contains("Hello, world!"), "{messages}");
}

/// Copies what is, or may be, committed.
fn copy_sources(copy: &Path) {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "this is no clone");
    let names = String::from_utf8(listed.stdout).unwrap();
    for name in names.split_terminator('\0') {
        // What is deleted, but not in the index yet.
        let Ok(content) = fs::read(root().join(name)) else { continue };
        write(&copy.join(name), &content);
    }
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn apply(copy: &Path, patch: &str) {
    let mut git = Command::new("git")
        .args(["apply", "--unidiff-zero", "--whitespace=nowarn", "-"])
        .current_dir(copy)
        // Wherever the copy is, it is of no repository.
        .env("GIT_CEILING_DIRECTORIES", copy.parent().unwrap())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(patch.as_bytes()).unwrap();
    let output = git.wait_with_output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this step can't be made: {problem}\n{patch}");
}

/// Links what this test's own build has made of dependencies to where the copy is built.
fn share_dependencies(target: &Path) {
    let built: PathBuf = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap().to_owned();
    let profile = built.file_name().unwrap();
    for folder in SHARED {
        link_all(&built.join(folder), &target.join(profile).join(folder));
    }
}

fn link_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            link_all(&entry.path(), &target);
        } else {
            // Where that can't be, on another file system, it is compiled anew.
            fs::hard_link(entry.path(), &target).ok();
        }
    }
}
