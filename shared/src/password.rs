//! bcrypt, off the async threads, and only so much of it at once.

use std::{
    sync::Arc,
    thread::{self, available_parallelism},
};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{
    account::Password,
    error::{Error, Result},
    invocation,
    metrics::Time,
};

/// Passwords that one program works on or lets wait at once. At the default cost, 12, that is a wait of about four
/// seconds on one processor: whoever comes then is better told to come again. On Lambda an instance has one event at a
/// time.
const AT_ONCE_MAX: usize = 16;

/// The room for hashing in one program, shared by all of its functions.
#[derive(Clone, Debug)]
pub struct Hashing {
    /// Whoever finds no place is refused.
    places: Arc<Semaphore>,
    /// As many of them compute at a time as there are processors, so that others get their turn, too.
    processors: Arc<Semaphore>,
    /// What the thread that hashes does first.
    begin: fn(),
}

impl Default for Hashing {
    fn default() -> Self {
        Self::beginning_with(|| {})
    }
}

impl Hashing {
    /// Each thread that hashes does `begin` first.
    pub fn beginning_with(begin: fn()) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            processors: Arc::new(Semaphore::new(processors)),
            begin,
        }
    }

    /// Runs `work` on a thread that may be kept busy, when there is a processor for it.
    ///
    /// # Errors
    /// [`Error::Busy`], at once, when too many wait for one.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> bcrypt::BcryptResult<T> + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_full| Error::Busy)?;
        let processors = Arc::clone(&self.processors);
        let hashed = async {
            let processor = processors.acquire_owned().await.map_err(Error::internal)?;
            // They are free again when the work is done, even if nobody waits for it any more.
            let held: [OwnedSemaphorePermit; 2] = [place, processor];
            let (sender, done) = oneshot::channel();
            let begin = self.begin;
            let work = move || {
                begin();
                let outcome = work();
                drop(held);
                // Nobody may wait for it any more.
                sender.send(outcome).ok();
            };
            // A thread of its own: whatever it begins with, nobody else's work inherits it.
            thread::Builder::new().spawn(work).map_err(Error::internal)?;
            done.await.map_err(Error::internal)
        };
        invocation::time(Time::Hash, hashed).await?.map_err(Error::internal)
    }
}

/// Hashes and verifies passwords at one cost.
#[derive(Clone, Debug)]
pub struct Hasher {
    cost: u32,
    hashing: Hashing,
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
    pub fn new(cost: u32, hashing: Hashing) -> Self {
        Self { cost, hashing }
    }

    /// The hash of a password, as a modular-crypt string.
    ///
    /// # Errors
    /// [`Error::Busy`], and when the system has no randomness for a salt.
    pub async fn hash(&self, password: &Password) -> Result<SecretString> {
        let (password, cost) = (password.secret().clone(), self.cost);
        let hash = self.hashing.run(move || bcrypt::hash(password.expose_secret(), cost)).await?;
        Ok(hash.into())
    }

    /// Compares a password with a user's hash. Without a user it does the same work and finds it wrong, so that the
    /// time of a refused login doesn't tell which names exist.
    ///
    /// # Errors
    /// [`Error::Busy`], and when the stored hash is not one of bcrypt's.
    pub async fn verify(
        &self,
        password: &SecretString,
        hash: Option<&SecretString>,
    ) -> Result<Verdict> {
        let Some(hash) = hash else {
            let password = password.clone();
            let nobodys = self.nobodys_hash();
            let verify = move || bcrypt::verify(password.expose_secret(), &nobodys);
            self.hashing.run(verify).await?;
            return Ok(Verdict::Wrong);
        };
        let (given, hash) = (password.clone(), hash.clone());
        let cost = self.cost;
        let verify = move || {
            let hash = hash.expose_secret();
            let right = bcrypt::verify(given.expose_secret(), hash)?;
            Ok(match (right, hash.parse::<bcrypt::HashParts>()?.get_cost() == cost) {
                // Such a password was never set; bcrypt would cut it, or take it for another one.
                _ if Password::parse(given.expose_secret()).is_err() => Verdict::Wrong,
                (false, _) => Verdict::Wrong,
                (true, true) => Verdict::Right,
                (true, false) => Verdict::RightButOldCost,
            })
        };
        self.hashing.run(verify).await
    }

    /// A well-formed hash that no known password has.
    fn nobodys_hash(&self) -> String {
        format!("$2b${:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz0123.", self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(cost: u32) -> Hasher {
        Hasher::new(cost, Hashing::default())
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let hasher = hasher(4);
        let hash = hasher.hash(&Password::parse("correct horse").unwrap()).await.unwrap();
        let dearer = self::hasher(5);
        for (hasher, password, hash, expected) in [
            (&hasher, "correct horse", Some(&hash), Verdict::Right),
            (&dearer, "correct horse", Some(&hash), Verdict::RightButOldCost),
            (&hasher, "correct hors", Some(&hash), Verdict::Wrong),
            (&hasher, "", Some(&hash), Verdict::Wrong),
            (&hasher, "correct horse\0correct horse", Some(&hash), Verdict::Wrong),
            (&hasher, "correct horse", None, Verdict::Wrong),
        ] {
            assert_eq!(
                hasher.verify(&password.into(), hash).await.unwrap(),
                expected,
                "{password:?}"
            );
        }
    }

    #[tokio::test]
    async fn who_finds_no_place_is_refused_at_once() {
        let hashing = Hashing::default();
        let hasher = Hasher::new(4, hashing.clone());
        let password = Password::parse("correct horse").unwrap();
        let taken = Arc::clone(&hashing.places).try_acquire_many_owned(15).unwrap();
        assert!(hasher.hash(&password).await.is_ok());
        let last = Arc::clone(&hashing.places).try_acquire_owned().unwrap();
        let hash = hasher.hash(&password).await;
        assert!(matches!(hash, Err(Error::Busy)), "{hash:?}");
        let verdict = hasher.verify(&"correct horse".into(), None).await;
        assert!(matches!(verdict, Err(Error::Busy)), "{verdict:?}");
        drop((taken, last));
        assert!(hasher.hash(&password).await.is_ok());
    }

    #[tokio::test]
    async fn a_password_is_never_cut() {
        let hasher = hasher(4);
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
