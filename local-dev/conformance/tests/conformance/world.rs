//! The templates, running on this machine. All that depends on how a gateway is put together is here.

use std::{collections::HashMap, fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use conformance::{Target, fixture::Fixture};
use gateway::{
    Assumptions, Authorizer, Cors, Credentials, Faults, Function, FunctionError, Gateway, HttpApi,
    HttpRoute, Invocation, Limits, Rate, RouteKey, Throttle, WebSocketApi, WebSocketRoute,
    server::{Bound, Server},
};
use lambda::{Account, Config, InvokeError};
use serde_json::Value;
use template::{Options, Template, Throttling, Variable};
use tokio::time::timeout;

use crate::support;

/// How functions are run.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Functions {
    /// Inside of this program.
    InProcess,
    /// As Lambda does.
    Bootstraps,
}

/// The gateways that together are what the probes expect.
pub(crate) struct World {
    pub(crate) target: Target,
    servers: Vec<Server>,
    bootstraps: Vec<lambda::Function>,
    /// Removed when nobody runs what is in it any more.
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start(functions: Functions) -> Self {
        Self::start_with(functions, &Assumptions::default(), Faults::default()).await
    }

    pub(crate) async fn start_with(
        functions: Functions,
        assumptions: &Assumptions,
        faults: Faults,
    ) -> Self {
        let mut world = Self::empty(functions == Functions::Bootstraps);
        let template = read("template.yaml");
        let bound = Bound::to("127.0.0.1", 0).await.unwrap();
        let address = bound.address();
        let functions_of = |world: &mut Self, template: &Template| match functions {
            Functions::InProcess => in_process(template, address),
            Functions::Bootstraps => world.bootstraps(template, address),
        };
        let functions = functions_of(&mut world, &template);
        world.serve(
            bound,
            Gateway {
                http_api: http_api(&template, &functions),
                websocket_apis: websocket_apis(&template, &functions),
                limits: unlimited(),
                credentials: Some(Credentials::default()),
                assumptions: assumptions.clone(),
                faults,
                ..Gateway::default()
            },
        );
        world.target.place(address);
        let template = read("named-stage.yaml");
        let functions = functions_of(&mut world, &template);
        let bound = Bound::to("127.0.0.1", 0).await.unwrap();
        world.target.http_named = Some(format!("http://{}/v1", bound.address()).parse().unwrap());
        let http_api = http_api(&template, &functions);
        world.serve(bound, Gateway { http_api, limits: unlimited(), ..Gateway::default() });
        world
    }

    /// One whose sockets end soon. Only functions inside of this program are sure to be in time.
    pub(crate) async fn start_with_short_times() -> Self {
        let mut world = Self::empty(false);
        let limits = Limits {
            idle_timeout: Duration::from_secs(2),
            max_duration: Duration::from_secs(6),
            ..unlimited()
        };
        world.target.idle_timeout = Some(limits.idle_timeout);
        world.target.max_duration = Some(limits.max_duration);
        let template = read("template.yaml");
        let bound = Bound::to("127.0.0.1", 0).await.unwrap();
        world.target.place(bound.address());
        let functions = in_process(&template, bound.address());
        let websocket_apis = websocket_apis(&template, &functions);
        world.serve(bound, Gateway { websocket_apis, limits, ..Gateway::default() });
        world
    }

    fn empty(has_processes: bool) -> Self {
        let target = Target { has_processes, ..support::target() };
        let dir = support::functions_dir();
        Self { target, servers: Vec::new(), bootstraps: Vec::new(), dir }
    }

    fn serve(&mut self, bound: Bound, gateway: Gateway) {
        self.servers.push(bound.serve(gateway));
    }

    /// The functions of a template, as Lambda runs them.
    fn bootstraps(
        &mut self,
        template: &Template,
        address: SocketAddr,
    ) -> HashMap<String, Function> {
        let account = Account::new(1000);
        let functions = template.functions.iter().map(|function| {
            if function.reserved_concurrency == Some(0) {
                return (function.logical_id.clone(), never(&function.name));
            }
            let path = self.dir.path().join(&function.binary).join("bootstrap");
            let mut config = Config::new(&function.name, path);
            config.environment = environment(function, address);
            config.memory_mb = function.memory_mb;
            config.concurrency_max = function.reserved_concurrency.map_or(1000, |n| n as usize);
            config.timeout = Duration::from_secs(function.timeout_secs.into());
            let log = Arc::new(|_record: &lambda::Record<'_>| {});
            let bootstrap = lambda::Function::new(config, account.clone(), log).unwrap();
            self.bootstraps.push(bootstrap.clone());
            let function_of_gateway = Function::new(&function.name, move |invocation| {
                let bootstrap = bootstrap.clone();
                async move { invoke(&bootstrap, invocation).await }
            });
            (function.logical_id.clone(), function_of_gateway)
        });
        functions.collect()
    }

    pub(crate) async fn stop(self) {
        for server in self.servers {
            server.shutdown().await;
        }
        for bootstrap in self.bootstraps {
            bootstrap.shutdown().await;
        }
    }
}

/// Many more connections than anybody opens in a second.
fn unlimited() -> Limits {
    Limits { connection_rate: None, request_rate: None, ..Limits::default() }
}

fn read(file: &str) -> Template {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let yaml = fs::read_to_string(path).unwrap();
    template::read(&yaml, &Options::default()).unwrap_or_else(|error| panic!("{file}: {error:?}"))
}

/// A function's environment: the template's, and what AWS's clients look for.
fn environment(function: &template::Function, address: SocketAddr) -> Vec<(String, String)> {
    let Credentials { access_key_id, secret_access_key, region, .. } = Credentials::default();
    let secret = secrecy::ExposeSecret::expose_secret(&secret_access_key).to_owned();
    let own = function.environment.iter().map(|(name, variable)| {
        let value = match variable {
            Variable::Known(value) => value.clone(),
            Variable::Endpoint { path, .. } => format!("http://{address}{path}"),
            Variable::QueueUrl { queue, .. } => panic!("{name} is the URL of {queue}"),
            Variable::Unknown { expression, .. } => panic!("{name} is {expression}"),
        };
        (name.clone(), value)
    });
    let clients = [
        ("AWS_REGION", region),
        ("AWS_ACCESS_KEY_ID", access_key_id),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ];
    own.chain(clients.map(|(name, value)| (name.to_owned(), value))).collect()
}

/// The functions of a template inside of this program.
fn in_process(template: &Template, address: SocketAddr) -> HashMap<String, Function> {
    let functions = template.functions.iter().map(|function| {
        if function.reserved_concurrency == Some(0) {
            return (function.logical_id.clone(), never(&function.name));
        }
        let environment: HashMap<_, _> = environment(function, address).into_iter().collect();
        let fixture = Fixture::new(Arc::new(move |name| environment.get(name).cloned()), false);
        let time_max = Duration::from_secs(function.timeout_secs.into());
        let function_of_gateway = Function::new(&function.name, move |invocation| {
            let fixture = fixture.clone();
            async move {
                let handled = timeout(time_max, handle(&fixture, invocation)).await;
                handled.unwrap_or_else(|_elapsed| Err(failed("Sandbox.Timeout", "timed out")))
            }
        });
        (function.logical_id.clone(), function_of_gateway)
    });
    functions.collect()
}

/// A function that Lambda never runs.
fn never(name: &str) -> Function {
    Function::new(name, async |_invocation| Err(FunctionError::Throttled))
}

async fn handle(fixture: &Fixture, invocation: Invocation) -> Result<Bytes, FunctionError> {
    let event = serde_json::from_slice(&invocation.event).unwrap();
    match fixture.handle(event, Value::Null).await {
        Ok(answer) => Ok(answer.to_string().into()),
        Err(failure) => Err(failed(failure.error_type, failure.message)),
    }
}

async fn invoke(
    function: &lambda::Function,
    invocation: Invocation,
) -> Result<Bytes, FunctionError> {
    let Invocation { id: request_id, event, .. } = invocation;
    let invocation = lambda::Invocation { request_id, event, trace_id: None };
    function.invoke(invocation).await.result.map_err(|error| match error {
        InvokeError::Function(error) => failed(&error.error_type, &error.message),
        InvokeError::Throttled => FunctionError::Throttled,
        error => failed("Runtime.Unknown", &error.to_string()),
    })
}

fn failed(error_type: &str, message: &str) -> FunctionError {
    FunctionError::Failed { error_type: error_type.to_owned(), message: message.to_owned() }
}

fn http_api(template: &Template, functions: &HashMap<String, Function>) -> Option<HttpApi> {
    let api = template.http_api.as_ref()?;
    let routes = api.routes.iter().map(|route| HttpRoute {
        key: RouteKey::parse(&route.to_string()).unwrap(),
        function: functions[&route.function].clone(),
        timeout: route.timeout,
        throttle: throttle(route.throttling),
    });
    let built = HttpApi::new(&api.stage, routes.collect()).unwrap().with_id(&api.api_id);
    let built = built.with_stage_variables(api.stage_variables.iter().cloned().collect());
    let Some(cors) = &api.cors else { return Some(built) };
    let values = |texts: &[String]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let cors = Cors {
        allow_origins: values(&cors.allow_origins),
        allow_methods: values(&cors.allow_methods),
        allow_headers: values(&cors.allow_headers),
        expose_headers: values(&cors.expose_headers),
        max_age: cors.max_age_secs.map(|secs| Duration::from_secs(secs.into())),
        allow_credentials: cors.allow_credentials,
    };
    Some(built.with_cors(cors).unwrap())
}

/// What a route of its own lets through; the template says all of it or nothing.
fn throttle(throttling: Throttling) -> Throttle {
    let rate = throttling.rate.zip(throttling.burst);
    Throttle::new(rate.map(|(per_second, burst)| Rate { per_second, burst }))
}

fn websocket_apis(template: &Template, functions: &HashMap<String, Function>) -> Vec<WebSocketApi> {
    let route = |route: &template::WebSocketRoute| WebSocketRoute {
        key: route.key.clone(),
        function: functions[&route.function].clone(),
        two_way: route.two_way,
        timeout: route.timeout,
        throttle: throttle(route.throttling),
    };
    let authorizer = |authorizer: &template::Authorizer| Authorizer {
        name: authorizer.name.clone(),
        function: functions[&authorizer.function].clone(),
        identity_sources: authorizer
            .identity_sources
            .iter()
            .map(|source| source.to_string().parse().unwrap())
            .collect(),
    };
    let apis = template.websocket_apis.iter().map(|api| WebSocketApi {
        id: api.api_id.clone(),
        stage: api.stage.clone(),
        routes: api.routes.iter().map(route).collect(),
        route_selection: api.route_selection_expression.parse().unwrap(),
        authorizer: api.authorizer.as_ref().map(authorizer),
        stage_variables: api.stage_variables.iter().cloned().collect(),
        ..WebSocketApi::default()
    });
    apis.collect()
}
