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
    server: Option<Server>,
}

/// A server of the suite's own.
struct Server {
    program: PathBuf,
    /// User and group that it runs as.
    owner: Option<(u32, u32)>,
    port: u16,
    directory: TempDir,
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
        let bin = installed()?;
        let directory = tempfile::Builder::new().prefix("lambda-chat-pg-").tempdir().unwrap();
        let owner = unprivileged_user(directory.path());
        let data = directory.path().join("data");
        let mut initdb = Command::new(bin.join("initdb"));
        let initdb = run_as(&mut initdb, owner)
            .args([
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "-D",
            ])
            .arg(&data)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));

        let port = free_port();
        let program = bin.join("postgres");
        let process = serve(&program, owner, port, directory.path());
        let server = Server { program, owner, port, directory, process, is_ending: false };
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
            let Server { program, owner, port, directory, .. } = server;
            server.process = serve(program, *owner, *port, directory.path());
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

fn run_as(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command.stdin(Stdio::null())
}

fn serve(program: &Path, owner: Option<(u32, u32)>, port: u16, directory: &Path) -> Child {
    run_as(&mut Command::new(program), owner)
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(["-c", "fsync=off", "-c", "max_connections=300", "-k"])
        .arg(directory)
        .arg("-D")
        .arg(directory.join("data"))
        .current_dir(directory)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
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
