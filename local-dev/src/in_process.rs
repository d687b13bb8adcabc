//! The chat's functions, run inside of this program.
//!
//! A function is invoked as Lambda would: with the bytes of a JSON event, which the same code parses that parses it on
//! Lambda, and its answer is bytes of JSON again. What doesn't survive that journey here doesn't survive it there.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use gateway::{Function, FunctionError, Invocation};
use lambda_http::{
    Adapter, Context, LambdaEvent, Service, lambda_runtime::Diagnostic, request::LambdaRequest,
    service_fn,
};
use serde::{Serialize, de::DeserializeOwned};
use shared::{
    lambda::{HttpFunction, WebSocketFunction, handle, respond},
    settings::{SettingError, Settings},
    websocket::Event,
};

use crate::invocation;

/// The functions by the names of their binaries, with the settings that each is given.
///
/// # Errors
/// When a setting is missing or bad.
pub(crate) fn functions(
    settings: SettingsOf<'_>,
) -> Result<HashMap<&'static str, Function>, SettingError> {
    Ok(HashMap::from([
        ("register", http::<register::Register>("register", settings)?),
        ("login", http::<login::Login>("login", settings)?),
        ("refresh", http::<refresh::Refresh>("refresh", settings)?),
        ("logout", http::<logout::Logout>("logout", settings)?),
        ("messages", http::<messages::Messages>("messages", settings)?),
        ("presence", http::<presence::Presence>("presence", settings)?),
        ("connect", websocket::<connect::Connect>("connect", settings)?),
        ("message", websocket::<message::Message>("message", settings)?),
        ("disconnect", websocket::<disconnect::Disconnect>("disconnect", settings)?),
        ("broadcast", broadcast(settings)?),
    ]))
}

/// The settings of the function of that name.
type SettingsOf<'a> = &'a dyn Fn(&str) -> Result<Settings, SettingError>;

fn http<F: HttpFunction + 'static>(
    name: &str,
    settings: SettingsOf<'_>,
) -> Result<Function, SettingError> {
    let function = Arc::new(F::new(&settings(name)?)?);
    Ok(handled_by(name, move |event| {
        let function = Arc::clone(&function);
        async move { handle_http(&*function, &event).await }
    }))
}

fn websocket<F: WebSocketFunction + 'static>(
    name: &str,
    settings: SettingsOf<'_>,
) -> Result<Function, SettingError> {
    let function = Arc::new(F::new(&settings(name)?)?);
    Ok(handled_by(name, move |event| {
        let function = Arc::clone(&function);
        async move { handle_websocket(&*function, &event).await }
    }))
}

fn broadcast(settings: SettingsOf<'_>) -> Result<Function, SettingError> {
    let function = Arc::new(broadcast::Broadcast::new(&settings("broadcast")?)?);
    Ok(handled_by("broadcast", move |event| {
        let function = Arc::clone(&function);
        async move { serialize(&function.handle(parse(&event)?).await) }
    }))
}

/// What a function of the HTTP API answers to the bytes of an event.
///
/// # Errors
/// When they are no event of such an API.
pub async fn handle_http(
    function: &impl HttpFunction,
    event: &[u8],
) -> Result<Bytes, FunctionError> {
    let request: LambdaRequest = parse(event)?;
    let event = LambdaEvent::new(request, Context::default());
    let mut adapter = Adapter::from(service_fn(|request| respond(function, request)));
    let response = adapter.call(event).await.unwrap_or_else(|never| match never {});
    serialize(&response)
}

/// What a function of the WebSocket API answers to the bytes of an event.
///
/// # Errors
/// When they are no event of such an API, or the function fails.
pub async fn handle_websocket(
    function: &impl WebSocketFunction,
    event: &[u8],
) -> Result<Bytes, FunctionError> {
    let event: Event = parse(event)?;
    match handle(function, event).await {
        Ok(answer) => serialize(&answer),
        Err(error) => {
            let Diagnostic { error_type, error_message } = error.into();
            Err(FunctionError::Failed { error_type, message: error_message })
        }
    }
}

/// A function called `name` whose events `handler` takes. What a handler leaves running when it has answered is reported.
pub fn handled_by<H, F>(name: &str, handler: H) -> Function
where
    H: Fn(Bytes) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Bytes, FunctionError>> + Send + 'static,
{
    // In the log it is called as on Lambda, whatever a template calls it.
    let own_name = name.to_owned();
    Function::new(name, move |Invocation { id, event, entry }| {
        let this = shared::invocation::Invocation::unmeasured(&own_name, &id);
        let handling = this.enter(|| handler(event));
        let handling = this.scope(handling);
        async move { invocation::run(&entry, handling).await }
    })
}

fn parse<T: DeserializeOwned>(event: &[u8]) -> Result<T, FunctionError> {
    serde_json::from_slice(event).map_err(|error| FunctionError::Failed {
        error_type: "Runtime.UnmarshalError".to_owned(),
        message: error.to_string(),
    })
}

fn serialize(answer: &impl Serialize) -> Result<Bytes, FunctionError> {
    serde_json::to_vec(answer).map(Bytes::from).map_err(|error| FunctionError::Failed {
        error_type: "Runtime.MarshalError".to_owned(),
        message: error.to_string(),
    })
}
