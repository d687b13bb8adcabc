//! A few connections to a SQLite database.
//!
//! Not `sqlx::SqlitePool`: before each use and after it, it asks a connection whether it is well. Each question goes to that
//! connection's thread and back, as a statement does, so most of what a statement costs would be questions.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Connections that are opened when they are needed and kept.
#[derive(Debug)]
pub(super) struct Connections {
    options: SqliteConnectOptions,
    permits: Semaphore,
    size: u32,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// A connection in use. Unless it is given back it is closed: a statement that was cut off leaves it in an unknown state, and
/// maybe in a transaction.
pub(super) struct Lease<'a> {
    home: &'a Connections,
    /// There until it is given back.
    connection: Option<SqliteConnection>,
    _permit: SemaphorePermit<'a>,
}

impl Connections {
    pub(super) fn new(options: SqliteConnectOptions, size: u32) -> Self {
        let permits = Semaphore::new(size as usize);
        Self { options, permits, size, idle: Mutex::default() }
    }

    /// A connection that nobody else uses. Who waits for one is served in turn.
    pub(super) async fn acquire(&self) -> sqlx::Result<Lease<'_>> {
        let permit = self.permits.acquire().await.map_err(|_closed| sqlx::Error::PoolClosed)?;
        let kept = self.idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => Box::pin(SqliteConnection::connect_with(&self.options)).await?,
        };
        Ok(Lease { home: self, connection: Some(connection), _permit: permit })
    }

    /// Runs a statement, or several, on a connection that nobody else uses.
    pub(super) async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        let mut lease = self.acquire().await?;
        let outcome = statement(&mut lease).await;
        lease.give_back_after(&outcome);
        outcome
    }

    /// Waits until every connection is back, then closes them all.
    pub(super) async fn close(&self) {
        if let Ok(all) = self.permits.acquire_many(self.size).await {
            self.permits.close();
            drop(all);
        }
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // What was committed is in the file whatever comes of it.
            connection.close().await.ok();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// Ends the use of the connection. It is kept if the outcome shows that it is in order.
    pub(super) fn give_back_after<T>(mut self, outcome: &sqlx::Result<T>) {
        if let Some(connection) = self.connection.take().filter(|_| outcome.is_ok()) {
            self.home.idle().push(connection);
        }
    }
}

impl Deref for Lease<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("it is there until it is given back")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("it is there until it is given back")
    }
}
