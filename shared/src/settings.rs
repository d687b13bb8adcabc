//! Settings: read from the environment once, checked once. A missing or bad one stops the program at start with one
//! line that names it, says what is wrong and gives an example. Values never appear in that line where they could be
//! secret.

use std::{
    io::{Write, stdout},
    ops::RangeInclusive,
    str::FromStr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::config::SharedHttpClient;
use secrecy::SecretString;
use url::Url;

use crate::{
    aws::{Access, Trust},
    clock::Clock,
    error::causes,
    invocation::Watch,
    management::{Management, Push},
    metrics::Namespace,
    password::{Hasher, Hashing},
    presence,
    queue::Queue,
    rate::MessageRate,
    source::Source,
    store::Store,
    token::Tokens,
    websocket::AllowedOrigins,
    xray::Daemon,
};

/// Where settings come from: the process environment, or whatever a test or local-dev puts in its place.
#[derive(Clone)]
pub struct Lookup(Arc<LookupFn>);

type LookupFn = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Lookup {
    /// The process environment.
    pub fn environment() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is where settings are read")]
        Self::from_fn(|name| std::env::var(name).ok())
    }

    /// Settings that `lookup` finds by name.
    pub fn from_fn(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The setting's value; one that is empty or only white space counts as not set.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }
}

/// A missing or bad setting, in one line.
#[derive(thiserror::Error)]
#[error("{name}: {problem}; for example {name}={example}")]
pub struct SettingError {
    name: &'static str,
    problem: String,
    example: &'static str,
}

impl SettingError {
    /// `problem` says what is wrong and what is allowed; `example` is a good value.
    pub fn new(name: &'static str, problem: impl Into<String>, example: &'static str) -> Self {
        Self { name, problem: problem.into(), example }
    }
}

/// Shown as the message: this is how `main` prints an error it returns.
impl std::fmt::Debug for SettingError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

/// What functions are built from. Each takes only the parts that it needs, so each only needs those settings.
#[derive(Clone)]
pub struct Settings {
    lookup: Lookup,
    store: Store,
    clock: Clock,
    /// All functions of a program hash in one place, once one of them does: to count processors takes a dozen system calls.
    hashing: Arc<OnceLock<Hashing>>,
    /// What calls AWS shares its connections and its list of certificates.
    access: Arc<OnceLock<Access>>,
    /// What pushes instead of AWS.
    push: Option<Arc<dyn Push>>,
}

impl Settings {
    /// Settings that `lookup` finds, with at most `database_connections` open at once. Does not connect yet.
    ///
    /// # Errors
    /// When `DATABASE_URL` is missing or cannot be understood.
    pub fn new(
        lookup: Lookup,
        clock: Clock,
        database_connections: u32,
    ) -> Result<Self, SettingError> {
        let url = lookup
            .get("DATABASE_URL")
            .ok_or_else(|| SettingError::new("DATABASE_URL", "is not set", Store::URL_EXAMPLE))?;
        let store = Store::open_as(&url, database_connections, credentials(&lookup))?;
        let (hashing, access) = (Arc::default(), Arc::default());
        Ok(Self { lookup, store, clock, hashing, access, push: None })
    }

    /// The same settings with another database, or with the same one in another role.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub fn with_database(&self, url: &str, connections_max: u32) -> Result<Self, SettingError> {
        let store = Store::open_as(url, connections_max, credentials(&self.lookup))?;
        Ok(Self { store, ..self.clone() })
    }

    /// The same settings, but sockets are pushed to in this program, whatever endpoint is set or named by an event.
    #[must_use]
    pub fn with_push(self, push: Arc<dyn Push>) -> Self {
        Self { push: Some(push), ..self }
    }

    /// The same settings, but each thread that hashes a password does `begin` first.
    #[must_use]
    pub fn with_hashing_begun_by(self, begin: fn()) -> Self {
        Self { hashing: Arc::new(OnceLock::from(Hashing::beginning_with(begin))), ..self }
    }

    /// What AWS is called by way of.
    pub fn http_client(&self) -> SharedHttpClient {
        self.access().http()
    }

    /// The same settings, but AWS is called by way of `http`, wherever that leads.
    #[must_use]
    pub fn with_http_client(self, http: SharedHttpClient) -> Self {
        let access = self.access().by_way_of(http);
        Self { access: Arc::new(OnceLock::from(access)), ..self }
    }

    /// The database.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Signs and verifies tokens, by `JWT_SECRET`, `ACCESS_TOKEN_TTL` and `REFRESH_TOKEN_TTL`.
    ///
    /// # Errors
    /// When one of them is missing or bad.
    pub fn tokens(&self) -> Result<Tokens, SettingError> {
        let secrets: SecretString = self
            .lookup
            .get("JWT_SECRET")
            .ok_or_else(|| SettingError::new("JWT_SECRET", "is not set", SECRET_EXAMPLE))?
            .into();
        let access_ttl = self.seconds("ACCESS_TOKEN_TTL", 900, "900")?;
        let refresh_ttl = self.seconds("REFRESH_TOKEN_TTL", 2_592_000, "2592000")?;
        Tokens::new(&secrets, access_ttl, refresh_ttl)
            .map_err(|error| SettingError::new("JWT_SECRET", error.to_string(), SECRET_EXAMPLE))
    }

    /// Hashes passwords, by `BCRYPT_COST`: 4–16, at least 10 unless the database is SQLite.
    ///
    /// # Errors
    /// When it is not such a number.
    pub fn hasher(&self) -> Result<Hasher, SettingError> {
        let lowest = if self.store.is_sqlite() { 4 } else { 10 };
        let taken = format!(
            "it takes a whole number from {lowest} to 16 (below 10 only where the database is SQLite)"
        );
        let cost = self.number("BCRYPT_COST", lowest..=16, &taken, "12")?;
        let cost = cost.unwrap_or(Hasher::DEFAULT_COST);
        Ok(Hasher::new(cost, self.hashing.get_or_init(Hashing::default).clone()))
    }

    /// Tells where requests come from. `CDN_SECRET` is what a CDN shows before it is believed; without it, none is.
    ///
    /// # Errors
    /// When it is too short.
    pub fn source(&self) -> Result<Source, SettingError> {
        let secret = self.lookup.get("CDN_SECRET");
        if secret.as_ref().is_some_and(|secret| secret.len() < Source::SECRET_BYTES_MIN) {
            let problem = format!("is shorter than {} bytes", Source::SECRET_BYTES_MIN);
            return Err(SettingError::new("CDN_SECRET", problem, SECRET_EXAMPLE));
        }
        Ok(Source::new(secret.map(SecretString::from)))
    }

    /// How much one user may say, by `MESSAGE_RATE_LIMIT`: `MESSAGES/SECONDS`, or `off`, which is `None`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn message_rate(&self) -> Result<Option<MessageRate>, SettingError> {
        match self.lookup.get("MESSAGE_RATE_LIMIT").as_deref().map(str::trim) {
            None => Ok(Some(MessageRate::DEFAULT)),
            Some("off") => Ok(None),
            Some(text) => MessageRate::parse(text).map(Some).map_err(|allowed| {
                let problem = format!("{text:?} is not allowed, {allowed}");
                SettingError::new("MESSAGE_RATE_LIMIT", problem, "30/10")
            }),
        }
    }

    /// Connections in a room whose people are told of each other, by `PRESENCE_LIMIT`: 1–1000, or `off`, which is `None`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn presence_limit(&self) -> Result<Option<usize>, SettingError> {
        const NAME: &str = "PRESENCE_LIMIT";
        if self.lookup.get(NAME).as_deref().map(str::trim) == Some("off") {
            return Ok(None);
        }
        let taken = "it takes a whole number from 1 to 1000, or the word off";
        let limit = self.number(NAME, 1..=1000, taken, "100")?;
        Ok(Some(limit.unwrap_or(presence::LIMIT_DEFAULT)))
    }

    /// The origins that may open a socket, by `ALLOWED_ORIGINS`: the page's own unless it is set.
    ///
    /// # Errors
    /// When one of them is not an origin.
    pub fn allowed_origins(&self) -> Result<AllowedOrigins, SettingError> {
        match self.lookup.get("ALLOWED_ORIGINS") {
            None => Ok(AllowedOrigins::SameOrigin),
            Some(list) => AllowedOrigins::parse(&list).map_err(|problem| {
                SettingError::new("ALLOWED_ORIGINS", problem, "https://chat.example.com")
            }),
        }
    }

    /// The client of the `@connections` API for a function that learns the endpoint from its events, unless
    /// `CONNECTIONS_ENDPOINT` names another. `BROADCAST_CONCURRENCY` bounds its posts in flight.
    ///
    /// # Errors
    /// When either setting is bad.
    pub fn management(&self) -> Result<Management, SettingError> {
        let taken = "it takes a whole number from 1 to 1024";
        let concurrency = self.number("BROADCAST_CONCURRENCY", 1..=1024, taken, "128")?;
        let concurrency = concurrency.unwrap_or(Management::DEFAULT_CONCURRENCY);
        if let Some(push) = &self.push {
            return Ok(Management::pushing(Arc::clone(push)));
        }
        Ok(Management::new(self.connections_endpoint()?, self.access(), concurrency))
    }

    /// The same for a function of the HTTP API, whose events do not name the WebSocket API: there
    /// `CONNECTIONS_ENDPOINT` must be set.
    ///
    /// # Errors
    /// When it is missing, or a setting is bad.
    pub fn management_by_endpoint(&self) -> Result<Management, SettingError> {
        if self.connections_endpoint()?.is_none() && self.push.is_none() {
            return Err(SettingError::new("CONNECTIONS_ENDPOINT", "is not set", ENDPOINT_EXAMPLE));
        }
        self.management()
    }

    /// The queue for what is too much to send at once, by `BROADCAST_QUEUE_URL` and `BROADCAST_INLINE_LIMIT`; none unless
    /// the former is set. `AWS_ENDPOINT_URL_SQS` says where SQS is, if it is not Amazon's.
    ///
    /// # Errors
    /// When one of them is bad.
    pub fn queue(&self) -> Result<Option<Queue>, SettingError> {
        let taken = "it takes a whole number from 1 to 10000";
        let inline_limit = self.number("BROADCAST_INLINE_LIMIT", 1..=10_000, taken, "500")?;
        let inline_limit = inline_limit.unwrap_or(Queue::DEFAULT_INLINE_LIMIT);
        let url = self.url("BROADCAST_QUEUE_URL", "the URL of a queue", QUEUE_EXAMPLE)?;
        if url.as_ref().is_some_and(|url| url.strip_suffix(".fifo").is_none()) {
            let problem = "is not the URL of a FIFO queue, which ends in .fifo";
            return Err(SettingError::new("BROADCAST_QUEUE_URL", problem, QUEUE_EXAMPLE));
        }
        let endpoint = self.url(
            "AWS_ENDPOINT_URL_SQS",
            "the URL of an SQS endpoint",
            "https://sqs.eu-west-1.amazonaws.com",
        )?;
        Ok(url.map(|url| Queue::new(url, inline_limit, endpoint, self.access())))
    }

    /// What becomes of the events of `function`: metrics by `METRICS_NAMESPACE`, none unless it is set; and parts of
    /// traces, where Lambda names X-Ray's daemon and an event's trace is recorded.
    ///
    /// # Errors
    /// When the namespace is bad.
    pub fn watch(&self, function: &'static str) -> Result<Watch, SettingError> {
        let namespace = match self.lookup.get("METRICS_NAMESPACE") {
            None => None,
            Some(text) => Some(Namespace::parse(text.trim()).map_err(|allowed| {
                let problem = format!("{text:?} is not a CloudWatch namespace, {allowed}");
                SettingError::new("METRICS_NAMESPACE", problem, "lambda-chat")
            })?),
        };
        let daemon = self.lookup.get("AWS_XRAY_DAEMON_ADDRESS").and_then(|address| {
            // It is Lambda's to set, and nothing depends on it.
            let daemon = Daemon::at(&address);
            let said = daemon.inspect_err(|error| {
                tracing::warn!(address, error = %causes(error), "X-Ray's daemon cannot be used");
            });
            said.ok()
        });
        let write = |line: &str| {
            // Without standard output there is nobody to tell.
            writeln!(stdout().lock(), "{line}").ok();
        };
        Ok(Watch::new(function, self.clock(), namespace, daemon, write))
    }

    /// Access to AWS. `SSL_CERT_FILE`, as local-dev sets it, names others to trust than Amazon's authorities.
    fn access(&self) -> Access {
        let access = || {
            let is_named = self.lookup.get("SSL_CERT_FILE").is_some();
            let trust = if is_named { Trust::Machine } else { Trust::Amazon };
            Access::new(self.lookup.get("AWS_REGION"), credentials(&self.lookup), trust)
        };
        self.access.get_or_init(access).clone()
    }

    fn connections_endpoint(&self) -> Result<Option<String>, SettingError> {
        self.url("CONNECTIONS_ENDPOINT", "the base URL of a management API", ENDPOINT_EXAMPLE)
    }

    /// An `http://` or `https://` URL without a slash at its end; none if it is not set.
    fn url(
        &self,
        name: &'static str,
        what: &str,
        example: &'static str,
    ) -> Result<Option<String>, SettingError> {
        let Some(text) = self.lookup.get(name) else {
            return Ok(None);
        };
        match Url::parse(text.trim()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(Some(text.trim().trim_end_matches('/').to_owned()))
            }
            _ => Err(SettingError::new(
                name,
                format!("{text:?} is not {what}, it takes http:// or https://"),
                example,
            )),
        }
    }

    fn seconds(
        &self,
        name: &'static str,
        default: u64,
        example: &'static str,
    ) -> Result<Duration, SettingError> {
        const YEAR: u64 = 366 * 24 * 60 * 60;
        let taken = format!("it takes whole seconds from 1 to {YEAR}");
        let seconds = self.number(name, 1..=YEAR, &taken, example)?;
        Ok(Duration::from_secs(seconds.unwrap_or(default)))
    }

    /// A number in `range`, which `taken` puts into words; none if it is not set.
    fn number<N: FromStr + PartialOrd>(
        &self,
        name: &'static str,
        range: RangeInclusive<N>,
        taken: &str,
        example: &'static str,
    ) -> Result<Option<N>, SettingError> {
        let Some(text) = self.lookup.get(name) else {
            return Ok(None);
        };
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            SettingError::new(name, format!("{text:?} is not allowed, {taken}"), example)
        })
    }
}

/// What Lambda puts into a function's environment, if it is there.
fn credentials(lookup: &Lookup) -> Option<Credentials> {
    Some(Credentials::new(
        lookup.get("AWS_ACCESS_KEY_ID")?,
        lookup.get("AWS_SECRET_ACCESS_KEY")?,
        lookup.get("AWS_SESSION_TOKEN"),
        None,
        "environment",
    ))
}

const SECRET_EXAMPLE: &str = "$(openssl rand -hex 32)";
const QUEUE_EXAMPLE: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/broadcast.fifo";
const ENDPOINT_EXAMPLE: &str = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/ws";
