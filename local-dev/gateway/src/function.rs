//! Functions and how they are invoked: the bytes of a JSON event in, the bytes of a JSON response out, as on Lambda.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    ended::{Ended, Watcher},
    faults::{Fault, FaultSwitch},
    identifier::Identifier,
    journal::{Call, Entry, Journal},
    redaction::redact_text,
    refusal::Refusal,
    timestamp::Timestamp,
    usage::Peaks,
};

/// A function that the gateway invokes.
#[derive(Clone)]
pub struct Function {
    name: Arc<str>,
    program: Arc<str>,
    handler:
        Arc<dyn Fn(Invocation) -> BoxFuture<'static, Result<Bytes, FunctionError>> + Send + Sync>,
}

/// What a function is given.
pub struct Invocation {
    /// The invocation's own id, a UUID, as Lambda gives one. It is not the gateway's request id, which is in the event.
    pub id: String,
    /// The event: JSON.
    pub event: Bytes,
    /// What is remembered of the invocation.
    pub entry: Entry,
}

impl Function {
    /// A function, called `name` in the log, that takes an event and answers with the bytes of a response.
    pub fn new<H, F>(name: &str, handler: H) -> Self
    where
        H: Fn(Invocation) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Bytes, FunctionError>> + Send + 'static,
    {
        let name: Arc<str> = name.into();
        let handler = Arc::new(move |invocation| handler(invocation).boxed());
        Self { program: Arc::clone(&name), name, handler }
    }

    /// The same function under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The same function, called `name` by the tools that build it.
    #[must_use]
    pub fn of_program(self, name: &str) -> Self {
        Self { program: name.into(), ..self }
    }

    /// How the tools that build it call the function.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// How the function is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What comes in place of a response.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The function failed, or ended, or took longer than it may.
    #[error("{error_type}: {message}")]
    Failed {
        /// The kind of error, for example `Runtime.ExitError`.
        error_type: String,
        /// What went wrong, for people. It is logged; what looks like a secret is taken out.
        message: String,
    },
    /// As many instances run as may.
    #[error("TooManyRequestsException: Rate Exceeded.")]
    Throttled,
}

/// Why an invocation has no response.
#[derive(Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The function failed, or panicked, or answered more than Lambda takes. This is the error's message.
    Failed(String),
    /// Lambda did not run the function, because too many run.
    Throttled,
    /// The function did not answer in time. It goes on.
    TimedOut,
    /// The event is larger than Lambda takes, so the function did not run.
    EventTooLarge,
}

/// Invokes functions: with what faults do to them, and so that the inspector shows it.
#[derive(Clone)]
pub struct Invoker {
    pub(crate) payload_bytes_max: usize,
    pub(crate) faults: Arc<FaultSwitch>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) watcher: Option<Watcher>,
    pub(crate) peaks: Arc<Peaks>,
    /// Every invocation that runs.
    pub(crate) tasks: TaskTracker,
}

impl Invoker {
    /// Runs `function` on an event that messages of a queue have caused, and waits at most `time_max` for its response. `cause`
    /// is shown in the place of a route.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn invoke_by(
        &self,
        cause: &str,
        function: &Function,
        event: Bytes,
        time_max: Duration,
    ) -> Result<Bytes, InvokeError> {
        let request_id = Identifier::mint(Timestamp::now());
        let answer = self.invoke(function, cause, request_id, event, time_max).await;
        if answer.is_err() {
            self.journal.refuse(Refusal::QueueFunctionFailed, cause, Some(request_id));
        }
        answer
    }

    /// Runs `function` on `event` and waits at most `time_max` for its response.
    ///
    /// The function runs in a task of its own, as it runs on a machine of its own on AWS: a panic is its failure and
    /// nobody else's, and it runs to its end whether the caller still waits or not.
    pub(crate) async fn invoke(
        &self,
        function: &Function,
        route_key: &str,
        request_id: Identifier,
        event: Bytes,
        time_max: Duration,
    ) -> Result<Bytes, InvokeError> {
        self.peaks.payload_bytes.note(event.len());
        if event.len() > self.payload_bytes_max {
            return Err(InvokeError::EventTooLarge);
        }
        let (entry, run) = self.begin(Call {
            id: Uuid::new_v4().to_string(),
            request_id,
            function: function.clone(),
            route_key: route_key.to_owned(),
            event,
            time_max,
            replay_of: None,
        });
        match timeout(time_max, run).await {
            Ok(Ok(result)) => result.map_err(|error| match error {
                FunctionError::Failed { message, .. } => InvokeError::Failed(message),
                FunctionError::Throttled => InvokeError::Throttled,
            }),
            // Nobody aborts the task and it catches the function's panics; it can only end with the runtime.
            Ok(Err(ended)) => Err(InvokeError::Failed(ended.to_string())),
            Err(_elapsed) => {
                tracing::warn!(function = &*function.name, %request_id, "integration timed out");
                entry.say("The integration timed out: the gateway waits no longer.");
                Err(InvokeError::TimedOut)
            }
        }
    }

    /// Does once more what was done, and waits as long as then.
    pub(crate) async fn replay(&self, original: &Call) -> Entry {
        let call = Call {
            id: Uuid::new_v4().to_string(),
            replay_of: Some(original.id.clone()),
            ..original.clone()
        };
        let time_max = call.time_max;
        let (entry, run) = self.begin(call);
        // Whatever comes of it is in the entry.
        timeout(time_max, run).await.ok();
        entry
    }

    fn begin(&self, call: Call) -> (Entry, JoinHandle<Result<Bytes, FunctionError>>) {
        let invocation = Invocation {
            id: call.id.clone(),
            event: call.event.clone(),
            entry: self.journal.begin(call),
        };
        (invocation.entry.clone(), self.tasks.spawn(run(self.clone(), invocation)))
    }
}

/// Runs a function to its end and tells how it went.
async fn run(invoker: Invoker, invocation: Invocation) -> Result<Bytes, FunctionError> {
    let started = Instant::now();
    let entry = invocation.entry.clone();
    let result = handle(&invoker, &entry.record().call.function, invocation).await;
    let duration = started.elapsed();
    let ended = Ended { entry: &entry, duration, result: &result };
    match &invoker.watcher {
        Some(watcher) => watcher(&ended),
        None => log(&ended),
    }
    entry.end(result.as_ref().map(Bytes::clone).map_err(ToString::to_string));
    result
}

fn log(ended: &Ended<'_>) {
    let Call { id, request_id, function, .. } = &ended.entry.record().call;
    let duration_ms = u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX);
    let name = &*function.name;
    match ended.result {
        Ok(_) => tracing::info!(
            function = name, %request_id, invocation_id = id, duration_ms, outcome = "ok", "invocation"
        ),
        Err(error) => tracing::warn!(
            function = name,
            %request_id,
            invocation_id = id,
            duration_ms,
            outcome = "error",
            error = %redact_text(&error.to_string()),
            "invocation"
        ),
    }
}

/// Has the function handle the event, unless a fault prevents it.
async fn handle(
    invoker: &Invoker,
    function: &Function,
    invocation: Invocation,
) -> Result<Bytes, FunctionError> {
    let Invoker { faults, payload_bytes_max, .. } = invoker;
    let name = Some(&*function.name);
    faults.delay(Fault::FunctionDelay, name).await;
    if faults.strikes(Fault::CrashBefore, name) {
        return Err(crashed("a fault on demand, before the function ran"));
    }
    let entry = invocation.entry.clone();
    let response = AssertUnwindSafe(entry.scope(async { (function.handler)(invocation).await }))
        .catch_unwind()
        .await
        // The panic hook has written the message and the place.
        .unwrap_or_else(|_panic| Err(crashed("the function panicked")))?;
    if faults.strikes(Fault::CrashAfter, name) {
        return Err(crashed("a fault on demand, after the function ran"));
    }
    invoker.peaks.payload_bytes.note(response.len());
    if response.len() > *payload_bytes_max {
        return Err(FunctionError::Failed {
            error_type: "Function.ResponseSizeTooLarge".to_owned(),
            message: format!(
                "Response payload size ({} bytes) exceeded maximum allowed payload size ({payload_bytes_max} bytes).",
                response.len()
            ),
        });
    }
    Ok(response)
}

fn crashed(message: &str) -> FunctionError {
    FunctionError::Failed {
        error_type: "Runtime.ExitError".to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, ready},
        sync::Mutex,
    };

    use tokio::{sync::oneshot, task::yield_now};

    use super::*;
    use crate::faults::Faults;

    const PAYLOAD_BYTES_MAX: usize = 1000;

    async fn invoke<F>(
        handler: impl Fn(Invocation) -> F + Send + Sync + 'static,
        event: Vec<u8>,
        timeout: Duration,
    ) -> Result<Bytes, InvokeError>
    where
        F: Future<Output = Result<Bytes, FunctionError>> + Send + 'static,
    {
        let function = Function::new("test", handler);
        let invoker = Invoker {
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            faults: Arc::new(FaultSwitch::new(Faults::default())),
            journal: Arc::new(Journal::new()),
            watcher: None,
            peaks: Arc::default(),
            tasks: TaskTracker::new(),
        };
        let request_id = Identifier::mint(Timestamp::now());
        invoker.invoke(&function, "$default", request_id, event.into(), timeout).await
    }

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_function_answers_an_event() {
        let answer =
            invoke(|invocation: Invocation| async { Ok(invocation.event) }, b"{}".to_vec(), LONG)
                .await;
        assert_eq!(answer, Ok(Bytes::from_static(b"{}")));
    }

    #[tokio::test]
    async fn a_panic_is_the_functions_failure() {
        let at_once = |_invocation: Invocation| -> Ready<_> { panic!("before the first await") };
        let panicked = Err(InvokeError::Failed("the function panicked".to_owned()));
        assert_eq!(invoke(at_once, Vec::new(), LONG).await, panicked);
        let later = |_invocation: Invocation| async {
            yield_now().await;
            panic!("after the first await")
        };
        assert_eq!(invoke(later, Vec::new(), LONG).await, panicked);
    }

    #[tokio::test]
    async fn events_and_responses_have_a_largest_size() {
        let echo = |invocation: Invocation| async { Ok(invocation.event) };
        let largest = vec![b' '; PAYLOAD_BYTES_MAX];
        let too_large = vec![b' '; PAYLOAD_BYTES_MAX + 1];
        assert_eq!(invoke(echo, largest.clone(), LONG).await, Ok(largest.into()));
        assert_eq!(invoke(echo, too_large.clone(), LONG).await, Err(InvokeError::EventTooLarge));
        let verbose = move |_invocation: Invocation| ready(Ok(too_large.clone().into()));
        let error = invoke(verbose, Vec::new(), LONG).await.unwrap_err();
        assert!(matches!(error, InvokeError::Failed(_)), "{error:?}");
    }

    #[tokio::test]
    async fn a_function_that_is_too_slow_times_out_and_goes_on() {
        let (release, released) = oneshot::channel::<()>();
        let (finish, finished) = oneshot::channel();
        let once = Mutex::new(Some((released, finish)));
        let slow = move |invocation: Invocation| {
            let (released, finish) = once.lock().unwrap().take().unwrap();
            async move {
                released.await.unwrap();
                finish.send(()).unwrap();
                Ok(invocation.event)
            }
        };
        assert_eq!(invoke(slow, Vec::new(), SHORT).await, Err(InvokeError::TimedOut));
        release.send(()).unwrap();
        finished.await.unwrap();
    }
}
