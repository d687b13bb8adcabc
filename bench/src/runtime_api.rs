//! Lambda's Runtime API for one instance at a time, with a clock: from an instance's start to its first request, and from an
//! event to its answer. Source: AWS Lambda developer guide, "Using the Lambda runtime API".

use std::{
    io::{BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use shared::clock::Clock;

use crate::{Failure, process::Process, wire::Message};

/// How long an instance may take to start or to answer.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Waits for instances' calls.
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    calls: Receiver<Call>,
}

/// A request of an instance.
struct Call {
    request: Message,
    at: Instant,
    stream: TcpStream,
}

impl RuntimeApi {
    /// On a free port.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, calls) = channel();
        // It ends with the program; a connection's thread with the instance.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                thread::spawn(move || hand_over(&stream, &sender));
            }
        });
        Ok(Self { address, calls })
    }

    /// Starts an instance, and says how long that took. It `tells` what it measures, if that is to be read.
    ///
    /// # Errors
    /// When it doesn't start.
    pub(crate) fn start(
        &self,
        bootstrap: &Path,
        environment: &[(&str, String)],
        tells: bool,
    ) -> Result<(Instance<'_>, Duration), Failure> {
        // What an earlier one has left.
        while self.calls.try_recv().is_ok() {}
        let mut command = Command::new(bootstrap);
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", self.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if tells {
            command.env("METRICS_NAMESPACE", "bench").stdout(Stdio::piped());
        }
        let began = Instant::now();
        let process = Process::spawn(&mut command)?;
        let of = || bootstrap.display().to_string();
        let next =
            self.call("/invocation/next").map_err(|problem| format!("{}: {problem}", of()))?;
        let time = next.at.duration_since(began);
        Ok((Instance { api: self, process, next }, time))
    }

    /// The next call, which must be this one.
    fn call(&self, path: &str) -> Result<Call, Failure> {
        let call =
            self.calls.recv_timeout(TIME_MAX).map_err(|_none| "the function doesn't call")?;
        if call.request.second_word().ends_with(path) {
            return Ok(call);
        }
        let (path, body) =
            (call.request.second_word(), String::from_utf8_lossy(&call.request.body));
        Err(format!("the function calls {path} and says {body}").into())
    }
}

/// Reads what comes by a connection.
fn hand_over(stream: &TcpStream, calls: &Sender<Call>) {
    stream.set_nodelay(true).ok();
    let mut reader = BufReader::new(stream);
    while let Ok(Some(request)) = Message::read(&mut reader) {
        let at = Instant::now();
        let Ok(stream) = stream.try_clone() else { return };
        if calls.send(Call { request, at, stream }).is_err() {
            return;
        }
    }
}

/// An instance that waits for an event. It ends when it is dropped.
pub(crate) struct Instance<'a> {
    api: &'a RuntimeApi,
    pub(crate) process: Process,
    next: Call,
}

impl Instance<'_> {
    /// What it has measured of the event that was answered first, by a metric's name. Waits until it tells.
    ///
    /// # Errors
    /// When it was not to tell, ends, or has measured no such thing.
    pub(crate) fn told(&mut self, metric: &str) -> Result<f64, Failure> {
        let line: Value = serde_json::from_str(&self.process.line()?)?;
        line[metric].as_f64().ok_or_else(|| format!("no {metric} in {line}").into())
    }

    /// The answer to an event, and how long it took.
    ///
    /// # Errors
    /// When the function fails.
    pub(crate) fn invoke(&mut self, event: &str) -> Result<(Vec<u8>, Duration), Failure> {
        let deadline = Clock::system().now().plus(TIME_MAX).0;
        let head = format!(
            "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
             Lambda-Runtime-Deadline-Ms: {deadline}\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:bench\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{event}",
            event.len()
        );
        let began = Instant::now();
        self.next.stream.write_all(head.as_bytes())?;
        let mut answer = self.api.call("/response")?;
        let time = answer.at.duration_since(began);
        answer.stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
        self.next = self.api.call("/invocation/next")?;
        Ok((answer.request.body, time))
    }
}
