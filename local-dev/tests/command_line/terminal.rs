//! What somebody sees who starts it in a terminal.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    program::{address, local_dev, signal},
    pseudoterminal::Pseudoterminal,
};

/// local-dev in a terminal.
struct Session {
    child: Child,
    terminal: Pseudoterminal,
    /// Host and port.
    address: String,
    _directory: TempDir,
}

impl Session {
    fn start(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = local_dev(&directory, &[&["--port", "0"], arguments].concat());
        let (terminal, stderr) = Pseudoterminal::open();
        command.env("TERM", "xterm").stdout(Stdio::piped()).stderr(stderr);
        change(&mut command);
        let mut child = command.spawn().unwrap();
        // It has a copy of what belongs to the program.
        drop(command);
        let address = address(&mut child).strip_prefix("http://").unwrap().to_owned();
        Self { child, terminal, address, _directory: directory }
    }

    /// Sends requests on one connection, and waits until the last is answered.
    fn send(&self, requests: &[String]) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        for request in requests {
            stream.write_all(request.as_bytes()).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next();
            stream.read_exact(&mut vec![0; length.unwrap().parse().unwrap()]).unwrap();
        }
    }

    fn log_in(&self) {
        let body = r#"{"username":"nobody","password":"hunter2hunter2"}"#;
        self.send(&[format!(
            "POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )]);
    }

    /// Ends it. Returns all that was shown.
    fn end(mut self) -> String {
        signal(&self.child, "-TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.terminal.all()
    }
}

fn without_colour(command: &mut Command) {
    command.env("NO_COLOR", "1");
}

/// The lines of invocations.
fn invocations(shown: &str) -> Vec<Vec<&str>> {
    let is_time = |word: &str| word.len() == 9 && word.ends_with('Z') && word.contains(':');
    let lines = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|words| words.first().is_some_and(|word| is_time(word))).collect()
}

#[test]
fn the_first_screen_says_where_everything_is() {
    let arguments = ["--no-throttle", "--fault", "post-410=0.1", "--demo"];
    let mut session = Session::start(&arguments, without_colour);
    session.terminal.until("Ctrl-C stops it.");
    let address = session.address.clone();
    let shown = session.end();
    for row in [
        format!("  page        http://{address}\r\n"),
        format!("  WebSocket   ws://{address}/ws\r\n"),
        format!("  inspector   http://{address}/_local\r\n"),
        "  database    SQLite, chat.db\r\n".to_owned(),
        "  functions   in this program, posting directly\r\n".to_owned(),
        "  throttling  off (--no-throttle)\r\n".to_owned(),
        "  faults      post-410=0.1\r\n".to_owned(),
        "  demo        sign in as mira, jonas, priya, tomas (password: just-a-demo)\r\n".to_owned(),
    ] {
        assert!(shown.contains(&row), "{row} in {shown}");
    }
    assert!(!shown.contains('\x1b'), "{shown}");
}

#[test]
fn each_invocation_is_a_line_without_secrets() {
    let mut session = Session::start(&[], without_colour);
    session.log_in();
    let handshake = "GET /ws?token=hunter3 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    session.send(&[handshake.to_owned()]);
    session.terminal.until("$connect");
    let shown = session.end();
    let lines = invocations(&shown);
    assert_eq!(lines.len(), 2, "{shown}");
    assert_eq!(lines[0][1..5], ["Login", "POST", "/auth/login", "401"]);
    // How long: a number and its unit.
    assert!(matches!(lines[0][6..], ["ms" | "s"]), "{shown}");
    assert_eq!(lines[1][1..4], ["Connect", "$connect", "401"]);
    // Who: the start of the connection's id.
    let who = lines[1].last().unwrap();
    assert_eq!((who.chars().count(), who.chars().last()), (7, Some('…')), "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn failures_stand_out_and_say_why() {
    let mut session = Session::start(&["--fault", "crash-before@Login=1"], |_| {});
    session.log_in();
    session.terminal.until("Runtime.ExitError");
    let shown = session.end();
    let line = shown.lines().find(|line| line.contains("Login ")).unwrap();
    let bold_red = "\x1b[1m\x1b[31m";
    assert!(line.contains(&format!("{bold_red}failed")), "{line:?}");
    let why =
        format!("{bold_red}Runtime.ExitError: a fault on demand, before the function ran\x1b[0m");
    assert!(line.contains(&why), "{line:?}");
}

#[test]
fn a_flood_is_summed_up() {
    const REQUESTS: usize = 400;

    let mut session = Session::start(&[], without_colour);
    let request = "GET /auth/messages HTTP/1.1\r\nhost: x\r\n\r\n".to_owned();
    session.send(&vec![request; REQUESTS]);
    let count = |shown: &str| {
        let whole_lines = shown.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let left_out = whole_lines.split("… and ").skip(1);
        let left_out = left_out.map(|rest| rest.split(' ').next().unwrap().replace(',', ""));
        let left_out = left_out.map(|number| number.parse::<usize>().unwrap()).sum::<usize>();
        (invocations(shown).len(), left_out)
    };
    // What was left out is told when the second is over.
    session.terminal.until_so(|shown| {
        let (lines, left_out) = count(shown);
        shown.ends_with('\n') && lines + left_out >= REQUESTS
    });
    let shown = session.end();
    let (lines, left_out) = count(&shown);
    assert_eq!(lines + left_out, REQUESTS, "{shown}");
    assert!(lines < REQUESTS / 2, "{lines} lines");
}

#[test]
fn who_wants_less_of_the_log_sees_no_invocations() {
    let mut session = Session::start(&[], |command| {
        command.env("LOG", "warn").env("NO_COLOR", "1");
    });
    session.terminal.until("Ctrl-C stops it.");
    session.log_in();
    let shown = session.end();
    assert_eq!(invocations(&shown), Vec::<Vec<&str>>::new());
}

#[test]
fn a_log_in_json_is_nothing_but_json() {
    let session = Session::start(&["--demo"], |command| {
        command.env("LOG_FORMAT", "json").env("CONNECTIONS_ENDPOINT", "http://127.0.0.1:1/ws");
    });
    session.log_in();
    let shown = session.end();
    let lines: Vec<serde_json::Value> =
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |text: &str| {
        let mut messages = lines.iter().map(|line| line["message"].as_str().unwrap());
        messages.any(|message| message.starts_with(text))
    };
    assert!(said("ready: page http://127.0.0.1:"), "{shown}");
    assert!(shown.contains("; functions in this program, posting by the SDK"), "{shown}");
    assert!(said("invocation"), "{shown}");
    assert!(!shown.contains(local_dev::demo::PASSWORD), "{shown}");
}
