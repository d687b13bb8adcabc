//! A PostgreSQL server for a story: in a folder of its own, on a free port, gone with the story. It stands for those of Aurora
//! DSQL, which take TLS only, and for one elsewhere, which takes a password.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pg_cluster::Cluster;

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
    psql: PathBuf,
    _server: Running,
    cluster: Cluster,
}

/// What this machine lacks for one.
pub fn missing() -> Option<&'static str> {
    let is_there = |name| program(name, "no-venv").is_some();
    if !pg_cluster::is_installed() || !is_there("psql") {
        return Some(pg_cluster::REMEDY);
    }
    (!is_there("openssl")).then_some("needs openssl: apt-get install openssl")
}

impl Postgres {
    pub fn start() -> Self {
        let cluster = Cluster::create().unwrap().expect("it is installed");
        fs::write(cluster.data().join("pg_hba.conf"), ACCESS).unwrap();
        let command = |program: &Path| {
            let mut command = cluster.command(program);
            command.env_clear().env("PATH", "/usr/bin:/bin");
            command
        };
        let mut openssl = command(&program("openssl", "no-venv").unwrap());
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        openssl.args(["-nodes", "-subj", "/CN=localhost"]);
        openssl.args(["-keyout", "data/server.key", "-out", "data/server.crt"]);
        said(openssl.output().unwrap()).succeeded();

        let with_errors_apart = cluster.server();
        let mut server = command(Path::new("/bin/sh"));
        // What it says is on standard error.
        server.args(["-c", r#"exec "$0" "$@" 2>&1"#]).arg(with_errors_apart.get_program());
        server.args(with_errors_apart.get_args()).args(["-c", "ssl=on"]);
        // Killed, it would leave shared memory behind.
        let (server, _ready) = Running::start_for(&mut server, "INT", |line| {
            line.contains("ready to accept connections").then(|| line.to_owned())
        });
        let psql = program("psql", "no-venv").unwrap();
        let postgres = Self { psql, _server: server, cluster };
        postgres.run("postgres", &["create role admin login"]);
        postgres.run("postgres", &[&format!("create role chat login password '{PASSWORD}'")]);
        postgres
    }

    pub fn port(&self) -> u16 {
        self.cluster.port()
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
        psql.env_clear().args(["-h", "127.0.0.1", "-p", &self.port().to_string()]);
        psql.args(["-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database]);
        psql
    }
}
