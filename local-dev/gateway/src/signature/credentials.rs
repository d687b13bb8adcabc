//! What the gateway knows of those who may call the management API.

use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};

use super::{TERMINATOR, hmac};

/// What callers of the management API sign with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Says whose secret it is, and is none itself.
    pub access_key_id: String,
    /// What requests are signed with.
    pub secret_access_key: SecretString,
    /// Temporary credentials have one, which their user shows with each request; others must not show any.
    pub session_token: Option<SecretString>,
    /// The region that signatures must be for.
    pub region: String,
}

impl Credentials {
    /// The access key of a gateway that was given no other. Long-lived keys of AWS begin with `AKIA`: it is none.
    pub const LOCAL_ACCESS_KEY_ID: &str = "AKIDLOCALDEV00000000";
    /// What belongs to [`Self::LOCAL_ACCESS_KEY_ID`]. Everybody knows it: it protects nothing, it lets clients be used
    /// as they are.
    pub const LOCAL_SECRET_ACCESS_KEY: &str = "LocalDevOnly/ThisIsNotASecret/0000000000";
    /// The region of a gateway that was given no other.
    pub const DEFAULT_REGION: &str = "us-east-1";

    /// The credentials that AWS's tools find in an environment too, so that a client with the same environment needs no
    /// further setup: `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, and `AWS_REGION` or else
    /// `AWS_DEFAULT_REGION`. What is not set is as by default; what is empty is not set.
    ///
    /// A client with a profile of its own (`~/.aws`) signs with that profile's key, which the gateway does not know. It
    /// is told by its environment, which goes before profiles.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name| lookup(name).filter(|value| !value.is_empty());
        let region = get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| Self::DEFAULT_REGION.to_owned());
        match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            (Some(access_key_id), Some(secret)) => Self {
                access_key_id,
                secret_access_key: secret.into(),
                session_token: get("AWS_SESSION_TOKEN").map(SecretString::from),
                region,
            },
            _ => Self { region, ..Self::default() },
        }
    }

    /// The key that signs for one day and service.
    pub(super) fn signing_key(&self, date: &str, service: &str) -> Vec<u8> {
        let secret = format!("AWS4{}", self.secret_access_key.expose_secret());
        [date, &self.region, service, TERMINATOR]
            .into_iter()
            .fold(secret.into_bytes(), |key, part| {
                hmac(&key, part.as_bytes()).finalize().into_bytes().to_vec()
            })
    }

    /// Whether a request showed the token that it must show.
    pub(super) fn have_token(&self, shown: Option<&str>) -> bool {
        match (&self.session_token, shown) {
            (None, None) => true,
            (Some(token), Some(shown)) => {
                // Comparing what they make of a key takes as long wherever they differ.
                let key = self.secret_access_key.expose_secret().as_bytes();
                let expected = hmac(key, token.expose_secret().as_bytes()).finalize();
                hmac(key, shown.as_bytes()).verify(&expected.into_bytes()).is_ok()
            }
            _ => false,
        }
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            access_key_id: Self::LOCAL_ACCESS_KEY_ID.to_owned(),
            secret_access_key: Self::LOCAL_SECRET_ACCESS_KEY.into(),
            session_token: None,
            region: Self::DEFAULT_REGION.to_owned(),
        }
    }
}
