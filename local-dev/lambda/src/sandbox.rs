//! What Lambda calls an execution environment: a process and its Runtime API, in one of four states.
//!
//! *Starting* until it asks for the first event; then, in turn, *ready* while that call waits, *running* an event, and
//! *responded* until it asks for the next one. Calls that don't fit the state are refused.

use std::{future::pending, io, mem, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    process::Command,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    config::Config,
    environment,
    error::FunctionError,
    guard::Guard,
    log::{Log, Stream},
    process::Process,
    runtime_api::{Call, Delivery, Next, Payload, RuntimeApi, Verdict},
};

/// A process and its Runtime API. Dropping it kills the process.
pub(crate) struct Sandbox {
    /// When its start began.
    pub(crate) began: Instant,
    process: Process,
    api: RuntimeApi,
    /// Copies what the process writes.
    logs: JoinSet<()>,
    /// Whether part of the process wants to be told of its end.
    has_extension: bool,
    state: State,
    /// The event that it has, or had last.
    request_id: Option<Arc<str>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    Running,
    Responded,
}

impl State {
    /// What the state is called in a refusal.
    fn name(self) -> &'static str {
        match self {
            Self::Starting => "Started",
            Self::Ready => "Ready",
            Self::Running => "Running",
            Self::Responded => "ResponseSent",
        }
    }
}

/// How a start went.
pub(crate) enum Started {
    /// It asks for its first event.
    Ready(Next),
    /// It says that it cannot start.
    Failed(FunctionError),
    Ended(End),
}

/// How an event went.
pub(crate) enum Handled {
    Answered(Result<Payload, FunctionError>),
    Ended(End),
}

/// Why there is no more to be had of a process.
pub(crate) enum End {
    /// It exited: how, if it was not with success.
    Exited(Option<String>),
    TimedOut,
}

/// How long a process may take for its end when it has asked to be told of it.
/// Source: AWS Lambda developer guide, "Lambda execution environment lifecycle", shutdown phase, internal extensions.
const GRACE: Duration = Duration::from_millis(500);

/// How long to go on reading what an ended process has written. Only what it started, and what left its process group,
/// can still hold the pipes.
const LOG_GRACE: Duration = Duration::from_millis(200);

impl Sandbox {
    /// Starts the process of the instance called `instance`.
    pub(crate) async fn start(
        config: &Config,
        guard: &Guard,
        instance: &str,
        log: &Log,
    ) -> io::Result<Self> {
        let began = Instant::now();
        let api = RuntimeApi::start(config.name.as_str().into(), config.payload_bytes_max).await?;
        let mut command = Command::new(&config.bootstrap);
        command
            .env_clear()
            .envs(environment::variables(config, instance, api.address))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = config.bootstrap.parent() {
            command.current_dir(folder);
        }
        let (process, stdout, stderr) = Process::spawn(command, guard)?;
        let mut logs = JoinSet::new();
        logs.spawn(log.clone().copy(Stream::Stdout, stdout));
        logs.spawn(log.clone().copy(Stream::Stderr, stderr));
        let state = State::Starting;
        Ok(Self { began, process, api, logs, has_extension: false, state, request_id: None })
    }

    /// Waits for the first call for an event.
    pub(crate) async fn started(&mut self, deadline: Instant) -> Started {
        loop {
            match self.stir(deadline).await {
                Ok(Call::Next(next)) => {
                    self.state = State::Ready;
                    return Started::Ready(next);
                }
                Ok(Call::InitError { error, verdict }) => {
                    tell(verdict, Verdict::Accepted);
                    return Started::Failed(error);
                }
                Ok(Call::RegisterExtension { verdict }) => {
                    self.has_extension = true;
                    tell(verdict, Verdict::Accepted);
                }
                Ok(call) => self.refuse(call),
                Err(end) => return Started::Ended(end),
            }
        }
    }

    /// Answers `next` with an event and waits for what comes of it.
    pub(crate) async fn handle(
        &mut self,
        next: Next,
        delivery: &Delivery,
        deadline: Instant,
    ) -> Handled {
        self.state = State::Running;
        self.request_id = Some(delivery.request_id.clone());
        next.answer(delivery.clone());
        let is_this = |request_id: &str| request_id == &*delivery.request_id;
        loop {
            match self.stir(deadline).await {
                // Its client lost the connection and tries again. The emulator does the same.
                Ok(Call::Next(next)) => next.answer(delivery.clone()),
                Ok(Call::Response { request_id, response, verdict }) if is_this(&request_id) => {
                    self.state = State::Responded;
                    tell(
                        verdict,
                        match response {
                            Payload::Whole(_) => Verdict::Accepted,
                            Payload::TooLarge => Verdict::TooLarge,
                        },
                    );
                    return Handled::Answered(Ok(response));
                }
                Ok(Call::Error { request_id, error, verdict }) if is_this(&request_id) => {
                    self.state = State::Responded;
                    tell(verdict, Verdict::Accepted);
                    return Handled::Answered(Err(error));
                }
                Ok(call) => self.refuse(call),
                Err(end) => return Handled::Ended(end),
            }
        }
    }

    /// Waits for the call for the next event after an answer.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Result<Next, End> {
        loop {
            match self.stir(deadline).await? {
                Call::Next(next) => {
                    self.state = State::Ready;
                    return Ok(next);
                }
                call => self.refuse(call),
            }
        }
    }

    /// Waits for the end of a process that asks for an event by `next`; another such call replaces it.
    pub(crate) async fn rest(&mut self, next: &mut Next) {
        loop {
            tokio::select! {
                biased;
                call = receive(&mut self.api.calls) => match call {
                    Call::Next(newer) => mem::replace(next, newer).supersede(),
                    call => self.refuse(call),
                },
                _how = self.process.exited() => return,
            }
        }
    }

    /// Whether the process has ended by now.
    pub(crate) fn has_exited(&mut self) -> bool {
        self.process.has_exited()
    }

    /// Stops the process between events.
    pub(crate) fn freeze(&self) {
        self.process.freeze();
    }

    /// Lets the process go on.
    pub(crate) fn thaw(&self) {
        self.process.thaw();
    }

    /// The most memory that the process had so far, in KiB, where that can be known.
    pub(crate) fn memory_used_max_kib(&self) -> Option<u64> {
        self.process.memory_used_max_kib()
    }

    /// Ends the process: with a signal and a grace if part of it has asked for that, at once otherwise.
    pub(crate) async fn end(mut self) {
        if self.has_extension {
            self.process.terminate();
            timeout(GRACE, self.process.exited()).await.ok();
        }
        self.process.kill();
        self.process.exited().await;
        timeout(LOG_GRACE, async { while self.logs.join_next().await.is_some() {} }).await.ok();
    }

    /// The next thing that the process does, at the latest at `deadline`.
    async fn stir(&mut self, deadline: Instant) -> Result<Call, End> {
        tokio::select! {
            // What it has asked for before it ended still counts.
            biased;
            call = receive(&mut self.api.calls) => Ok(call),
            how = self.process.exited() => Err(End::Exited(how)),
            () = sleep_until(deadline) => Err(End::TimedOut),
        }
    }

    /// Refuses a call that doesn't fit the state.
    fn refuse(&self, call: Call) {
        let from = self.state.name();
        match call {
            Call::Next(next) => next.supersede(),
            Call::Response { request_id, verdict, .. }
            | Call::Error { request_id, verdict, .. }
                if self.request_id.as_deref() != Some(&*request_id) =>
            {
                tell(verdict, Verdict::InvalidRequestId);
            }
            Call::Response { verdict, .. }
            | Call::Error { verdict, .. }
            | Call::InitError { verdict, .. }
            | Call::RegisterExtension { verdict } => {
                tell(verdict, Verdict::InvalidStateTransition { from });
            }
        }
    }
}

/// The next call. The Runtime API never ends by itself.
async fn receive(calls: &mut mpsc::Receiver<Call>) -> Call {
    match calls.recv().await {
        Some(call) => call,
        None => pending().await,
    }
}

/// Tells the caller, if it still listens.
fn tell(caller: oneshot::Sender<Verdict>, verdict: Verdict) {
    caller.send(verdict).ok();
}
