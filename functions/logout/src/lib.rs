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
    http::{JsonObject, no_content},
    lambda::HttpFunction,
    management::Management,
    revocation,
    settings::{SettingError, Settings},
    store::Store,
    token::{Kind, Tokens},
};

/// The function and what it needs.
pub struct Logout {
    store: Store,
    tokens: Tokens,
    management: Management,
    clock: Clock,
}

impl HttpFunction for Logout {
    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            store: settings.store(),
            tokens: settings.tokens()?,
            management: settings.management_by_endpoint()?,
            clock: settings.clock(),
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>> {
        let mut body = JsonObject::read(&request)?;
        let claims = body.field("refresh_token", |token| {
            Ok::<_, String>(self.tokens.verify(Kind::Refresh, token, self.clock.now()))
        });
        let Some(claims) = claims else {
            return Err(body.refusal());
        };
        // Any refresh token of the session will do, an old one too: whoever holds it may only end the session.
        revocation::revoke(&claims?.sid, &self.store, &self.management, &self.clock).await?;
        Ok(no_content())
    }
}
