//! The chat's functions, run inside of this process, and the routes that lead to them.
//!
//! A function is invoked as Lambda would: with the bytes of a JSON event, which the same code parses that parses it on
//! Lambda, and its answer is bytes of JSON again. What doesn't survive that journey here doesn't survive it there.

use std::{error::Error, sync::Arc, time::Duration};

use axum::http::HeaderValue;
use bytes::Bytes;
use lambda_http::{
    Adapter, Context, LambdaEvent, Service, lambda_runtime::Diagnostic, request::LambdaRequest,
    service_fn,
};
use serde::{Serialize, de::DeserializeOwned};
use shared::{
    clock::Clock,
    error::causes,
    lambda::{HttpFunction, WebSocketFunction, respond},
    logging,
    settings::{Lookup, SettingError, Settings},
    store::Store,
    websocket::{AllowedOrigins, Event},
};

use gateway::{Cors, Function, FunctionError, HttpApi, WebSocketApi};

/// Connections to the database, which all functions share.
const DATABASE_CONNECTIONS: u32 = 8;

/// Why the chat cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or bad.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The database is away, or refuses the schema.
    #[error("the database cannot be used: {0}; check DATABASE_URL")]
    Database(String),
}

/// The chat, ready to be put behind a gateway.
pub struct Chat {
    /// Accounts, sessions and history.
    pub http_api: HttpApi,
    /// The live messages.
    pub websocket_api: WebSocketApi,
    /// The database, to be closed in the end.
    pub store: Store,
}

/// Brings the database up to date and builds the chat's two APIs.
///
/// # Errors
/// When a setting is missing or bad, or the database cannot be used.
pub async fn start(lookup: Lookup, clock: Clock) -> Result<Chat, StartError> {
    logging::start(&lookup)?;
    let settings = Settings::new(lookup, clock, DATABASE_CONNECTIONS)?;
    let chat = Chat {
        http_api: http_api(&settings)?,
        websocket_api: websocket_api(&settings)?,
        store: settings.store(),
    };
    let migrated = migrate::Migrate::new(&settings).handle().await;
    let migrated = migrated.map_err(|error| {
        StartError::Database(error.source().map_or_else(|| error.to_string(), causes))
    })?;
    tracing::info!(steps_applied = migrated.steps_applied, "database is up to date");
    Ok(chat)
}

fn http_api(settings: &Settings) -> Result<HttpApi, SettingError> {
    let routes = [
        ("POST /auth/register", http::<register::Register>("register", settings)?),
        ("POST /auth/login", http::<login::Login>("login", settings)?),
        ("POST /auth/refresh", http::<refresh::Refresh>("refresh", settings)?),
        ("POST /auth/logout", http::<logout::Logout>("logout", settings)?),
        ("GET /auth/messages", http::<messages::Messages>("messages", settings)?),
    ];
    let cors = match settings.allowed_origins()? {
        AllowedOrigins::SameOrigin => None,
        AllowedOrigins::Listed(origins) => Some(cors(&origins)),
    };
    Ok(HttpApi {
        path_prefix: "/auth".to_owned(),
        routes: routes.map(|(route, function)| (route.to_owned(), function)).into(),
        cors,
    })
}

/// What a page on another origin needs of the HTTP API.
fn cors(origins: &[String]) -> Cors {
    let names = HeaderValue::from_static;
    Cors {
        allow_origins: origins.iter().filter_map(|origin| origin.parse().ok()).collect(),
        allow_methods: vec![names("GET"), names("POST")],
        allow_headers: vec![names("authorization"), names("content-type")],
        expose_headers: vec![names("link"), names("retry-after"), names("www-authenticate")],
        max_age: Some(Duration::from_mins(10)),
    }
}

fn websocket_api(settings: &Settings) -> Result<WebSocketApi, SettingError> {
    Ok(WebSocketApi {
        stage: "ws".to_owned(),
        connect: Some(websocket::<connect::Connect>("connect", settings)?),
        default: Some(websocket::<message::Message>("message", settings)?),
        disconnect: Some(websocket::<disconnect::Disconnect>("disconnect", settings)?),
    })
}

fn http<F: HttpFunction + 'static>(
    name: &str,
    settings: &Settings,
) -> Result<Function, SettingError> {
    let function = Arc::new(F::new(settings)?);
    Ok(Function::new(name, move |event| {
        let function = Arc::clone(&function);
        async move {
            let request: LambdaRequest = parse(&event)?;
            let event = LambdaEvent::new(request, Context::default());
            let mut adapter = Adapter::from(service_fn(|request| respond(&*function, request)));
            let response = adapter.call(event).await.unwrap_or_else(|never| match never {});
            serialize(&response)
        }
    }))
}

fn websocket<F: WebSocketFunction + 'static>(
    name: &str,
    settings: &Settings,
) -> Result<Function, SettingError> {
    let function = Arc::new(F::new(settings)?);
    Ok(Function::new(name, move |event| {
        let function = Arc::clone(&function);
        async move {
            let event: Event = parse(&event)?;
            match function.handle(event).await {
                Ok(answer) => serialize(&answer),
                Err(error) => {
                    error.log();
                    let Diagnostic { error_type, error_message } = error.into();
                    Err(FunctionError { error_type, message: error_message })
                }
            }
        }
    }))
}

fn parse<T: DeserializeOwned>(event: &[u8]) -> Result<T, FunctionError> {
    serde_json::from_slice(event).map_err(|error| FunctionError {
        error_type: "Runtime.UnmarshalError".to_owned(),
        message: error.to_string(),
    })
}

fn serialize(answer: &impl Serialize) -> Result<Bytes, FunctionError> {
    serde_json::to_vec(answer).map(Bytes::from).map_err(|error| FunctionError {
        error_type: "Runtime.MarshalError".to_owned(),
        message: error.to_string(),
    })
}
