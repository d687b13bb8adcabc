//! The two kinds of function, and how each is handed to the Lambda runtime.
//!
//! A function is a value that is built once from [`Settings`], taking only the parts it needs, and then asked to handle
//! one event after the other. What runs it, AWS or local-dev, it doesn't know.

use std::convert::Infallible;

use lambda_http::{
    Body, LambdaEvent, Request, Response,
    http::{HeaderValue, header::X_CONTENT_TYPE_OPTIONS},
    lambda_runtime, service_fn,
};

use crate::{
    clock::Clock,
    error::Result,
    logging,
    settings::{Lookup, SettingError, Settings},
    websocket::{Answer, Event},
};

pub use lambda_http::Error;

/// Connections to the database in one Lambda instance, which handles one event at a time.
const DATABASE_CONNECTIONS: u32 = 1;

/// A function behind a route of the HTTP API.
pub trait HttpFunction: Sized + Send + Sync {
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
    let mut response = function.handle(request).await.unwrap_or_else(|error| {
        error.log();
        error.into_response()
    });
    // No browser may take an answer for anything but what its type says.
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Runs a function of the HTTP API on Lambda until the instance ends.
///
/// # Errors
/// When a setting is bad, or the runtime fails.
pub async fn run_http<F: HttpFunction>() -> Result<(), Error> {
    let function = F::new(&start()?)?;
    lambda_http::run(service_fn(|request| respond(&function, request))).await
}

/// Runs a function of the WebSocket API on Lambda until the instance ends.
///
/// # Errors
/// When a setting is bad, or the runtime fails.
pub async fn run_websocket<F: WebSocketFunction>() -> Result<(), Error> {
    let function = F::new(&start()?)?;
    let function = &function;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Event>| async move {
        function.handle(event.payload).await.inspect_err(crate::Error::log)
    }))
    .await
}

/// Reads settings and starts the log.
///
/// # Errors
/// When a setting that every function needs is missing or bad.
pub fn start() -> Result<Settings, SettingError> {
    let lookup = Lookup::environment();
    logging::start(&lookup)?;
    Settings::new(lookup, Clock::system(), DATABASE_CONNECTIONS)
}
