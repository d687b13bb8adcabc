//! Aurora DSQL as far as it can be had here: a server before PostgreSQL that takes TLS and IAM tokens only, refuses what
//! DSQL lacks, keeps DDL apart, ends sessions of an age, and has transactions conflict instead of wait.

mod rules;
mod session;
mod token;
mod wire;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tempfile::NamedTempFile;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use rules::Kind;

use super::tls;

/// Where the cluster is.
pub const REGION: &str = "eu-west-1";

/// What tokens are signed with here.
pub const SECRET_KEY: &str = "a secret access key of the tests";

/// The server. It ends with its story.
pub struct Dsql {
    port: u16,
    /// The file with the certificate to trust.
    certificate: NamedTempFile,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// What all sessions share.
struct State {
    /// The database, as its owner.
    url: url::Url,
    acceptor: TlsAcceptor,
    /// Says of each transaction whether it fails at its end.
    conflicts: Mutex<Box<dyn FnMut() -> bool + Send>>,
    conflicted: AtomicU32,
    /// What was refused because DSQL lacks it.
    refused: Mutex<Vec<String>>,
    /// What PostgreSQL denied for lack of a privilege.
    denied: AtomicU32,
    opened: AtomicU32,
    age_max: watch::Sender<Duration>,
    /// Whether everybody is turned away, as by a cluster that is new.
    is_closed: watch::Sender<bool>,
}

impl Dsql {
    /// A cluster whose data is in the empty database that `url` names.
    pub async fn before(url: &str) -> Self {
        let mut owner = PgConnection::connect(url).await.unwrap();
        let catalogue = "create schema sys;
            create table sys.iam_pg_role_mappings (arn text, pg_role_name text);
            grant usage on schema sys to public;
            grant select on sys.iam_pg_role_mappings to public";
        owner.execute(catalogue).await.unwrap();
        owner.close().await.unwrap();
        let (acceptor, certificate) = tls::server();
        let state = Arc::new(State {
            url: url::Url::parse(url).unwrap(),
            acceptor,
            conflicts: Mutex::new(Box::new(|| false)),
            conflicted: AtomicU32::new(0),
            refused: Mutex::default(),
            denied: AtomicU32::new(0),
            opened: AtomicU32::new(0),
            age_max: watch::Sender::new(Duration::from_hours(1)),
            is_closed: watch::Sender::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(session::serve(client, Arc::clone(&state)));
                }
            }
        });
        Self { port, certificate, state, task }
    }

    /// The URL of the cluster for a role.
    pub fn url(&self, role: &str) -> String {
        let (port, file) = (self.port, self.certificate.path().display());
        format!("dsql://{role}@localhost:{port}/postgres?region={REGION}&sslrootcert={file}")
    }

    /// How to connect as a role with a token that is not the product's.
    pub fn options(&self, role: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .port(self.port)
            .username(role)
            .password(&token::make("localhost", role, REGION, SECRET_KEY))
            .database("postgres")
            .ssl_mode(PgSslMode::VerifyFull)
            .ssl_root_cert(self.certificate.path())
    }

    /// Has transactions fail at their end for which `fails` says so.
    pub fn conflict(&self, fails: impl FnMut() -> bool + Send + 'static) {
        *self.state.conflicts.lock().unwrap() = Box::new(fails);
    }

    /// How many have failed so.
    pub fn conflicted(&self) -> u32 {
        self.state.conflicted.load(Ordering::Relaxed)
    }

    /// What was refused until now.
    pub fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut self.state.refused.lock().unwrap())
    }

    /// How many statements were denied for lack of a privilege since that was last taken.
    pub fn denied(&self) -> u32 {
        self.state.denied.load(Ordering::Relaxed)
    }

    /// The same, and begins to count anew.
    pub fn take_denied(&self) -> u32 {
        self.state.denied.swap(0, Ordering::Relaxed)
    }

    /// How many sessions there have been.
    pub fn opened(&self) -> u32 {
        self.state.opened.load(Ordering::Relaxed)
    }

    /// The same for somebody who has another thread.
    pub fn opened_from_afar(&self) -> impl Fn() -> u32 + Send + use<> {
        let state = Arc::clone(&self.state);
        move || state.opened.load(Ordering::Relaxed)
    }

    /// Ends sessions that are older, in whatever they do.
    pub fn end_sessions_of(&self, age: Duration) {
        self.state.age_max.send_replace(age);
    }

    /// Turns everybody away, or no longer.
    pub fn close(&self, is_closed: bool) {
        self.state.is_closed.send_replace(is_closed);
    }

    /// Who may take on a role: ARNs by role.
    pub async fn mappings(&self) -> BTreeMap<String, Vec<String>> {
        let mut mappings = BTreeMap::<String, Vec<String>>::new();
        let mut owner = PgConnection::connect(self.state.url.as_str()).await.unwrap();
        let sql = "select pg_role_name, arn from sys.iam_pg_role_mappings order by arn";
        let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut owner).await.unwrap();
        for (role, arn) in rows {
            mappings.entry(role).or_default().push(arn);
        }
        mappings
    }
}

impl Drop for Dsql {
    fn drop(&mut self) {
        self.task.abort();
        self.end_sessions_of(Duration::ZERO);
    }
}
