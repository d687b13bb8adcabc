//! `--demo`: a few users who have talked for some days, for whoever wants to see the chat with something in it.
//!
//! What they say is stored as if they had said it, by `append_message`, so ids count 1, 2, 3 … on every database. Only the
//! times are others. A database in which somebody else has registered is left alone.

mod talk;

use std::time::Duration;

use shared::{
    Error, Result,
    account::{Password, Username},
    chat::{ClientId, Draft, Text},
    clock::UnixMillis,
    frame::Protocol,
    password::{Hasher, Verdict},
    store::{Drafts, NewConnection, NewSession, Store},
    token::{SessionId, TokenId},
};

pub use self::talk::USERNAMES;
use self::talk::{Sitting, TALK};

/// The password of all of its users. It is no secret.
pub const PASSWORD: &str = "just-a-demo";

/// How long the users' sessions may live. They end when all is said.
const SESSION_LIFE: Duration = Duration::from_hours(1);

/// What has become of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demo {
    /// It is in the database since this start.
    New,
    /// It is in the database since an earlier start.
    Old,
    /// Somebody else has registered there, so nothing was changed.
    LeftAlone,
}

/// Puts the demo into a database, as if it were said up to `now`, unless somebody has registered there.
///
/// # Errors
/// When the database fails, or the system has no randomness.
pub async fn fill(store: &Store, hasher: &Hasher, now: UnixMillis) -> Result<Demo> {
    if !store.has_no_users().await? {
        let is_there = is_there(store, hasher).await?;
        return Ok(if is_there { Demo::Old } else { Demo::LeftAlone });
    }
    // One hash for all, since each takes a quarter of a second.
    let password = Password::parse(PASSWORD).map_err(Error::internal)?;
    let hash = hasher.hash(&password).await?;
    let mut speakers = Vec::new();
    for username in USERNAMES {
        let username = Username::parse(username).map_err(Error::internal)?;
        store.insert_user(&username, &hash, now).await?;
        speakers.push(Speaker::connect(store, username, now).await?);
    }
    let said = TALK.iter().flat_map(|sitting| sitting.times(now));
    for (number, (at, username, text)) in (1..).zip(said) {
        let speaker = speakers.iter().find(|speaker| speaker.username.as_str() == username);
        let speaker = speaker.ok_or_else(|| Error::internal("nobody has this name"))?;
        speaker.say(store, text, number, at).await?;
    }
    for speaker in speakers {
        store.delete_connection(&speaker.connection_id, None, now).await?;
        store.revoke_session(&speaker.session, now).await?;
    }
    Ok(Demo::New)
}

/// Whether the demo's users are there, with their password.
async fn is_there(store: &Store, hasher: &Hasher) -> Result<bool> {
    for username in USERNAMES {
        let username = Username::parse(username).map_err(Error::internal)?;
        let Some(hash) = store.password_hash(&username).await? else { return Ok(false) };
        if hasher.verify(&PASSWORD.into(), Some(&hash)).await? == Verdict::Wrong {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A user of the demo, connected as far as the database can tell.
struct Speaker {
    username: Username,
    session: SessionId,
    connection_id: String,
}

impl Speaker {
    async fn connect(store: &Store, username: Username, now: UnixMillis) -> Result<Self> {
        let session = SessionId::random();
        let new = NewSession {
            id: &session,
            username: &username,
            token_id: &TokenId::random(),
            now,
            expires_at: now.plus(SESSION_LIFE),
        };
        store.insert_session(&new).await?;
        let connection_id = format!("demo-{}", username.as_str());
        let new = NewConnection {
            id: &connection_id,
            username: &username,
            session: &session,
            protocol: Protocol::ChatV1,
            now,
        };
        store.insert_connection(&new, None).await?;
        Ok(Self { username, session, connection_id })
    }

    async fn say(&self, store: &Store, text: &str, number: u32, at: UnixMillis) -> Result<()> {
        let text = Text::parse(text).map_err(|(_code, rule)| Error::internal(rule))?;
        let client_id = ClientId::parse(&format!("demo-{number}")).map_err(Error::internal)?;
        let draft = Draft { text, client_id: Some(client_id) };
        let drafts = Drafts { plain: None, chat_v1: Some(&draft) };
        let appended = store.append_message(&self.connection_id, drafts, None, at).await?;
        appended.map(drop).ok_or_else(|| Error::internal("the connection has just been there"))
    }
}

impl Sitting {
    /// When each line was said, and by whom, if it is `now`.
    fn times(
        &self,
        now: UnixMillis,
    ) -> impl Iterator<Item = (UnixMillis, &'static str, &'static str)> {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let length: u32 = self.lines.iter().map(|line| line.pause).sum();
        let began = now.minus(seconds(self.ended_minutes_ago * 60 + length));
        self.lines.iter().scan(began, move |at, line| {
            *at = at.plus(seconds(line.pause));
            Some((*at, line.username, line.text))
        })
    }
}
