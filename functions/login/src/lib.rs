//! `POST /auth/login`: opens a session.
//!
//! ```text
//! → {"username":"alice","password":"correct horse"}
//! ← 200 {"access_token":"…","refresh_token":"…","token_type":"Bearer","expires_in":900}
//!   401 wrong name or password · 429 too many failures, with Retry-After
//! ```

use lambda_http::{Body, Request, Response, http::StatusCode};
use secrecy::{ExposeSecret, SecretString};
use shared::{
    Error, Result,
    account::{Password, Username},
    clock::Clock,
    http::{JsonObject, json_response},
    invocation,
    lambda::HttpFunction,
    metrics::Count,
    password::{Hasher, Verdict},
    session::TokenPair,
    settings::{SettingError, Settings},
    source::Source,
    store::{NewSession, Store},
    token::{Kind, SessionId, TokenId, Tokens},
};

/// The function and what it needs.
pub struct Login {
    store: Store,
    hasher: Hasher,
    tokens: Tokens,
    source: Source,
    clock: Clock,
}

impl HttpFunction for Login {
    const NAME: &str = "login";

    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            store: settings.store(),
            hasher: settings.hasher()?,
            tokens: settings.tokens()?,
            source: settings.source()?,
            clock: settings.clock(),
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>> {
        let mut body = JsonObject::read(&request)?;
        // Whatever breaks the rules for names and passwords cannot be right; it is wrong like any other.
        let username = body.field("username", |text| Ok::<_, String>(Username::parse(text).ok()));
        let password = body.field("password", |text| Ok::<_, String>(SecretString::from(text)));
        let (Some(username), Some(password)) = (username, password) else {
            return Err(body.refusal());
        };
        let Some(username) = username else {
            self.hasher.verify(&password, None).await?;
            return Err(wrong_credentials());
        };
        self.authenticate(&username, &password, &self.source.of(&request)).await?;
        let tokens = self.open_session(&username).await?;
        Ok(json_response(StatusCode::OK, &tokens))
    }
}

impl Login {
    /// Lets a right password pass. Unknown names cost the same work and the same failures as wrong passwords.
    async fn authenticate(
        &self,
        username: &Username,
        password: &SecretString,
        source: &str,
    ) -> Result<()> {
        let now = self.clock.now();
        let (attempts, hash) = self.store.count_login_attempt(username, source, now).await?;
        if let Some(retry_after_secs) = attempts.retry_after_secs(now) {
            invocation::count(Count::LoginsThrottled, 1);
            return Err(Error::TooManyLogins { retry_after_secs });
        }
        let verdict = match self.hasher.verify(password, hash.as_ref()).await {
            Ok(verdict) => verdict,
            // Nobody has looked at the password, so it was no failure.
            Err(error) => {
                self.store.uncount_login_attempt(username, source).await?;
                return Err(error);
            }
        };
        match (verdict, hash) {
            (Verdict::Right, _) => {}
            (Verdict::RightButOldCost, Some(old)) => {
                self.renew_hash(username, password, &old).await?;
            }
            _ => return Err(wrong_credentials()),
        }
        self.store.forget_login_failures(username, source, now).await
    }

    async fn renew_hash(
        &self,
        username: &Username,
        password: &SecretString,
        old: &SecretString,
    ) -> Result<()> {
        // It has just been found right, so it is one that could be set.
        let Ok(password) = Password::parse(password.expose_secret()) else {
            return Ok(());
        };
        let new = match self.hasher.hash(&password).await {
            // The next login renews it.
            Err(Error::Busy) => return Ok(()),
            new => new?,
        };
        self.store.replace_password_hash(username, old, &new).await
    }

    async fn open_session(&self, username: &Username) -> Result<TokenPair> {
        let now = self.clock.now();
        let (id, token_id) = (SessionId::random(), TokenId::random());
        let expires_at = now.plus(self.tokens.ttl(Kind::Refresh));
        let session = NewSession { id: &id, username, token_id: &token_id, now, expires_at };
        self.store.insert_session(&session).await?;
        Ok(TokenPair::sign(&self.tokens, username, &id, &token_id, now, now))
    }
}

fn wrong_credentials() -> Error {
    invocation::count(Count::LoginFailures, 1);
    Error::WrongCredentials
}
