//! From the command line to APIs with functions behind them.

use std::{collections::BTreeMap, error::Error, fs, net::SocketAddr, path::Path, sync::Arc};

use gateway::{Credentials, Direct, HttpApi, WebSocketApi};
use secrecy::ExposeSecret;
use shared::{clock::Clock, logging, settings::Lookup};
use template::Template;
use tokio_rustls::rustls::ServerConfig;
use tracing::Level;

use crate::{
    apis,
    bootstraps::{self, Bootstraps},
    certificate::Certificate,
    chat::{self, Chat, StartError},
    cli::{Cli, PushWay},
    database,
    demo::Demo,
    environment::{EnvVars, Environment},
    functions::Runner,
    invocation::InvocationLog,
    push,
    queues::{self, Queues},
    settings,
};

/// What the gateway is to serve.
pub struct Setup {
    /// The HTTP API, if there is one.
    pub http_api: Option<HttpApi>,
    /// The WebSocket APIs.
    pub websocket_apis: Vec<WebSocketApi>,
    /// The queues, if there are any.
    pub queues: Option<Queues>,
    /// What functions sign with when they call the management API or a queue.
    pub credentials: Credentials,
    /// What lets functions post without HTTP.
    pub direct: Direct,
    /// What makes the port take TLS, which only compiled functions need.
    pub tls: Option<Arc<ServerConfig>>,
    /// What runs the functions, to be shut down in the end.
    pub runner: Runner,
    /// Whether functions in this program post by the SDK.
    pub posts_by_sdk: bool,
    /// The chat's database, in words.
    pub database: Option<String>,
    /// What has become of the demo, if one was asked for.
    pub demo: Option<Demo>,
}

/// Sets up what `cli` asks for, to be served at `address`.
///
/// # Errors
/// When a setting, the template or a function is missing or bad, or the database cannot be used.
pub async fn set_up(cli: &Cli, address: SocketAddr) -> Result<Setup, Box<dyn Error>> {
    let environment = Lookup::environment();
    logging::start_with(&environment, InvocationLog::layer(&environment)?)?;
    let credentials = Credentials::from_environment(|name| environment.get(name));
    let direct = Direct::default();
    let place = Place { cli, address, credentials: &credentials, direct: &direct };
    let posts_by_sdk = place.posts_by_sdk(&environment);
    let Project { template, mut runner, database, demo, built_by } = match &cli.template.template {
        None => place.chat(environment).await?,
        Some(file) => place.project(file, environment)?,
    };
    for warning in &template.warnings {
        tracing::warn!("{warning}");
    }
    tracing::debug!(passed_over = ?template.passed_over, "what makes no difference here");
    let functions = runner.functions(&template).map_err(|error| match built_by {
        Some(command) => format!("{error}; those of this chat with `{command}`"),
        None => error.to_string(),
    })?;
    let account = cli.limits.limits().request_rate;
    let mut websocket_apis = apis::websocket_apis(&template, &functions, account)?;
    for api in &mut websocket_apis {
        api.serialize = cli.emulation.serialize;
    }
    Ok(Setup {
        queues: Queues::new(&template, &functions, address, cli.limits.queue_visibility_timeout),
        tls: runner.tls(),
        http_api: apis::http_api(&template, &functions, account)?,
        websocket_apis,
        credentials,
        direct,
        runner,
        posts_by_sdk,
        database,
        demo,
    })
}

/// What is behind the gateway.
struct Project {
    template: Template,
    runner: Runner,
    /// What makes its compiled functions, if that is known.
    built_by: Option<&'static str>,
    database: Option<String>,
    demo: Option<Demo>,
}

/// What both kinds of projects are set up with.
struct Place<'a> {
    cli: &'a Cli,
    address: SocketAddr,
    credentials: &'a Credentials,
    direct: &'a Direct,
}

impl Place<'_> {
    /// This chat: its settings have defaults, and its functions are part of this program unless compiled ones are given.
    async fn chat(&self, environment: Lookup) -> Result<Project, Box<dyn Error>> {
        let option = self.cli.database_url.as_ref().map(ExposeSecret::expose_secret);
        let database_url = settings::database_url(&environment, option);
        database::check(&database_url, self.cli.demo)?;
        let settings = settings::with_local_defaults(
            environment.clone(),
            database_url.clone(),
            self.address,
            self.credentials,
        )?;
        let mut template =
            self.read("infra/template.yaml", chat::TEMPLATE, chat::parameters(&settings))?;
        // They are about what this program does itself, or what only a stack in the cloud needs: the database and its
        // migration, the secret, the CDN. With --template they are told.
        template.warnings.clear();
        let dir = self.cli.functions.functions.as_deref();
        dir.map_or(Ok(()), check_folder)?;
        let of_demo = settings.clone();
        let runner = match dir {
            None => {
                let settings = queues::with_urls(settings, &template, self.address);
                Runner::InProcess(self.in_process(settings, &environment).await?)
            }
            Some(dir) => {
                chat::prepare_for_bootstraps(settings.clone()).await?;
                self.bootstraps(dir, settings::for_bootstraps(settings, environment)?)?
            }
        };
        let demo = if self.cli.demo { Some(chat::fill_with_demo(of_demo).await?) } else { None };
        Ok(Project {
            template,
            runner,
            built_by: Some(chat::build_command(database::sqlite_file(&database_url).is_some())),
            database: Some(database::describe(&database_url)),
            demo,
        })
    }

    /// Functions in this program post directly unless the command line says otherwise, or the setting
    /// `CONNECTIONS_ENDPOINT` names a gateway that may be another one.
    fn posts_by_sdk(&self, environment: &Lookup) -> bool {
        self.cli.push == PushWay::Sdk || environment.get("CONNECTIONS_ENDPOINT").is_some()
    }

    /// The functions in this program.
    async fn in_process(&self, settings: Lookup, environment: &Lookup) -> Result<Chat, StartError> {
        let direct = self.direct.clone();
        if self.posts_by_sdk(environment) {
            let authority = settings::reachable(self.address).to_string();
            let posting = |settings| push::by_sdk(settings, direct, &authority);
            return Chat::start(settings, Clock::system(), posting).await;
        }
        let settings = settings::for_direct_push(settings);
        let posting = |settings| push::directly(settings, direct);
        Chat::start(settings, Clock::system(), posting).await
    }

    /// Any other project: nothing of the chat is in it.
    fn project(&self, file: &Path, environment: Lookup) -> Result<Project, Box<dyn Error>> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file)
            .map_err(|error| format!("--template {name}: {error}; it takes a SAM template"))?;
        let parameters = self.cli.template.parameter.iter();
        let parameters = parameters
            .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
            .collect();
        let template = self.read(&name, &text, parameters)?;
        let dir = self.cli.functions.functions.as_deref();
        let dir =
            dir.ok_or("--template needs --functions DIR, the folder of the compiled functions")?;
        check_folder(dir)?;
        let runner = self.bootstraps(dir, environment)?;
        Ok(Project { template, runner, built_by: None, database: None, demo: None })
    }

    fn read(
        &self,
        name: &str,
        text: &str,
        parameters: BTreeMap<String, String>,
    ) -> Result<Template, Box<dyn Error>> {
        let region = self.credentials.region.clone();
        let options = template::Options { parameters, region, ..template::Options::default() };
        let template =
            template::read(text, &options).map_err(|error| format!("{name}: {error}"))?;
        check_faults(self.cli, &template)?;
        Ok(template)
    }

    fn bootstraps(&self, dir: &Path, settings: Lookup) -> Result<Runner, Box<dyn Error>> {
        let Cli { functions, limits, template, host, .. } = self.cli;
        let options = bootstraps::Options {
            dir: dir.to_owned(),
            concurrency_max: functions.concurrency as usize,
            init_timeout: functions.init_timeout,
            idle_time_max: functions.instance_idle_time,
            freeze: !functions.no_freeze,
            payload_bytes_max: limits.payload_bytes,
        };
        if self.address.ip().is_unspecified() {
            tracing::warn!(
                "functions reach @connections by the host that a client asked for, and the certificate is for \
                 localhost only: clients that ask for another need CONNECTIONS_ENDPOINT"
            );
        }
        let env_vars = template.env_vars.as_deref().map(EnvVars::read).transpose()?;
        let reachable = settings::reachable(self.address);
        let environment = Environment {
            env_vars: env_vars.unwrap_or_default(),
            settings,
            credentials: self.credentials.clone(),
            certificate: Certificate::generate(&[host, &reachable.ip().to_string()])?,
            authority: reachable.to_string(),
            // The telling costs processor time with each event. Whoever measures wants neither that nor a log.
            asks_for_statements: template.template.is_none() && tracing::enabled!(Level::INFO),
        };
        Ok(Runner::Bootstraps(Bootstraps::new(options), Box::new(environment)))
    }
}

fn check_folder(dir: &Path) -> Result<(), Box<dyn Error>> {
    if dir.is_dir() {
        return Ok(());
    }
    let dir = dir.display();
    Err(format!("--functions {dir}: no such folder; it takes one that has NAME/bootstrap").into())
}

/// A fault of a function that is not there would never happen.
fn check_faults(cli: &Cli, template: &Template) -> Result<(), Box<dyn Error>> {
    let faults = cli.emulation.faults()?;
    let is_there = |name: &&str| template.functions.iter().any(|function| function.name == **name);
    match faults.functions().find(|name| !is_there(name)) {
        None => Ok(()),
        Some(name) => {
            let names: Vec<&str> =
                template.functions.iter().map(|function| function.name.as_str()).collect();
            Err(format!("--fault: there is no function {name:?}; there are {}", names.join(", "))
                .into())
        }
    }
}
