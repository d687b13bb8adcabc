//! Who its user is to the server: a pair of tokens, renewed before they end, and what they give access to.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;

use super::{Failure, frame::Message};
use crate::web;

/// The most messages in one page of the history.
const PAGE_MAX: usize = 200;

/// An open session.
pub(super) struct Session {
    agent: Agent,
    base_url: String,
    tokens: Tokens,
}

struct Tokens {
    access: String,
    refresh: String,
    /// From then on the access token is renewed before it is used.
    renew_at: Instant,
}

/// Which part of the history.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page {
    /// The newest so many.
    Newest(usize),
    /// Those just above this id.
    After(u64),
}

/// Adds a user.
pub(super) fn register(base_url: &str, account: &Value) -> Result<(), String> {
    let url = format!("{base_url}/auth/register");
    match web::post(&web::agent(), &url, account)? {
        (201, _) => Ok(()),
        (409, _) => Err("the username is taken; leave --register out if it is yours".to_owned()),
        (status, answer) => Err(format!("not registered: {}", in_words(status, &answer))),
    }
}

impl Session {
    /// Opens a session by `{"username", "password"}`.
    pub(super) fn log_in(base_url: &str, account: &Value) -> Result<Self, String> {
        let agent = web::agent();
        let url = format!("{base_url}/auth/login");
        match web::post(&agent, &url, account)? {
            (200, answer) => {
                Ok(Self { tokens: Tokens::read(&answer)?, agent, base_url: base_url.to_owned() })
            }
            (401, _) => {
                Err("the username is unknown or the password wrong; --register adds a user"
                    .to_owned())
            }
            (status, answer) => Err(format!("not logged in: {}", in_words(status, &answer))),
        }
    }

    /// An access token that is good for a while.
    pub(super) fn access_token(&mut self) -> Result<&str, Failure> {
        if Instant::now() >= self.tokens.renew_at {
            self.renew()?;
        }
        Ok(&self.tokens.access)
    }

    /// The access token was refused, whatever this machine's clock says.
    pub(super) fn distrust(&mut self) {
        self.tokens.renew_at = Instant::now();
    }

    /// Exchanges the refresh token for new ones. If the answer gets lost, the old one is good for half a minute more.
    fn renew(&mut self) -> Result<(), Failure> {
        let url = format!("{}/auth/refresh", self.base_url);
        let body = json!({"refresh_token": self.tokens.refresh});
        match web::post(&self.agent, &url, &body).map_err(Failure::Passing)? {
            (200, answer) => self.tokens = Tokens::read(&answer).map_err(Failure::Passing)?,
            (401, _) => {
                return Err(Failure::Final("the session has ended: log in again".to_owned()));
            }
            (status, answer) => return Err(Failure::Passing(in_words(status, &answer))),
        }
        Ok(())
    }

    /// A page of the history, oldest first.
    pub(super) fn messages(&mut self, page: Page) -> Result<Vec<Message>, Failure> {
        let query = match page {
            Page::Newest(limit) => format!("limit={limit}"),
            Page::After(id) => format!("limit={PAGE_MAX}&after={id}"),
        };
        let url = format!("{}/auth/messages?{query}", self.base_url);
        let token = self.access_token()?.to_owned();
        let (status, answer) = web::get_as(&self.agent, &url, &token).map_err(Failure::Passing)?;
        if status == 401 {
            self.distrust();
        }
        if status != 200 {
            return Err(Failure::Passing(in_words(status, &answer)));
        }
        serde_json::from_value(answer)
            .map_err(|error| Failure::Final(format!("the history cannot be read: {error}")))
    }

    /// All messages above an id, oldest first.
    pub(super) fn messages_after(&mut self, id: u64) -> Result<Vec<Message>, Failure> {
        let mut all: Vec<Message> = Vec::new();
        loop {
            let last = all.last().map_or(id, |message| message.id);
            let page = self.messages(Page::After(last))?;
            let is_last = page.len() < PAGE_MAX;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Ends the session.
    pub(super) fn log_out(&self) {
        let url = format!("{}/auth/logout", self.base_url);
        // It ends by itself otherwise.
        web::post(&self.agent, &url, &json!({"refresh_token": self.tokens.refresh})).ok();
    }
}

impl Tokens {
    fn read(answer: &Value) -> Result<Self, String> {
        let token = |name: &str| {
            let token = answer[name].as_str().map(str::to_owned);
            token.ok_or_else(|| format!("the server's answer has no {name}"))
        };
        let lives = Duration::from_secs(answer["expires_in"].as_u64().unwrap_or_default());
        Ok(Self {
            access: token("access_token")?,
            refresh: token("refresh_token")?,
            // The last quarter is for slow networks and for clocks that differ.
            renew_at: Instant::now() + lives.mul_f64(0.75),
        })
    }
}

/// An answer that was not the expected one: a problem by RFC 9457, or API Gateway's own.
fn in_words(status: u16, answer: &Value) -> String {
    match answer["detail"].as_str().or(answer["message"].as_str()) {
        Some(detail) => detail.to_owned(),
        None => format!("the server has answered {status}"),
    }
}
