//! The two kinds of function, and how each is handed to the Lambda runtime.
//!
//! A function is a value that is built once from [`Settings`], taking only the parts it needs, and then asked to handle
//! one event after the other. What runs it, AWS or local-dev, it doesn't know.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use lambda_http::{
    Adapter, Body, Request, Response,
    http::{HeaderValue, header::X_CONTENT_TYPE_OPTIONS},
    lambda_runtime::{LambdaInvocation, Runtime},
    service_fn,
    tower::{Layer, Service},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    clock::Clock,
    error::Result,
    http,
    invocation::{self, Scoped, Watch},
    logging,
    settings::{Lookup, SettingError, Settings},
    store::Store,
    websocket::{self, Answer, Event},
};

pub use lambda_http::{Error, LambdaEvent};

/// Connections to the database in one Lambda instance, which handles one event at a time.
const DATABASE_CONNECTIONS: u32 = 1;

/// The longest that Lambda lets an event take. Source: AWS Lambda developer guide, "Lambda quotas".
const INVOCATION_TIME_MAX: Duration = Duration::from_mins(15);

/// A function behind a route of the HTTP API.
pub trait HttpFunction: Sized + Send + Sync {
    /// What it is called in the log and in metrics: the name of its crate.
    const NAME: &str;

    /// Takes what the function needs.
    ///
    /// # Errors
    /// When a setting is missing or bad.
    fn new(settings: &Settings) -> Result<Self, SettingError>;

    /// Answers a request.
    fn handle(&self, request: Request) -> impl Future<Output = Result<Response<Body>>> + Send;
}

/// A function behind a route of the WebSocket API.
pub trait WebSocketFunction: Sized + Send + Sync {
    /// What it is called in the log and in metrics: the name of its crate.
    const NAME: &str;

    /// Takes what the function needs.
    ///
    /// # Errors
    /// When a setting is missing or bad.
    fn new(settings: &Settings) -> Result<Self, SettingError>;

    /// Handles an event. An error fails the invocation: API Gateway then refuses the handshake with 502, or sends its
    /// own error frame.
    fn handle(&self, event: Event) -> impl Future<Output = Result<Answer>> + Send;
}

/// Answers a request, errors included: the only place where an error becomes an answer, and is logged.
///
/// # Errors
/// None: what goes wrong is in the answer.
pub async fn respond(
    function: &impl HttpFunction,
    request: Request,
) -> Result<Response<Body>, Infallible> {
    invocation::came_by(http::api_request_id(&request), None);
    let mut response = function.handle(request).await.unwrap_or_else(|error| {
        error.log();
        error.into_response()
    });
    // No browser may take an answer for anything but what its type says.
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Handles an event of the WebSocket API, and logs what goes wrong.
///
/// # Errors
/// When the function fails.
pub async fn handle(function: &impl WebSocketFunction, event: Event) -> Result<Answer> {
    invocation::came_by(websocket::api_request_id(&event), websocket::connection_id(&event).ok());
    function.handle(event).await.inspect_err(crate::Error::log)
}

/// Runs a function of the HTTP API on Lambda until the instance ends.
///
/// # Errors
/// When a setting is bad, or the runtime fails.
pub async fn run_http<F: HttpFunction>() -> Result<(), Error> {
    let settings = start()?;
    let function = F::new(&settings)?;
    let service = Adapter::from(service_fn(|request| respond(&function, request)));
    Runtime::new(service).layer(Watched::new(F::NAME, &settings)?).run().await
}

/// Runs a function of the WebSocket API on Lambda until the instance ends.
///
/// # Errors
/// When a setting is bad, or the runtime fails.
pub async fn run_websocket<F: WebSocketFunction>() -> Result<(), Error> {
    let settings = start()?;
    let function = F::new(&settings)?;
    run(F::NAME, &settings, |event| handle(&function, event.payload)).await
}

/// Runs `handler`, the function called `name`, on Lambda until the instance ends.
///
/// # Errors
/// When a setting is bad, or the runtime fails.
pub async fn run<E, A, F>(
    name: &'static str,
    settings: &Settings,
    handler: impl Fn(LambdaEvent<E>) -> F,
) -> Result<(), Error>
where
    E: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A>>,
{
    // As a `dyn`, or the compiler makes one function of the runtime's loop and the whole handler, and a start touches all of its
    // stack, 25 KB, before there is an event.
    let handle = |event| -> Pin<Box<dyn Future<Output = _> + '_>> { Box::pin(handler(event)) };
    Runtime::new(service_fn(handle)).layer(Watched::new(name, settings)?).run().await
}

/// Reads settings and starts the log.
///
/// # Errors
/// When a setting that every function needs is missing or bad.
pub fn start() -> Result<Settings, SettingError> {
    let lookup = Lookup::environment();
    logging::start(&lookup)?;
    logging::log_panics();
    Settings::new(lookup, Clock::system(), DATABASE_CONNECTIONS)
}

/// What is around a handler and the runtime's own work for it: lets the log know of each event, opens a connection to the
/// database while the first one is being read, and tells what was measured.
struct Watched {
    watch: Arc<Watch>,
    store: Store,
}

impl Watched {
    fn new(name: &'static str, settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self { watch: settings.watch(name)?.into(), store: settings.store() })
    }
}

impl<S> Layer<S> for Watched {
    type Service = WatchedService<S>;

    fn layer(&self, inner: S) -> WatchedService<S> {
        let Self { watch, store } = self;
        WatchedService { inner, watch: Arc::clone(watch), unopened: Some(store.clone()) }
    }
}

struct WatchedService<S> {
    inner: S,
    watch: Arc<Watch>,
    /// The database, until the first event.
    unopened: Option<Store>,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for WatchedService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Scoped<Answering<S::Future>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, event: LambdaInvocation) -> Self::Future {
        let trace_header = event.context.xray_trace_id.as_deref();
        let invocation = self.watch.begin(&event.context.request_id, trace_header);
        let invocation = match time_for(&event.context) {
            Some(time) => invocation.with_time(time),
            None => invocation,
        };
        let opening = self.unopened.take().and_then(|store| {
            let mut opening: Opening = Box::pin(async move { store.open_connection().await });
            // Begun before the event is read, while which the server does its part. This poll leaves no waker; the next one, which
            // follows at once, does.
            let begun =
                invocation.enter(|| opening.as_mut().poll(&mut Context::from_waker(Waker::noop())));
            begun.is_pending().then_some(opening)
        });
        // The runtime reads the event here already.
        let handling = Box::pin(invocation.enter(|| self.inner.call(event)));
        invocation.scope(Answering { opening, handling, watch: Arc::clone(&self.watch) })
    }
}

type Opening = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long an event may take, by Lambda's deadline. `None` if the deadline can't be: it is told by another clock then.
fn time_for(context: &lambda_http::Context) -> Option<Duration> {
    let deadline = i64::try_from(context.deadline).ok()?;
    let left = deadline.checked_sub(Clock::system().now().0)?;
    let time = Duration::from_millis(u64::try_from(left).ok()?);
    (time <= INVOCATION_TIME_MAX).then_some(time)
}

/// The handling of an event, and what is told when it has been answered.
struct Answering<F> {
    /// The way to the database, which the handler's first statement waits for.
    opening: Option<Opening>,
    handling: Pin<Box<F>>,
    watch: Arc<Watch>,
}

impl<F: Future> Future for Answering<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(opening) = &mut self.opening
            && opening.as_mut().poll(context).is_ready()
        {
            self.opening = None;
        }
        let done = ready!(self.handling.as_mut().poll(context));
        self.watch.end();
        Poll::Ready(done)
    }
}
