//! A PostgreSQL server for the run, if one is installed: in a temporary directory, on a free port, gone with the run.

use std::{
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use pg_cluster::Cluster;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{Failure, process::Process};

/// How long the server may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// A running server. It doesn't wait for the disk, and neither does SQLite as the chat uses it.
pub(crate) struct Postgres {
    process: Process,
    cluster: Cluster,
}

/// Killed, it would leave shared memory behind.
impl Drop for Postgres {
    fn drop(&mut self) {
        self.process.end_in_order();
    }
}

impl Postgres {
    /// Starts one; none where PostgreSQL is not installed.
    ///
    /// # Errors
    /// When what is installed doesn't run.
    pub(crate) async fn start() -> Result<Option<Self>, Failure> {
        let Some(cluster) = Cluster::create()? else { return Ok(None) };
        let mut server = cluster.server();
        let process = Process::spawn(server.stdout(Stdio::null()).stderr(Stdio::null()))?;
        let postgres = Self { process, cluster };
        let deadline = Instant::now() + START_TIME_MAX;
        while let Err(error) = PgConnection::connect(&postgres.url("postgres")).await {
            if Instant::now() > deadline {
                return Err(format!("PostgreSQL doesn't start: {error}").into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(Some(postgres))
    }

    /// The URL of a new, empty database.
    ///
    /// # Errors
    /// When there is one of that name.
    pub(crate) async fn create(&self, name: &str) -> Result<String, Failure> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        connection.execute(AssertSqlSafe(format!("create database {name}"))).await?;
        Ok(self.url(name))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.cluster.port())
    }
}
