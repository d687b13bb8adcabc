//! The chat, run inside of this program: its settings, its database, its functions.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    convert,
    pin::pin,
    time::Duration,
};

use gateway::Function;
use shared::{
    clock::Clock,
    settings::{Lookup, SettingError, Settings},
    store::Store,
};
use tokio::time::timeout;

use crate::{
    database,
    demo::{self, Demo},
    in_process, priority,
};

/// The chat's template, which the cloud deploys and local-dev serves.
pub const TEMPLATE: &str = include_str!("../../infra/template.yaml");

/// Connections to the database, which all functions share.
const DATABASE_CONNECTIONS: u32 = 8;

/// A database that is at hand has answered by then.
const USUAL_TIME_MAX: Duration = Duration::from_secs(1);

/// Why the chat cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or bad.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The database is away, or refuses the schema. This says why, and what to do about it.
    #[error("{0}")]
    Database(String),
}

/// The chat, with its database up to date.
pub struct Chat {
    functions: HashMap<&'static str, Function>,
    stores: Vec<Store>,
}

impl Chat {
    /// Brings the database up to date. `posting` says how functions post, if it is not by the SDK over HTTP.
    ///
    /// # Errors
    /// When a setting is missing or bad, or the database cannot be used.
    pub async fn start(
        lookup: Lookup,
        clock: Clock,
        posting: impl FnOnce(Settings) -> Settings,
    ) -> Result<Self, StartError> {
        let database_url = lookup.get("DATABASE_URL").unwrap_or_default();
        let settings = posting(Settings::new(lookup, clock, DATABASE_CONNECTIONS)?)
            .with_hashing_begun_by(priority::lower);
        let functions = in_process::functions(&|_| Ok(settings.clone()))?;
        bring_up_to_date(&settings, &database_url).await?;
        Ok(Self { functions, stores: vec![settings.store()] })
    }

    /// The chat on a database that is up to date, to which each function has a URL of its own, by its name: that of a role
    /// which may do what the function does.
    ///
    /// # Errors
    /// When a setting or a URL is missing or bad.
    pub fn start_in_roles(
        lookup: Lookup,
        clock: Clock,
        url_of: impl Fn(&str) -> String,
    ) -> Result<Self, StartError> {
        let settings = Settings::new(lookup, clock, DATABASE_CONNECTIONS)?;
        let stores = RefCell::new(vec![settings.store()]);
        let functions = in_process::functions(&|name| {
            let settings = settings.with_database(&url_of(name), DATABASE_CONNECTIONS)?;
            stores.borrow_mut().push(settings.store());
            Ok(settings)
        })?;
        Ok(Self { functions, stores: stores.into_inner() })
    }

    /// The function of the binary `name`; `None` if it is none of the chat's.
    pub fn function(&self, name: &str) -> Option<Function> {
        self.functions.get(name).cloned()
    }

    /// Closes the database.
    pub async fn close(&self) {
        for store in &self.stores {
            store.close().await;
        }
    }
}

async fn bring_up_to_date(settings: &Settings, database_url: &str) -> Result<(), StartError> {
    let unusable = |error| StartError::Database(database::explain(&error, database_url));
    let migrating = migrate::Migrate::new(settings);
    let migrated = patiently(migrating.migrate(), database_url).await.map_err(unusable)?;
    tracing::info!(steps_applied = migrated.steps_applied, "database is up to date");
    let newer = settings.store().steps_of_newer_versions().await.map_err(unusable)?;
    if newer > 0 {
        tracing::warn!(
            steps = newer,
            "a newer version of this program has changed the database: what it has added is not seen here; \
             update this one, or name another database in DATABASE_URL"
        );
    }
    Ok(())
}

/// Waits for a database as long as it takes, and says so when that is longer than usual.
async fn patiently<T>(work: impl Future<Output = T>, database_url: &str) -> T {
    let mut work = pin!(work);
    if let Ok(done) = timeout(USUAL_TIME_MAX, &mut work).await {
        return done;
    }
    let database = database::describe(database_url);
    tracing::info!("waiting for the database ({database}); Ctrl-C ends that");
    work.await
}

/// Does for the chat's compiled functions what a deployment does: checks the settings, and brings the database up to date.
///
/// # Errors
/// When a setting is missing or bad, or the database cannot be used.
pub async fn prepare_for_bootstraps(lookup: Lookup) -> Result<(), StartError> {
    if lookup.get("DATABASE_URL").is_some_and(|url| url.starts_with("sqlite:")) {
        tracing::warn!(
            "the database is SQLite, which compiled functions know only when they were built with \
             cargo xtask build --sqlite"
        );
    }
    Chat::start(lookup, Clock::system(), convert::identity).await?.close().await;
    Ok(())
}

/// What compiles the chat's functions so that they run here.
pub fn build_command(is_on_sqlite: bool) -> &'static str {
    match (cfg!(target_arch = "x86_64"), is_on_sqlite) {
        (true, true) => "cargo xtask build --x86-64 --sqlite",
        (true, false) => "cargo xtask build --x86-64",
        (false, true) => "cargo xtask build --sqlite",
        (false, false) => "cargo xtask build",
    }
}

/// Puts the demo into a database that is up to date.
///
/// # Errors
/// When a setting is missing or bad, or the database cannot be used.
pub async fn fill_with_demo(lookup: Lookup) -> Result<Demo, StartError> {
    let database_url = lookup.get("DATABASE_URL").unwrap_or_default();
    let settings = Settings::new(lookup, Clock::system(), 1)?;
    let store = settings.store();
    let filled = demo::fill(&store, &settings.hasher()?, settings.clock().now()).await;
    store.close().await;
    filled.map_err(|error| StartError::Database(database::explain(&error, &database_url)))
}

/// The parameters of the chat's template. What else the functions need they get from the settings, which go before what
/// the template says.
pub fn parameters(settings: &Lookup) -> BTreeMap<String, String> {
    let origins = settings.get("ALLOWED_ORIGINS").unwrap_or_default();
    BTreeMap::from([("AllowedOrigins".to_owned(), origins)])
}
