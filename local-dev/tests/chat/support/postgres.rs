//! A PostgreSQL server of the suite's own: started from whatever is installed, in a temporary directory, on a free
//! port, gone with the suite. `TEST_DATABASE_URL` names one to use instead.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

/// How to get what is missing.
pub const HINT: &str = "needs PostgreSQL 15 or newer: apt-get install postgresql";

/// The server trusts everybody and asks nobody for it; it is here to be looked for where it must not be.
const PASSWORD: &str = "the-database-password-of-the-tests";

/// A running server.
pub struct Postgres {
    /// The URL of a database of its own that others are created from.
    url: String,
    databases: AtomicU32,
    server: Option<(Child, TempDir)>,
}

impl Postgres {
    /// Starts a server. `None` when PostgreSQL is not installed.
    pub async fn start() -> Option<Self> {
        let databases = AtomicU32::new(0);
        if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
            return Some(Self { url, databases, server: None });
        }
        let bin = installed()?;
        let directory = tempfile::Builder::new().prefix("lambda-chat-pg-").tempdir().unwrap();
        let owner = unprivileged_user(directory.path());
        let data = directory.path().join("data");
        let as_owner = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command.current_dir(directory.path()).stdin(Stdio::null());
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
        };
        let initdb = as_owner("initdb")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));

        let port = free_port();
        let server = as_owner("postgres")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-c",
                "fsync=off",
                "-c",
                "max_connections=300",
                "-k",
            ])
            .arg(directory.path())
            .arg("-D")
            .arg(&data)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres");
        let postgres = Self { url, databases, server: Some((server, directory)) };
        postgres.wait_until_up().await;
        Some(postgres)
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
        if let Some((mut server, _directory)) = self.server {
            // SIGINT is PostgreSQL's "fast shutdown".
            Command::new("kill").args(["-INT", &server.id().to_string()]).status().unwrap();
            server.wait().unwrap();
        }
    }
}

/// The directory of the newest server's programs.
fn installed() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(version, bin)| *version >= 15 && bin.join("initdb").exists())
        .collect();
    versions.sort();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
    };
    versions.pop().map(|(_, bin)| bin).or_else(on_path)
}

/// PostgreSQL refuses to run as root: then it runs as whoever owns its files, or as nobody.
fn unprivileged_user(directory: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::{MetadataExt, chown};
    if std::fs::metadata(directory).unwrap().uid() != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let (user, group) = ["postgres", "nobody"]
        .iter()
        .find_map(|name| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut numbers = line.split(':').skip(2);
            Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
        })
        .expect("there is a user postgres or nobody");
    chown(directory, Some(user), Some(group)).unwrap();
    Some((user, group))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
