//! A PostgreSQL server of the suite's own: started from whatever is installed, in a temporary directory, on a free
//! port, gone with the suite. `TEST_DATABASE_URL` names one to use instead.

use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use pg_cluster::Cluster;
use sqlx::{Connection, Executor, PgConnection};

/// The server trusts everybody and asks nobody for it; it is here to be looked for where it must not be.
const PASSWORD: &str = "the-database-password-of-the-tests";

/// A running server.
pub struct Postgres {
    /// The URL of a database of its own that others are created from.
    url: String,
    databases: AtomicU32,
    server: Option<Server>,
}

/// A server of the suite's own.
struct Server {
    cluster: Cluster,
    process: Child,
    /// Whether it has been told to end, so has to be started again.
    is_ending: bool,
}

/// Whoever panics leaves no server behind.
impl Drop for Server {
    fn drop(&mut self) {
        signal(&self.process, "-INT");
        self.process.wait().ok();
    }
}

impl Postgres {
    /// Starts a server. `None` when PostgreSQL is not installed.
    pub async fn start() -> Option<Self> {
        match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => Some(Self { url, databases: AtomicU32::new(0), server: None }),
            Err(_) => Self::start_own().await,
        }
    }

    /// Starts a server that nobody else uses. `None` when PostgreSQL is not installed.
    pub async fn start_own() -> Option<Self> {
        let cluster = Cluster::create().unwrap()?;
        let (port, process) = (cluster.port(), serve(&cluster));
        let server = Server { cluster, process, is_ending: false };
        let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres");
        let postgres = Self { url, databases: AtomicU32::new(0), server: Some(server) };
        postgres.wait_until_up().await;
        Some(postgres)
    }

    /// Stops a server of one's own and starts it again. At once it takes no leave of anybody, and recovers from its log.
    pub async fn restart(&mut self, at_once: bool) {
        let server = self.server.as_mut().expect("it is one's own");
        server.is_ending = true;
        signal(&server.process, if at_once { "-QUIT" } else { "-INT" });
        self.is_up().await;
    }

    /// Waits until a server of one's own is up, also if a restart was broken off.
    pub async fn is_up(&mut self) {
        let server = self.server.as_mut().expect("it is one's own");
        if server.is_ending {
            while server.process.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            server.process = serve(&server.cluster);
            server.is_ending = false;
        }
        self.wait_until_up().await;
    }

    async fn wait_until_up(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = PgConnection::connect(&self.url).await {
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Creates an empty database and says its URL.
    pub async fn create_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("chat_{}_{number}", std::process::id());
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let sql = format!("create database {name} template template0");
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        let mut url = url::Url::parse(&self.url).unwrap();
        url.set_path(&name);
        url.into()
    }

    /// Deletes a database that [`Self::create_database`] made.
    pub async fn drop_database(&self, url: &str) {
        let url = url::Url::parse(url).unwrap();
        let sql =
            format!("drop database if exists {} with (force)", url.path().trim_start_matches('/'));
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }

    /// Stops the server and waits until it is gone.
    pub fn stop(self) {
        drop(self.server);
    }
}

/// PostgreSQL's "fast shutdown" is SIGINT, "immediate shutdown" SIGQUIT.
fn signal(server: &Child, signal: &str) {
    Command::new("kill").args([signal, &server.id().to_string()]).status().unwrap();
}

fn serve(cluster: &Cluster) -> Child {
    cluster.server().stderr(Stdio::null()).spawn().unwrap()
}
