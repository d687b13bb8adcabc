//! local-dev as a program: its first line, its end, what it shows in a terminal, and what it says when it cannot start.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod mistakes;
mod program;
mod pseudoterminal;
mod terminal;

use std::{
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use program::{address, files, local_dev, signal};

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
    let url = format!("postgres://chat@{}/chat", mute.local_addr().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut child = local_dev(&directory, &["--port", "0", "--database-url", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _waiting = mute.accept().unwrap();
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
