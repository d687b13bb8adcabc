//! The schema, step by step. See `migrations/README.md` for the rules that steps keep.
//!
//! Not `sqlx::migrate!`: it takes an advisory lock and mixes its own rows into the transaction of a step, neither of
//! which DSQL has.

use serde::Serialize;

use super::{Again, Pool, Store, with_db};
use crate::{
    clock::Clock,
    error::{Error, Result},
};

/// Every step in order. A step's number is its place, from 1.
const STEPS: &[&str] = &[
    include_str!("../../migrations/0001_users.sql"),
    include_str!("../../migrations/0002_sessions.sql"),
    include_str!("../../migrations/0003_connections.sql"),
    include_str!("../../migrations/0004_messages.sql"),
    include_str!("../../migrations/0005_message_sequence.sql"),
    include_str!("../../migrations/0006_message_sequence_row.sql"),
    include_str!("../../migrations/0007_login_failures.sql"),
    include_str!("../../migrations/0008_send_rates.sql"),
    include_str!("../../migrations/0009_connections_checked_at.sql"),
    include_str!("../../migrations/0010_send_rates_typed_at.sql"),
];

const BOOKKEEPING: &str = "create table if not exists schema_migrations (
    step bigint primary key,
    applied_at bigint not null
)";

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    /// Aurora DSQL.
    Dsql,
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// How far the schema has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The steps there are.
    pub steps: usize,
    /// Those that are still to be applied.
    pub steps_pending: usize,
    /// Where.
    pub database: Database,
}

impl Store {
    /// How far the schema has come. Changes nothing.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn migration_status(&self) -> Result<Status> {
        let applied: sqlx::Result<Vec<i64>> = with_db!(self.reader, |db| {
            sqlx::query_scalar("select step from schema_migrations").fetch_all(db).await
        });
        let applied = match applied {
            Err(error) if is_missing_table(&error) => Vec::new(),
            applied => applied?,
        };
        let steps_pending =
            (1_i64..).zip(STEPS).filter(|(step, _)| !applied.contains(step)).count();
        Ok(Status { steps: STEPS.len(), steps_pending, database: self.database() })
    }

    /// How many steps were applied that only a newer version knows. Steps only add, so what this one knows is there still.
    ///
    /// # Errors
    /// When the database is away, or was never migrated.
    pub async fn steps_of_newer_versions(&self) -> Result<u64> {
        let steps = i64::try_from(STEPS.len()).map_err(Error::internal)?;
        let newer: i64 = with_db!(self.reader, |db| {
            sqlx::query_scalar("select count(*) from schema_migrations where step > $1")
                .bind(steps)
                .fetch_one(db)
                .await
        })?;
        u64::try_from(newer).map_err(Error::internal)
    }

    /// Brings the schema up to date and says how many steps that took. Safe when several programs do it at once.
    ///
    /// # Errors
    /// When the database is away or refuses a step.
    pub async fn migrate(&self, clock: &Clock) -> Result<usize> {
        #[cfg(feature = "postgres")]
        if self.database() == Database::Dsql {
            self.run_step(&format!("create schema if not exists {}", super::dsql::SCHEMA)).await?;
        }
        self.run_step(BOOKKEEPING).await?;
        let mut applied = 0;
        for (step, sql) in (1_i64..).zip(STEPS) {
            if self.is_applied(step).await? {
                continue;
            }
            self.run_step(sql).await?;
            self.remember(step, clock).await?;
            applied += 1;
        }
        Ok(applied)
    }

    async fn is_applied(&self, step: i64) -> Result<bool> {
        let row: Option<i64> = with_db!(self.writer, |db| {
            sqlx::query_scalar("select step from schema_migrations where step = $1")
                .bind(step)
                .fetch_optional(db)
                .await
        })?;
        Ok(row.is_some())
    }

    /// Runs one statement, however long it takes; again if another program is just running it too.
    pub(super) async fn run_step(&self, sql: &str) -> Result<()> {
        let mut again = Again::or(is_just_being_made);
        let outcome = loop {
            let outcome = match &self.writer {
                #[cfg(feature = "postgres")]
                Pool::Postgres(pool) => pool.run_patiently(sql).await,
                #[cfg(feature = "sqlite")]
                Pool::Sqlite(pool) => {
                    let mut lease = pool.acquire().await?;
                    let step = sqlx::query(sqlx::AssertSqlSafe(sql));
                    let outcome = step.execute(&mut *lease).await.map(drop);
                    lease.give_back_after(&outcome);
                    outcome
                }
            };
            match outcome {
                Err(error) if again.after(&error).await => {}
                outcome => break outcome,
            }
        };
        match outcome {
            Err(error) if is_done_already(&error) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    async fn remember(&self, step: i64, clock: &Clock) -> Result<()> {
        with_db!(self.writer, |db| {
            sqlx::query(
                "insert into schema_migrations (step, applied_at) values ($1, $2)
                 on conflict (step) do nothing",
            )
            .bind(step)
            .bind(clock.now())
            .execute(db)
            .await
            .map(drop)
        })?;
        Ok(())
    }
}

fn is_missing_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().is_some_and(|code| code == "42P01")
            || error.message().starts_with("no such table")
    })
}

/// PostgreSQL reports a `create table if not exists` that meets another one as a violated unique key of its own
/// catalogue, a duplicate object or a duplicate table, whichever of them it comes upon first.
fn is_just_being_made(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "23505" | "42710" | "42P06" | "42P07"))
}

/// `add column` has no `if not exists` in SQLite, `create role` has none at all. A program that died after the statement
/// and before it was remembered must not stop the next one.
fn is_done_already(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().is_some_and(|code| matches!(&*code, "42701" | "42710"))
            || error.message().starts_with("duplicate column name")
    })
}
