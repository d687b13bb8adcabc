//! What a client holds of its session: a pair of tokens, which it gets and presents.

use lambda_http::Request;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

use crate::{
    account::Username,
    clock::UnixMillis,
    error::Result,
    http::JsonObject,
    token::{Claims, Kind, SessionId, TokenId, Tokens},
};

/// The answer of `login` and `refresh`.
///
/// ```json
/// {"access_token":"…","refresh_token":"…","token_type":"Bearer","expires_in":900}
/// ```
#[derive(Serialize)]
pub struct TokenPair {
    #[serde(serialize_with = "exposed")]
    access_token: SecretString,
    #[serde(serialize_with = "exposed")]
    refresh_token: SecretString,
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: u64,
}

impl TokenPair {
    /// A new access token beside the session's refresh token, which was made at `refresh_issued_at`. The same refresh
    /// token comes out as often as it is asked for.
    pub fn sign(
        tokens: &Tokens,
        username: &Username,
        session: &SessionId,
        refresh_id: &TokenId,
        refresh_issued_at: UnixMillis,
        now: UnixMillis,
    ) -> Self {
        let access_id = TokenId::random();
        Self {
            access_token: tokens.sign(Kind::Access, username, session, &access_id, now),
            refresh_token: tokens.sign(
                Kind::Refresh,
                username,
                session,
                refresh_id,
                refresh_issued_at,
            ),
            token_type: "Bearer",
            expires_in: tokens.ttl(Kind::Access).as_secs(),
        }
    }
}

/// What the refresh token in a request's body, `{"refresh_token":"…"}`, says.
///
/// # Errors
/// When the body has none, or it isn't a living refresh token of ours.
pub fn read_refresh_token(request: &Request, tokens: &Tokens, now: UnixMillis) -> Result<Claims> {
    let mut body = JsonObject::read(request)?;
    let claims = body
        .field("refresh_token", |token| Ok::<_, String>(tokens.verify(Kind::Refresh, token, now)));
    match claims {
        Some(claims) => Ok(claims?),
        None => Err(body.refusal()),
    }
}

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}
