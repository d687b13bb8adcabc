//! Where schedules run: local-dev as a program, and its database, both of which can be taken away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::{
    client::Client,
    ledger::{Ledger, Seen},
    schedule::{Disturbance, Schedule},
};
use crate::support::{
    World,
    postgres::Postgres,
    process::{Launch, Process},
    proxy::Proxy,
    room::{Room, User},
};

/// How long something that must come about may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How old a connection must be for its "gone" to be believed.
const HANDSHAKE_MAX_MILLIS: i64 = 31_000;

/// What all schedules share.
pub(super) struct Place {
    launch: Launch,
    directory: TempDir,
    /// Servers of PostgreSQL that no schedule uses now: whoever stops one stops nobody else's.
    servers: std::sync::Mutex<Vec<Postgres>>,
    is_postgres: bool,
    sites: AtomicU32,
}

impl Place {
    pub(super) async fn prepare(world: &World, parallel: usize) -> Self {
        let is_postgres = world.database_url().starts_with("postgres");
        let mut servers = Vec::new();
        if is_postgres {
            for _ in 0..parallel {
                servers.push(Postgres::start_own().await.expect(pg_cluster::REMEDY));
            }
        }
        Self {
            launch: Launch::of(world).quietly(),
            directory: tempfile::Builder::new().prefix("lambda-chat-").tempdir().unwrap(),
            servers: servers.into(),
            is_postgres,
            sites: AtomicU32::new(0),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match (self.is_postgres, self.launch.functions.is_some()) {
            (false, _) => "sqlite",
            (true, false) => "postgres",
            (true, true) => "bootstraps",
        }
    }

    pub(super) fn has_postgres(&self) -> bool {
        self.is_postgres
    }

    pub(super) fn clear_up(self) {
        self.servers.into_inner().unwrap().into_iter().for_each(Postgres::stop);
    }

    /// A chat of its own on an empty database.
    pub(super) async fn open(&self, schedule: &Schedule) -> Site<'_> {
        let server = self.servers.lock().unwrap().pop();
        let database_url = if let Some(server) = &server {
            server.create_database().await
        } else {
            let number = self.sites.fetch_add(1, Ordering::Relaxed);
            format!("sqlite://{}", self.directory.path().join(format!("{number}.db")).display())
        };
        let proxy = if server.is_some() { Some(Proxy::before(&database_url).await) } else { None };
        let rate = schedule.message_rate;
        let process =
            launch(&self.launch, 0, proxy.as_ref(), &database_url, rate, &schedule.faults[0]).await;
        let room = Arc::new(Room::new(process.base_url()));
        Site { place: self, server, proxy, database_url, rate, process: Some(process), room }
    }
}

async fn launch(
    launch: &Launch,
    port: u16,
    proxy: Option<&Proxy>,
    database_url: &str,
    rate: &str,
    faults: &[String],
) -> Process {
    let url = proxy.map_or(database_url, Proxy::url);
    let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
    let settings = [("DATABASE_URL", url), ("MESSAGE_RATE_LIMIT", rate)];
    launch.start(port, &settings, faults).await
}

/// One running chat.
pub(super) struct Site<'a> {
    place: &'a Place,
    server: Option<Postgres>,
    proxy: Option<Proxy>,
    database_url: String,
    rate: &'static str,
    process: Option<Process>,
    room: Arc<Room>,
}

impl Site<'_> {
    pub(super) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.room)
    }

    /// The schedule's users, logged in.
    pub(super) async fn sign_up(&self, schedule: &Schedule) -> Vec<User> {
        let mut users = Vec::new();
        for number in 0..schedule.users {
            users.push(self.room.user(&format!("user{number}")).await);
        }
        users
    }

    /// Has everything go wrong that the schedule says, each at its time.
    pub(super) async fn disturb(&mut self, schedule: &Schedule, ledger: &Ledger) {
        for (trouble, faults) in schedule.disturbances.iter().zip(&schedule.faults[1..]) {
            loop {
                let progress = ledger.progress.notified();
                if ledger.operations() >= trouble.operations {
                    break;
                }
                progress.await;
            }
            tokio::time::sleep(trouble.delay).await;
            match trouble.what {
                Disturbance::Kill => self.restart(faults).await,
                Disturbance::RestartDatabase { at_once } => {
                    self.server.as_mut().expect("it is PostgreSQL").restart(at_once).await;
                }
                Disturbance::CutDatabase => self.proxy().cut(),
                Disturbance::StallDatabase(time) => {
                    self.proxy().stall();
                    tokio::time::sleep(time).await;
                    self.proxy().forward();
                }
                Disturbance::LockDatabase(time) => {
                    let mut other = SqliteConnection::connect(&self.database_url).await.unwrap();
                    // Somebody else may hold the lock for long.
                    if let Ok(transaction) = other.begin_with("begin immediate").await {
                        tokio::time::sleep(time).await;
                        transaction.rollback().await.unwrap();
                    }
                }
            }
        }
    }

    fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("PostgreSQL is behind one")
    }

    /// Kills local-dev and starts it again, with other faults.
    async fn restart(&mut self, faults: &[String]) {
        if let Some(mut process) = self.process.take() {
            process.kill_9().await;
        }
        let port = url::Url::parse(&self.room.base_url()).unwrap().port().unwrap();
        let Self { place, proxy, database_url, rate, .. } = self;
        let process = launch(&place.launch, port, proxy.as_ref(), database_url, rate, faults).await;
        self.process = Some(process);
    }

    /// Everything is up, and nothing goes wrong any more.
    pub(super) async fn settle(&mut self) {
        if let Some(server) = &mut self.server {
            server.is_up().await;
        }
        if let Some(proxy) = &self.proxy {
            proxy.forward();
        }
        self.restart(&[]).await;
    }

    /// A message reaches everyone who is there, and removes the rows of those who are not.
    pub(super) async fn check_that_the_dead_are_forgotten(
        &self,
        clients: &mut [Client],
        ledger: &Ledger,
    ) {
        let auditor = self.room.user("auditor").await;
        self.age_connections().await;
        let mut socket = self.room.connect(&auditor).await;
        ledger.sent("auditor", "the end", Some("end"));
        socket.say("the end", "end").await;
        let mut last = socket.next_frame().await;
        last.as_object_mut().unwrap().remove("type");

        let deadline = Instant::now() + PATIENCE;
        while !clients.iter().all(|client| client.has_seen(&last)) {
            if Instant::now() > deadline {
                ledger.violation("not everyone who was there saw the last message".to_owned());
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let there = 1 + clients.iter().filter(|client| client.is_connected()).count();
        while self.connections().await != there {
            if Instant::now() > deadline {
                let rows = self.connections().await;
                ledger.violation(format!("{there} connections are open, {rows} are in the table"));
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        futures_util::future::join_all(clients.iter_mut().map(Client::settle)).await;
    }

    /// Lets the connections be as old as one must be to be found gone.
    async fn age_connections(&self) {
        let sql = "update connections set connected_at = connected_at - $1";
        if self.server.is_some() {
            let mut database = PgConnection::connect(&self.database_url).await.unwrap();
            sqlx::query(sql).bind(HANDSHAKE_MAX_MILLIS).execute(&mut database).await.unwrap();
        } else {
            let mut database = SqliteConnection::connect(&self.database_url).await.unwrap();
            sqlx::query(sql).bind(HANDSHAKE_MAX_MILLIS).execute(&mut database).await.unwrap();
        }
    }

    async fn connections(&self) -> usize {
        let sql = "select count(*) from connections";
        let count: i64 = if self.server.is_some() {
            let mut database = PgConnection::connect(&self.database_url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut database).await.unwrap()
        } else {
            let mut database = SqliteConnection::connect(&self.database_url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut database).await.unwrap()
        };
        usize::try_from(count).unwrap()
    }

    /// Everything that was ever said.
    pub(super) async fn stored(&self, reader: &User) -> Vec<Seen> {
        self.room.pages(reader).await
    }

    /// Gives back what it took.
    pub(super) async fn close(mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill_9().await;
        }
        if let Some(mut server) = self.server.take() {
            server.is_up().await;
            server.drop_database(&self.database_url).await;
            self.place.servers.lock().unwrap().push(server);
        }
    }
}
