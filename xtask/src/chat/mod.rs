//! `cargo xtask chat`: the chat in a terminal, and an example of a client that loses and doubles nothing.
//!
//! What the protocol asks of a client is in few places: `session` has tokens and history, `outbox` sends each line until it is
//! confirmed, `conversation` is the life of one connection, and here one follows the other until its user has enough. `frame`
//! is what goes over the wire; `input` and `screen` are the terminal.

mod conversation;
mod frame;
mod input;
mod outbox;
mod screen;
mod session;

use std::{
    fs,
    io::{IsTerminal, stdin},
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::{Value, json};

use self::{conversation::Conversation, input::Terminal, screen::Screen, session::Session};
use crate::smoke::base_url;

/// Where to, and as whom. The password is asked for, or taken from `--password-file` or the environment's `CHAT_PASSWORD`: on a
/// command line everybody on this machine could read it.
#[derive(Args)]
pub(crate) struct Chat {
    /// The chat's address: <http://127.0.0.1:3000>
    #[arg(long, default_value = "http://127.0.0.1:3000", value_parser = base_url)]
    url: String,

    /// Username
    #[arg(long)]
    user: String,

    /// Register the user first
    #[arg(long)]
    register: bool,

    /// File whose first line is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// How many of the newest messages are shown at first
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=200))]
    history: u8,
}

/// Why a connection has ended, or none came about.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may go well the next time.
    Passing(String),
    /// It never will.
    Final(String),
}

/// The longest wait before the first next try. It doubles with each that fails.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A connection that lived so long was a good one: the next wait is short again.
const STABLE_AFTER: Duration = Duration::from_secs(5);

impl Chat {
    pub(crate) fn run(&self) -> Result<(), String> {
        let account = self.account()?;
        if self.register {
            session::register(&self.url, &account)?;
        }
        let session = Session::log_in(&self.url, &account)?;
        let _terminal = Terminal::remember();
        let (inputs, above) = input::start()?;
        let mut screen = Screen::new(above);
        screen.note(&format!("{} as {}; /help says what there is to type", self.url, self.user));
        let mut conversation =
            Conversation::new(&self.url, session, inputs, screen, self.history.into());
        let outcome = talk(&mut conversation);
        conversation.log_out();
        outcome
    }

    fn account(&self) -> Result<Value, String> {
        Ok(json!({"username": self.user, "password": self.password()?}))
    }

    fn password(&self) -> Result<String, String> {
        if let Some(file) = &self.password_file {
            let text = fs::read_to_string(file)
                .map_err(|error| format!("--password-file {}: {error}", file.display()))?;
            return Ok(text.lines().next().unwrap_or_default().to_owned());
        }
        if let Some(password) = std::env::var_os("CHAT_PASSWORD") {
            let password = password.into_string();
            return password.map_err(|_not_text| "CHAT_PASSWORD is not UTF-8".to_owned());
        }
        if !stdin().is_terminal() {
            return Err("there is no terminal to ask for the password; give it by --password-file FILE, or set \
                        CHAT_PASSWORD"
                .to_owned());
        }
        let asked = rpassword::prompt_password(format!("Password of {}: ", self.user));
        asked.map_err(|error| format!("the password cannot be asked for: {error}"))
    }
}

/// Connects, and connects again, until the user has enough.
fn talk(conversation: &mut Conversation) -> Result<(), String> {
    let mut ceiling = WAIT_FIRST;
    loop {
        let began = Instant::now();
        match conversation.hold() {
            Ok(()) => return Ok(()),
            Err(Failure::Final(why)) => return Err(why),
            Err(Failure::Passing(why)) => {
                if began.elapsed() >= STABLE_AFTER {
                    ceiling = WAIT_FIRST;
                }
                // Any time below the ceiling: clients of a restarted server come back spread out.
                let wait = ceiling.mul_f64(rand::random());
                ceiling = (ceiling * 2).min(WAIT_MAX);
                if conversation.wait(wait, &why)? {
                    return Ok(());
                }
            }
        }
    }
}
