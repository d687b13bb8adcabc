//! Functions for tests, and how their processes are doing.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lambda::{
    Account, Config, Entry, Function, FunctionError, Invocation, InvokeError, LogSink, Outcome,
    Record, Stream,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A function whose log is kept.
#[derive(Clone)]
pub(crate) struct Tested {
    pub(crate) function: Function,
    log: Arc<Mutex<Vec<Logged>>>,
}

/// An entry in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) request_id: Option<String>,
    /// Where a line was written to; none for what is said about the instance.
    pub(crate) stream: Option<Stream>,
    pub(crate) text: String,
}

/// The configuration of the fixture in Rust; nothing in it times out by itself.
pub(crate) fn config() -> Config {
    let mut config = Config::new("test", env!("CARGO_BIN_EXE_lambda-test-bootstrap"));
    config.timeout = PATIENCE;
    config.init_timeout = PATIENCE;
    config
}

/// The fixture in Rust.
pub(crate) fn fixture() -> Tested {
    Tested::new(config())
}

/// The fixture in Rust, of which `START` governs the start.
pub(crate) fn starting(how: &str) -> Config {
    let mut config = config();
    config.environment.push(("START".to_owned(), how.to_owned()));
    config
}

impl Tested {
    pub(crate) fn new(config: Config) -> Self {
        Self::sharing(config, &Account::default())
    }

    pub(crate) fn sharing(config: Config, account: &Account) -> Self {
        let log: Arc<Mutex<Vec<Logged>>> = Arc::default();
        let sink: LogSink = {
            let log = log.clone();
            Arc::new(move |record: &Record<'_>| log.lock().unwrap().push(Logged::from(record)))
        };
        Self { function: Function::new(config, account.clone(), sink).unwrap(), log }
    }

    /// What comes of an event.
    pub(crate) async fn invoke(&self, request_id: &str, event: Value) -> Outcome {
        let request_id = request_id.to_owned();
        let event = event.to_string().into();
        self.function.invoke(Invocation { request_id, event, trace_id: None }).await
    }

    /// The response to an event.
    pub(crate) async fn response(&self, event: Value) -> Value {
        let response = self.invoke("request", event).await.result.unwrap();
        serde_json::from_slice(&response).unwrap()
    }

    /// The error that the function reports of an event, or that is reported of it.
    pub(crate) async fn error(&self, event: Value) -> FunctionError {
        match self.invoke("request", event).await.result.unwrap_err() {
            InvokeError::Function(error) => error,
            other => panic!("{other}"),
        }
    }

    pub(crate) fn log(&self) -> Vec<Logged> {
        self.log.lock().unwrap().clone()
    }

    /// How many instances have ended.
    pub(crate) fn ended(&self) -> usize {
        self.log().iter().filter(|logged| logged.text.starts_with("ENDED")).count()
    }

    /// Waits until the log has the line, and returns it.
    pub(crate) async fn logged(&self, line: &str) -> Logged {
        let find = || self.log().into_iter().find(|logged| logged.text == line);
        eventually(&format!("{line:?} is logged"), || find().is_some()).await;
        find().unwrap()
    }
}

impl From<&Record<'_>> for Logged {
    fn from(record: &Record<'_>) -> Self {
        let (stream, text) = match record.entry {
            Entry::Line { stream, text } => (Some(stream), text.to_owned()),
            Entry::InitFailed { error: None, .. } => (None, "INIT took too long".to_owned()),
            Entry::InitFailed { error: Some(error), .. } => (None, format!("INIT failed: {error}")),
            Entry::Start => (None, "START".to_owned()),
            Entry::Report(report) => {
                let error = report.error.map(ToString::to_string);
                (None, format!("REPORT {}", error.as_deref().unwrap_or("ok")))
            }
            Entry::Ended(why) => (None, format!("ENDED {why}")),
        };
        Self { request_id: record.request_id.map(str::to_owned), stream, text }
    }
}

/// Waits for something.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// The number of the process that answered.
pub(crate) fn pid(response: &Value) -> u64 {
    response["pid"].as_u64().unwrap()
}

/// The state of a process, as in `ps`; none if there is no such process any more.
pub(crate) fn state(pid: u64) -> Option<char> {
    read_state(&format!("/proc/{pid}/stat"))
}

fn read_state(file: &str) -> Option<char> {
    let stat = fs::read_to_string(file).ok()?;
    let (_name, rest) = stat.rsplit_once(") ")?;
    // What is dead and not buried doesn't count.
    rest.chars().next().filter(|state| !"ZX".contains(*state))
}

/// Waits until a process is frozen, with all its threads: they stop one after the other.
pub(crate) async fn frozen(pid: u64) {
    let is_frozen = || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        threads.into_iter().all(|thread| {
            let file = thread.unwrap().path().join("stat");
            read_state(file.to_str().unwrap()) == Some('T')
        })
    };
    eventually("it is frozen", is_frozen).await;
}

/// Waits until a process is no more.
pub(crate) async fn gone(pid: u64) {
    eventually("it is gone", || state(pid).is_none()).await;
}

/// The number that a file holds; none if there is no such file.
pub(crate) fn number_in(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.parse().ok()
}

/// Counts what this process itself logs as a warning or worse.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<AtomicUsize>);

impl Warnings {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN
    }

    fn event(&self, _event: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}
