//! A PostgreSQL of one's own: its databases in a temporary directory, its port a free one, its programs those that are
//! installed. Who starts the server ends it, by `SIGINT`: killed, it would leave shared memory behind.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, Error},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// How to get what is missing.
pub const REMEDY: &str = "needs PostgreSQL 15 or newer: apt-get install postgresql";

/// The oldest version that the chat is tested with.
const VERSION_MIN: u32 = 15;

/// Databases of which `postgres` is the first, and whose superuser it is, who is trusted.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    /// User and group that programs run as, if not as this one.
    owner: Option<(u32, u32)>,
    directory: TempDir,
    port: u16,
}

/// Whether a server is installed.
pub fn is_installed() -> bool {
    installed().is_some()
}

impl Cluster {
    /// A new one; none where PostgreSQL is not installed. Its files go with it.
    ///
    /// # Errors
    /// When what is installed makes none.
    pub fn create() -> io::Result<Option<Self>> {
        let Some(programs) = installed() else { return Ok(None) };
        let directory = tempfile::Builder::new().prefix("lambda-chat-pg-").tempdir()?;
        let owner = unprivileged_owner(directory.path())?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let cluster = Self { programs, owner, directory, port };
        let mut initdb = cluster.program("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]);
        let made = initdb.args(["--no-sync", "-D"]).arg(cluster.data()).output()?;
        if !made.status.success() {
            let reason = String::from_utf8_lossy(&made.stderr);
            return Err(Error::other(format!("initdb fails: {}", reason.trim())));
        }
        Ok(Some(cluster))
    }

    /// The server, which listens at 127.0.0.1 and doesn't wait for the disk.
    pub fn server(&self) -> Command {
        let mut server = self.program("postgres");
        server.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        server.args(["-c", "fsync=off", "-c", "max_connections=300"]);
        server.arg("-k").arg(self.directory.path()).arg("-D").arg(self.data());
        server
    }

    /// A program that runs as the cluster's owner, in its directory.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the server's own files.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        self.command(self.programs.join(name))
    }
}

/// The directory of the newest server's programs, where Debian has them, or on the path.
fn installed() -> Option<PathBuf> {
    let has_server = |programs: &PathBuf| {
        ["initdb", "postgres"].iter().all(|name| programs.join(name).is_file())
    };
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        (version >= VERSION_MIN).then_some((version, entry.path().join("bin")))
    });
    let newest = versions.filter(|(_, programs)| has_server(programs)).max();
    let on_path = || env::split_paths(&env::var_os("PATH")?).find(has_server);
    newest.map(|(_, programs)| programs).or_else(on_path)
}

/// PostgreSQL refuses to run as root: then it runs as the user that it came with, or as nobody.
fn unprivileged_owner(directory: &Path) -> io::Result<Option<(u32, u32)>> {
    if fs::metadata(directory)?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let numbers_of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    let owner = ["postgres", "nobody"].into_iter().find_map(numbers_of);
    let lacking =
        || Error::other("PostgreSQL refuses root, and there is no user postgres or nobody");
    let (user, group) = owner.ok_or_else(lacking)?;
    chown(directory, Some(user), Some(group))?;
    Ok(Some((user, group)))
}
