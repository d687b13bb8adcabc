//! `connections`: the sockets that are open, as far as we know.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer};

use super::{
    Store,
    rows::{NOT_A_CONSTANT, Rows},
    with_db,
};
use crate::{
    account::Username, clock::UnixMillis, error::Result, frame::Protocol, token::SessionId,
};

/// Connections older than this are dead: API Gateway ends every one after 2 hours; the rest is slack for clocks.
/// Source: API Gateway quotas for WebSocket APIs, "connection duration".
pub const CONNECTION_LIFE_MAX: Duration = Duration::from_mins(2 * 60 + 10);

/// How long a "gone" about a new connection is not believed: posts fail until its handshake is done, which is up to
/// 29 seconds (API Gateway's integration timeout) after its row was written.
pub(super) const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

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

/// A connection that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Whether anybody listens to who comes, be it on this connection.
    pub has_listeners: bool,
}

/// A connection that a message may have to reach.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow, Deserialize)]
pub struct Recipient {
    /// The connection's id.
    pub connection_id: String,
    /// What it speaks.
    #[sqlx(try_from = "String")]
    pub protocol: Protocol,
    /// When it was opened.
    pub connected_at: UnixMillis,
    /// Whether its session is over: then it gets nothing and should be closed. It was opened in the moment in which
    /// its session was revoked, or has outlived its session.
    #[serde(deserialize_with = "zero_or_one")]
    pub session_ended: bool,
    /// In which of the stretches that were asked for it is: the first is the lowest bit.
    pub stretches: i32,
}

/// The beginning of the whole table, which is asked for once for each message.
#[cfg(feature = "sqlite")]
#[derive(Debug)]
pub(super) struct FirstPage {
    limit: usize,
    now: UnixMillis,
}

/// A stretch of the table of connections, in the database's order of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// The connection before its first one; `None` from the beginning.
    pub after: Option<&'a str>,
    /// Its last connection; `None` up to the end.
    pub through: Option<&'a str>,
}

impl Stretch<'_> {
    /// The whole table.
    pub const ALL: Self = Self { after: None, through: None };

    /// How many can be asked for at once: as many as there are bits for.
    pub const NUMBER_MAX: usize = 31;
}

/// A limit on rows, to which one can still be added; without one, none.
pub(super) fn rows_max(limit: Option<usize>) -> i64 {
    limit.map_or(0, |limit| i64::try_from(limit).unwrap_or(i64::MAX - 1))
}

/// SQLite has no other truth.
pub(super) fn zero_or_one<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<bool, D::Error> {
    u8::deserialize(deserializer).map(|number| number != 0)
}

impl Store {
    /// Adds a connection if its session lives; `None` if it doesn't. There are listeners if a connection speaks `chat.v1`, this one
    /// or another, and the table has at most `limit` rows. A larger one is not searched for them: of an `and`, SQLite computes
    /// both sides.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_connection(
        &self,
        connection: &NewConnection<'_>,
        limit: Option<usize>,
    ) -> Result<Option<Added>> {
        let added: Option<bool> = with_db!(self.writer, |db| {
            sqlx::query_scalar(
                "insert into connections (connection_id, username, session_id, protocol, connected_at)
                 select $1, username, id, $4, $5 from sessions
                 where id = $2 and username = $3 and revoked_at is null and expires_at > $5
                 on conflict (connection_id) do update set connected_at = excluded.connected_at
                 returning case
                     when (select count(*) from (select 1 from connections limit $6 + 1) few) <= $6
                     then protocol = $7 or exists (
                         select 1 from connections other
                         where other.protocol = $7 and other.connection_id <> $1
                     )
                     else false
                 end",
            )
            .bind(connection.id)
            .bind(connection.session)
            .bind(connection.username)
            .bind(connection.protocol.as_str())
            .bind(connection.now)
            .bind(rows_max(limit))
            .bind(Protocol::CHAT_V1)
            .fetch_optional(db)
            .await
        })?;
        Ok(added.map(|has_listeners| Added { has_listeners }))
    }

    /// Up to `limit` connections of the hull of `stretches`, in the database's order of ids; from the beginning, or after the
    /// one where the page before ended.
    ///
    /// # Errors
    /// When the database fails.
    ///
    /// # Panics
    /// When there are no stretches, or more than [`Stretch::NUMBER_MAX`].
    pub async fn recipients(
        &self,
        stretches: &[Stretch<'_>],
        ended: Option<&str>,
        limit: usize,
        now: UnixMillis,
    ) -> Result<Arc<[Recipient]>> {
        assert!((1..=Stretch::NUMBER_MAX).contains(&stretches.len()), "there are too many");
        #[cfg(feature = "sqlite")]
        if self.is_sqlite()
            && stretches == [Stretch::ALL]
            && ended.is_none()
            && let Some(recipients) = self.first_page_together(FirstPage { limit, now }).await
        {
            return Ok(recipients);
        }
        // In a box, so that a message on its way takes little room.
        Ok(Box::pin(self.read_recipients(stretches, ended, limit, now)).await?)
    }

    /// The first page, read for all who wait for it; `None` if it couldn't be.
    #[cfg(feature = "sqlite")]
    async fn first_page_together(&self, page: FirstPage) -> Option<Arc<[Recipient]>> {
        let read_all = |pages: Vec<FirstPage>| async move {
            // It knows the latest time.
            let [.., FirstPage { limit, now }] = pages[..] else { return Vec::new() };
            let read = self.read_recipients(&[Stretch::ALL], None, limit, now).await;
            let read = read.inspect_err(|error| tracing::debug!(%error, "not read together")).ok();
            pages.iter().map(|page| read.clone().filter(|_| page.limit == limit)).collect()
        };
        // Of one that was interrupted, nothing has come.
        self.first_pages.ask(page, usize::MAX, read_all).await.unwrap_or(None)
    }

    async fn read_recipients(
        &self,
        stretches: &[Stretch<'_>],
        ended: Option<&str>,
        limit: usize,
        now: UnixMillis,
    ) -> sqlx::Result<Arc<[Recipient]>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // Only the database knows its order of ids.
        let [least, greatest] =
            if self.is_sqlite() { ["min", "max"] } else { ["least", "greatest"] };
        with_db!(self.reader, |db| {
            let mut query =
                db.query("connection_id, protocol, connected_at, session_ended, stretches");
            query.push(
                "select c.connection_id, c.protocol, c.connected_at, s.revoked_at is not null or s.expires_at <= ",
            );
            query.push_bind(now).push(" as session_ended, 0");
            for (number, stretch) in stretches.iter().enumerate() {
                query.push(" + case when true");
                if let Some(after) = stretch.after {
                    query.push(" and c.connection_id > ").push_bind(after);
                }
                if let Some(through) = stretch.through {
                    query.push(" and c.connection_id <= ").push_bind(through);
                }
                query.push(format!(" then {} else 0 end", 1 << number));
            }
            query.push(
                " as stretches from connections c join sessions s on s.id = c.session_id where true",
            );
            let after: Option<BTreeSet<&str>> = stretches.iter().map(|of| of.after).collect();
            let through: Option<BTreeSet<&str>> = stretches.iter().map(|of| of.through).collect();
            for (bounds, comparison, hull) in [(after, ">", least), (through, "<=", greatest)] {
                let Some(bounds) = bounds else { continue };
                // Of a single value, SQLite's functions are others.
                let hull = if bounds.len() == 1 { "" } else { hull };
                query.push(format!(" and c.connection_id {comparison} {hull}("));
                let mut list = query.separated(", ");
                for bound in bounds {
                    list.push_bind(bound);
                }
                query.push(")");
            }
            if let Some(ended) = ended {
                query.push(" and c.connection_id > ").push_bind(ended);
            }
            query.push(" order by c.connection_id limit ").push_bind(limit).push(NOT_A_CONSTANT);
            db.fetch(query).await.map(Vec::into)
        })
    }

    /// Where the table is to be cut into stretches of `size` connections: the last connection of each but the last stretch.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cuts(&self, size: usize) -> Result<Vec<String>> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        Ok(with_db!(self.reader, |db| {
            sqlx::query_scalar(
                "select connection_id from (
                     select connection_id, row_number() over (order by connection_id) as place,
                         lead(connection_id) over (order by connection_id) as successor
                     from connections
                 ) placed
                 where place % $1 = 0 and successor is not null order by place",
            )
            .bind(size)
            .fetch_all(db)
            .await
        })?)
    }

    /// Forgets a connection that is closed, and says whose last one that was, if the table has at most `limit` rows. Forgetting
    /// one that is not there is fine.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_connection(
        &self,
        id: &str,
        limit: Option<usize>,
        now: UnixMillis,
    ) -> Result<Vec<Username>> {
        self.forget(&[id.to_owned()], UnixMillis(i64::MAX), limit, now).await
    }

    /// Forgets connections that a post found gone, and says whose last ones those were, if the table has at most `limit` rows.
    /// Those so new that their handshake may still be under way stay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_gone_connections(
        &self,
        ids: &[String],
        limit: Option<usize>,
        now: UnixMillis,
    ) -> Result<Vec<Username>> {
        self.forget(ids, now.minus(HANDSHAKE_MAX), limit, now).await
    }

    /// Forgets connections that were opened until then. Where nobody listens, or there are too many rows to look up whose last ones
    /// they were, in one statement (per thousand).
    ///
    /// Else in two more, so that of connections that end at the same moment exactly one is found to be the last: each is marked as
    /// dead first, and then whoever deletes what is marked can tell, since he sees the marks of all who came before him, and
    /// a row is deleted once. What is marked and not deleted is removed by the next broadcast, like any dead row.
    async fn forget(
        &self,
        ids: &[String],
        opened_by: UnixMillis,
        limit: Option<usize>,
        now: UnixMillis,
    ) -> Result<Vec<Username>> {
        let mut left = Vec::new();
        for ids in ids.chunks(DELETE_MAX) {
            let is_done = self.delete(ids, opened_by, limit).await?;
            let Some(limit) = limit.filter(|_| !is_done) else { continue };
            let owners = self.mark_as_dead(ids, opened_by, limit).await?;
            if owners.is_empty() {
                // They were forgotten already, or the room has just become too large.
                self.delete(ids, opened_by, None).await?;
            } else {
                left.extend(self.delete_dead_of(&owners, now).await?);
            }
        }
        Ok(left)
    }

    /// Deletes connections, unless another one speaks `chat.v1` and the table has at most `limit` rows. Says whether it did.
    async fn delete(
        &self,
        ids: &[String],
        opened_by: UnixMillis,
        limit: Option<usize>,
    ) -> Result<bool> {
        let limit = rows_max(limit);
        let deleted = with_db!(self.writer, |db| {
            let mut query =
                sqlx::QueryBuilder::new("delete from connections where connected_at <= ");
            query.push_bind(opened_by).push(" and connection_id in (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id);
            }
            query.push(") and not ((select count(*) from (select 1 from connections limit ");
            query.push_bind(limit + 1).push(NOT_A_CONSTANT).push(") few) <= ").push_bind(limit);
            query.push(" and exists (select 1 from connections other where other.protocol = ");
            query.push_bind(Protocol::CHAT_V1).push(" and other.connection_id not in (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id);
            }
            query.push(")))").build().execute(db).await.map(|done| done.rows_affected())
        })?;
        Ok(deleted > 0)
    }

    /// Makes connections as old as can be, and says whose they are: nobody's, if the table has more than `limit` rows.
    async fn mark_as_dead(
        &self,
        ids: &[String],
        opened_by: UnixMillis,
        limit: usize,
    ) -> Result<Vec<Username>> {
        let limit = rows_max(Some(limit));
        Ok(with_db!(self.writer, |db| {
            let mut query = sqlx::QueryBuilder::new(
                "update connections set connected_at = 0
                 where (select count(*) from (select 1 from connections limit ",
            );
            query.push_bind(limit + 1).push(NOT_A_CONSTANT).push(") few) <= ").push_bind(limit);
            query.push(" and connected_at <= ").push_bind(opened_by);
            query.push(" and connection_id in (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id);
            }
            query.push(") returning username").build_query_scalar().fetch_all(db).await
        })?)
    }

    /// Deletes the dead connections of people, and says who has no living one.
    async fn delete_dead_of(&self, owners: &[Username], now: UnixMillis) -> Result<Vec<Username>> {
        let dead = now.minus(CONNECTION_LIFE_MAX);
        let deleted: Vec<(Username, bool)> = with_db!(self.writer, |db| {
            let mut query =
                sqlx::QueryBuilder::new("delete from connections where connected_at <= ");
            query.push_bind(dead).push(" and username in (");
            let mut list = query.separated(", ");
            for owner in owners {
                list.push_bind(owner);
            }
            query.push(
                ") returning username, exists (
                     select 1 from connections other
                     where other.username = connections.username and other.connected_at > ",
            );
            query.push_bind(dead).push(")").build_query_as().fetch_all(db).await
        })?;
        let left = deleted.into_iter().filter_map(|(owner, lives)| (!lives).then_some(owner));
        Ok(left.collect::<BTreeSet<Username>>().into_iter().collect())
    }

    /// The connections of a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn connections_of(&self, session: &SessionId) -> Result<Vec<String>> {
        Ok(with_db!(self.writer, |db| {
            sqlx::query_scalar("select connection_id from connections where session_id = $1")
                .bind(session)
                .fetch_all(db)
                .await
        })?)
    }
}
