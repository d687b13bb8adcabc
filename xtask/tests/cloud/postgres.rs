//! A PostgreSQL server for a story: in a folder of its own, on a free port, gone with the story. It stands for those of Aurora
//! DSQL, which take TLS only, and for one elsewhere, which takes a password.

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::site::{Running, program, root, said};

/// Who may come, and how: `admin` is DSQL's, `chat` the one that documents have elsewhere.
const ACCESS: &str = "host all postgres 127.0.0.1/32 trust
hostssl all admin 127.0.0.1/32 trust
host all chat 127.0.0.1/32 scram-sha-256
";

/// The password of `chat`.
pub const PASSWORD: &str = "the-password-that-is-in-the-pgpass";

/// The running server.
pub struct Postgres {
    pub port: u16,
    psql: PathBuf,
    _server: Running,
    _folder: TempDir,
}

/// What this machine lacks for one.
pub fn missing() -> Option<&'static str> {
    let is_there = |name| program(name, "no-venv").is_some();
    if installed().is_none() || !is_there("psql") {
        return Some("needs PostgreSQL 15 or newer: apt-get install postgresql");
    }
    (!is_there("openssl")).then_some("needs openssl: apt-get install openssl")
}

/// The folder of the newest server's programs, where Debian has them, or on the path.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        (version >= 15 && programs.join("initdb").is_file()).then_some((version, programs))
    });
    let on_path = || program("initdb", "no-venv")?.parent().map(Path::to_owned);
    versions.max().map(|(_, programs)| programs).or_else(on_path)
}

/// PostgreSQL refuses to run as root: then it runs as the user that it came with.
fn unprivileged_owner(folder: &Path) -> Option<(u32, u32)> {
    if fs::metadata(folder).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let numbers_of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    let owner = ["postgres", "nobody"].into_iter().find_map(numbers_of).unwrap();
    chown(folder, Some(owner.0), Some(owner.1)).unwrap();
    Some(owner)
}

impl Postgres {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("lambda-chat-pg-").tempdir().unwrap();
        let owner = unprivileged_owner(folder.path());
        let data = folder.path().join("data");
        let command = |program: &Path| {
            let mut command = Command::new(program);
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command.current_dir(folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
            command
        };
        let programs = installed().unwrap();
        let mut initdb = command(&programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]);
        said(initdb.args(["--no-sync", "-D"]).arg(&data).output().unwrap()).succeeded();
        fs::write(data.join("pg_hba.conf"), ACCESS).unwrap();
        let mut openssl = command(&program("openssl", "no-venv").unwrap());
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        openssl.args(["-nodes", "-subj", "/CN=localhost"]);
        openssl.args(["-keyout", "data/server.key", "-out", "data/server.crt"]);
        said(openssl.output().unwrap()).succeeded();

        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = command(Path::new("/bin/sh"));
        // What it says is on standard error.
        server.args(["-c", r#"exec "$0" "$@" 2>&1"#]).arg(programs.join("postgres"));
        server.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "ssl=on"]);
        server.args(["-c", "fsync=off", "-k"]).arg(folder.path()).arg("-D").arg(&data);
        // Killed, it would leave shared memory behind.
        let (server, _ready) = Running::start_for(&mut server, "INT", |line| {
            line.contains("ready to accept connections").then(|| line.to_owned())
        });
        let psql = program("psql", "no-venv").unwrap();
        let postgres = Self { port, psql, _server: server, _folder: folder };
        postgres.run("postgres", &["create role admin login"]);
        postgres.run("postgres", &[&format!("create role chat login password '{PASSWORD}'")]);
        postgres
    }

    /// What psql prints of statements, by somebody who may do everything.
    pub fn run(&self, database: &str, statements: &[&str]) -> String {
        let mut psql = self.psql(database);
        for sql in statements {
            psql.args(["-c", sql]);
        }
        let ran = said(psql.output().unwrap());
        ran.succeeded();
        ran.text
    }

    /// A database with the tables that migrations make, in that schema, all of it somebody's.
    pub fn migrated(&self, database: &str, owner: &str, schema: &str) {
        self.run("postgres", &[&format!("create database \"{database}\" owner {owner}")]);
        let mut psql = self.psql(database);
        psql.args(["-c", &format!("set role {owner}")]);
        psql.args(["-c", &format!("create schema if not exists {schema}")]);
        psql.args(["-c", &format!("set search_path = {schema}")]);
        let folder = fs::read_dir(root().join("shared/migrations")).unwrap();
        let mut steps: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        steps.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
        steps.sort();
        assert!(steps.len() > 8, "{steps:?}");
        for step in steps {
            psql.arg("-f").arg(step);
        }
        said(psql.output().unwrap()).succeeded();
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(&self.psql);
        psql.env_clear().args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        psql.args(["-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database]);
        psql
    }
}
