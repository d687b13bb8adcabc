//! `POST /auth/refresh`: the next pair of tokens for the present refresh token.
//!
//! ```text
//! → {"refresh_token":"…"}
//! ← 200 {"access_token":"…","refresh_token":"…","token_type":"Bearer","expires_in":900} · 401
//! ```

use lambda_http::{Body, Request, Response, http::StatusCode};
use shared::{
    Error, Result,
    clock::Clock,
    http::json_response,
    lambda::HttpFunction,
    management::Management,
    presence::Presence,
    revocation,
    session::{TokenPair, read_refresh_token},
    settings::{SettingError, Settings},
    store::{Refreshed, Store},
    token::{Kind, TokenId, Tokens},
};

/// The function and what it needs.
pub struct Refresh {
    store: Store,
    tokens: Tokens,
    management: Management,
    presence_limit: Option<usize>,
    clock: Clock,
}

impl HttpFunction for Refresh {
    const NAME: &str = "refresh";

    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            store: settings.store(),
            tokens: settings.tokens()?,
            management: settings.management_by_endpoint()?,
            presence_limit: settings.presence_limit()?,
            clock: settings.clock(),
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>> {
        let now = self.clock.now();
        let claims = read_refresh_token(&request, &self.tokens, now)?;
        let expires_at = now.plus(self.tokens.ttl(Kind::Refresh));
        let next = TokenId::random();
        match self.store.refresh_session(&claims.sid, &claims.jti, &next, now, expires_at).await? {
            Refreshed::Token(id, issued_at) => {
                let pair =
                    TokenPair::sign(&self.tokens, &claims.sub, &claims.sid, &id, issued_at, now);
                Ok(json_response(StatusCode::OK, &pair))
            }
            Refreshed::Ended => Err(Error::Unauthorized("The session has ended. Log in again.")),
            Refreshed::Replayed => {
                let connections = &self.management.client()?;
                let Self { store, clock, presence_limit: limit, .. } = self;
                let presence = Presence { connections, store, clock, limit: *limit };
                revocation::close_sockets(&claims.sid, &presence).await?;
                Err(Error::Unauthorized(
                    "This refresh token was used before, so its session was ended. Log in again.",
                ))
            }
        }
    }
}
