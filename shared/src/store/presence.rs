//! Who is online, by `connections`, and who may say that they are writing, by `send_rates`.
//!
//! A person is online who has a living connection: one that is not older than any can be, of a session that lives.

use std::time::Duration;

use serde::Deserialize;

use super::{
    CONNECTION_LIFE_MAX, Database, Store,
    connections::{HANDSHAKE_MAX, rows_max, zero_or_one},
    rows::{NOT_A_CONSTANT, Rows},
    with_db,
};
use crate::{
    account::Username, clock::UnixMillis, error::Result, frame::Protocol, token::SessionId,
};

/// How long a connection that was found living is taken to live.
const CHECK_EVERY: Duration = Duration::from_mins(1);

/// Who says that they are writing is passed on no more often than this.
const TYPING_EVERY: Duration = Duration::from_secs(3);

/// A living connection, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow, Deserialize)]
pub struct Member {
    /// The connection's id.
    pub connection_id: String,
    /// Whose it is.
    pub username: Username,
    /// What it speaks.
    #[sqlx(try_from = "String")]
    pub protocol: Protocol,
}

/// A page of the people who are online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Online {
    /// How many there are in all.
    pub count: i64,
    /// Their names, in the order of their bytes: one more than asked for, if there are more.
    pub users: Vec<Username>,
    /// Whether connections should be checked: there are few, and some weren't looked at lately.
    pub has_unchecked: bool,
}

#[derive(sqlx::FromRow, Deserialize)]
struct OnlineRow {
    count: i64,
    #[serde(deserialize_with = "zero_or_one")]
    has_unchecked: bool,
    username: Option<Username>,
}

/// What makes a connection due for a check: it lives, its handshake is done, and it was neither opened nor looked at lately.
macro_rules! push_unchecked {
    ($query:expr, $now:expr) => {
        $query.push("connected_at > ").push_bind($now.minus(CONNECTION_LIFE_MAX));
        $query.push(" and connected_at <= ").push_bind($now.minus(HANDSHAKE_MAX));
        $query.push(" and coalesce(checked_at, 0) <= ").push_bind($now.minus(CHECK_EVERY));
    };
}

impl Store {
    /// The living connections, unless there are more than `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn members(&self, limit: usize, now: UnixMillis) -> Result<Option<Vec<Member>>> {
        // One more tells that there are too many.
        let one_more = rows_max(Some(limit)) + 1;
        let members: Vec<Member> = with_db!(self.reader, |db| {
            let mut query = db.query("connection_id, username, protocol");
            query.push(
                "select c.connection_id, c.username, c.protocol
                 from connections c join sessions s on s.id = c.session_id where c.connected_at > ",
            );
            query.push_bind(now.minus(CONNECTION_LIFE_MAX));
            query.push(" and s.revoked_at is null and s.expires_at > ").push_bind(now);
            query.push(" limit ").push_bind(one_more).push(NOT_A_CONSTANT);
            db.fetch(query).await
        })?;
        Ok((members.len() <= limit).then_some(members))
    }

    /// Up to `limit` of those who are online and whose names come after `after`, and one more if there is, for whoever has the
    /// session; `None` when that is revoked or expired. Connections are worth a check if there are `check_limit` at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn online(
        &self,
        after: &str,
        limit: i64,
        check_limit: Option<usize>,
        session: &SessionId,
        now: UnixMillis,
    ) -> Result<Option<Online>> {
        // In the others, names have no other order.
        let by_bytes = match self.database() {
            Database::Postgres => " collate \"C\"",
            Database::Dsql | Database::Sqlite => "",
        };
        let check_limit = rows_max(check_limit);
        // There is a row if the session lives, even if nobody comes after that name, so that all of it takes one query.
        let mut rows: Vec<OnlineRow> = with_db!(self.reader, |db| {
            let mut query = db.query("count, has_unchecked, username");
            query.push(
                "with people as (
                     select distinct c.username
                     from connections c join sessions s on s.id = c.session_id
                     where c.connected_at > ",
            );
            query.push_bind(now.minus(CONNECTION_LIFE_MAX));
            query.push(" and s.revoked_at is null and s.expires_at > ").push_bind(now);
            query.push(
                ") select (select count(*) from people) as count,
                     (select count(*) from (select 1 from connections limit ",
            );
            query.push_bind(check_limit + 1).push(NOT_A_CONSTANT).push(") few) <= ");
            query.push_bind(check_limit).push(" and exists (select 1 from connections where ");
            push_unchecked!(query, now);
            query.push(
                ") as has_unchecked, page.username
                 from sessions own left join (select username from people where username",
            );
            query.push(by_bytes).push(" > ").push_bind(after).push(" order by username");
            query.push(by_bytes).push(" limit ").push_bind(limit + 1).push(NOT_A_CONSTANT);
            query.push(") page on true where own.id = ").push_bind(session);
            query.push(" and own.revoked_at is null and own.expires_at > ").push_bind(now);
            db.fetch(query).await
        })?;
        rows.sort_unstable_by(|one, other| one.username.cmp(&other.username));
        Ok(rows.first().map(|row| (row.count, row.has_unchecked)).map(|(count, has_unchecked)| {
            let users = rows.into_iter().filter_map(|row| row.username).collect();
            Online { count, users, has_unchecked }
        }))
    }

    /// Whether somebody who has just opened a connection has come with it: no connection of theirs that lives was noted before,
    /// and the table has at most `limit` rows. Of several that are opened at the same moment, one is found to be the first.
    ///
    /// Each notes all that it sees, its own among them, and of two that see each other's, one gets them all: the other finds that
    /// it got fewer than it saw.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_joined(
        &self,
        username: &Username,
        limit: usize,
        now: UnixMillis,
    ) -> Result<bool> {
        let limit = rows_max(Some(limit));
        // SQLite counts while it notes, so sees fewer; there, nobody else is at it.
        let seen: Vec<i64> = with_db!(self.writer, |db| {
            sqlx::query_scalar(
                "update connections set checked_at = $2
                 where (select count(*) from (select 1 from connections limit $4 + 1) few) <= $4
                     and not exists (
                         select 1 from connections noted where noted.username = $1
                             and noted.connected_at > $3 and noted.checked_at is not null
                     )
                     and username = $1 and connected_at > $3 and checked_at is null
                 returning (
                     select count(*) from connections seen where seen.username = $1
                         and seen.connected_at > $3 and seen.checked_at is null
                 )",
            )
            .bind(username)
            .bind(now)
            .bind(now.minus(CONNECTION_LIFE_MAX))
            .bind(limit)
            .fetch_all(db)
            .await
        })?;
        let noted = i64::try_from(seen.len()).unwrap_or(i64::MAX);
        Ok(seen.first().is_some_and(|seen| noted >= *seen))
    }

    /// The connections that weren't looked at lately. Whoever gets one is to check it: within a minute, nobody else does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_unchecked(&self, now: UnixMillis) -> Result<Vec<String>> {
        Ok(with_db!(self.writer, |db| {
            let mut query = sqlx::QueryBuilder::new("update connections set checked_at = ");
            query.push_bind(now).push(" where ");
            push_unchecked!(query, now);
            query.push(" returning connection_id").build_query_scalar().fetch_all(db).await
        })?)
    }

    /// Whoever has a living connection of `chat.v1` and says on it that they are writing, if that is to be passed on: it wasn't
    /// within three seconds, and the table of connections has at most `limit` rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_typing(
        &self,
        connection_id: &str,
        limit: usize,
        now: UnixMillis,
    ) -> Result<Option<Username>> {
        let limit = rows_max(Some(limit));
        Ok(with_db!(self.writer, |db| {
            sqlx::query_scalar(
                "insert into send_rates (username, sent_lately, typed_at)
                 select c.username, '', $3 from connections c join sessions s on s.id = c.session_id
                 where c.connection_id = $1 and c.protocol = $2 and c.connected_at > $4
                     and s.revoked_at is null and s.expires_at > $3
                     and (select count(*) from (select 1 from connections limit $5 + 1) few) <= $5
                 on conflict (username) do update set typed_at = excluded.typed_at
                 where send_rates.typed_at is null or send_rates.typed_at <= $6
                 returning username",
            )
            .bind(connection_id)
            .bind(Protocol::ChatV1.as_str())
            .bind(now)
            .bind(now.minus(CONNECTION_LIFE_MAX))
            .bind(limit)
            .bind(now.minus(TYPING_EVERY))
            .fetch_optional(db)
            .await
        })?)
    }
}
