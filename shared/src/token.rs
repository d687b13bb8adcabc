//! Tokens: JWT, HS256 only, in two kinds that cannot be mistaken for each other.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{account::Username, clock::UnixMillis, hs256};

/// How far the clocks of two machines may differ: an expired token is good for this long still.
pub const LEEWAY: Duration = Duration::from_secs(30);

const ISSUER: &str = "lambda-chat";

/// A session's id (`sid`): a login opens a session, one row for its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct SessionId(String);

/// A token's own id (`jti`). No secret: what makes a token good is its signature, and that is checked before anybody
/// compares ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct TokenId(String);

impl SessionId {
    /// An id that nobody has had.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }
}

impl TokenId {
    /// An id that no token has had.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Opens sockets, reads history.
    Access,
    /// Fetches the next pair of tokens, once.
    Refresh,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    /// Whose it is.
    pub sub: Username,
    /// The session it belongs to.
    pub sid: SessionId,
    /// Its own id.
    pub jti: TokenId,
    typ: Kind,
    /// When it was made, in seconds since the Unix epoch.
    pub iat: i64,
    /// When it ends, in seconds since the Unix epoch.
    pub exp: i64,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not one of ours: not a JWT, another key, another algorithm, another issuer, a claim missing.
    #[error("The token is not valid.")]
    Invalid,
    /// Ours, and over.
    #[error("The token has expired.")]
    Expired,
    /// Ours, and for something else.
    #[error("The token is of the wrong kind.")]
    WrongKind,
}

impl From<TokenError> for crate::Error {
    fn from(error: TokenError) -> Self {
        Self::Unauthorized(match error {
            TokenError::Invalid => "The token is not valid.",
            TokenError::Expired => "The token has expired.",
            TokenError::WrongKind => "The token is of the wrong kind.",
        })
    }
}

/// A setting that cannot hold keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "secret {position} of {total} is {bytes} bytes long, each takes at least 32 (several are separated by commas)"
)]
pub struct WeakSecret {
    position: usize,
    total: usize,
    bytes: usize,
}

/// Signs and verifies tokens.
#[derive(Clone)]
pub struct Tokens {
    signer: EncodingKey,
    verifiers: Vec<DecodingKey>,
    validation: Validation,
    access_ttl: Duration,
    refresh_ttl: Duration,
}

impl Tokens {
    /// Reads one secret, or several separated by commas: the first signs, all verify, so that a secret can be changed
    /// while tokens signed by the last one live on.
    ///
    /// # Errors
    /// When a secret is shorter than 32 bytes, the length of HS256's hash (RFC 7518, section 3.2).
    pub fn new(
        secrets: &SecretString,
        access_ttl: Duration,
        refresh_ttl: Duration,
    ) -> Result<Self, WeakSecret> {
        let secrets: Vec<&[u8]> =
            secrets.expose_secret().split(',').map(|secret| secret.trim().as_bytes()).collect();
        if let Some(weak) = secrets.iter().position(|secret| secret.len() < 32) {
            return Err(WeakSecret {
                position: weak + 1,
                total: secrets.len(),
                bytes: secrets[weak].len(),
            });
        }
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // Expiry is checked below, by our own clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        Ok(Self {
            signer: EncodingKey::from_secret(secrets[0]),
            verifiers: secrets.into_iter().map(DecodingKey::from_secret).collect(),
            validation,
            access_ttl,
            refresh_ttl,
        })
    }

    /// How long a token of this kind lives.
    pub fn ttl(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Access => self.access_ttl,
            Kind::Refresh => self.refresh_ttl,
        }
    }

    /// Makes a token. The same arguments make the same token.
    pub fn sign(
        &self,
        kind: Kind,
        username: &Username,
        session: &SessionId,
        id: &TokenId,
        issued_at: UnixMillis,
    ) -> SecretString {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: username.clone(),
            sid: session.clone(),
            jti: id.clone(),
            typ: kind,
            iat: issued_at.as_secs(),
            exp: issued_at.plus(self.ttl(kind)).as_secs(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signer)
            .expect("claims are plain data and the key is an HMAC key")
            .into()
    }

    /// Reads a token.
    ///
    /// # Errors
    /// When it is not a living token of ours, of this kind.
    pub fn verify(&self, kind: Kind, token: &str, now: UnixMillis) -> Result<Claims, TokenError> {
        let claims = self
            .verifiers
            .iter()
            .find_map(|key| jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok())
            .ok_or(TokenError::Invalid)?
            .claims;
        if now.minus(LEEWAY).as_secs() >= claims.exp {
            return Err(TokenError::Expired);
        }
        if claims.typ != kind {
            return Err(TokenError::WrongKind);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const NOW: UnixMillis = UnixMillis(1_795_428_943_377);

    fn tokens(secrets: &str) -> Tokens {
        Tokens::new(&secrets.into(), Duration::from_mins(15), Duration::from_hours(720)).unwrap()
    }

    fn access(tokens: &Tokens) -> String {
        let alice = Username::parse("alice").unwrap();
        let token =
            tokens.sign(Kind::Access, &alice, &SessionId::random(), &TokenId::random(), NOW);
        token.expose_secret().to_owned()
    }

    #[test]
    fn a_token_is_good_for_its_life_and_the_leeway() {
        let tokens = tokens(SECRET);
        let token = access(&tokens);
        for (age_secs, expected) in [(0, None), (929, None), (930, Some(TokenError::Expired))] {
            let then = NOW.plus(Duration::from_secs(age_secs));
            assert_eq!(
                tokens.verify(Kind::Access, &token, then).err(),
                expected,
                "after {age_secs} s"
            );
        }
        assert_eq!(tokens.verify(Kind::Refresh, &token, NOW).err(), Some(TokenError::WrongKind));
    }

    #[test]
    fn every_secret_verifies_and_the_first_signs() {
        let other = "f".repeat(32);
        let (old, new) = (tokens(SECRET), tokens(&format!("{other}, {SECRET}")));
        assert!(new.verify(Kind::Access, &access(&old), NOW).is_ok());
        assert_eq!(old.verify(Kind::Access, &access(&new), NOW).err(), Some(TokenError::Invalid));
    }

    #[test]
    fn a_short_secret_is_refused_without_being_shown() {
        let error =
            Tokens::new(&format!("{SECRET},tooshort").into(), LEEWAY, LEEWAY).err().unwrap();
        assert_eq!(
            error.to_string(),
            "secret 2 of 2 is 8 bytes long, each takes at least 32 (several are separated by commas)"
        );
    }

    #[test]
    fn forged_tokens_are_refused() {
        let tokens = tokens(SECRET);
        let good = json!({"iss": ISSUER, "sub": "alice", "sid": "s", "jti": "j", "typ": "access",
                          "iat": NOW.as_secs(), "exp": NOW.as_secs() + 900});
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let sign = |algorithm, claims: &serde_json::Value| {
            jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
        };
        let without = |claim: &str| {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().remove(claim);
            sign(Algorithm::HS256, &claims)
        };
        assert!(tokens.verify(Kind::Access, &sign(Algorithm::HS256, &good), NOW).is_ok());

        let signed = sign(Algorithm::HS256, &good);
        let payload = signed.split('.').nth(1).unwrap();
        let mut foreign = good.clone();
        foreign["iss"] = json!("somebody else");
        for forged in [
            String::new(),
            "x".to_owned(),
            "a.b.c".to_owned(),
            format!("eyJhbGciOiJub25lIn0.{payload}."), // {"alg":"none"}
            format!("{}.{}", "eyJhbGciOiJIUzUxMiJ9", signed.split_once('.').unwrap().1), // {"alg":"HS512"}
            sign(Algorithm::HS256, &foreign),
            without("exp"),
            without("typ"),
            without("sid"),
            without("iss"),
        ] {
            assert_eq!(
                tokens.verify(Kind::Access, &forged, NOW).err(),
                Some(TokenError::Invalid),
                "{forged}"
            );
        }
    }
}
