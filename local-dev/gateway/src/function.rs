//! Functions and how they are invoked: the bytes of a JSON event in, the bytes of a JSON response out, as on Lambda.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::{identifier::Identifier, limits::PAYLOAD_BYTES_MAX};

/// A function that the gateway invokes.
#[derive(Clone)]
pub struct Function {
    name: Arc<str>,
    handler: Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Bytes, FunctionError>> + Send + Sync>,
}

impl Function {
    /// A function, called `name` in the log, that takes the bytes of an event and answers with those of a response.
    pub fn new<H, F>(name: &str, handler: H) -> Self
    where
        H: Fn(Bytes) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Bytes, FunctionError>> + Send + 'static,
    {
        Self { name: name.into(), handler: Arc::new(move |event| handler(event).boxed()) }
    }
}

/// What a function reports in place of a response.
#[derive(Debug, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct FunctionError {
    /// The kind of error, for example `Runtime.ExitError`.
    pub error_type: String,
    /// What went wrong, for people. It is logged, so it holds nothing secret.
    pub message: String,
}

/// Why an invocation has no response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InvokeError {
    /// The function failed, or panicked, or answered more than Lambda takes.
    Failed,
    /// The function did not answer in time. It goes on.
    TimedOut,
    /// The event is larger than Lambda takes, so the function did not run.
    EventTooLarge,
}

/// Invokes functions.
#[derive(Clone)]
pub(crate) struct Invoker {
    timeout: Duration,
    tasks: TaskTracker,
}

impl Invoker {
    /// An invoker that waits `timeout` for each response and runs functions as `tasks`.
    pub(crate) fn new(timeout: Duration, tasks: TaskTracker) -> Self {
        Self { timeout, tasks }
    }

    /// Runs `function` on `event`.
    ///
    /// The function runs in a task of its own, as it runs on a machine of its own on AWS: a panic is its failure and
    /// nobody else's, and it runs to its end whether the caller still waits or not.
    pub(crate) async fn invoke(
        &self,
        function: &Function,
        request_id: Identifier,
        event: Bytes,
    ) -> Result<Bytes, InvokeError> {
        if event.len() > PAYLOAD_BYTES_MAX {
            return Err(InvokeError::EventTooLarge);
        }
        let invocation = self.tasks.spawn(run(function.clone(), request_id, event));
        match timeout(self.timeout, invocation).await {
            Ok(Ok(result)) => result.map_err(|_error| InvokeError::Failed),
            // Nobody aborts the task and it catches the function's panics; it can only end with the runtime.
            Ok(Err(_ended)) => Err(InvokeError::Failed),
            Err(_elapsed) => {
                tracing::warn!(function = &*function.name, %request_id, "integration timed out");
                Err(InvokeError::TimedOut)
            }
        }
    }
}

/// Runs a function to its end and logs how it went.
async fn run(
    function: Function,
    request_id: Identifier,
    event: Bytes,
) -> Result<Bytes, FunctionError> {
    let started = Instant::now();
    let result = AssertUnwindSafe(async { (function.handler)(event).await })
        .catch_unwind()
        .await
        .unwrap_or_else(|_panic| {
            // The panic hook has written the message and the place.
            Err(FunctionError {
                error_type: "Runtime.ExitError".to_owned(),
                message: "the function panicked".to_owned(),
            })
        })
        .and_then(check_size);
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let function = &*function.name;
    match &result {
        Ok(_) => tracing::info!(function, %request_id, duration_ms, outcome = "ok", "invocation"),
        Err(error) => tracing::info!(
            function,
            %request_id,
            duration_ms,
            outcome = "error",
            %error,
            "invocation"
        ),
    }
    result
}

fn check_size(response: Bytes) -> Result<Bytes, FunctionError> {
    if response.len() > PAYLOAD_BYTES_MAX {
        return Err(FunctionError {
            error_type: "Function.ResponseSizeTooLarge".to_owned(),
            message: format!("the response has {} bytes", response.len()),
        });
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, ready},
        sync::Mutex,
    };

    use tokio::{sync::oneshot, task::yield_now};

    use super::*;
    use crate::timestamp::Timestamp;

    async fn invoke<F>(
        handler: impl Fn(Bytes) -> F + Send + Sync + 'static,
        event: Vec<u8>,
        timeout: Duration,
    ) -> Result<Bytes, InvokeError>
    where
        F: Future<Output = Result<Bytes, FunctionError>> + Send + 'static,
    {
        let function = Function::new("test", handler);
        let request_id = Identifier::mint(Timestamp::now());
        Invoker::new(timeout, TaskTracker::new()).invoke(&function, request_id, event.into()).await
    }

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_function_answers_an_event() {
        let answer = invoke(|event| async { Ok(event) }, b"{}".to_vec(), LONG).await;
        assert_eq!(answer, Ok(Bytes::from_static(b"{}")));
    }

    #[tokio::test]
    async fn a_panic_is_the_functions_failure() {
        let at_once = |_event| -> Ready<_> { panic!("before the first await") };
        assert_eq!(invoke(at_once, Vec::new(), LONG).await, Err(InvokeError::Failed));
        let later = |_event| async {
            yield_now().await;
            panic!("after the first await")
        };
        assert_eq!(invoke(later, Vec::new(), LONG).await, Err(InvokeError::Failed));
    }

    #[tokio::test]
    async fn events_and_responses_have_a_largest_size() {
        let echo = |event| async { Ok(event) };
        let largest = vec![b' '; PAYLOAD_BYTES_MAX];
        let too_large = vec![b' '; PAYLOAD_BYTES_MAX + 1];
        assert_eq!(invoke(echo, largest.clone(), LONG).await, Ok(largest.into()));
        assert_eq!(invoke(echo, too_large.clone(), LONG).await, Err(InvokeError::EventTooLarge));
        let verbose = move |_event| ready(Ok(too_large.clone().into()));
        assert_eq!(invoke(verbose, Vec::new(), LONG).await, Err(InvokeError::Failed));
    }

    #[tokio::test]
    async fn a_function_that_is_too_slow_times_out_and_goes_on() {
        let (release, released) = oneshot::channel::<()>();
        let (finish, finished) = oneshot::channel();
        let once = Mutex::new(Some((released, finish)));
        let slow = move |event| {
            let (released, finish) = once.lock().unwrap().take().unwrap();
            async move {
                released.await.unwrap();
                finish.send(()).unwrap();
                Ok(event)
            }
        };
        assert_eq!(invoke(slow, Vec::new(), SHORT).await, Err(InvokeError::TimedOut));
        release.send(()).unwrap();
        finished.await.unwrap();
    }
}
