//! From the command line to APIs with functions behind them.

use std::{error::Error, fs, net::SocketAddr, sync::Arc};

use gateway::{Credentials, HttpApi, WebSocketApi};
use shared::{clock::Clock, logging, settings::Lookup};
use template::Template;
use tokio_rustls::rustls::ServerConfig;

use crate::{
    apis,
    bootstraps::{self, Bootstraps},
    certificate::Certificate,
    chat::{self, Chat},
    cli::{Cli, TemplateOptions},
    environment::{EnvVars, Environment},
    functions::Runner,
    invocation::InvocationLog,
    settings,
};

/// What the gateway is to serve.
pub struct Setup {
    /// The HTTP API, if there is one.
    pub http_api: Option<HttpApi>,
    /// The WebSocket APIs.
    pub websocket_apis: Vec<WebSocketApi>,
    /// What functions sign with when they call the management API.
    pub credentials: Credentials,
    /// What makes the port take TLS, which only compiled functions need.
    pub tls: Option<Arc<ServerConfig>>,
    /// What runs the functions, to be shut down in the end.
    pub runner: Runner,
}

/// Sets up what `cli` asks for, to be served at `address`.
///
/// # Errors
/// When a setting, the template or a function is missing or bad, or the database cannot be used.
pub async fn set_up(cli: &Cli, address: SocketAddr) -> Result<Setup, Box<dyn Error>> {
    let environment = Lookup::environment();
    logging::start_with(&environment, InvocationLog)?;
    let credentials = Credentials::from_environment(|name| environment.get(name));
    let settings = settings::with_local_defaults(
        environment.clone(),
        cli.database_url.as_deref(),
        address,
        &credentials,
    )?;
    let template = read_template(&cli.template, &settings, &credentials)?;
    for warning in &template.warnings {
        tracing::warn!("{warning}");
    }
    let mut runner = match &cli.functions.functions {
        None => Runner::InProcess(Chat::start(settings, Clock::system()).await?),
        Some(dir) => {
            if template.functions.iter().any(|function| function.binary == chat::MIGRATE) {
                chat::prepare_for_bootstraps(settings.clone()).await?;
            }
            let options = bootstraps::Options {
                dir: dir.clone(),
                concurrency_max: cli.functions.concurrency as usize,
                init_timeout: cli.functions.init_timeout,
                idle_time_max: cli.functions.instance_idle_time,
                freeze: !cli.functions.no_freeze,
                payload_bytes_max: cli.limits.payload_bytes,
            };
            let env_vars = cli.template.env_vars.as_deref().map(EnvVars::read).transpose()?;
            let reachable = settings::reachable(address);
            let environment = Environment {
                env_vars: env_vars.unwrap_or_default(),
                settings: settings::for_bootstraps(settings, environment)?,
                credentials: credentials.clone(),
                certificate: Certificate::generate(&cli.host)?,
                authority: reachable.to_string(),
            };
            Runner::Bootstraps(Bootstraps::new(options), Box::new(environment))
        }
    };
    let functions = runner.functions(&template)?;
    Ok(Setup {
        tls: runner.tls(),
        http_api: apis::http_api(&template, &functions)?,
        websocket_apis: apis::websocket_apis(&template, &functions)?,
        credentials,
        runner,
    })
}

/// The template that is asked for, or the chat's.
fn read_template(
    options: &TemplateOptions,
    settings: &Lookup,
    credentials: &Credentials,
) -> Result<Template, Box<dyn Error>> {
    let (name, text) = match &options.template {
        None => ("infra/template.yaml".to_owned(), chat::TEMPLATE.to_owned()),
        Some(file) => {
            let name = file.display().to_string();
            let text = fs::read_to_string(file)
                .map_err(|error| format!("--template {name}: {error}; it takes a SAM template"))?;
            (name, text)
        }
    };
    let options = template::Options {
        parameters: options.parameter.iter().cloned().collect(),
        settings: chat::parameters(settings),
        region: credentials.region.clone(),
        ..template::Options::default()
    };
    template::read(&text, &options).map_err(|error| format!("{name}: {error}").into())
}
