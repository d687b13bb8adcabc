//! The functions as Lambda runs them, each beside bare ones: `cold-start` and `warm`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use rand::seq::SliceRandom;
use report::{Measure, Row, Size};
use serde_json::{Value, json};
use shared::{clock::Clock, store::Store};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    Failure, OF_LAMBDA, Plan,
    postgres::Postgres,
    runtime_api::{Instance, RuntimeApi},
    sink::Sink,
};

/// Signs the tokens in the sample events.
const SAMPLE_SECRET: &str = "sample-secret-of-the-sample-events";

/// The lowest that PostgreSQL is let have, so that what is not the hash can be seen beside it.
const BCRYPT_COST: u32 = 10;

/// What the sample events assume: a user, her session, a connection that she has had for an hour, a message.
const SAMPLE_ROWS: &str = "
    delete from messages; delete from connections; delete from sessions; delete from login_failures;
    delete from send_rates; delete from users; update message_sequence set last_id = 1;
    insert into users values ('alice', '$HASH', 1795428900000);
    insert into sessions (id, username, token_id, rotated_at, created_at, expires_at)
        values ('6f1d2c0e-0000-4000-8000-000000000001', 'alice', '6f1d2c0e-0000-4000-8000-000000000003',
                1795428900000, 1795428900000, 4102444800000);
    insert into connections (connection_id, username, session_id, protocol, connected_at, checked_at)
        values ('QkT3rfHsDoECHlw=', 'alice', '6f1d2c0e-0000-4000-8000-000000000001', 'chat.v1', $CONNECTED, $NOW);
    insert into messages values (1, 'alice', 'Hello!', null, 1795428943377);";

/// The functions, and their sample events.
const FUNCTIONS: [(&str, &str); 11] = [
    ("register", include_str!("../../functions/register/events/register.json")),
    ("login", include_str!("../../functions/login/events/login.json")),
    ("refresh", include_str!("../../functions/refresh/events/refresh.json")),
    ("logout", include_str!("../../functions/logout/events/logout.json")),
    ("messages", include_str!("../../functions/messages/events/messages.json")),
    ("presence", include_str!("../../functions/presence/events/presence.json")),
    ("connect", include_str!("../../functions/connect/events/connect.json")),
    ("message", include_str!("../../functions/message/events/message.json")),
    ("disconnect", include_str!("../../functions/disconnect/events/disconnect.json")),
    ("broadcast", include_str!("../../functions/broadcast/events/broadcast.json")),
    ("migrate", include_str!("../../functions/migrate/events/migrate.json")),
];

/// Functions that do the same again when they get the same event.
const WARM: [&str; 4] = ["messages", "connect", "message", "disconnect"];

/// Those whose first answers wait for the hash of a password.
const HASHING: [&str; 2] = ["register", "login"];

/// Milliseconds of a program's starts and first answers, round by round.
#[derive(Default)]
struct ColdStarts {
    start: Vec<f64>,
    first: Vec<f64>,
}

/// What they need to run.
pub(crate) struct Functions<'a> {
    folder: &'a Path,
    plan: &'a Plan,
    api: RuntimeApi,
    database: PgConnection,
    rows: String,
    environment: Vec<(&'static str, String)>,
    _sink: Sink,
}

impl<'a> Functions<'a> {
    /// Prepares a database, and somebody to post to.
    ///
    /// # Errors
    /// When the database can't be made.
    pub(crate) async fn new(
        folder: &'a Path,
        plan: &'a Plan,
        postgres: &Postgres,
    ) -> Result<Self, Failure> {
        let url = postgres.create("functions").await?;
        let store = Store::open(&url, 1)?;
        store.migrate(&Clock::system()).await?;
        store.close().await;
        let sink = Sink::start()?;
        let hash = bcrypt::hash("correct horse battery staple", BCRYPT_COST)?;
        let now = Clock::system().now();
        let connected = now.minus(Duration::from_hours(1)).0.to_string();
        let rows = SAMPLE_ROWS.replace("$HASH", &hash).replace("$CONNECTED", &connected);
        let settings = [
            ("DATABASE_URL", url.clone()),
            ("JWT_SECRET", SAMPLE_SECRET.to_owned()),
            ("BCRYPT_COST", BCRYPT_COST.to_string()),
            ("MESSAGE_RATE_LIMIT", "off".to_owned()),
            ("CONNECTIONS_ENDPOINT", format!("http://{}/ws", sink.address)),
        ];
        let of_lambda = OF_LAMBDA.map(|(name, value)| (name, value.to_owned()));
        Ok(Self {
            folder,
            plan,
            api: RuntimeApi::listen()?,
            database: PgConnection::connect(&url).await?,
            rows: rows.replace("$NOW", &now.0.to_string()),
            environment: settings.into_iter().chain(of_lambda).collect(),
            _sink: sink,
        })
    }

    /// Starts of each beside one of `hello`, and first answers beside one of `hello-postgres`. In each round every program is
    /// started once, in another order: what has just run is still in the processor's caches, and starts faster.
    ///
    /// # Errors
    /// When a function fails.
    pub(crate) async fn cold_starts(&mut self) -> Result<Vec<Row>, Failure> {
        let mut events = FUNCTIONS.to_vec();
        events.extend([("hello", "{}"), ("hello-postgres", "{}")]);
        let mut all: BTreeMap<&str, ColdStarts> = BTreeMap::new();
        for _ in 0..self.plan.of(60, 2) {
            events.shuffle(&mut rand::rng());
            for (name, event) in &events {
                self.reset(name).await?;
                let (start, first) = self.cold_start(name, event)?;
                let times = all.entry(name).or_default();
                times.start.push(start);
                times.first.push(first);
            }
        }
        let (hello, hello_postgres) = (&all["hello"], &all["hello-postgres"]);
        let measured = || FUNCTIONS.iter().map(|(name, _)| (*name, &all[name]));
        let starts = measured().map(|(name, times)| {
            let row = Row::new("cold-start", format!("start of {name}"), "ms", &times.start);
            row.against("hello", &times.start, &hello.start).at_most(Measure::Ratio, 1.3)
        });
        let firsts = measured().map(|(name, times)| first_answer(name, times, hello_postgres));
        Ok(starts.chain(firsts).collect())
    }

    /// Processor time of events that are not the first.
    ///
    /// # Errors
    /// When a function fails.
    pub(crate) async fn warm(&mut self) -> Result<Vec<Row>, Failure> {
        let events = self.plan.of(3000, 100);
        let (mut hello, mut times) = (Vec::new(), vec![Vec::new(); WARM.len()]);
        for _ in 0..self.plan.of(3, 1) {
            hello.push(self.warm_micros("hello", |_| "{}".to_owned(), events)?);
            for (name, times) in WARM.iter().zip(&mut times) {
                self.reset(name).await?;
                let sample = sample(name)?;
                times.push(self.warm_micros(name, |number| numbered(&sample, number), events)?);
            }
        }
        let rows = WARM.iter().zip(&times).map(|(name, times)| {
            let row =
                Row::new("warm", format!("processor time of an event of {name}"), "µs", times);
            row.against("hello", times, &hello)
        });
        Ok(rows.collect())
    }

    /// What each function weighs.
    ///
    /// # Errors
    /// When one is not there.
    pub(crate) fn sizes(&self) -> Result<Vec<Size>, Failure> {
        let names = FUNCTIONS.iter().map(|(name, _)| *name).chain(["hello"]);
        let sizes = names.map(|name| {
            let bytes = self.bootstrap(name).metadata()?.len();
            Ok(Size { function: name.to_owned(), bytes })
        });
        sizes.collect()
    }

    /// Puts the database into the state that the sample events assume, when it is done with the instance before: its end of
    /// that connection takes as long as its begin.
    async fn reset(&mut self, function: &str) -> Result<(), Failure> {
        let others = "select count(*) from pg_stat_activity
                      where datname = current_database() and pid <> pg_backend_pid()";
        while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut self.database).await? > 0 {}
        self.database.execute(sqlx::AssertSqlSafe(self.rows.clone())).await?;
        if function == "register" {
            let nobody = "delete from messages; delete from connections; delete from sessions;
                          delete from users";
            self.database.execute(nobody).await?;
        }
        Ok(())
    }

    /// Milliseconds of a start, and of the first answer but for the hash of a password.
    fn cold_start(&self, name: &str, event: &str) -> Result<(f64, f64), Failure> {
        let (mut instance, start) = self.start(name)?;
        let (answer, first) = instance.invoke(event)?;
        check(name, &answer)?;
        let first = first.as_secs_f64() * 1e3;
        let hash = if HASHING.contains(&name) { instance.told("HashTime")? } else { 0.0 };
        Ok((start * 1e3, first - hash))
    }

    /// Microseconds of processor time of one event.
    fn warm_micros(
        &self,
        name: &str,
        event: impl Fn(usize) -> String,
        events: usize,
    ) -> Result<f64, Failure> {
        let (mut instance, _) = self.start(name)?;
        for number in 0..100 {
            check(name, &instance.invoke(&event(number))?.0)?;
        }
        let before = instance.process.cpu_seconds()?;
        for number in 0..events {
            check(name, &instance.invoke(&event(100 + number))?.0)?;
        }
        let used = instance.process.cpu_seconds_since(before)?;
        Ok(used * 1e6 / crate::to_f64(events))
    }

    /// Where a function is.
    fn bootstrap(&self, name: &str) -> PathBuf {
        match name {
            "hello" => self.plan.hello.clone(),
            "hello-postgres" => self.plan.hello_postgres.clone(),
            _ => self.folder.join(name).join("bootstrap"),
        }
    }

    fn start(&self, name: &str) -> Result<(Instance<'_>, f64), Failure> {
        let tells = HASHING.contains(&name);
        let (instance, time) = self.api.start(&self.bootstrap(name), &self.environment, tells)?;
        Ok((instance, time.as_secs_f64()))
    }
}

/// A first answer beside that of `hello-postgres`.
fn first_answer(name: &str, times: &ColdStarts, hello_postgres: &ColdStarts) -> Row {
    let but = if HASHING.contains(&name) { ", but for its hash" } else { "" };
    let row = Row::new("cold-start", format!("first answer of {name}{but}"), "ms", &times.first);
    let row = row.against("hello-postgres", &times.first, &hello_postgres.first);
    // Nobody waits for that one but a deployment.
    if name == "migrate" { row } else { row.at_most(Measure::Figure, 6.0) }
}

fn sample(name: &str) -> Result<Value, Failure> {
    let found = FUNCTIONS.iter().find(|(other, _)| *other == name);
    Ok(serde_json::from_str(found.ok_or("there is no such function")?.1)?)
}

/// The event, with a text of its own if it is a message: one that is sent again is another thing.
fn numbered(sample: &Value, number: usize) -> String {
    let mut event = sample.clone();
    if sample["requestContext"]["eventType"] == "MESSAGE" {
        let text = format!("A message of about the usual length, which has the number {number}");
        event["body"] = json!({"action": "send", "text": text}).to_string().into();
    }
    event.to_string()
}

/// Whether the function has done what it is for.
fn check(name: &str, answer: &[u8]) -> Result<(), Failure> {
    let value: Value = serde_json::from_slice(answer)?;
    let is_good = match &value["statusCode"] {
        Value::Null => {
            name == "broadcast" && value["batchItemFailures"] == json!([]) || name == "migrate"
        }
        status => status.as_u64().is_some_and(|status| (200..300).contains(&status)),
    };
    // The answer of a login is a secret; one that isn't good holds none.
    if is_good { Ok(()) } else { Err(format!("{name} answers {value}").into()) }
}
