//! Compiled functions: bootstraps, run as Lambda runs them.

use std::{
    collections::VecDeque,
    future::ready,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use gateway::{Entry, Function, FunctionError, Invocation, Start, WeakEntry};
use lambda::{Account, Config, ConfigError, InvokeError, LogSink, Outcome, Report};

use crate::statement;

/// How bootstraps are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder that has each at `NAME/bootstrap`.
    pub dir: PathBuf,
    /// Instances that may run at once, of all functions together.
    pub concurrency_max: usize,
    /// How long an instance may take for its start.
    pub init_timeout: Duration,
    /// How long an instance is kept without an event.
    pub idle_time_max: Duration,
    /// Whether instances stand still between events.
    pub freeze: bool,
    /// The largest event and the largest response, in bytes.
    pub payload_bytes_max: usize,
}

/// The functions that run as bootstraps.
pub struct Bootstraps {
    options: Options,
    account: Account,
    /// Where the lines that instances write belong.
    entries: Entries,
    functions: Vec<lambda::Function>,
}

/// What is remembered of the latest invocations, with their ids. Lines are read some time after they were written, and may
/// come when their invocation has ended.
type Entries = Arc<Mutex<VecDeque<(String, WeakEntry)>>>;

/// How many of them. More than may run at once.
const ENTRIES_MAX: usize = 1024;

impl Bootstraps {
    /// No functions yet.
    pub fn new(options: Options) -> Self {
        let account = Account::new(options.concurrency_max);
        Self { options, account, entries: Entries::default(), functions: Vec::new() }
    }

    /// The bootstrap of a template's function, with its environment. Nothing is started before its first event.
    ///
    /// # Errors
    /// When there is no such bootstrap.
    pub fn function(
        &mut self,
        function: &template::Function,
        environment: Vec<(String, String)>,
    ) -> Result<Function, ConfigError> {
        if function.reserved_concurrency == Some(0) {
            // That is how a function is switched off.
            return Ok(Function::new(&function.name, |_| ready(Err(FunctionError::Throttled))));
        }
        let bootstrap = self.bootstrap(function, environment)?;
        self.functions.push(bootstrap.clone());
        let entries = Arc::clone(&self.entries);
        Ok(Function::new(&function.name, move |invocation| {
            let (bootstrap, entries) = (bootstrap.clone(), Arc::clone(&entries));
            async move { invoke(&bootstrap, &entries, invocation).await }
        }))
    }

    fn bootstrap(
        &self,
        function: &template::Function,
        environment: Vec<(String, String)>,
    ) -> Result<lambda::Function, ConfigError> {
        let Options { dir, init_timeout, idle_time_max, freeze, payload_bytes_max, .. } =
            &self.options;
        let reserved = function.reserved_concurrency.map(|number| number as usize);
        // `cargo lambda build` names folders by binaries, `sam build` by logical ids.
        let folders =
            [&function.binary, &function.logical_id].map(|name| dir.join(name).join("bootstrap"));
        let bootstrap = folders.iter().find(|bootstrap| bootstrap.is_file()).unwrap_or(&folders[0]);
        let mut config = Config::new(&function.name, bootstrap);
        config.environment = environment;
        config.memory_mb = function.memory_mb;
        config.timeout = Duration::from_secs(function.timeout_secs.into());
        config.init_timeout = *init_timeout;
        config.concurrency_max = reserved.unwrap_or(config.concurrency_max);
        config.idle_time_max = *idle_time_max;
        config.freeze = *freeze;
        config.payload_bytes_max = *payload_bytes_max;
        let log = log(Arc::clone(&self.entries));
        lambda::Function::new(config, self.account.clone(), log)
    }

    /// Ends all instances.
    pub async fn shutdown(&self) {
        futures_util::future::join_all(self.functions.iter().map(lambda::Function::shutdown)).await;
    }
}

async fn invoke(
    function: &lambda::Function,
    entries: &Entries,
    invocation: Invocation,
) -> Result<Bytes, FunctionError> {
    let Invocation { id, event, entry } = invocation;
    remember(entries, id.clone(), entry.downgrade());
    // What the function sends to the gateway names its trace, so it is shown with the invocation.
    let trace_id = Some(entry.trace_header());
    let outcome = function.invoke(lambda::Invocation { request_id: id, event, trace_id }).await;
    let Outcome { result, cold, instance, .. } = outcome;
    if instance.is_some() {
        entry.started(if cold { Start::Cold } else { Start::Warm });
    }
    result.map_err(|error| match error {
        InvokeError::Function(error) => {
            FunctionError::Failed { error_type: error.error_type, message: error.message }
        }
        InvokeError::Throttled => FunctionError::Throttled,
        InvokeError::Rejected(message) => {
            FunctionError::Failed { error_type: "InvalidRequest".to_owned(), message }
        }
        InvokeError::ShutDown => FunctionError::Failed {
            error_type: "Runtime.ExitError".to_owned(),
            message: "the function was shut down".to_owned(),
        },
    })
}

fn remember(entries: &Entries, id: String, entry: WeakEntry) {
    let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
    if entries.len() == ENTRIES_MAX {
        entries.pop_front();
    }
    entries.push_back((id, entry));
}

/// Passes on what instances write, and shows it with the invocation that it belongs to.
fn log(entries: Entries) -> LogSink {
    Arc::new(move |record| {
        let lambda::Record { function, instance, request_id, entry } = record;
        let mut shown_with = request_id.and_then(|id| find(&entries, id));
        if let lambda::Entry::Line { text, .. } = entry
            && let Some(line) = statement::Line::parse(text)
        {
            let is_logged = line.is_logged();
            if let Some(entry) = find(&entries, &line.request_id).filter(Entry::has_steps) {
                line.statement.tell(&entry);
                shown_with = None;
            }
            if !is_logged {
                return;
            }
        }
        let line = describe(entry);
        tracing::info!(function, instance, invocation_id = request_id, "{line}");
        if let Some(entry) = shown_with {
            entry.say(line);
        }
    })
}

/// What is remembered of an invocation, if it still is.
fn find(entries: &Entries, id: &str) -> Option<Entry> {
    let entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
    let (_id, entry) = entries.iter().rev().find(|(own, _)| own == id)?;
    entry.upgrade()
}

/// What there is to say, in Lambda's own words.
fn describe(entry: &lambda::Entry<'_>) -> String {
    match entry {
        lambda::Entry::Line { text, .. } => (*text).to_owned(),
        lambda::Entry::InitFailed { duration, error } => {
            let error = error.map_or_else(|| "timeout".to_owned(), ToString::to_string);
            format!("INIT_REPORT Init Duration: {:.2} ms Error: {error}", millis(*duration))
        }
        lambda::Entry::Start => "START".to_owned(),
        lambda::Entry::Report(report) => describe_report(report),
        lambda::Entry::Ended(reason) => format!("END of the instance: {reason}"),
    }
}

fn describe_report(report: &Report<'_>) -> String {
    let Report { duration, billed_duration, memory_mb, .. } = report;
    let used = report.memory_used_max_kib;
    let used = used.map(|kib| format!(" Max Memory Used: {} MB", kib.div_ceil(1024)));
    let init = report.init_duration;
    let init = init.map(|duration| format!(" Init Duration: {:.2} ms", millis(duration)));
    let error = report.error.map(|error| format!(" Error: {error}"));
    format!(
        "REPORT Duration: {:.2} ms Billed Duration: {} ms Memory Size: {memory_mb} MB{}{}{}",
        millis(*duration),
        billed_duration.as_millis(),
        used.unwrap_or_default(),
        init.unwrap_or_default(),
        error.unwrap_or_default(),
    )
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
