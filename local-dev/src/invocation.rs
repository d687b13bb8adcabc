//! The invocation that a piece of code belongs to when functions run inside of this program: what it logs is shown with
//! the invocation, and so are its SQL statements; what it leaves running is reported. On Lambda, an instance is frozen when it
//! has answered; work that nobody waited for stops, and goes on at some later event or never. Inside of this program it would
//! simply go on, and the mistake would show in the cloud only.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
    io,
    panic::Location,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gateway::Entry;
use shared::{
    logging,
    settings::{Lookup, SettingError},
};
use tokio::{
    runtime::{Builder, Runtime},
    task,
};
use tracing::{
    Event, Instrument, Metadata, Span, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use crate::statement::{self, Statement};

tokio::task_local! {
    static CURRENT: Current;
}

#[derive(Clone)]
struct Current {
    entry: Entry,
    #[cfg_attr(not(tokio_unstable), expect(dead_code, reason = "nobody tells of tasks"))]
    tasks: Tasks,
}

/// The tasks that an invocation has spawned and that have not ended, with the places where they were spawned.
type Tasks = Arc<Mutex<HashMap<task::Id, &'static Location<'static>>>>;

/// Runs a handler as the invocation that `entry` remembers, and reports what it leaves running.
pub(crate) async fn run<T>(entry: &Entry, handler: impl Future<Output = T>) -> T {
    let tasks = Tasks::default();
    let current = Current { entry: entry.clone(), tasks: Arc::clone(&tasks) };
    // Where its statements are not wanted, it has no span, and nobody measures them.
    let span = CURRENT.sync_scope(current.clone(), || {
        if entry.has_steps() { tracing::debug_span!("invocation") } else { Span::none() }
    });
    let output = CURRENT.scope(current, handler.instrument(span)).await;
    for place in left_running(&tasks) {
        let problem = format!(
            "the task spawned at {place} was still running when the function had answered; \
             on Lambda it would be frozen now: await it before answering"
        );
        tracing::error!(function = entry.function(), problem, "work left running");
        entry.say(format!("ERROR work left running: {problem}"));
    }
    output
}

/// Where the tasks were spawned that still run. A library's own are its business: an HTTP client keeps connections.
fn left_running(tasks: &Tasks) -> BTreeSet<String> {
    let is_library = |place: &Location<'_>| {
        // Cargo compiles what it has fetched by absolute paths, and the workspace by relative ones.
        std::path::Path::new(place.file()).is_absolute()
    };
    let tasks = lock(tasks);
    tasks.values().filter(|place| !is_library(place)).map(ToString::to_string).collect()
}

/// A runtime that knows which tasks an invocation spawns, so that work left running can be reported.
///
/// # Errors
/// When the operating system refuses threads.
pub fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all();
    watch(&mut builder);
    builder.build()
}

/// Tokio tells of its tasks only when compiled with `--cfg tokio_unstable`, as `.cargo/config.toml` says. Who compiles this
/// in another way gets no reports.
#[cfg(not(tokio_unstable))]
fn watch(_builder: &mut Builder) {}

#[cfg(tokio_unstable)]
fn watch(builder: &mut Builder) {
    /// The invocations' tasks, by each task that belongs to one: a task that such a task spawns belongs to it, too.
    type Owners = Arc<Mutex<HashMap<task::Id, Tasks>>>;

    let owners = Owners::default();
    let spawned_into = Arc::clone(&owners);
    builder.on_task_spawn(move |task| {
        let parent = || task::try_id().and_then(|parent| lock(&spawned_into).get(&parent).cloned());
        let owner = CURRENT.try_with(|current| Arc::clone(&current.tasks)).ok().or_else(parent);
        if let Some(tasks) = owner {
            lock(&tasks).insert(task.id(), task.spawned_at());
            lock(&spawned_into).insert(task.id(), tasks);
        }
    });
    builder.on_task_terminate(move |task| {
        let owner = lock(&owners).remove(&task.id());
        if let Some(tasks) = owner {
            lock(&tasks).remove(&task.id());
        }
    });
}

/// What these locks guard is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows what a function logs with its invocation, and which statements it has the database carry out.
///
/// A statement on SQLite is carried out on its connection's thread. What tells whose it is is the span in which it was asked
/// for, which sqlx passes on.
#[derive(Clone, Copy, Debug)]
pub struct InvocationLog;

impl InvocationLog {
    /// It, hearing what is logged as `LOG` says, and the statements of invocations whose steps are recorded.
    ///
    /// # Errors
    /// When the setting cannot be understood.
    pub fn layer<S>(lookup: &Lookup) -> Result<impl Layer<S> + use<S>, SettingError>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        Ok(Self.with_filter(AlsoStatements(logging::filter(lookup)?)))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for InvocationLog {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !is_invocation(attributes.metadata()) {
            return;
        }
        let _outside = CURRENT.try_with(|current| {
            let span = context.span(id).expect("it has just been made");
            span.extensions_mut().insert(current.entry.clone());
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == statement::TARGET {
            let mut scope = context.event_scope(event).into_iter().flatten();
            let entry = scope.find_map(|span| span.extensions().get::<Entry>().cloned());
            if let Some(entry) = entry {
                Statement::of(event).tell(&entry);
                return;
            }
        }
        // Outside of invocations there is nothing to add to.
        let _outside = CURRENT.try_with(|current| {
            let metadata = event.metadata();
            let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
            event.record(&mut line);
            current.entry.say(line.0);
        });
    }
}

fn is_invocation(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == module_path!()
}

/// What another filter lets through; beside that, invocations, and statements within them.
struct AlsoStatements<F>(F);

impl<S, F> Filter<S> for AlsoStatements<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Filter<S>,
{
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        let is_within = || {
            let span = context.lookup_current();
            span.is_some_and(|span| span.scope().any(|span| is_invocation(span.metadata())))
        };
        is_invocation(metadata)
            || metadata.target() == statement::TARGET && is_within()
            || self.0.enabled(metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_invocation(metadata) {
            Interest::always()
        } else if metadata.target() == statement::TARGET {
            Interest::sometimes()
        } else {
            self.0.callsite_enabled(metadata)
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint().map(|level| level.max(LevelFilter::DEBUG))
    }
}

/// A log event as one line of text.
struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("text can be written to a string");
    }
}
