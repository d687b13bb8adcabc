//! Functions, and what it is to invoke one.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    account::Account,
    config::{Config, ConfigError},
    error::InvokeError,
    instance::{self, Event},
    log::LogSink,
    pool::{Claim, Pool},
};

/// A function. Clones are the same function.
///
/// Its instances end with [`Function::shutdown`], with the Tokio runtime, and on Unix also when this process is killed.
#[derive(Clone)]
pub struct Function(Arc<Shared>);

/// What all instances of a function have in common.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) name: Arc<str>,
    pub(crate) arn: Arc<str>,
    pub(crate) log: LogSink,
    /// Cancelled when all instances are to end.
    pub(crate) closing: CancellationToken,
    pub(crate) account: Account,
    pool: Pool,
    tasks: TaskTracker,
}

/// An event for a function.
#[derive(Clone)]
pub struct Invocation {
    /// What the function and the log know it by, for example a UUID: visible ASCII characters without `/ ? # %`.
    pub request_id: String,
    /// The event, JSON as a rule.
    pub event: Bytes,
    /// The `X-Amzn-Trace-Id`, visible ASCII characters and spaces; without one, one is made up.
    pub trace_id: Option<String>,
}

/// Shows how long the event is, and nothing of it: there are passwords and tokens in events.
impl fmt::Debug for Invocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Invocation")
            .field("request_id", &self.request_id)
            .field("event_bytes", &self.event.len())
            .finish_non_exhaustive()
    }
}

/// What came of an event.
#[derive(Clone)]
pub struct Outcome {
    /// The response, or why there is none.
    pub result: Result<Bytes, InvokeError>,
    /// Whether an instance was started for it.
    pub cold: bool,
    /// How long that start took, if it was in time and successful.
    pub init_duration: Option<Duration>,
    /// From giving the event to having the answer, or the time of a start that failed; zero if it was not given to any
    /// instance.
    pub duration: Duration,
    /// The instance, as in the log.
    pub instance: Option<Arc<str>>,
}

/// Shows how long the response is, and nothing of it.
impl fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Outcome")
            .field("response_bytes", &self.result.as_ref().map(Bytes::len))
            .field("cold", &self.cold)
            .field("duration", &self.duration)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// How long to wait for an instance that has answered until it asks for the next event, rather than start another one
/// or say that there is none. On Lambda, answers are longer on their way than that takes.
const FINISHING_TIME_MAX: Duration = Duration::from_millis(50);

/// The account that stands in the names of functions: the one of AWS's examples.
const ACCOUNT: &str = "123456789012";

/// The region in the names of functions that aren't told theirs.
const REGION: &str = "us-east-1";

impl Function {
    /// The function that `config` describes. Nothing is started before the first event.
    ///
    /// # Errors
    /// When there is no executable, or a value is out of its range.
    pub fn new(config: Config, account: Account, log: LogSink) -> Result<Self, ConfigError> {
        let config = config.checked()?;
        let name = config.name.as_str();
        let region = config.environment.iter().rev().find(|(name, _)| name == "AWS_REGION");
        let region = region.map_or(REGION, |(_, region)| region);
        Ok(Self(Arc::new(Shared {
            arn: format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{name}").into(),
            name: name.into(),
            config,
            log,
            closing: CancellationToken::new(),
            account,
            pool: Pool::default(),
            tasks: TaskTracker::new(),
        })))
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Has an instance handle an event and waits for the answer. Nothing is queued: if no instance is free and none may be
    /// started, that is the answer. Whoever stops waiting stops nothing, the function runs to its end or its timeout.
    pub async fn invoke(&self, invocation: Invocation) -> Outcome {
        // Keeps `shutdown` waiting until an instance has its own.
        let token = self.0.tasks.token();
        if self.0.closing.is_cancelled() {
            return Outcome::without_instance(InvokeError::ShutDown);
        }
        if let Err(reason) = invocation.check(self.0.config.payload_bytes_max) {
            return Outcome::without_instance(InvokeError::Rejected(reason));
        }
        let Some(permit) = self.0.account.admit() else {
            return Outcome::without_instance(InvokeError::Throttled);
        };
        let (sender, answer) = oneshot::channel();
        if let Err(error) = self.give(Event { invocation, permit, answer: sender }).await {
            return Outcome::without_instance(error);
        }
        drop(token);
        answer.await.unwrap_or_else(|_ended| Outcome::without_instance(InvokeError::ShutDown))
    }

    /// Ends all instances, whatever they are doing, and waits until they are gone: at most a second. There are none
    /// afterwards.
    pub async fn shutdown(&self) {
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Gives an event to an instance.
    async fn give(&self, mut event: Event) -> Result<(), InvokeError> {
        let mut can_wait = true;
        loop {
            let slot = match self.0.pool.claim(self.0.config.concurrency_max, can_wait) {
                Claim::Free(slot) => slot,
                Claim::Soon(slot) => {
                    can_wait = false;
                    match timeout(FINISHING_TIME_MAX, slot).await {
                        Ok(Ok(slot)) => slot,
                        Ok(Err(_)) | Err(_) => continue,
                    }
                }
                Claim::New(place) => {
                    self.0.tasks.spawn(instance::live(self.0.clone(), place, event));
                    return Ok(());
                }
                Claim::Full => return Err(InvokeError::Throttled),
            };
            match slot.event.send(event) {
                Ok(()) => return Ok(()),
                // That instance has just ended.
                Err(back) => event = back,
            }
        }
    }
}

impl Invocation {
    /// Says why it is not taken.
    fn check(&self, bytes_max: usize) -> Result<(), String> {
        let is_id = |byte: u8| byte.is_ascii_graphic() && !b"/?#%".contains(&byte);
        if self.request_id.is_empty() || !self.request_id.bytes().all(is_id) {
            return Err("the request id cannot stand in a path".to_owned());
        }
        let trace_id = self.trace_id.as_deref().unwrap_or_default();
        if !trace_id.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err("the trace id cannot stand in a header".to_owned());
        }
        let bytes = self.event.len();
        if bytes > bytes_max {
            return Err(format!("the event has {bytes} bytes; the largest has {bytes_max}"));
        }
        Ok(())
    }
}

impl Outcome {
    fn without_instance(error: InvokeError) -> Self {
        Self {
            result: Err(error),
            cold: false,
            init_duration: None,
            duration: Duration::ZERO,
            instance: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_responses_and_variables_are_not_printed() {
        const SECRET: &str = "hunter2";

        let mut config = Config::new("Shop", "bootstrap");
        config.environment = vec![("JWT_SECRET".to_owned(), SECRET.to_owned())];
        let request_id = "1".to_owned();
        let invocation = Invocation { request_id, event: SECRET.into(), trace_id: None };
        let outcome = Outcome {
            result: Ok(SECRET.into()),
            cold: true,
            init_duration: None,
            duration: Duration::ZERO,
            instance: None,
        };
        for (printed, says) in [
            (format!("{config:?}"), r#"environment: ["JWT_SECRET"]"#),
            (format!("{invocation:?}"), "event_bytes: 7"),
            (format!("{outcome:?}"), "response_bytes: Ok(7)"),
        ] {
            assert!(printed.contains(says), "{printed}");
            assert!(!printed.contains(SECRET), "{printed}");
        }
    }
}
