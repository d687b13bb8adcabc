//! `cargo xtask chat`, as people and pipes use it, against local-dev.
//!
//! What the machine lacks is said in a story's line (`[needs …] … ignored`); with `CI` set nothing may be missing.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "nobody uses this crate from outside")]

mod with_local_dev;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::with_local_dev::local_dev;

/// How long something may take to be said.
const PATIENCE: Duration = Duration::from_secs(30);

const PASSWORD: &str = "correct horse battery staple";

const STORIES: [(&str, fn()); 8] = [
    ("two_people_talk", two_people_talk),
    ("a_restart_loses_and_doubles_nothing", a_restart_loses_and_doubles_nothing),
    ("what_was_not_shown_is_found_by_its_number", what_was_not_shown_is_found_by_its_number),
    ("who_comes_goes_and_writes_is_said", who_comes_goes_and_writes_is_said),
    ("a_pipe_is_sent_whole_and_in_order", a_pipe_is_sent_whole_and_in_order),
    ("what_is_refused_is_said_in_words", what_is_refused_is_said_in_words),
    ("mistakes_are_explained", mistakes_are_explained),
    ("in_a_terminal_the_password_is_not_shown", in_a_terminal_the_password_is_not_shown),
];

fn main() -> ExitCode {
    with_local_dev::run(&STORIES)
}

/// local-dev in a folder of its own.
struct Server {
    directory: TempDir,
    options: Vec<&'static str>,
    settings: Vec<(&'static str, &'static str)>,
    child: Child,
    url: String,
}

impl Server {
    fn start(settings: &[(&'static str, &'static str)]) -> Self {
        Self::start_with(&[], settings)
    }

    fn start_with(options: &[&'static str], settings: &[(&'static str, &'static str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("static")).unwrap();
        fs::write(directory.path().join("static/index.html"), "").unwrap();
        fs::write(directory.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        let (child, url) = serve(&directory, "0", options, settings);
        Self { directory, options: options.to_vec(), settings: settings.to_vec(), child, url }
    }

    /// Ends it without a warning.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again at the same address.
    fn start_again(&mut self) {
        let port = self.url.rsplit(':').next().unwrap().to_owned();
        let (child, url) = serve(&self.directory, &port, &self.options, &self.settings);
        assert_eq!(url, self.url);
        self.child = child;
    }

    /// `xtask chat` as a user who is new here.
    fn newcomer(&self, user: &str) -> Command {
        let mut command = self.client(user);
        command.arg("--register");
        command
    }

    fn client(&self, user: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["chat", "--url", &self.url, "--user", user, "--password-file"]);
        command.arg(self.directory.path().join("password")).env_clear();
        command
    }

    /// Has every post fail as if nobody were connected, or none.
    fn lose_posts(&self, all: bool) {
        let faults = serde_json::json!({"post-410": if all { 1.0 } else { 0.0 }});
        ureq::patch(format!("{}/_local/faults", self.url)).send_json(&faults).unwrap();
    }

    /// Shows a frame to all who are connected, as the functions do.
    fn show_all(&self, frame: &str) {
        let list = format!("{}/_local/connections", self.url);
        let list = ureq::get(list).call().unwrap().body_mut().read_to_string().unwrap();
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        for connection in list.as_array().unwrap() {
            let id = connection["id"].as_str().unwrap();
            ureq::post(format!("{}/ws/@connections/{id}", self.url)).send(frame).unwrap();
        }
    }

    /// How often a function has answered.
    fn answers_of(&self, function: &str) -> usize {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        log.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|line| line["message"] == "invocation" && line["function"] == function)
            .count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn serve(
    directory: &TempDir,
    port: &str,
    options: &[&str],
    settings: &[(&str, &str)],
) -> (Child, String) {
    let log = File::options().create(true).append(true).open(directory.path().join("log"));
    let mut child = Command::new(local_dev())
        .args(["--port", port])
        .args(options)
        .current_dir(directory.path())
        .env_clear()
        .env("BCRYPT_COST", "4")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim_end().strip_prefix("listening on ").unwrap().to_owned();
    (child, url)
}

/// Somebody at a client whose standard input and output are pipes.
struct Person {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<String>,
    notes: Receiver<String>,
}

impl Person {
    /// Begins, and waits until the client says that it has.
    fn begin(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let messages = lines(child.stdout.take().unwrap());
        let notes = lines(child.stderr.take().unwrap());
        let person = Self { child, input, messages, notes };
        person.is_told("/help says what there is to type");
        person
    }

    fn say(&mut self, text: &str) {
        writeln!(self.input.as_mut().unwrap(), "{text}").unwrap();
    }

    /// The next message, without its time.
    fn hears(&self) -> String {
        let line = self.messages.recv_timeout(PATIENCE).expect("a message comes");
        let (time, message) = line.split_once(' ').unwrap();
        assert!(time.len() == 5 && time.as_bytes()[2] == b':', "{line}");
        message.to_owned()
    }

    /// Waits for a note with this in it.
    fn is_told(&self, what: &str) {
        loop {
            let note = self.notes.recv_timeout(PATIENCE);
            let note = note.unwrap_or_else(|_| panic!("{what:?} is not said"));
            if note.contains(what) {
                return;
            }
        }
    }

    /// Has no more to say, and waits until the client has ended. Returns what was not heard yet.
    fn leave(mut self) -> Vec<String> {
        drop(self.input.take());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.messages.iter().collect()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn two_people_talk() {
    let server = Server::start(&[]);
    let mut alice = Person::begin(server.newcomer("alice"));
    alice.say("Is anybody here?");
    assert_eq!(alice.hears(), "alice: Is anybody here?");
    let mut bob = Person::begin(server.newcomer("bob"));
    // What was said before he came.
    assert_eq!(bob.hears(), "alice: Is anybody here?");
    bob.say("Yes: /dev/null.");
    bob.say("//dev/zero, too.");
    for person in [&alice, &bob] {
        assert_eq!(person.hears(), "bob: Yes: /dev/null.");
        assert_eq!(person.hears(), "bob: /dev/zero, too.");
    }
    bob.say("/quit");
    assert_eq!(bob.child.wait().unwrap().code(), Some(0));
    assert_eq!(alice.leave(), Vec::<String>::new());
    assert_eq!(server.answers_of("Logout"), 2);
}

fn a_restart_loses_and_doubles_nothing() {
    const ROUNDS: usize = 2;
    const LINES: usize = 20;

    let mut server = Server::start(&[("ACCESS_TOKEN_TTL", "1"), ("MESSAGE_RATE_LIMIT", "off")]);
    let names = ["alice", "bob"];
    let mut people = names.map(|name| Person::begin(server.newcomer(name)));
    let token_ends_at = Instant::now() + Duration::from_secs(1);
    let mut heard = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for number in 0..LINES {
            for person in &mut people {
                person.say(&format!("{round}.{number}"));
            }
        }
        // Some of that is said, and some under way.
        heard[0].push(people[0].hears());
        server.kill();
        for person in &mut people {
            person.say(&format!("{round}.away"));
            person.is_told("no connection");
        }
        // Nobody comes back by the token of the first time.
        thread::sleep(token_ends_at.saturating_duration_since(Instant::now()));
        server.start_again();
        for person in &people {
            person.is_told("connected again");
        }
    }
    let mut lines = Vec::new();
    for round in 0..ROUNDS {
        lines.extend((0..LINES).map(|number| format!("{round}.{number}")));
        lines.push(format!("{round}.away"));
    }
    for (person, heard) in people.iter().zip(&mut heard) {
        while heard.len() < names.len() * lines.len() {
            heard.push(person.hears());
        }
        for name in names {
            let prefix = format!("{name}: ");
            let own: Vec<_> = heard.iter().filter_map(|line| line.strip_prefix(&prefix)).collect();
            assert_eq!(own, lines);
        }
    }
    assert_eq!(heard[0], heard[1]);
    assert_eq!(people.map(Person::leave), [Vec::<String>::new(), Vec::new()]);
    assert!(server.answers_of("Refresh") >= 2);
}

fn what_was_not_shown_is_found_by_its_number() {
    let server = Server::start(&[]);
    let mut alice = Person::begin(server.newcomer("alice"));
    let mut bob = Person::begin(server.newcomer("bob"));
    alice.say("shown");
    assert_eq!([alice.hears(), bob.hears()], ["alice: shown", "alice: shown"]);
    server.lose_posts(true);
    alice.say("stored, and shown to nobody");
    let deadline = Instant::now() + PATIENCE;
    while server.answers_of("Message") < 2 {
        assert!(Instant::now() < deadline, "it was not stored");
        thread::sleep(Duration::from_millis(5));
    }
    server.lose_posts(false);
    bob.say("shown again");
    for person in [&alice, &bob] {
        assert_eq!(person.hears(), "alice: stored, and shown to nobody");
        assert_eq!(person.hears(), "bob: shown again");
    }
    assert_eq!([alice.leave(), bob.leave()], [Vec::<String>::new(), Vec::new()]);
}

fn who_comes_goes_and_writes_is_said() {
    let server = Server::start_with(&["--no-signatures"], &[]);
    let mut alice = Person::begin(server.newcomer("alice"));
    alice.say("now she is connected");
    alice.hears();
    for (frame, note) in [
        (r#"{"type":"presence","event":"joined","username":"bob"}"#, "bob has come"),
        (r#"{"type":"typing","username":"bob"}"#, "bob is writing …"),
        // What she cannot know is passed over.
        (r#"{"type":"weather","is":"fine"}"#, ""),
        (r#"{"type":"presence","event":"left","username":"bob"}"#, "bob has gone"),
        // A server that is up to something cannot steer her terminal.
        (r#"{"type":"typing","username":"\u001b[2Jbob"}"#, "\u{FFFD}[2Jbob is writing …"),
    ] {
        server.show_all(frame);
        if !note.is_empty() {
            alice.is_told(note);
        }
    }
    assert_eq!(alice.leave(), Vec::<String>::new());
}

fn a_pipe_is_sent_whole_and_in_order() {
    // Others must wait now and then, and say so.
    let server = Server::start(&[("MESSAGE_RATE_LIMIT", "5/1")]);
    let texts: Vec<String> = (1..=12).map(|number| format!("line {number}")).collect();
    let mut alice = Person::begin(server.newcomer("alice"));
    for text in &texts {
        alice.say(text);
    }
    let expected: Vec<String> = texts.iter().map(|text| format!("alice: {text}")).collect();
    let heard: Vec<String> = alice.leave().iter().map(|line| line[6..].to_owned()).collect();
    assert_eq!(heard, expected);
    let bob = Person::begin(server.newcomer("bob"));
    let stored: Vec<String> = bob.leave().iter().map(|line| line[6..].to_owned()).collect();
    assert_eq!(stored, expected);
}

fn what_is_refused_is_said_in_words() {
    let server = Server::start(&[]);
    let mut alice = Person::begin(server.newcomer("alice"));
    alice.say(&"x".repeat(4097));
    alice.is_told("not sent: text must not be longer than 4096 characters.");
    alice.say("/qiut");
    alice.is_told("there is no command /qiut; /help says what there is");
    alice.say("short");
    assert_eq!(alice.hears(), "alice: short");
    assert_eq!(alice.leave(), Vec::<String>::new());
}

fn mistakes_are_explained() {
    let server = Server::start(&[]);
    Person::begin(server.newcomer("alice")).leave();
    let refuse = |command: &mut Command, says: &str| {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(says), "{said}");
        assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    };
    refuse(
        &mut server.newcomer("alice"),
        "the username is taken; leave --register out if it is yours",
    );
    refuse(
        &mut server.client("bob"),
        "the username is unknown or the password wrong; --register adds",
    );
    refuse(&mut server.newcomer("system"), "username must not be system");
    let mut nameless = Command::new(env!("CARGO_BIN_EXE_xtask"));
    nameless.args(["chat", "--url", &server.url, "--user", "alice"]).env_clear();
    refuse(
        &mut nameless,
        "there is no terminal to ask for the password; give it by --password-file",
    );
    refuse(nameless.env("CHAT_PASSWORD", "wrong password"), "the password wrong");
    refuse(
        nameless.args(["--password-file", "/nowhere"]),
        "--password-file /nowhere: No such file",
    );
    // Nobody listens on port 1.
    let mut elsewhere = Command::new(env!("CARGO_BIN_EXE_xtask"));
    elsewhere.args(["chat", "--url", "http://127.0.0.1:1", "--user", "alice"]);
    refuse(elsewhere.env_clear().env("CHAT_PASSWORD", PASSWORD), "127.0.0.1:1/auth/login: ");
}

fn in_a_terminal_the_password_is_not_shown() {
    let server = Server::start(&[]);
    let command = format!(
        "{} chat --url {} --user alice --register",
        env!("CARGO_BIN_EXE_xtask"),
        server.url
    );
    // It makes a terminal of pipes.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    script.env_clear().env("TERM", "xterm").env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = script.spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (sender, shown) = channel();
    thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok(length @ 1..) = output.read(&mut bytes) {
            sender.send(bytes[..length].to_vec()).unwrap();
        }
    });
    let mut text = String::new();
    let mut until = |what: &str| {
        while !text.contains(what) {
            let bytes = shown.recv_timeout(PATIENCE);
            let bytes = bytes.unwrap_or_else(|_| panic!("{what:?} is not in {text:?}"));
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        text.clone()
    };
    until("Password of alice: ");
    writeln!(input, "{PASSWORD}").unwrap();
    until("> ");
    // A message comes while a line is being typed, and the line is still whole.
    write!(input, "half a li").unwrap();
    until("half a li");
    let mut bob = Person::begin(server.newcomer("bob"));
    bob.say("Excuse me!");
    until("bob:\u{1b}[0m Excuse me!");
    assert_eq!(bob.hears(), "bob: Excuse me!");
    write!(input, "ne\r").unwrap();
    assert_eq!(bob.hears(), "alice: half a line");
    until("alice:\u{1b}[0m half a line");
    // Ctrl-D.
    write!(input, "\x04").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!text.contains(PASSWORD), "{text}");
}
