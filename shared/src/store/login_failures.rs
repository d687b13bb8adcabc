//! `login_failures`: how often a login failed lately, by username and source address.
//!
//! A try is counted *before* the password is looked at and forgotten when it was right, so tries made in parallel
//! cannot slip through. Names that no user has are counted too: the answer must not tell them apart.

use std::time::Duration;

use secrecy::SecretString;
use uuid::Uuid;

use super::{Store, with_db};
use crate::{account::Username, clock::UnixMillis, error::Result};

/// Logins that succeed until one of them, on average, sweeps: so most don't wait for it.
const LOGINS_PER_SWEEP: u128 = 10;

/// How often a login has been tried since its window opened, the present try included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    failures: i64,
    window_started_at: UnixMillis,
}

impl Attempts {
    /// Failures that are let through in one window.
    const MAX: i64 = 10;
    /// How long a window lasts from its first failure.
    const WINDOW: Duration = Duration::from_mins(15);

    /// Whole seconds to wait, if there have been too many.
    pub fn retry_after_secs(self, now: UnixMillis) -> Option<i64> {
        let opens_at = self.window_started_at.plus(Self::WINDOW);
        (self.failures > Self::MAX).then(|| (opens_at.0 - now.0 + 999).div_euclid(1000).max(1))
    }
}

impl Store {
    /// Counts a try to log in, and finds the hash that the password must fit. A name that nobody has has none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_login_attempt(
        &self,
        username: &Username,
        source: &str,
        now: UnixMillis,
    ) -> Result<(Attempts, Option<SecretString>)> {
        let row = with_db!(self.writer, |db| {
            sqlx::query_as(
                "insert into login_failures (username, source, failures, window_started_at)
                 values ($1, $2, 1, $3)
                 on conflict (username, source) do update set
                     failures = case when login_failures.window_started_at > $4
                         then login_failures.failures + 1 else 1 end,
                     window_started_at = case when login_failures.window_started_at > $4
                         then login_failures.window_started_at else excluded.window_started_at end
                 returning failures, window_started_at,
                     (select password_hash from users where username = $1)",
            )
            .bind(username)
            .bind(source)
            .bind(now)
            .bind(now.minus(Attempts::WINDOW))
            .fetch_one(db)
            .await
        })?;
        let (failures, window_started_at, hash): (_, _, Option<String>) = row;
        Ok((Attempts { failures, window_started_at }, hash.map(Into::into)))
    }

    /// Takes back a try that came to nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uncount_login_attempt(&self, username: &Username, source: &str) -> Result<()> {
        with_db!(self.writer, |db| {
            sqlx::query(
                "update login_failures set failures = failures - 1
                 where username = $1 and source = $2 and failures > 0",
            )
            .bind(username)
            .bind(source)
            .execute(db)
            .await
            .map(drop)
        })?;
        Ok(())
    }

    /// Forgets the failures of a login that succeeded, and now and then some of those whose window is over, so that rows of
    /// names that nobody has do not pile up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_login_failures(
        &self,
        username: &Username,
        source: &str,
        now: UnixMillis,
    ) -> Result<()> {
        with_db!(self.writer, |db| {
            sqlx::query("delete from login_failures where username = $1 and source = $2")
                .bind(username)
                .bind(source)
                .execute(db)
                .await
                .map(drop)
        })?;
        if Uuid::new_v4().as_u128().is_multiple_of(LOGINS_PER_SWEEP)
            && let Err(error) = self.sweep_login_failures(now).await
        {
            // A later login sweeps again.
            error.log();
        }
        Ok(())
    }

    async fn sweep_login_failures(&self, now: UnixMillis) -> Result<()> {
        with_db!(self.writer, |db| {
            sqlx::query(
                "delete from login_failures where window_started_at <= $1 and (username, source) in (
                     select username, source from login_failures
                     where window_started_at <= $1 limit 300)",
            )
            .bind(now.minus(Attempts::WINDOW))
            .execute(db)
            .await
            .map(drop)
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_failure_waits_until_the_window_has_passed() {
        let attempts = |failures| Attempts { failures, window_started_at: UnixMillis(1_000_000) };
        let after = |secs: i64| UnixMillis(1_000_000 + secs * 1000);
        assert_eq!(attempts(10).retry_after_secs(after(1)), None);
        assert_eq!(attempts(11).retry_after_secs(after(0)), Some(900));
        assert_eq!(attempts(11).retry_after_secs(after(899)), Some(1));
        assert_eq!(attempts(99).retry_after_secs(UnixMillis(1_899_999)), Some(1));
    }
}
