//! The life of a connection: opening it, catching up, then frames in both directions until it breaks or its user has enough.

use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use super::{
    Failure,
    frame::{self, Frame, Message, Presence, Refusal},
    input::Input,
    outbox::Outbox,
    screen::{Screen, harmless},
    session::{Page, Session},
};
use crate::web::{OpenError, Socket};

/// How long a frame is waited for before lines are looked at.
const TICK: Duration = Duration::from_millis(30);

/// A connection on which nothing has come for so long is asked whether it lives: well before the ten minutes after which API
/// Gateway closes it.
const QUIET_MAX: Duration = Duration::from_mins(4);

/// How long the answer to that may take.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How long lines that were not confirmed may keep a user who has enough.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is said that the same user is writing.
const TYPING_EVERY: Duration = Duration::from_secs(10);

/// What outlives a connection.
pub(super) struct Conversation {
    url: String,
    session: Session,
    inputs: Receiver<Input>,
    screen: Screen,
    outbox: Outbox,
    /// How many messages are shown at first.
    history: usize,
    /// The last message that was shown: every one before it was, too. `None` before the first.
    last_id: Option<u64>,
    /// Since when its user has enough.
    ends_since: Option<Instant>,
    /// Whether the user was told that there is no connection.
    is_missed: bool,
    /// When each user was last said to be writing.
    typing: HashMap<String, Instant>,
}

impl Conversation {
    /// Nothing was shown and nothing said.
    pub(super) fn new(
        url: &str,
        session: Session,
        inputs: Receiver<Input>,
        screen: Screen,
        history: usize,
    ) -> Self {
        Self {
            url: url.to_owned(),
            session,
            inputs,
            screen,
            outbox: Outbox::default(),
            history,
            last_id: None,
            ends_since: None,
            is_missed: false,
            typing: HashMap::new(),
        }
    }

    /// Opens a connection and holds it. Returns when the user has enough and every line is confirmed.
    pub(super) fn hold(&mut self) -> Result<(), Failure> {
        let mut socket = self.open()?;
        // What is said from now on comes over the socket; what was said before is in the history.
        self.catch_up()?;
        if std::mem::take(&mut self.is_missed) {
            self.screen.note("connected again");
        }
        self.outbox.again_at_once();
        let mut heard_at = Instant::now();
        let mut asked_at: Option<Instant> = None;
        loop {
            if let Some(text) = socket.next_within(TICK).map_err(Failure::Passing)? {
                (heard_at, asked_at) = (Instant::now(), None);
                self.take(Frame::read(&text))?;
            }
            self.read_inputs();
            if self.is_over()? {
                return Ok(());
            }
            if let Some((text, client_id)) = self.outbox.take_due(Instant::now()) {
                socket.send(&frame::send(text, client_id)).map_err(Failure::Passing)?;
            }
            match asked_at {
                None if heard_at.elapsed() >= QUIET_MAX => {
                    socket.send(&frame::ping()).map_err(Failure::Passing)?;
                    asked_at = Some(Instant::now());
                }
                Some(asked_at) if asked_at.elapsed() >= PONG_WITHIN => {
                    return Err(Failure::Passing("the server has gone silent".to_owned()));
                }
                _ => {}
            }
        }
    }

    fn open(&mut self) -> Result<Socket, Failure> {
        let token = self.session.access_token()?;
        Socket::open(&self.url, token).map_err(|error| {
            if matches!(error, OpenError::Refused { status: 401, .. }) {
                self.session.distrust();
            }
            Failure::Passing(error.to_string())
        })
    }

    /// Shows what was said since the last message that was shown.
    fn catch_up(&mut self) -> Result<(), Failure> {
        let missed = match self.last_id {
            Some(id) => self.session.messages_after(id)?,
            None => self.session.messages(Page::Newest(self.history))?,
        };
        // In an empty chat the first will be number 1.
        self.last_id.get_or_insert(0);
        for message in &missed {
            self.show(message);
        }
        Ok(())
    }

    /// A message that has come by the history or directly behind the last one.
    fn show(&mut self, message: &Message) {
        self.last_id = Some(message.id);
        if let Some(client_id) = &message.client_id {
            self.outbox.settle(client_id);
        }
        self.typing.remove(&message.username);
        self.screen.message(message);
    }

    fn take(&mut self, frame: Frame) -> Result<(), Failure> {
        match frame {
            Frame::Message(message) => self.take_message(&message)?,
            Frame::Messages { messages } => {
                messages.iter().try_for_each(|message| self.take_message(message))?;
            }
            Frame::Error(refusal) => self.take_refusal(&refusal),
            Frame::GatewayError => self.outbox.again_at(Instant::now() + Duration::from_secs(1)),
            Frame::Presence { event, username } => {
                let username = harmless(&username);
                match event {
                    Presence::Joined => self.screen.note(&format!("{username} has come")),
                    Presence::Left => self.screen.note(&format!("{username} has gone")),
                    Presence::Unknown => {}
                }
            }
            Frame::Typing { username } => self.take_typing(username),
            Frame::Pong | Frame::Unknown => {}
        }
        Ok(())
    }

    /// Ids have no gaps: one that is not the next was shown before, or others are missing, which the history has.
    fn take_message(&mut self, message: &Message) -> Result<(), Failure> {
        let next = self.last_id.unwrap_or_default() + 1;
        if message.id == next {
            self.show(message);
        } else if message.id > next {
            self.catch_up()?;
        } else if let Some(client_id) = &message.client_id {
            self.outbox.settle(client_id);
        }
        Ok(())
    }

    fn take_refusal(&mut self, refusal: &Refusal) {
        let Refusal { detail, client_id, retry_after, code } = refusal;
        let detail = harmless(detail);
        match (client_id, retry_after) {
            (Some(_), Some(seconds)) => {
                self.outbox.again_at(Instant::now() + Duration::from_secs(*seconds));
                self.screen.note(&format!("{detail} It will be sent again."));
            }
            // Our server failed: the same send may succeed.
            (Some(_), None) if code == "internal" => {
                self.outbox.again_at(Instant::now() + Duration::from_secs(1));
            }
            (Some(client_id), None) => {
                self.outbox.settle(client_id);
                self.screen.note(&format!("not sent: {detail}"));
            }
            (None, _) => self.screen.note(&detail),
        }
    }

    fn take_typing(&mut self, username: String) {
        let said_at = self.typing.get(&username);
        if said_at.is_none_or(|said_at| said_at.elapsed() >= TYPING_EVERY) {
            self.screen.note(&format!("{} is writing …", harmless(&username)));
            self.typing.insert(username, Instant::now());
        }
    }

    fn read_inputs(&mut self) {
        loop {
            match self.inputs.try_recv() {
                Ok(Input::Say(text)) => self.outbox.push(text),
                Ok(Input::Help) => self.screen.note(
                    "a line is sent as it is; //text sends /text; /quit or Ctrl-D ends",
                ),
                Ok(Input::Unknown(command)) => self.screen.note(&format!(
                    "there is no command {command}; /help says what there is, and //text sends /text"
                )),
                Ok(Input::End) | Err(TryRecvError::Disconnected) => {
                    self.ends_since.get_or_insert_with(Instant::now);
                    return;
                }
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    /// Whether the user has enough and every line is confirmed.
    fn is_over(&self) -> Result<bool, Failure> {
        let Some(since) = self.ends_since else { return Ok(false) };
        if self.outbox.is_empty() {
            return Ok(true);
        }
        if since.elapsed() < PATIENCE {
            return Ok(false);
        }
        let unsent = self.outbox.len();
        Err(Failure::Final(format!("{unsent} of your messages may not have been stored")))
    }

    /// Waits for the next try. Returns whether the user has enough.
    pub(super) fn wait(&mut self, time: Duration, why: &str) -> Result<bool, String> {
        let until = Instant::now() + time;
        if !std::mem::replace(&mut self.is_missed, true) {
            self.screen.note(&format!("no connection ({why}); trying again"));
        }
        loop {
            self.read_inputs();
            match self.is_over() {
                Ok(false) if Instant::now() < until => thread::sleep(TICK),
                Ok(is_over) => return Ok(is_over),
                Err(Failure::Passing(why) | Failure::Final(why)) => return Err(why),
            }
        }
    }

    /// Ends the session.
    pub(super) fn log_out(&self) {
        self.session.log_out();
    }
}
