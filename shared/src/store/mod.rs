//! All SQL. One body per query over an enum of pools: each query is written once and type-checked for every enabled
//! database. Only what stores a message differs between them (`messages::Append`).
//!
//! Portable subset only (see `migrations/README.md`): SQLite, PostgreSQL 15+, Aurora DSQL.

mod connections;
#[cfg(feature = "postgres")]
mod dsql;
mod login_failures;
mod messages;
mod migrations;
#[cfg(feature = "postgres")]
mod postgres;
mod presence;
mod roles;
mod rows;
mod send_rates;
mod sessions;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod together;
mod trouble;
mod users;

use std::{sync::Arc, time::Duration};

pub use connections::{Added, CONNECTION_LIFE_MAX, NewConnection, Recipient, Stretch};
pub use login_failures::Attempts;
pub use messages::{Appended, Drafts, Outcome, Page, PageRequest};
pub use migrations::{Database, Status};
pub use presence::{Member, Online};
pub use roles::{Privilege, ROLES, Role, RoleArns};
pub use sessions::{NewSession, Refreshed};
pub use trouble::Trouble;

use aws_credential_types::Credentials;

#[cfg(feature = "sqlite")]
use self::together::Together;
use crate::{backoff::jitter, error::Error, settings::SettingError};

/// How long a statement or transaction may take, the way to a connection and all further tries included, before the
/// database counts as away: a client hears of that within 3 seconds.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(2);

#[cfg(feature = "postgres")]
const DSQL_EXAMPLE: &str = "dsql://admin@abcdefghij0123456789klmnop.dsql.eu-west-1.on.aws";

/// A pool of connections to whichever database the URL names.
#[derive(Clone, Debug)]
enum Pool {
    #[cfg(feature = "postgres")]
    Postgres(Arc<postgres::Connections>),
    #[cfg(feature = "sqlite")]
    Sqlite(Arc<sqlite::Connections>),
}

/// Evaluates `$body`, one statement or transaction, with `$db` bound to a connection of the concrete database; again
/// when its connection was dead or another transaction got in its way, within [`STATEMENT_TIME_MAX`] in all. `$again` says
/// when else; a plain statement does no harm twice.
macro_rules! with_db {
    ($pool:expr, |$db:ident| $body:expr) => {
        with_db!($pool, crate::store::Again::default(), |$db| $body)
    };
    ($pool:expr, $again:expr, |$db:ident| $body:expr) => {{
        let mut again: crate::store::Again = $again;
        let attempts = async {
            loop {
                let outcome: sqlx::Result<_> = match &$pool {
                    #[cfg(feature = "postgres")]
                    crate::store::Pool::Postgres(pool) => match pool.acquire().await {
                        Ok(mut lease) => {
                            let $db = &mut *lease;
                            let outcome = $body;
                            if lease.was_dead(&outcome, again.is_repeatable()) {
                                continue;
                            }
                            lease.give_back_after(&outcome);
                            outcome
                        }
                        Err(error) => Err(error),
                    },
                    #[cfg(feature = "sqlite")]
                    crate::store::Pool::Sqlite(pool) => match pool.acquire().await {
                        Ok(mut lease) => {
                            let $db = &mut *lease;
                            let outcome = $body;
                            lease.give_back_after(&outcome);
                            outcome
                        }
                        Err(error) => Err(error),
                    },
                };
                match outcome {
                    Err(error) if again.after(&error).await => {}
                    outcome => break outcome,
                }
            }
        };
        crate::store::in_time(attempts).await
    }};
}
use with_db;

/// Waits for the database as long as it may take, and measures it.
async fn in_time<T>(answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let answer = tokio::time::timeout(STATEMENT_TIME_MAX, answer);
    crate::invocation::time(crate::metrics::Time::Store, answer)
        .await
        .unwrap_or_else(|_elapsed| Err(no_answer()))
}

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    /// Reads. On PostgreSQL the same pool as `writer`.
    reader: Pool,
    /// Writes. On SQLite a single connection: writers queue fairly here instead of polling each other's lock.
    writer: Pool,
    #[cfg(feature = "sqlite")]
    appends: Arc<Together<messages::on_sqlite::Frame, sqlx::Result<Option<Appended>>>>,
    #[cfg(feature = "sqlite")]
    first_pages: Arc<Together<connections::FirstPage, Arc<[Recipient]>>>,
}

impl Store {
    /// A good `DATABASE_URL`.
    pub const URL_EXAMPLE: &str = if cfg!(feature = "sqlite") {
        "sqlite://chat.db"
    } else {
        "postgres://chat:secret@db.example.com/chat"
    };

    /// Prepares `connections_max` connections to the database that `url` names; opens none yet.
    ///
    /// # Errors
    /// When the URL cannot be understood, or names a database that this program was built without, or one that takes AWS
    /// credentials.
    pub fn open(url: &str, connections_max: u32) -> Result<Self, SettingError> {
        Self::open_as(url, connections_max, None)
    }

    /// The same with credentials, which only Aurora DSQL takes.
    ///
    /// # Errors
    /// When the URL cannot be understood, or names a database that this program was built without, or credentials are
    /// missing.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, reason = "SQLite takes no credentials")
    )]
    pub fn open_as(
        url: &str,
        connections_max: u32,
        credentials: Option<Credentials>,
    ) -> Result<Self, SettingError> {
        let bad = |problem: String| SettingError::new("DATABASE_URL", problem, Self::URL_EXAMPLE);
        let (scheme, _) = url.split_once(':').unwrap_or_default();
        match scheme {
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => {
                let options = url.parse().map_err(|_unshown: sqlx::Error| {
                    bad("is not a PostgreSQL URL (it is not shown here, it may hold a password)".to_owned())
                })?;
                Ok(Self::postgres(postgres::Server::Postgres(Box::new(options)), connections_max))
            }
            #[cfg(feature = "postgres")]
            "dsql" => {
                let cluster = dsql::Cluster::parse(url, credentials)
                    .map_err(|problem| SettingError::new("DATABASE_URL", problem, DSQL_EXAMPLE))?;
                Ok(Self::postgres(postgres::Server::Dsql(Box::new(cluster)), connections_max))
            }
            #[cfg(feature = "sqlite")]
            "sqlite" => {
                let options: sqlx::sqlite::SqliteConnectOptions =
                    url.parse().map_err(|error| bad(format!("is not a SQLite URL: {error}")))?;
                let file = options.get_filename();
                // Without a name, or in memory, every connection would see a database of its own.
                if file.as_os_str().is_empty()
                    || url.contains(":memory:")
                    || url.contains("mode=memory")
                {
                    return Err(bad("must name a file".to_owned()));
                }
                Ok(Self::sqlite(options, connections_max))
            }
            _ => Err(bad(format!(
                "must start with {}",
                match (cfg!(feature = "postgres"), cfg!(feature = "sqlite")) {
                    (true, true) => "sqlite://, postgres:// or dsql://",
                    (true, false) =>
                        "postgres:// or dsql:// (this program was built without SQLite)",
                    (false, _) => "sqlite:// (this program was built without PostgreSQL)",
                }
            ))),
        }
    }

    #[cfg(feature = "postgres")]
    fn postgres(server: postgres::Server, connections_max: u32) -> Self {
        let pool = Arc::new(postgres::Connections::new(server, connections_max));
        Self::of(Pool::Postgres(Arc::clone(&pool)), Pool::Postgres(pool))
    }

    #[cfg(feature = "sqlite")]
    fn sqlite(options: sqlx::sqlite::SqliteConnectOptions, connections_max: u32) -> Self {
        use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
        let options = options
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // With WAL, what is committed survives a crash of this program, whatever it is. Only when the machine itself stops
            // may the last messages be lost: this is for development.
            .synchronous(SqliteSynchronous::Normal)
            // Another program has the lock.
            .busy_timeout(STATEMENT_TIME_MAX);
        let pool = |connections_max| {
            Pool::Sqlite(Arc::new(sqlite::Connections::new(options.clone(), connections_max)))
        };
        Self::of(pool(connections_max), pool(1))
    }

    fn of(reader: Pool, writer: Pool) -> Self {
        Self {
            reader,
            writer,
            #[cfg(feature = "sqlite")]
            appends: Arc::new(Together::new("(stored in the transaction of another message)")),
            #[cfg(feature = "sqlite")]
            first_pages: Arc::new(Together::new("(read with the connections for another message)")),
        }
    }

    /// Whether the database is SQLite, so not for production.
    pub fn is_sqlite(&self) -> bool {
        self.database() == Database::Sqlite
    }

    /// What kind of database it is.
    pub fn database(&self) -> Database {
        match &self.writer {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) if pool.is_dsql() => Database::Dsql,
            #[cfg(feature = "postgres")]
            Pool::Postgres(_) => Database::Postgres,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => Database::Sqlite,
        }
    }

    /// Opens a connection that the first statement finds, so that what precedes it needn't be over. On SQLite there is
    /// nothing to wait for.
    pub async fn open_connection(&self) {
        match &self.writer {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => pool.open().await,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => {}
        }
    }

    /// Waits until every connection is back, then closes them all.
    pub async fn close(&self) {
        for pool in [&self.reader, &self.writer] {
            match pool {
                #[cfg(feature = "postgres")]
                Pool::Postgres(pool) => pool.close().await,
                #[cfg(feature = "sqlite")]
                Pool::Sqlite(pool) => pool.close().await,
            }
        }
    }
}

/// What a client may be told of a database error: that it is away, or that it is our fault.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let away = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            // PostgreSQL's classes "connection exception", "invalid authorization" (of which DSQL is not rid at once when
            // a cluster or an IAM role is new), "insufficient resources", "operator intervention" and its transaction
            // conflicts, and a writer that has become a reader; SQLite's busy and locked.
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                ["08", "28", "53", "57", "40"]
                    .iter()
                    .any(|class| code.len() == 5 && code.starts_with(class))
                    || matches!(&*code, "25006" | "OC000" | "OC001" | "5" | "6" | "261" | "517")
            }),
            _ => false,
        };
        if away { Self::Unavailable(error.into()) } else { Self::internal(error) }
    }
}

/// When a statement or transaction that failed is run again.
struct Again {
    tries: u32,
    is_repeatable: bool,
    /// What is a sign, too, that another one got in its way.
    also: fn(&sqlx::Error) -> bool,
}

impl Default for Again {
    fn default() -> Self {
        Self { tries: 0, is_repeatable: true, also: |_| false }
    }
}

impl Again {
    const TRIES_MAX: u32 = 10;

    /// Also when it failed for this.
    fn or(also: fn(&sqlx::Error) -> bool) -> Self {
        Self { also, ..Self::default() }
    }

    /// Not when it may have been carried out, unless that does no harm.
    fn if_repeatable(self, is_repeatable: bool) -> Self {
        Self { is_repeatable, ..self }
    }

    #[cfg(feature = "postgres")]
    fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// Whether to run it again, once a little time has passed: only if another one got in its way, and a few times.
    async fn after(&mut self, error: &sqlx::Error) -> bool {
        self.tries += 1;
        if self.tries >= Self::TRIES_MAX || !(is_conflict(error) || (self.also)(error)) {
            return false;
        }
        // Full jitter below 2, 4, 8 … 256 ms.
        let ceiling = Duration::from_millis(1 << self.tries.min(8));
        tokio::time::sleep(jitter(ceiling)).await;
        true
    }
}

/// Whether the whole transaction may simply be run again: serialization failure and deadlock (40001, 40P01), DSQL's
/// older codes for the former, SQLite's stale snapshot. SQLite's "busy" has waited for its time already.
fn is_conflict(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(&*code, "40001" | "40P01" | "OC000" | "OC001" | "517"))
}

/// The database has not answered in time.
fn no_answer() -> sqlx::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the database does not answer").into()
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::{error::Error as StdError, fmt};

    use sqlx::error::{DatabaseError, ErrorKind};
    use tokio::time::Instant;

    use super::*;

    /// What a database says with this code.
    #[derive(Debug)]
    struct Refused(&'static str);

    impl fmt::Display for Refused {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
    }

    impl StdError for Refused {}

    impl DatabaseError for Refused {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_conflict_is_retried_a_few_times() {
        for (code, tries, is_away) in [
            ("40001", 10, true),
            ("40P01", 10, true),
            ("OC001", 10, true),
            ("23505", 10, false),
            ("25006", 1, true),
            ("42P01", 1, false),
        ] {
            let refused = || sqlx::Error::Database(Box::new(Refused(code)));
            let is_duplicate = |error: &sqlx::Error| {
                error.as_database_error().and_then(DatabaseError::code).as_deref() == Some("23505")
            };
            let (mut again, mut tried, began) = (Again::or(is_duplicate), 1, Instant::now());
            while again.after(&refused()).await {
                tried += 1;
            }
            assert_eq!(tried, tries, "{code}");
            assert!(began.elapsed() < STATEMENT_TIME_MAX, "{:?}", began.elapsed());
            assert_eq!(matches!(refused().into(), Error::Unavailable(_)), is_away, "{code}");
        }
    }

    #[test]
    fn a_database_url_that_cannot_be_used_is_explained_without_being_shown() {
        for (url, problem) in [
            ("mysql://root:hunter2@db/chat", "must start with"),
            ("chat.db", "must start with"),
            ("sqlite::memory:", "must name a file"),
            ("sqlite://", "must name a file"),
            ("sqlite://x?mode=memory", "must name a file"),
            #[cfg(feature = "postgres")]
            ("postgres://chat:hunter2@db:port/chat", "is not a PostgreSQL URL"),
        ] {
            let error = Store::open(url, 1).unwrap_err().to_string();
            assert!(error.starts_with(&format!("DATABASE_URL: {problem}")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
