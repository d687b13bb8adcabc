//! bcrypt, off the async threads.

use secrecy::{ExposeSecret, SecretString};

use crate::{
    account::Password,
    error::{Error, Result},
};

/// Hashes and verifies passwords at one cost.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    cost: u32,
}

/// Whether a password fits a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Right,
    /// It does, and the hash was made at another cost than today's: make a new one.
    RightButOldCost,
    /// It does not.
    Wrong,
}

impl Hasher {
    /// The cost of a hash unless `BCRYPT_COST` says otherwise: 2¹² rounds.
    pub const DEFAULT_COST: u32 = 12;

    /// Hashes at `cost`, from 4 to 16: 2^cost rounds.
    pub fn new(cost: u32) -> Self {
        Self { cost }
    }

    /// The hash of a password, as a modular-crypt string.
    ///
    /// # Errors
    /// When the system has no randomness for a salt.
    pub async fn hash(self, password: &Password) -> Result<SecretString> {
        let password = password.secret().clone();
        blocking(move || bcrypt::hash(password.expose_secret(), self.cost)).await.map(Into::into)
    }

    /// Compares a password with a user's hash. Without a user it does the same work and finds it wrong, so that the
    /// time of a refused login doesn't tell which names exist.
    ///
    /// # Errors
    /// When the stored hash is not one of bcrypt's.
    pub async fn verify(
        self,
        password: &SecretString,
        hash: Option<&SecretString>,
    ) -> Result<Verdict> {
        let Some(hash) = hash else {
            let password = password.clone();
            let nobodys = self.nobodys_hash();
            blocking(move || bcrypt::verify(password.expose_secret(), &nobodys)).await?;
            return Ok(Verdict::Wrong);
        };
        let (given, hash) = (password.clone(), hash.clone());
        let cost = self.cost;
        blocking(move || {
            let hash = hash.expose_secret();
            let right = bcrypt::verify(given.expose_secret(), hash)?;
            Ok(match (right, hash.parse::<bcrypt::HashParts>()?.get_cost() == cost) {
                // Such a password was never set; bcrypt would cut it, or take it for another one.
                _ if Password::parse(given.expose_secret()).is_err() => Verdict::Wrong,
                (false, _) => Verdict::Wrong,
                (true, true) => Verdict::Right,
                (true, false) => Verdict::RightButOldCost,
            })
        })
        .await
    }

    /// A well-formed hash that no known password has.
    fn nobodys_hash(self) -> String {
        format!("$2b${:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz0123.", self.cost)
    }
}

/// Runs `work` on a thread that may be kept busy.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> bcrypt::BcryptResult<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let hasher = Hasher::new(4);
        let hash = hasher.hash(&Password::parse("correct horse").unwrap()).await.unwrap();
        for (hasher, password, hash, expected) in [
            (hasher, "correct horse", Some(&hash), Verdict::Right),
            (Hasher::new(5), "correct horse", Some(&hash), Verdict::RightButOldCost),
            (hasher, "correct hors", Some(&hash), Verdict::Wrong),
            (hasher, "", Some(&hash), Verdict::Wrong),
            (hasher, "correct horse\0correct horse", Some(&hash), Verdict::Wrong),
            (hasher, "correct horse", None, Verdict::Wrong),
        ] {
            assert_eq!(
                hasher.verify(&password.into(), hash).await.unwrap(),
                expected,
                "{password:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_password_is_never_cut() {
        let hasher = Hasher::new(4);
        let longest = "x".repeat(72);
        let hash = hasher.hash(&Password::parse(&longest).unwrap()).await.unwrap();
        assert_eq!(
            hasher.verify(&longest.clone().into(), Some(&hash)).await.unwrap(),
            Verdict::Right
        );
        let longer = format!("{longest}y");
        assert_eq!(hasher.verify(&longer.into(), Some(&hash)).await.unwrap(), Verdict::Wrong);
    }
}
