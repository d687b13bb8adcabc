//! `users`: who may log in.

use secrecy::{ExposeSecret, SecretString};

use super::{Store, with_db};
use crate::{
    account::Username,
    clock::UnixMillis,
    error::{Error, Result},
};

impl Store {
    /// Adds a user. Again with the same hash, which no other user has, changes nothing.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`].
    pub async fn insert_user(
        &self,
        username: &Username,
        password_hash: &SecretString,
        now: UnixMillis,
    ) -> Result<()> {
        let rows = with_db!(self.writer, |db| {
            sqlx::query(
                "insert into users (username, password_hash, created_at) values ($1, $2, $3)
                 on conflict (username) do update set created_at = users.created_at
                 where users.password_hash = excluded.password_hash",
            )
            .bind(username)
            .bind(password_hash.expose_secret())
            .bind(now)
            .execute(db)
            .await
            .map(|done| done.rows_affected())
        })?;
        if rows == 1 { Ok(()) } else { Err(Error::UsernameTaken(username.as_str().to_owned())) }
    }

    /// Whether nobody has ever registered, so that nothing was ever said either.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_no_users(&self) -> Result<bool> {
        let any: Option<i64> = with_db!(self.reader, |db| {
            sqlx::query_scalar("select created_at from users limit 1").fetch_optional(db).await
        })?;
        Ok(any.is_none())
    }

    /// A user's password hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn password_hash(&self, username: &Username) -> Result<Option<SecretString>> {
        let hash: Option<String> = with_db!(self.reader, |db| {
            sqlx::query_scalar("select password_hash from users where username = $1")
                .bind(username)
                .fetch_optional(db)
                .await
        })?;
        Ok(hash.map(Into::into))
    }

    /// Puts another hash of the same password in the place of `old`, unless somebody else already did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_password_hash(
        &self,
        username: &Username,
        old: &SecretString,
        new: &SecretString,
    ) -> Result<()> {
        with_db!(self.writer, |db| {
            sqlx::query(
                "update users set password_hash = $3 where username = $1 and password_hash = $2",
            )
            .bind(username)
            .bind(old.expose_secret())
            .bind(new.expose_secret())
            .execute(db)
            .await
            .map(drop)
        })?;
        Ok(())
    }
}
