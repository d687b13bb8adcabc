//! The life of an instance: it is started for an event, then has one event after the other, frozen in between, until it
//! fails, isn't needed any more, or all of them are shut down.

use std::{io, mem, sync::Arc, time::Duration};

use bytes::Bytes;
use time::OffsetDateTime;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::{
    config::Config,
    error::{FunctionError, InvokeError},
    function::{Invocation, Outcome, Shared},
    log::{Entry, Log, Report},
    pool::Place,
    runtime_api::{Delivery, Next, Payload},
    sandbox::{End, Handled, Sandbox, Started},
};

/// Something to be handled, and who waits for it.
pub(crate) struct Event {
    pub(crate) invocation: Invocation,
    /// Counts it among the concurrent executions until there is an answer.
    pub(crate) permit: OwnedSemaphorePermit,
    pub(crate) answer: oneshot::Sender<Outcome>,
}

/// An event that an instance has.
struct Running {
    event: Event,
    delivery: Delivery,
    /// Whether the instance was started for it.
    is_cold: bool,
    /// How long the start took, if it was in time and successful.
    init_duration: Option<Duration>,
    began: Instant,
    deadline: Instant,
}

/// Lives the life of an instance that starts with `event`, and of those that come after it in its place.
pub(crate) async fn live(function: Arc<Shared>, mut place: Place, mut event: Event) {
    while let Some(unseen) = live_once(&function, place, event).await {
        (place, event) = unseen;
    }
}

/// Lives one life. What is left of it is an event that the instance has not seen, which is for another one in its place.
async fn live_once(function: &Arc<Shared>, place: Place, event: Event) -> Option<(Place, Event)> {
    let name: Arc<str> = Uuid::new_v4().simple().to_string().into();
    let log = Log::new(function.log.clone(), function.name.clone(), name.clone());
    // What it writes while it starts belongs to the event that it is started for.
    log.begin(event.invocation.request_id.as_str().into());
    let instance = Instance { function: function.clone(), name, log };
    let mut sandbox = match instance.sandbox().await {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let bootstrap = &function.config.bootstrap;
            let request_id = &event.invocation.request_id;
            let error = FunctionError::not_started(request_id, bootstrap, &error);
            drop(place);
            instance.fail_to_start(instance.take(event, true), error);
            return None;
        }
    };
    let mut unseen = None;
    let life = instance.serve(&mut sandbox, place, event, &mut unseen);
    let why = function.closing.run_until_cancelled(life).await.unwrap_or("shutdown");
    sandbox.end().await;
    instance.log.write(Entry::Ended(why));
    unseen
}

struct Instance {
    function: Arc<Shared>,
    name: Arc<str>,
    log: Log,
}

/// What an instance was given, or failed to be given, while it was free.
enum Rested {
    Event(Event),
    /// It was not needed for a long time.
    Idle,
    /// It exited, perhaps with an event that it has not seen.
    Exited(Option<Event>),
}

impl Instance {
    /// Serves until there is no more to be had of the process, and says why. If it ends with an event that it has not seen,
    /// that is `unseen`.
    async fn serve(
        &self,
        sandbox: &mut Sandbox,
        mut place: Place,
        event: Event,
        unseen: &mut Option<(Place, Event)>,
    ) -> &'static str {
        let (mut next, mut running) = match self.start(sandbox, event).await {
            Ok(started) => started,
            Err((running, error)) => {
                drop(place);
                self.fail_to_start(running, error);
                return "init failed";
            }
        };
        loop {
            let deadline = running.deadline;
            match sandbox.handle(next, &running.delivery, deadline).await {
                Handled::Answered(answer) => {
                    place.finish();
                    self.finish(running, sandbox.memory_used_max_kib(), self.checked(answer));
                }
                Handled::Ended(end) => {
                    let memory = sandbox.memory_used_max_kib();
                    let (error, why) = self.failure(&running.event.invocation.request_id, end);
                    // The next event is to find room for another instance.
                    drop(place);
                    self.finish(running, memory, Err(error));
                    return why;
                }
            }
            next = match sandbox.next(deadline).await {
                Ok(next) => next,
                Err(End::Exited(_)) => return "exited after an answer",
                Err(End::TimedOut) => return "timed out after an answer",
            };
            running = match self.rest(sandbox, &mut place, &mut next).await {
                Rested::Event(event) => self.take(event, false),
                Rested::Idle => return "idle",
                Rested::Exited(event) => {
                    *unseen = event.map(|event| (place, event));
                    return "exited between events";
                }
            };
        }
    }

    /// Starts the process for `event`, which begins when it has started. If that takes too long, it is started anew, and
    /// this time is the event's, as is that of a start that fails.
    async fn start(
        &self,
        sandbox: &mut Sandbox,
        event: Event,
    ) -> Result<(Next, Running), (Running, FunctionError)> {
        let began = sandbox.began;
        let config = self.config();
        let started = sandbox.started(began + config.init_timeout).await;
        let init_duration = began.elapsed();
        let request_id = event.invocation.request_id.clone();
        if !matches!(started, Started::Ended(End::TimedOut)) {
            let mut running = self.take(event, true);
            return match self.started(started, &request_id) {
                Ok(next) => {
                    running.init_duration = Some(init_duration);
                    Ok((next, running))
                }
                Err(error) => {
                    running.began = began;
                    Err((running, error))
                }
            };
        }

        self.log.write(Entry::InitFailed { duration: init_duration, error: None });
        let running = self.take(event, true);
        match self.sandbox().await {
            Ok(another) => mem::replace(sandbox, another).end().await,
            Err(error) => {
                let error = FunctionError::not_started(&request_id, &config.bootstrap, &error);
                return Err((running, error));
            }
        }
        let started = sandbox.started(running.deadline).await;
        match self.started(started, &request_id) {
            Ok(next) => Ok((next, running)),
            Err(error) => Err((running, error)),
        }
    }

    async fn sandbox(&self) -> io::Result<Sandbox> {
        Sandbox::start(self.config(), &self.function.account.guard, &self.name, &self.log).await
    }

    fn started(&self, started: Started, request_id: &str) -> Result<Next, FunctionError> {
        match started {
            Started::Ready(next) => Ok(next),
            Started::Failed(error) => Err(error),
            Started::Ended(end) => Err(self.failure(request_id, end).0),
        }
    }

    /// Waits for an event, frozen.
    async fn rest(&self, sandbox: &mut Sandbox, place: &mut Place, next: &mut Next) -> Rested {
        let config = self.config();
        if config.freeze {
            sandbox.freeze();
        }
        loop {
            let mut offer = place.offer();
            let event = tokio::select! {
                biased;
                event = &mut offer => event,
                () = sandbox.rest(next) => {
                    offer.close();
                    return Rested::Exited(offer.try_recv().ok());
                }
                () = sleep(config.idle_time_max) => {
                    if place.withdraw() {
                        return Rested::Idle;
                    }
                    offer.await
                }
            };
            // Whoever took the slot may have left without giving an event.
            if let Ok(event) = event {
                if sandbox.has_exited() {
                    return Rested::Exited(Some(event));
                }
                sandbox.thaw();
                return Rested::Event(event);
            }
        }
    }

    /// Begins with an event: its time runs from now on.
    fn take(&self, event: Event, is_cold: bool) -> Running {
        let config = self.config();
        let began = Instant::now();
        let now = OffsetDateTime::now_utc();
        let deadline = now + config.timeout;
        let request_id: Arc<str> = event.invocation.request_id.as_str().into();
        self.log.begin(request_id.clone());
        self.log.write(Entry::Start);
        Running {
            delivery: Delivery {
                request_id,
                deadline_millis: deadline.unix_timestamp() * 1000
                    + i64::from(deadline.millisecond()),
                function_arn: self.function.arn.clone(),
                trace_id: event.invocation.trace_id.clone().unwrap_or_else(|| trace_id(now)),
                event: event.invocation.event.clone(),
            },
            event,
            is_cold,
            init_duration: None,
            began,
            deadline: began + config.timeout,
        }
    }

    /// Reports how an event went and gives the answer.
    fn finish(
        &self,
        running: Running,
        memory_used_max_kib: Option<u64>,
        result: Result<Bytes, FunctionError>,
    ) {
        let duration = running.began.elapsed();
        let billed = running.init_duration.unwrap_or_default() + duration;
        self.log.write(Entry::Report(Report {
            duration,
            billed_duration: Duration::from_millis(whole_millis(billed)),
            init_duration: running.init_duration,
            memory_mb: self.config().memory_mb,
            memory_used_max_kib,
            error: result.as_ref().err(),
        }));
        let Event { permit, answer, .. } = running.event;
        // Before the answer, so that its receiver can invoke again.
        drop(permit);
        let outcome = Outcome {
            result: result.map_err(InvokeError::Function),
            cold: running.is_cold,
            init_duration: running.init_duration,
            duration,
            instance: Some(self.name.clone()),
        };
        // The receiver may have left; the function has run all the same.
        answer.send(outcome).ok();
    }

    fn fail_to_start(&self, running: Running, error: FunctionError) {
        let duration = running.began.elapsed();
        self.log.write(Entry::InitFailed { duration, error: Some(&error) });
        self.finish(running, None, Err(error));
    }

    /// What the end of a process in the middle of an event means, and why the instance is no more.
    fn failure(&self, request_id: &str, end: End) -> (FunctionError, &'static str) {
        match end {
            End::Exited(how) => (FunctionError::exited(request_id, how.as_deref()), "exited"),
            End::TimedOut => (FunctionError::timed_out(self.config().timeout), "timed out"),
        }
    }

    fn checked(&self, answer: Result<Payload, FunctionError>) -> Result<Bytes, FunctionError> {
        match answer? {
            Payload::Whole(response) => Ok(response),
            Payload::TooLarge => {
                Err(FunctionError::response_too_large(self.config().payload_bytes_max))
            }
        }
    }

    fn config(&self) -> &Config {
        &self.function.config
    }
}

/// A trace that is not sampled. Lambda always names one, and runtimes may count on it.
/// Source: AWS X-Ray developer guide, "Tracing header".
fn trace_id(now: OffsetDateTime) -> String {
    let random = Uuid::new_v4().simple().to_string();
    let parent = Uuid::new_v4().simple().to_string();
    let seconds = now.unix_timestamp();
    format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", &random[..24], &parent[..16])
}

/// A duration in milliseconds, rounded up.
fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
