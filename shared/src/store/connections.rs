//! `connections`: the sockets that are open, as far as we know.

use std::time::Duration;

use super::{Store, retry_conflicts, with_pool};
use crate::{
    account::Username, clock::UnixMillis, error::Result, frame::Protocol, token::SessionId,
};

/// Connections older than this are dead: API Gateway ends every one after 2 hours; the rest is slack for clocks.
/// Source: API Gateway quotas for WebSocket APIs, "connection duration".
pub const CONNECTION_LIFE_MAX: Duration = Duration::from_mins(2 * 60 + 10);

/// How long a "gone" about a new connection is not believed: posts fail until its handshake is done, which is up to
/// 29 seconds (API Gateway's integration timeout) after its row was written.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// Rows deleted by one statement at most; DSQL takes up to 3,000 in a transaction.
const DELETE_MAX: usize = 1000;

/// A connection about to be opened.
#[derive(Clone, Debug)]
pub struct NewConnection<'a> {
    /// Its id, API Gateway's.
    pub id: &'a str,
    /// Who opened it.
    pub username: &'a Username,
    /// The session it belongs to.
    pub session: &'a SessionId,
    /// What it speaks.
    pub protocol: Protocol,
    /// Now.
    pub now: UnixMillis,
}

/// Somebody who gets every message.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Recipient {
    /// The connection's id.
    pub connection_id: String,
    /// What it speaks.
    #[sqlx(try_from = "String")]
    pub protocol: Protocol,
    /// When it was opened.
    pub connected_at: UnixMillis,
}

impl Store {
    /// Adds a connection if its session lives, and says whether it does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_connection(&self, connection: &NewConnection<'_>) -> Result<bool> {
        let rows = retry_conflicts!(with_pool!(self.writer, |pool| {
            sqlx::query(
                "insert into connections (connection_id, username, session_id, protocol, connected_at)
                 select $1, username, id, $4, $5 from sessions
                 where id = $2 and username = $3 and revoked_at is null and expires_at > $5",
            )
            .bind(connection.id)
            .bind(connection.session)
            .bind(connection.username)
            .bind(connection.protocol.as_str())
            .bind(connection.now)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        }))?;
        Ok(rows == 1)
    }

    /// Every connection of a living session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recipients(&self) -> Result<Vec<Recipient>> {
        Ok(with_pool!(self.reader, |pool| {
            sqlx::query_as(
                "select c.connection_id, c.protocol, c.connected_at
                 from connections c join sessions s on s.id = c.session_id
                 where s.revoked_at is null",
            )
            .fetch_all(pool)
            .await
        })?)
    }

    /// Forgets a connection. Forgetting one that is not there is fine.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_connection(&self, id: &str) -> Result<()> {
        retry_conflicts!(with_pool!(self.writer, |pool| {
            sqlx::query("delete from connections where connection_id = $1")
                .bind(id)
                .execute(pool)
                .await
                .map(drop)
        }))?;
        Ok(())
    }

    /// Forgets connections that a post found gone, in one statement (per thousand). Those so new that their handshake
    /// may still be under way stay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_gone_connections(&self, ids: &[String], now: UnixMillis) -> Result<()> {
        for ids in ids.chunks(DELETE_MAX) {
            retry_conflicts!(with_pool!(self.writer, |pool| {
                let mut query =
                    sqlx::QueryBuilder::new("delete from connections where connected_at <= ");
                query.push_bind(now.minus(HANDSHAKE_MAX)).push(" and connection_id in (");
                let mut list = query.separated(", ");
                for id in ids {
                    list.push_bind(id);
                }
                query.push(")").build().execute(pool).await.map(drop)
            }))?;
        }
        Ok(())
    }

    /// Forgets all connections of a session and says which they were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_connections_of(&self, session: &SessionId) -> Result<Vec<String>> {
        let ids = retry_conflicts!(with_pool!(self.writer, |pool| {
            sqlx::query_scalar(
                "delete from connections where session_id = $1 returning connection_id",
            )
            .bind(session)
            .fetch_all(pool)
            .await
        }));
        Ok(ids?)
    }
}
