//! A few connections to PostgreSQL, for a program that may be frozen at any moment.
//!
//! Not `sqlx::PgPool`: after each use it pings the server from a task of its own before the connection is free again.
//! On Lambda that task is frozen with the answer on its way, and with the one connection of an instance the next
//! statement of the same event waits for a round trip more. Nothing here runs between two statements.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::{STATEMENT_TIME_MAX, dsql, is_conflict, is_unique_violation, no_answer};

/// How long a connection may lie idle before it is asked whether it still lives: it may have died in a freeze or a
/// failover.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// How long an idle one may take to answer that, or to be closed.
const PING_TIME_MAX: Duration = Duration::from_millis(500);

/// How long a connection is kept. DSQL ends one after 60 minutes, in the middle of whatever it does.
/// Source: quotas of Aurora DSQL, "maximum connection duration".
const AGE_MAX: Duration = Duration::from_mins(50);

/// What to connect to.
pub(super) enum Server {
    /// PostgreSQL.
    Postgres(Box<PgConnectOptions>),
    /// Aurora DSQL.
    Dsql(Box<dsql::Cluster>),
}

impl Server {
    /// Opens a connection, on which the tables are found by their names.
    async fn connect(&self) -> sqlx::Result<PgConnection> {
        match self {
            Self::Postgres(options) => PgConnection::connect_with(options).await,
            Self::Dsql(cluster) => {
                let opened = PgConnection::connect_with(&cluster.options()?).await;
                let mut connection = opened.map_err(not_ready)?;
                let sql = format!("set search_path = {}", dsql::SCHEMA);
                connection.execute(AssertSqlSafe(sql)).await?;
                Ok(connection)
            }
        }
    }
}

/// Whatever a cluster says to who wants to come in: it, or the IAM role that asks, may just be new, so it counts as away.
fn not_ready(error: sqlx::Error) -> sqlx::Error {
    match error {
        sqlx::Error::Database(_) => sqlx::Error::Io(std::io::Error::other(error)),
        error => error,
    }
}

/// Connections that are opened when they are needed and kept.
pub(super) struct Connections {
    server: Server,
    permits: Semaphore,
    size: u32,
    idle: Mutex<Vec<Idle>>,
}

/// Without the server, whose options hold a password and print it.
impl fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connections").field("size", &self.size).finish_non_exhaustive()
    }
}

struct Idle {
    connection: PgConnection,
    opened: Instant,
    since: Instant,
}

/// A connection in use. Unless it is given back it is closed: a statement that was cut off leaves it in an unknown state.
pub(super) struct Lease<'a> {
    home: &'a Connections,
    /// There until it is given back.
    connection: Option<PgConnection>,
    opened: Instant,
    /// Whether it was used before, so may have died since.
    was_kept: bool,
    _permit: SemaphorePermit<'a>,
}

impl Connections {
    pub(super) fn new(server: Server, size: u32) -> Self {
        let permits = Semaphore::new(size as usize);
        Self { server, permits, size, idle: Mutex::default() }
    }

    pub(super) fn is_dsql(&self) -> bool {
        matches!(self.server, Server::Dsql(_))
    }

    /// A connection that lives, as far as one can know.
    pub(super) async fn acquire(&self) -> sqlx::Result<Lease<'_>> {
        let permit = self.permits.acquire().await.map_err(|_closed| sqlx::Error::PoolClosed)?;
        let (connection, opened, was_kept) =
            if let Some(Idle { connection, opened, .. }) = Box::pin(self.take_idle()).await {
                (connection, opened, true)
            } else {
                let opened = Instant::now();
                (Box::pin(self.connect()).await?, opened, false)
            };
        Ok(Lease { home: self, connection: Some(connection), opened, was_kept, _permit: permit })
    }

    /// Opens a connection, if none is open, and keeps it for the next statement. What goes wrong, that statement finds, too.
    pub(super) async fn open(&self) {
        if let Ok(lease) = self.acquire().await {
            lease.give_back_after(&Ok(()));
        }
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        let mut connection = self.server.connect().await?;
        if !self.is_dsql() {
            // What nobody waits for any more must not go on waiting for a lock, and then be carried out after all. Not by
            // an option of the connection: PgBouncer refuses those. DSQL has no locks to wait for.
            let sql = format!("set statement_timeout = {}", STATEMENT_TIME_MAX.as_millis());
            connection.execute(AssertSqlSafe(sql)).await?;
        }
        Ok(connection)
    }

    /// Runs a statement on a connection of its own, however long it takes.
    pub(super) async fn run_patiently(&self, sql: &str) -> sqlx::Result<()> {
        let connect = timeout(STATEMENT_TIME_MAX, self.server.connect());
        let mut connection = connect.await.unwrap_or_else(|_elapsed| Err(no_answer()))?;
        connection.execute(AssertSqlSafe(sql)).await?;
        connection.close().await
    }

    async fn take_idle(&self) -> Option<Idle> {
        while let Some(mut idle) = self.take_newest() {
            if idle.opened.elapsed() >= AGE_MAX {
                // The server notices by itself when the goodbye gets lost.
                timeout(PING_TIME_MAX, idle.connection.close()).await.ok();
                continue;
            }
            if idle.since.elapsed() < TRUSTED_IDLE {
                return Some(idle);
            }
            if let Ok(Ok(())) = timeout(PING_TIME_MAX, idle.connection.ping()).await {
                return Some(idle);
            }
            self.forget_all();
        }
        None
    }

    fn take_newest(&self) -> Option<Idle> {
        self.idle().pop()
    }

    /// What one connection didn't survive, the others didn't either.
    fn forget_all(&self) {
        self.idle().clear();
    }

    /// Waits until every connection is back, then closes them all.
    pub(super) async fn close(&self) {
        if let Ok(all) = self.permits.acquire_many(self.size).await {
            self.permits.close();
            drop(all);
        }
        let idle = std::mem::take(&mut *self.idle());
        for Idle { connection, .. } in idle {
            // The server notices by itself when the goodbye gets lost.
            timeout(PING_TIME_MAX, connection.close()).await.ok();
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// Whether a statement failed only because the connection had died while it was kept: in a freeze, a restart or a
    /// failover of the database. Then it is worth another try on a new one.
    pub(super) fn was_dead<T>(&self, outcome: &sqlx::Result<T>, repeatable: bool) -> bool {
        let died = match outcome {
            Err(sqlx::Error::Io(_)) => repeatable,
            // The server says goodbye (57P01) or has become a reader in a failover (25006): either way the statement has
            // changed nothing.
            Err(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| matches!(&*code, "57P01" | "25006"))
            }
            _ => false,
        };
        if died {
            self.home.forget_all();
        }
        died && self.was_kept
    }

    /// Ends the use of the connection. It is kept if the statement's outcome shows that it is in order.
    pub(super) fn give_back_after<T>(mut self, outcome: &sqlx::Result<T>) {
        let in_order = match outcome {
            Ok(_) => true,
            Err(error) => is_unique_violation(error) || is_conflict(error),
        };
        if let Some(connection) = self.connection.take().filter(|_| in_order) {
            let opened = self.opened;
            self.home.idle().push(Idle { connection, opened, since: Instant::now() });
        }
    }
}

impl Deref for Lease<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("it is there until it is given back")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("it is there until it is given back")
    }
}
