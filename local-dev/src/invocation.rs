//! The invocation that a piece of code belongs to when functions run inside of this program: what it logs is shown with
//! the invocation, and what it leaves running is reported. On Lambda, an instance is frozen when it has answered; work
//! that nobody waited for stops, and goes on at some later event or never. Inside of this program it would simply go on, and
//! the mistake would show in the cloud only.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
    io,
    panic::Location,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gateway::Entry;
use tokio::{
    runtime::{Builder, Runtime},
    task,
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

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
    let output = CURRENT.scope(current, handler).await;
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

/// Shows what a function logs with its invocation.
#[derive(Clone, Copy, Debug)]
pub struct InvocationLog;

impl<S: Subscriber> Layer<S> for InvocationLog {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        // Outside of invocations there is nothing to add to.
        let _outside = CURRENT.try_with(|current| {
            let metadata = event.metadata();
            let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
            event.record(&mut line);
            current.entry.say(line.0);
        });
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
