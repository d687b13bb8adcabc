//! A PostgreSQL server for the run, if one is installed: in a temporary directory, on a free port, gone with the run.

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::{Failure, process::Process};

/// How to get what is missing.
pub(crate) const REMEDY: &str = "compiled functions need PostgreSQL: apt-get install postgresql";

/// How long the server may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// A running server. It doesn't wait for the disk, and neither does SQLite as the chat uses it.
pub(crate) struct Postgres {
    process: Process,
    _directory: TempDir,
    port: u16,
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
        let Some(programs) = installed() else { return Ok(None) };
        let directory = tempfile::Builder::new().prefix("lambda-chat-bench-").tempdir()?;
        let owner = unprivileged_owner(directory.path())?;
        let command = |name: &str| {
            let mut command = Command::new(programs.join(name));
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
            command.arg("-D").arg(directory.path().join("data")).stderr(Stdio::null());
            command
        };
        let mut initdb = command("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]);
        if !initdb.arg("--no-sync").status()?.success() {
            return Err("initdb fails".into());
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = command("postgres");
        server.args([
            "-h",
            "127.0.0.1",
            "-c",
            "max_connections=300",
            "-c",
            "fsync=off",
            "-p",
            &port.to_string(),
            "-k",
        ]);
        let process = Process::spawn(server.arg(directory.path()))?;
        let postgres = Self { process, _directory: directory, port };
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
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// The directory of the newest server's programs, where Debian has them.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        programs.join("initdb").exists().then_some((version, programs))
    });
    versions.max().map(|(_, programs)| programs)
}

/// PostgreSQL refuses to run as root: then it runs as the user that it came with.
fn unprivileged_owner(directory: &Path) -> Result<Option<(u32, u32)>, Failure> {
    if fs::metadata(directory)?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let owner = users.lines().find_map(|line| {
        let mut numbers = line.strip_prefix("postgres:")?.split(':').skip(1);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    });
    let (user, group) = owner.ok_or("PostgreSQL refuses root, and there is no user postgres")?;
    chown(directory, Some(user), Some(group))?;
    Ok(Some((user, group)))
}
