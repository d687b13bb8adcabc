//! A few connections to PostgreSQL, for a program that may be frozen at any moment.
//!
//! Not `sqlx::PgPool`: after each use it pings the server from a task of its own before the connection is free again.
//! On Lambda that task is frozen with the answer on its way, and with the one connection of an instance the next
//! statement of the same event waits for a round trip more. Nothing here runs between two statements.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::{is_conflict, is_unique_violation, no_answer};

/// How long a connection may lie idle before it is asked whether it still lives: it may have died in a freeze or a
/// failover.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// How long it may take to open a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// How long an idle one may take to answer that.
const PING_TIME_MAX: Duration = Duration::from_millis(500);

/// Connections that are opened when they are needed and kept.
#[derive(Debug)]
pub(super) struct Connections {
    options: PgConnectOptions,
    permits: Semaphore,
    size: u32,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    since: Instant,
}

/// A connection in use. Unless it is given back it is closed: a statement that was cut off leaves it in an unknown state.
pub(super) struct Lease<'a> {
    home: &'a Connections,
    /// There until it is given back.
    connection: Option<PgConnection>,
    _permit: SemaphorePermit<'a>,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions, size: u32) -> Self {
        let permits = Semaphore::new(size as usize);
        Self { options, permits, size, idle: Mutex::default() }
    }

    /// A connection that lives, as far as one can know.
    pub(super) async fn acquire(&self) -> sqlx::Result<Lease<'_>> {
        let permit = self.permits.acquire().await.map_err(|_closed| sqlx::Error::PoolClosed)?;
        let connection = match self.take_idle().await {
            Some(connection) => connection,
            None => timeout(CONNECT_TIME_MAX, PgConnection::connect_with(&self.options))
                .await
                .map_err(|_elapsed| no_answer())??,
        };
        Ok(Lease { home: self, connection: Some(connection), _permit: permit })
    }

    async fn take_idle(&self) -> Option<PgConnection> {
        let Idle { mut connection, since } = self.idle().pop()?;
        if since.elapsed() < TRUSTED_IDLE {
            return Some(connection);
        }
        if let Ok(Ok(())) = timeout(PING_TIME_MAX, connection.ping()).await {
            return Some(connection);
        }
        // What one didn't survive, the others didn't either.
        self.idle().clear();
        None
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
            connection.close().await.ok();
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// Ends the use of the connection. It is kept if the statement's outcome shows that it is in order.
    pub(super) fn give_back_after<T>(mut self, outcome: &sqlx::Result<T>) {
        let in_order = match outcome {
            Ok(_) => true,
            Err(error) => is_unique_violation(error) || is_conflict(error),
        };
        if let Some(connection) = self.connection.take().filter(|_| in_order) {
            self.home.idle().push(Idle { connection, since: Instant::now() });
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
