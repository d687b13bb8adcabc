//! The event at hand: what every line of the log says of it, and what is measured while it is handled.
//!
//! It goes with the task that handles the event, so that neither the store nor a post has to be told of it. What runs
//! functions (the Lambda runtime's layer in [`crate::lambda`], local-dev) begins it and ends it.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::{task::futures::TaskLocalFuture, time::Instant};

use crate::{
    clock::Clock,
    metrics::{Count, Measurements, Namespace, Time},
    xray::{Daemon, Part, Trace},
};

tokio::task_local! {
    static CURRENT: Invocation;
}

/// The time for an event that has no deadline: what `message` has in the cloud.
const TIME_MAX: Duration = Duration::from_secs(28);

/// The part of an event's time in which nothing is tried again: enough for a post that has just begun, or a statement.
const TIME_RESERVED: Duration = Duration::from_secs(3);

/// One event on its way through a function.
#[derive(Clone)]
pub struct Invocation {
    inner: Arc<Inner>,
    /// When its time is up.
    deadline: Instant,
}

/// Work that is part of the handling of an event.
pub type Scoped<F> = TaskLocalFuture<Invocation, F>;

struct Inner {
    facts: Facts,
    origin: OnceLock<Origin>,
    /// Only if X-Ray records it, and takes parts of it.
    recorded: Option<Trace>,
    /// Only if somebody wants to know.
    measured: Option<Mutex<Measured>>,
    clock: Clock,
}

/// What is known from the start.
#[derive(Serialize)]
struct Facts {
    function: String,
    request_id: String,
    /// Whether it is the first event of its instance.
    cold_start: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// What API Gateway says of an event.
#[derive(Serialize)]
struct Origin {
    /// API Gateway's own id, which its access log has, and the client as the header `apigw-requestid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<String>,
}

#[derive(Default)]
struct Measured {
    measurements: Measurements,
    parts: Vec<Part>,
}

impl Invocation {
    /// An event that nothing is measured of.
    pub fn unmeasured(function: &str, request_id: &str) -> Self {
        let facts = Facts {
            function: function.to_owned(),
            request_id: request_id.to_owned(),
            cold_start: false,
            trace_id: None,
        };
        let (origin, clock) = (OnceLock::new(), Clock::system());
        Inner { facts, origin, recorded: None, measured: None, clock }.into()
    }

    /// The same with so much time from now on.
    #[must_use]
    pub fn with_time(self, time: Duration) -> Self {
        Self { deadline: Instant::now() + time, ..self }
    }

    /// Runs `work` as part of the handling of this event.
    pub fn scope<F: Future>(self, work: F) -> Scoped<F> {
        CURRENT.scope(self, work)
    }

    /// The same for work that is done at once.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), work)
    }

    /// What is said of it everywhere, by name.
    fn fields(&self) -> Map<String, Value> {
        let mut fields = object(&self.inner.facts);
        fields.extend(self.inner.origin.get().map(object).unwrap_or_default());
        fields
    }

    fn measure(&self, measure: impl FnOnce(&mut Measured)) {
        if let Some(measured) = &self.inner.measured {
            measure(&mut measured.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl From<Inner> for Invocation {
    fn from(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), deadline: Instant::now() + TIME_MAX }
    }
}

fn object(part: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(part) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Remembers what API Gateway says of the event at hand.
pub fn came_by(api_request_id: Option<&str>, connection_id: Option<&str>) {
    let origin = || Origin {
        api_request_id: api_request_id.map(str::to_owned),
        connection_id: connection_id.map(str::to_owned),
    };
    // Outside of an invocation nobody asks.
    let _outside = CURRENT.try_with(|current| current.inner.origin.set(origin()).is_ok());
}

/// What is known of the event at hand, by name; empty if there is none.
pub fn fields() -> Map<String, Value> {
    CURRENT.try_with(Invocation::fields).unwrap_or_default()
}

/// For how long something may still be tried again: until shortly before the event's time is up.
pub fn time_left() -> Duration {
    let left = CURRENT.try_with(|current| current.deadline.duration_since(Instant::now()));
    left.unwrap_or(TIME_MAX).saturating_sub(TIME_RESERVED)
}

/// Counts `number` more, if anybody wants to know.
pub fn count(count: Count, number: usize) {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    let _outside = CURRENT.try_with(|current| {
        current.measure(|measured| measured.measurements.count(count, number));
    });
}

/// Does `work`, and notes how long it took if anybody wants to know.
pub async fn time<T>(time: Time, work: impl Future<Output = T>) -> T {
    let is_measured =
        CURRENT.try_with(|current| current.inner.measured.is_some()).unwrap_or_default();
    if !is_measured {
        return work.await;
    }
    let began = Instant::now();
    let done = work.await;
    let duration = began.elapsed();
    let _outside = CURRENT.try_with(|current| {
        let is_recorded = current.inner.recorded.is_some();
        let part = Part { name: time.name(), ended_at: current.inner.clock.now(), duration };
        current.measure(|measured| {
            measured.measurements.time(time, duration);
            measured.parts.extend(is_recorded.then_some(part));
        });
    });
    done
}

/// What becomes of the events of one instance: who wants to know what is measured.
pub struct Watch {
    function: &'static str,
    clock: Clock,
    namespace: Option<Namespace>,
    daemon: Option<Daemon>,
    is_cold: AtomicBool,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

impl Watch {
    /// Over the events of `function`. Metrics go to `write`, one line at a time, under `namespace`; parts of what X-Ray
    /// records go to `daemon`. Without either, nothing is measured.
    pub fn new(
        function: &'static str,
        clock: Clock,
        namespace: Option<Namespace>,
        daemon: Option<Daemon>,
        write: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let is_cold = AtomicBool::new(true);
        Self { function, clock, namespace, daemon, is_cold, write: Box::new(write) }
    }

    /// The next event, with Lambda's id for it and X-Ray's header if there is one.
    pub fn begin(&self, request_id: &str, trace_header: Option<&str>) -> Invocation {
        let trace = trace_header.and_then(Trace::parse);
        let cold_start = self.is_cold.swap(false, Ordering::Relaxed);
        let trace_id = trace.as_ref().map(|trace| trace.root.clone());
        let recorded =
            trace.filter(|trace| self.daemon.is_some() && trace.sampled_parent.is_some());
        let is_measured = self.namespace.is_some() || recorded.is_some();
        let invocation = Invocation::from(Inner {
            facts: Facts {
                function: self.function.to_owned(),
                request_id: request_id.to_owned(),
                cold_start,
                trace_id,
            },
            origin: OnceLock::new(),
            recorded,
            measured: is_measured.then(Mutex::default),
            clock: self.clock.clone(),
        });
        if cold_start {
            invocation.measure(|measured| measured.measurements.count(Count::ColdStarts, 1));
        }
        invocation
    }

    /// Tells what was measured of the event at hand, which is done.
    pub fn end(&self) {
        let _outside = CURRENT.try_with(|current| {
            current.measure(|measured| {
                let Measured { measurements, parts } = std::mem::take(measured);
                if let Some(namespace) =
                    self.namespace.as_ref().filter(|_| !measurements.is_empty())
                {
                    // The dimension says the same.
                    let mut fields = current.fields();
                    fields.remove("function");
                    let now = self.clock.now();
                    (self.write)(&measurements.line(namespace, self.function, now, fields));
                }
                if let (Some(daemon), Some(trace)) = (&self.daemon, &current.inner.recorded) {
                    daemon.tell(trace, &parts);
                }
            });
        });
    }
}
