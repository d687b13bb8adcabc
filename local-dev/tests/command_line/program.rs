//! local-dev as a program, in a folder of its own.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

/// The program in a folder that holds a page.
pub(crate) fn local_dev(directory: &TempDir, arguments: &[&str]) -> Command {
    std::fs::create_dir_all(directory.path().join("static")).unwrap();
    std::fs::write(directory.path().join("static/index.html"), "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-dev"));
    command.args(arguments).env_clear().current_dir(directory.path()).stdin(Stdio::null());
    command
}

pub(crate) fn run_to_end(arguments: &[&str]) -> Output {
    local_dev(&tempfile::tempdir().unwrap(), arguments).output().unwrap()
}

/// Checks that the program refuses to start, with one line that starts with `says`.
pub(crate) fn assert_refused(arguments: &[&str], says: &str) {
    assert_refused_in(&tempfile::tempdir().unwrap(), arguments, says);
}

/// The same in a folder that something has been put into.
pub(crate) fn assert_refused_in(directory: &TempDir, arguments: &[&str], says: &str) {
    let output = local_dev(directory, arguments).env("LOG", "error").output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(line.starts_with(says), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
}

/// Reads the first line of a program whose standard output is piped: where it listens, as `http://HOST:PORT`.
pub(crate) fn address(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned()
}

pub(crate) fn signal(child: &Child, signal: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// The names of what is in a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    files
}
