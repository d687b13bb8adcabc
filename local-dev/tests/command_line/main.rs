//! local-dev as a program: its first line, its end, what it shows in a terminal, and what it says when it cannot start.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod mistakes;
mod program;
mod pseudoterminal;
mod terminal;

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use program::{address, files, local_dev, run_to_end, signal};

#[test]
fn it_says_where_it_listens_and_ends_in_order_when_asked() {
    for name in ["-INT", "-TERM"] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = local_dev(&directory, &["--port", "0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let address = address(&mut child);
        let port = address.strip_prefix("http://127.0.0.1:").unwrap();
        assert_ne!(port.parse::<u16>().unwrap(), 0);

        let asked = Instant::now();
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}

#[test]
fn it_ends_when_asked_while_the_database_keeps_it_waiting() {
    // A database that takes connections and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    let url = format!("postgres://chat:hunter2@{address}/chat");
    let directory = tempfile::tempdir().unwrap();
    let mut child = local_dev(&directory, &["--port", "0", "--database-url", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _waiting = mute.accept().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = said.next().unwrap();
    let says =
        format!("waiting for the database (PostgreSQL, chat on {address}); Ctrl-C ends that");
    assert!(line.contains(&says), "{line}");
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn shells_learn_the_options() {
    /// What bash offers when this has been typed.
    const OFFER: &str = r#"
        source <("$1" --completions bash)
        complete=$(complete -p local-dev)
        COMP_WORDS=(local-dev --da) COMP_CWORD=1
        function=${complete#*-F }
        "${function%% *}" local-dev --da local-dev
        echo "${COMPREPLY[*]}"
    "#;

    let program = env!("CARGO_BIN_EXE_local-dev");
    let offered = Command::new("bash").args(["-c", OFFER, "bash", program]).output().unwrap();
    assert_eq!(String::from_utf8(offered.stdout).unwrap(), "--database-url\n");
    for (shell, says) in [("zsh", "#compdef local-dev"), ("fish", "complete -c local-dev")] {
        let output = run_to_end(&["--completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains(says) && script.contains("database-url"), "{script}");
        assert_eq!(output.status.code(), Some(0));
    }
    let output = run_to_end(&["--completions", "cmd"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("[possible values: bash, elvish, fish, powershell, zsh]"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

/// What opens a browser on Linux is a program on the PATH.
#[cfg(target_os = "linux")]
#[test]
fn a_browser_is_opened_if_there_is_one() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let (program, opened) = (directory.path().join("xdg-open"), directory.path().join("opened"));
    let script = format!("#!/bin/sh\necho \"$1\" > {0}.new && mv {0}.new {0}\n", opened.display());
    let start = || {
        let mut command = local_dev(&directory, &["--port", "0", "--open"]);
        command.env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
    let mut child = start();
    let address = address(&mut child);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !opened.exists() {
        assert!(Instant::now() < deadline, "no browser was opened");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(std::fs::read_to_string(&opened).unwrap(), format!("{address}\n"));
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_a_browser_its_user_is_told_the_address() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = local_dev(&directory, &["--port", "0", "--open"]);
    // No program is there.
    command.env("PATH", directory.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let address = address(&mut child);
    let log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let says = format!("open {address} in one yourself");
    assert!(log.into_iter().any(|line| line.contains(&says)), "{says}");
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
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
    address(&mut child);
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(files(directory.path()), ["functions", "static", "template.yaml"]);
}
