//! What stories stand on: a running chat on a database of its own, clients, a clock to move.

pub mod bootstraps;
pub mod browser;
pub mod callbacks;
pub mod connections;
pub mod descriptions;
pub mod dsql;
pub mod emf;
pub mod forger;
pub mod http;
pub mod leaks;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod room;
pub mod site;
pub mod socket;
pub mod sqs;
pub mod target;
pub mod times;
pub mod tls;

use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bootstraps::FakeTime;
use dsql::Dsql;
use gateway::{
    Credentials, Direct, Gateway, Limits,
    server::{Bound, Server},
};
use leaks::Secret;
use local_dev::{
    apis,
    bootstraps::{self as run_bootstraps, Bootstraps},
    certificate::Certificate,
    chat::{self, Chat},
    environment::{EnvVars, Environment},
    functions::Runner,
    push,
    queues::{self, Polling, Queues},
    static_files::StaticFiles,
};
use postgres::Postgres;
use room::{Room, User};
use secrecy::ExposeSecret;
use shared::{
    account::Username,
    chat::{Draft, Text},
    clock::{Clock, UnixMillis},
    frame::Protocol,
    rate::MessageRate,
    settings::{Lookup, Settings},
    store::{Drafts, NewConnection, NewSession, Outcome, ROLES, RoleArns, Store, Stretch},
    token::{SessionId, TokenId},
};
use tempfile::TempDir;

/// A runtime for one test.
pub fn runtime(story: &'static str) -> tokio::runtime::Runtime {
    leaks::enter(story);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.on_thread_start(move || leaks::enter(story));
    builder.enable_all().build().unwrap()
}

/// A database system, and what runs the functions.
#[derive(Clone)]
pub enum Backend {
    /// SQLite, and functions in this process.
    Sqlite,
    /// PostgreSQL, and functions in this process.
    Postgres(Arc<Postgres>),
    /// PostgreSQL, and functions compiled as Lambda runs them.
    Bootstraps(Arc<Postgres>),
    /// PostgreSQL behind what makes it Aurora DSQL, and functions in this process, each in its own role.
    Dsql(Arc<Postgres>),
}

impl Backend {
    /// The URL of an empty database; one in SQLite is a file in `directory`.
    async fn create_database(&self, directory: &TempDir, name: &str) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}", directory.path().join(name).display()),
            Self::Postgres(server) | Self::Bootstraps(server) => server.create_database().await,
            Self::Dsql(server) => {
                // Whoever looks from beside finds the tables where they are there.
                format!("{}?options[search_path]=chat", server.create_database().await)
            }
        }
    }

    /// Deletes a database that this made.
    pub async fn clean_up(&self, url: &str) {
        if let Self::Postgres(server) | Self::Bootstraps(server) | Self::Dsql(server) = self {
            server.drop_database(url).await;
        }
    }

    /// The lowest cost that is allowed there.
    fn bcrypt_cost(&self) -> &'static str {
        match self {
            Self::Sqlite => "4",
            Self::Postgres(_) | Self::Bootstraps(_) | Self::Dsql(_) => "10",
        }
    }
}

/// A clock that stands still until a story moves it.
#[derive(Clone)]
pub struct MovableClock {
    now: Arc<AtomicI64>,
    /// What compiled functions go by.
    fake_time: Option<FakeTime>,
}

impl MovableClock {
    fn start(fake_time: Option<FakeTime>) -> Self {
        Self { now: Arc::new(AtomicI64::new(Clock::system().now().0)), fake_time }
    }

    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
        if let Some(fake_time) = &self.fake_time {
            fake_time.advance(by);
        }
    }

    /// What makes a compiled function go by it.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.fake_time.iter().flat_map(FakeTime::variables).collect()
    }

    pub fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Clock::from_fn(move || UnixMillis(now.load(Ordering::Relaxed)))
    }
}

/// The chat in this process, on a database of its own, with clients for its one room.
pub struct World {
    room: Room,
    pub clock: MovableClock,
    backend: Backend,
    database_url: String,
    directory: Arc<TempDir>,
    settings: HashMap<String, String>,
    store: Store,
    dsql: Option<Dsql>,
    /// In place of the queues' own.
    pub visibility_timeout: Option<Duration>,
    server: Option<Running>,
    after: Sender<Afterwards>,
}

/// The chat while it runs.
struct Running {
    server: Server,
    runner: Runner,
    polling: Polling,
}

/// What goes on when a story is over, so that it can be asked what it shows.
pub struct Afterwards {
    base_url: String,
    _server: Running,
    _directory: Arc<TempDir>,
}

impl Afterwards {
    pub async fn keep_inspector(&self) {
        leaks::keep_inspector(&self.base_url).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let (base_url, directory) = (self.base_url(), Arc::clone(&self.directory));
            let after = Afterwards { base_url, _server: server, _directory: directory };
            // Nobody waits for it when the story's own thread has gone.
            self.after.send(after).ok();
        }
    }
}

impl Deref for World {
    type Target = Room;

    fn deref(&self) -> &Room {
        &self.room
    }
}

impl World {
    pub const SECRET: &str = "a secret of the tests that is long enough";
    pub const PASSWORD: &str = Room::PASSWORD;

    pub async fn start(backend: Backend, after: Sender<Afterwards>) -> Self {
        let directory = tempfile::Builder::new().prefix("lambda-chat-").tempdir().unwrap();
        let database_url = backend.create_database(&directory, "chat.db").await;
        let settings = [
            ("DATABASE_URL", database_url.as_str()),
            ("JWT_SECRET", Self::SECRET),
            ("BCRYPT_COST", backend.bcrypt_cost()),
            // Most stories say a lot while their clock stands still.
            ("MESSAGE_RATE_LIMIT", "1000/1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", dsql::SECRET_KEY),
            ("AWS_SESSION_TOKEN", "a session token of the tests"),
        ];
        leaks::remember(Secret::Password, Self::PASSWORD);
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let store = Store::open(&database_url, 2).unwrap();
        let fake_time =
            matches!(backend, Backend::Bootstraps(_)).then(|| FakeTime::start(&directory));
        let clock = MovableClock::start(fake_time);
        let room = Room::new(String::new());
        let directory = Arc::new(directory);
        let dsql = match &backend {
            Backend::Dsql(_) => Some(Dsql::before(&database_url).await),
            _ => None,
        };
        let mut world = Self {
            room,
            clock,
            backend,
            database_url,
            directory,
            settings,
            store,
            dsql,
            visibility_timeout: None,
            server: None,
            after,
        };
        world.serve().await;
        world
    }

    /// Where clients meet, for stories that need no more.
    pub fn room(&self) -> Room {
        self.room.clone()
    }

    /// Starts the chat again, on the same database, with one more setting.
    pub async fn restart_with(&mut self, name: &str, value: &str) {
        self.restart_with_all([(name, value.to_owned())]).await;
    }

    /// The same with several.
    pub async fn restart_with_all<'a>(
        &mut self,
        settings: impl IntoIterator<Item = (&'a str, String)>,
    ) {
        let settings = settings.into_iter();
        self.settings.extend(settings.map(|(name, value)| (name.to_owned(), value)));
        self.stop().await;
        self.serve().await;
    }

    /// Ends the gateway, then the functions.
    pub async fn stop(&mut self) {
        leaks::keep_inspector(&self.base_url()).await;
        let Running { server, runner, polling } = self.server.take().unwrap();
        polling.stop();
        server.shutdown().await;
        polling.ended().await;
        runner.shutdown().await;
    }

    async fn serve(&mut self) {
        let bound = Bound::to("127.0.0.1", 0).await.unwrap();
        let base_url = format!("http://{}", bound.address());
        self.room = Room::new(base_url).with_clock(self.clock.clone());
        let mut settings = self.settings.clone();
        settings.insert("LOG".to_owned(), "trace".to_owned());
        let direct = Direct::default();
        // Over SQLite, posts go directly, as in local-dev unless it is told otherwise; over PostgreSQL, by the SDK, and in
        // memory. A story that has its own endpoint wants them there.
        let is_direct = matches!(self.backend, Backend::Sqlite)
            && !settings.contains_key("CONNECTIONS_ENDPOINT");
        let (to, authority) = (direct.clone(), bound.address().to_string());
        let posting = move |settings| {
            if is_direct {
                push::directly(settings, to)
            } else {
                push::by_sdk(settings, to, &authority)
            }
        };
        let endpoint = format!("{}/ws", self.base_url());
        settings.entry("CONNECTIONS_ENDPOINT".to_owned()).or_insert(endpoint);
        for (name, value) in &settings {
            leaks::remember_setting(name, value);
        }
        let lookup = Lookup::from_fn({
            let settings = settings.clone();
            move |name| settings.get(name).cloned()
        });
        let options = template::Options {
            parameters: chat::parameters(&lookup),
            ..template::Options::default()
        };
        let template = template::read(chat::TEMPLATE, &options).unwrap();
        let lookup = match self.backend {
            Backend::Bootstraps(_) => lookup,
            _ => queues::with_urls(lookup, &template, bound.address()),
        };
        let mut runner = self.runner(lookup, settings, bound.address().to_string(), posting).await;
        let functions = runner.functions(&template).unwrap();
        let address = bound.address();
        let queues = Queues::new(&template, &functions, address, self.visibility_timeout).unwrap();
        let account = Limits::default().request_rate;
        let gateway = Gateway {
            http_api: apis::http_api(&template, &functions, account).unwrap(),
            websocket_apis: apis::websocket_apis(&template, &functions, account).unwrap(),
            fallback: Some(StaticFiles::open(&static_dir()).unwrap().router()),
            queues: Some(queues.served()),
            direct,
            tls: runner.tls(),
            ..Gateway::default()
        };
        let server = bound.serve(gateway);
        let polling = queues.start(&server.invoker());
        self.server = Some(Running { server, runner, polling });
    }

    async fn runner(
        &self,
        lookup: Lookup,
        settings: HashMap<String, String>,
        authority: String,
        posting: impl FnOnce(Settings) -> Settings,
    ) -> Runner {
        if let Some(dsql) = &self.dsql {
            return Runner::InProcess(self.start_in_roles(dsql, lookup).await);
        }
        let chat = Chat::start(lookup.clone(), self.clock.clock(), posting).await.unwrap();
        let Some(fake_time) = &self.clock.fake_time else {
            return Runner::InProcess(chat);
        };
        chat.close().await;
        let options = run_bootstraps::Options {
            dir: bootstraps::directory().expect("the suite has looked for them"),
            concurrency_max: 100,
            init_timeout: Duration::from_secs(10),
            idle_time_max: Duration::from_mins(5),
            freeze: true,
            payload_bytes_max: 6 * 1024 * 1024,
        };
        let credentials = Credentials::from_environment(|name| lookup.get(name));
        let mut variables: BTreeMap<String, String> = settings.into_iter().collect();
        variables.extend(fake_time.variables());
        let environment = Environment {
            env_vars: EnvVars::for_all(variables),
            settings: lookup,
            credentials,
            certificate: Certificate::generate(&["127.0.0.1"]).unwrap(),
            authority,
            asks_for_statements: true,
        };
        Runner::Bootstraps(Bootstraps::new(options), Box::new(environment))
    }

    /// Does what a deployment does, then starts each function in its own role.
    async fn start_in_roles(&self, dsql: &Dsql, lookup: Lookup) -> Chat {
        let url = dsql.url("admin");
        let lookup = Lookup::from_fn(move |name| match name {
            "DATABASE_URL" => Some(url.clone()),
            name => lookup.get(name),
        });
        let admin = Settings::new(lookup.clone(), self.clock.clock(), 1).unwrap().store();
        admin.migrate(&self.clock.clock()).await.unwrap();
        admin.keep_roles(&role_arns("chat"), None).await.unwrap();
        admin.close().await;
        Chat::start_in_roles(lookup, self.clock.clock(), |name| dsql.url(name)).unwrap()
    }

    /// The cluster that the chat runs on.
    pub fn dsql(&self) -> &Dsql {
        self.dsql.as_ref().expect("the story needs it")
    }

    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// What local-dev as a process is told.
    pub fn settings(&self) -> &HashMap<String, String> {
        &self.settings
    }

    /// The folder of the bootstraps, if they are what runs.
    pub fn compiled_functions(&self) -> Option<PathBuf> {
        matches!(self.backend, Backend::Bootstraps(_)).then(bootstraps::directory).flatten()
    }

    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The URL of another, empty database.
    pub async fn empty_database(&self) -> String {
        self.backend.create_database(&self.directory, "empty.db").await
    }

    pub async fn drop_database(&self, url: &str) {
        self.backend.clean_up(url).await;
    }

    pub async fn password_hash(&self, username: &str) -> String {
        let username = Username::parse(username).unwrap();
        let hash = self.store.password_hash(&username).await.unwrap().unwrap();
        leaks::remember(Secret::PasswordHash, hash.expose_secret());
        hash.expose_secret().to_owned()
    }

    /// The ids in the table of connections, in order.
    pub async fn connection_ids(&self) -> Vec<String> {
        let now = self.clock.clock().now();
        let all = self.store.recipients(&[Stretch::ALL], None, usize::MAX, now).await;
        let mut ids: Vec<String> =
            all.unwrap().iter().map(|recipient| recipient.connection_id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// The chat's settings with another database.
    pub fn settings_at(&self, database_url: &str) -> Settings {
        let (settings, url) = (self.settings.clone(), database_url.to_owned());
        let lookup = Lookup::from_fn(move |name| match name {
            "DATABASE_URL" => Some(url.clone()),
            name => settings.get(name).cloned(),
        });
        Settings::new(lookup, Clock::system(), 1).unwrap()
    }

    /// The store of such settings.
    pub fn store_at(&self, database_url: &str) -> Store {
        self.settings_at(database_url).store()
    }

    /// Adds a row for a connection that isn't there.
    pub async fn insert_connection(&self, user: &User, id: &str) {
        self.insert_connection_of(&user.access, &user.username, id).await;
    }

    /// The same by an access token and its user's name.
    pub async fn insert_connection_of(&self, access: &str, username: &str, id: &str) {
        let connection = NewConnection {
            id,
            username: &Username::parse(username).unwrap(),
            session: &session_of(access),
            protocol: Protocol::ChatV1,
            now: self.clock.clock().now(),
        };
        assert!(self.store.insert_connection(&connection, None).await.unwrap().is_some());
    }

    /// Adds users with the password of one, each with a row for a connection that isn't there.
    pub async fn insert_people(&self, like: &User, usernames: impl IntoIterator<Item = String>) {
        let hash = self.password_hash(&like.username).await.into();
        let now = self.clock.clock().now();
        for username in usernames {
            let id = format!("{username}=");
            let username = &Username::parse(&username).unwrap();
            let (session, token_id) = (&SessionId::random(), &TokenId::random());
            self.store.insert_user(username, &hash, now).await.unwrap();
            let expires_at = now.plus(Duration::from_hours(1));
            let opened = NewSession { id: session, username, token_id, now, expires_at };
            self.store.insert_session(&opened).await.unwrap();
            let protocol = Protocol::ChatV1;
            let connection = NewConnection { id: &id, username, session, protocol, now };
            assert!(self.store.insert_connection(&connection, None).await.unwrap().is_some());
        }
    }

    /// Stores what the owner of a connection says at an instant.
    pub async fn append(
        &self,
        connection_id: &str,
        draft: &Draft,
        rate: Option<MessageRate>,
        now: UnixMillis,
    ) -> Outcome {
        let drafts = Drafts { plain: None, chat_v1: Some(draft) };
        let appended = self.store.append_message(connection_id, drafts, rate, now).await;
        appended.unwrap().expect("the connection has a row").outcome
    }

    /// Stores messages `1..=count` of a user, which nobody is shown. `sent_at` says when each was sent.
    pub async fn store_messages(
        &self,
        user: &User,
        count: usize,
        sent_at: impl Fn(usize) -> UnixMillis,
    ) {
        self.insert_connection(user, "speaker").await;
        for number in 1..=count {
            let text = Text::parse(&format!("message {number}")).unwrap();
            let draft = Draft { text, client_id: None };
            self.append("speaker", &draft, None, sent_at(number)).await;
        }
        let now = self.clock.clock().now();
        self.store.delete_connection("speaker", None, now).await.unwrap();
    }

    /// Revokes a session as `logout` does, but closes no socket.
    pub async fn revoke_silently(&self, user: &User) {
        let now = self.clock.clock().now();
        self.store.revoke_session(&session_of(&user.access), now).await.unwrap();
    }

    pub async fn delete_connections(&self) {
        let now = self.clock.clock().now();
        for id in self.connection_ids().await {
            self.store.delete_connection(&id, None, now).await.unwrap();
        }
    }

    /// Waits until something has come about that nobody reports.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so().await {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// An IAM role for each function, of a stack of that name.
pub fn role_arns(stack: &str) -> RoleArns {
    RoleArns::new(role_arns_by_name(stack)).unwrap()
}

pub fn role_arns_by_name(stack: &str) -> BTreeMap<String, String> {
    let arn = |name: &str| format!("arn:aws:iam::123456789012:role/{stack}-{name}");
    ROLES.iter().map(|role| (role.name.to_owned(), arn(role.name))).collect()
}

/// The session that a token belongs to.
pub fn session_of(token: &str) -> SessionId {
    let payload = token.split('.').nth(1).unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    serde_json::from_value(claims["sid"].clone()).unwrap()
}

/// The page.
pub fn static_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../static")
}
