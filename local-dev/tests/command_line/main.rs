//! local-dev as a program: its first line, its end, and what it says when it cannot start.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The program in a folder that holds a page.
fn local_dev(directory: &TempDir, arguments: &[&str]) -> Command {
    std::fs::create_dir(directory.path().join("static")).unwrap();
    std::fs::write(directory.path().join("static/index.html"), "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-dev"));
    command.args(arguments).env_clear().current_dir(directory.path()).stdin(Stdio::null());
    command
}

fn run_to_end(arguments: &[&str]) -> Output {
    local_dev(&tempfile::tempdir().unwrap(), arguments).output().unwrap()
}

/// Checks that the program refuses to start, with one line that starts with `says`.
fn assert_refused(arguments: &[&str], says: &str) {
    let output = run_to_end(arguments);
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(line.starts_with(says), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
}

#[test]
fn it_says_where_it_listens_and_ends_in_order_when_asked() {
    for signal in ["-INT", "-TERM"] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = local_dev(&directory, &["--port", "0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.strip_prefix("listening on http://127.0.0.1:").unwrap();
        assert_ne!(port.trim_end().parse::<u16>().unwrap(), 0);

        let asked = Instant::now();
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}

#[test]
fn it_ends_when_asked_while_the_database_keeps_it_waiting() {
    // A database that takes connections and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://chat@{}/chat", mute.local_addr().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut child = local_dev(&directory, &["--port", "0", "--database-url", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _waiting = mute.accept().unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let says =
        format!("local-dev: port {port} on 127.0.0.1 is in use; stop the program that has it");
    assert_refused(&["--port", &port], &says);
}

#[test]
fn a_host_that_is_not_this_machine_is_named_with_the_remedy() {
    assert_refused(&["--host", ""], "local-dev: the host \"\" has no address (");
    let says = "local-dev: cannot listen on port 3000 of 192.0.2.1 (";
    assert_refused(&["--host", "192.0.2.1"], says);
}

#[test]
fn a_folder_without_a_page_is_named_with_the_remedy() {
    let says = "local-dev: the folder \"nowhere\" holds no index.html; ";
    assert_refused(&["--static-dir", "nowhere"], says);
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [["--port", "65536"], ["--idle-timeout", "0"], ["--unknown", "1"]] {
        let output = run_to_end(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn another_project_is_served_without_a_trace_of_the_chat() {
    const TEMPLATE: &str = "
Transform: AWS::Serverless-2016-10-31
Parameters:
  JwtSecret: { Type: String, Default: short }
Resources:
  Migrate:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: provided.al2023
      Handler: bootstrap
      Environment: { Variables: { DATABASE_URL: mysql://own/db, JWT_SECRET: !Ref JwtSecret } }
      Events: { Get: { Type: HttpApi, Properties: { Method: GET, Path: /shop } } }
";
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("functions/Migrate");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy("/bin/true", folder.join("bootstrap")).unwrap();
    std::fs::write(directory.path().join("template.yaml"), TEMPLATE).unwrap();
    let arguments = ["--port", "0", "--template", "template.yaml", "--functions", "functions"];
    let mut command = local_dev(&directory, &arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let mut files: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    files.sort_unstable();
    assert_eq!(files, ["functions", "static", "template.yaml"]);
}

#[test]
fn a_project_that_cannot_be_served_is_refused_with_what_is_missing() {
    assert_refused(
        &["--template", "nowhere.yaml", "--functions", "."],
        "local-dev: --template nowhere.yaml: No such file or directory",
    );
    assert_refused(
        &["--functions", "nowhere"],
        "local-dev: --functions nowhere: no such folder; it takes one that has NAME/bootstrap",
    );
    assert_refused(
        &["--fault", "crash-after@Nobody=1"],
        "local-dev: --fault: there is no function \"Nobody\"; there are Register, Login, ",
    );
    assert_refused(&["--fault", "flood=1"], "local-dev: there is no fault \"flood\"; there are ");
    assert_refused(&["--assume", "x=1"], "local-dev: there is no assumption \"x\"; there are ");
}
