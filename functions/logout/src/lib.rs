//! `POST /auth/logout`: ends a session and closes its sockets. Again is fine.
//!
//! ```text
//! → {"refresh_token":"…"}
//! ← 204 · 401
//! ```

use lambda_http::{Body, Request, Response};
use shared::{
    Result,
    clock::Clock,
    http::no_content,
    lambda::HttpFunction,
    management::Management,
    presence::Presence,
    revocation,
    session::read_refresh_token,
    settings::{SettingError, Settings},
    store::Store,
    token::Tokens,
};

/// The function and what it needs.
pub struct Logout {
    store: Store,
    tokens: Tokens,
    management: Management,
    presence_limit: Option<usize>,
    clock: Clock,
}

impl HttpFunction for Logout {
    const NAME: &str = "logout";

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
        let claims = read_refresh_token(&request, &self.tokens, self.clock.now())?;
        // Any refresh token of the session will do, an old one too: whoever holds it may only end the session.
        let connections = &self.management.client()?;
        let Self { store, clock, presence_limit: limit, .. } = self;
        let presence = Presence { connections, store, clock, limit: *limit };
        revocation::revoke(&claims.sid, &presence).await?;
        Ok(no_content())
    }
}
