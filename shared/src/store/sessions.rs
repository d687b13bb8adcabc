//! `sessions`: a login opens one; a refresh rotates its token; logout or a replayed token ends it.

use std::time::Duration;

use super::{Store, with_db};
use crate::{
    account::Username,
    clock::UnixMillis,
    error::Result,
    token::{SessionId, TokenId},
};

/// How long the previous refresh token is still good after a rotation: for a lost answer or a second tab.
const GRACE: Duration = Duration::from_secs(30);

/// A session about to be opened.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Its id.
    pub id: &'a SessionId,
    /// Whose it is.
    pub username: &'a Username,
    /// The id of its first refresh token.
    pub token_id: &'a TokenId,
    /// Now.
    pub now: UnixMillis,
    /// When it ends unless it is refreshed.
    pub expires_at: UnixMillis,
}

/// What came of presenting a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// This is the session's refresh token now, made at that instant.
    Token(TokenId, UnixMillis),
    /// The session is over: revoked, expired or unknown.
    Ended,
    /// The token was older than the previous one. Somebody copied it, so the session has just been revoked.
    Replayed,
}

#[derive(sqlx::FromRow)]
struct Row {
    token_id: TokenId,
    previous_token_id: Option<TokenId>,
    rotated_at: UnixMillis,
}

impl Store {
    /// Opens a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_session(&self, session: &NewSession<'_>) -> Result<()> {
        with_db!(self.writer, |db| {
            sqlx::query(
                "insert into sessions (id, username, token_id, rotated_at, created_at, expires_at)
                 values ($1, $2, $3, $4, $4, $5) on conflict (id) do nothing",
            )
            .bind(session.id)
            .bind(session.username)
            .bind(session.token_id)
            .bind(session.now)
            .bind(session.expires_at)
            .execute(db)
            .await
            .map(drop)
        })?;
        Ok(())
    }

    /// Whether a session is neither revoked nor expired.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn session_lives(&self, id: &SessionId, now: UnixMillis) -> Result<bool> {
        let row: Option<i64> = with_db!(self.reader, |db| {
            sqlx::query_scalar(
                "select created_at from sessions
                 where id = $1 and revoked_at is null and expires_at > $2",
            )
            .bind(id)
            .bind(now)
            .fetch_optional(db)
            .await
        })?;
        Ok(row.is_some())
    }

    /// Presents a session's refresh token. The current one rotates: `next` takes its place. The previous one is good
    /// for 30 seconds more and leads to the same successor. Any other revokes the session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh_session(
        &self,
        id: &SessionId,
        presented: &TokenId,
        next: &TokenId,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<Refreshed> {
        if self.rotate(id, presented, next, now, expires_at).await? {
            return Ok(Refreshed::Token(next.clone(), now));
        }
        let Some(session) = self.living_session(id, now).await? else {
            return Ok(Refreshed::Ended);
        };
        let in_grace = session.rotated_at.plus(GRACE) >= now;
        if in_grace && session.previous_token_id.as_ref() == Some(presented) {
            return Ok(Refreshed::Token(session.token_id, session.rotated_at));
        }
        self.revoke_session(id, now).await?;
        Ok(Refreshed::Replayed)
    }

    /// Ends a session for good. Once is enough; again changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_session(&self, id: &SessionId, now: UnixMillis) -> Result<()> {
        with_db!(self.writer, |db| {
            sqlx::query("update sessions set revoked_at = $2 where id = $1 and revoked_at is null")
                .bind(id)
                .bind(now)
                .execute(db)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// One statement, so that of two refreshes at once exactly one rotates.
    async fn rotate(
        &self,
        id: &SessionId,
        presented: &TokenId,
        next: &TokenId,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<bool> {
        let rows = with_db!(self.writer, |db| {
            sqlx::query(
                "update sessions
                 set previous_token_id = token_id, token_id = $3, rotated_at = $4, expires_at = $5
                 where id = $1 and token_id = $2 and revoked_at is null and expires_at > $4",
            )
            .bind(id)
            .bind(presented)
            .bind(next)
            .bind(now)
            .bind(expires_at)
            .execute(db)
            .await
            .map(|done| done.rows_affected())
        })?;
        Ok(rows == 1)
    }

    async fn living_session(&self, id: &SessionId, now: UnixMillis) -> Result<Option<Row>> {
        Ok(with_db!(self.writer, |db| {
            sqlx::query_as(
                "select token_id, previous_token_id, rotated_at from sessions
                 where id = $1 and revoked_at is null and expires_at > $2",
            )
            .bind(id)
            .bind(now)
            .fetch_optional(db)
            .await
        })?)
    }
}
