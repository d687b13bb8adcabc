//! An emulation of API Gateway: an HTTP API, WebSocket APIs and their management API, on one port.
//!
//! It knows functions only through their JSON: an event in, a response out. The events, the answers and the limits are
//! API Gateway's own; what nobody has published or observed is a row of the table in [`assumptions`]. What the APIs share
//! is in `request`, `body`, `function`, `proxy_response`, `throttle` and `identifier`; a WebSocket connection is handed from
//! `websocket_api` (the handshake) to `lifetime` (from `$connect` to `$disconnect`) to `socket` (frames).
//! [`server`] takes the port, or says by `port_holder` who has it, and `http1` serves it, over what `transport` makes of a TCP
//! connection.
//! `queues` are somebody else's, on the same port.
//! What happens is remembered in `journal` and shown by `inspector`, without the secrets that `redaction` finds; `refusal` has
//! what is said of all that is refused, `usage` how near to the limits anything comes.

pub mod assumptions;
mod authorizer;
mod body;
mod connection;
mod connections_api;
mod cors;
mod courier;
mod direct;
mod ended;
mod ending;
pub mod faults;
mod frame_stream;
mod frame_watch;
mod function;
mod http1;
mod http_api;
mod http_event;
mod http_route;
mod identifier;
mod inspector;
mod journal;
mod lifetime;
mod limits;
mod lock;
mod message;
mod outbox;
mod outgoing;
mod policy;
mod port_holder;
mod proxy_response;
mod queues;
mod redaction;
mod refusal;
mod request;
mod route_selection;
pub mod server;
mod signature;
mod socket;
mod throttle;
mod timestamp;
mod transport;
mod usage;
mod websocket_api;
mod websocket_event;

use std::{fmt::Display, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE},
};
use serde_json::json;
use tokio::time::timeout;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;

pub use self::{
    assumptions::Assumptions,
    authorizer::{Authorizer, IdentitySource, IdentitySourceError},
    cors::{Cors, CorsError},
    direct::{Answer, Direct},
    ended::{Ended, Watcher},
    faults::{Fault, Faults},
    function::{Function, FunctionError, Invocation, InvokeError, Invoker},
    http_api::{HttpApi, HttpApiError, HttpRoute},
    http_route::{RouteKey, RouteKeyError},
    journal::{Entry, Start, WeakEntry},
    limits::{Limits, Rate},
    queues::{Queue, Queues},
    route_selection::{RouteSelection, RouteSelectionError},
    signature::Credentials,
    throttle::Throttle,
    websocket_api::{WebSocketApi, WebSocketRoute},
};
use self::{
    connection::Connections, courier::Courier, faults::FaultSwitch, identifier::Identifier,
    journal::Journal, refusal::Refusal, request::Peer, usage::Peaks,
};

/// What a gateway consists of. By default it has no API and AWS's limits.
#[derive(Default)]
pub struct Gateway {
    /// The HTTP API.
    pub http_api: Option<HttpApi>,
    /// The WebSocket APIs, each at a stage of its own.
    pub websocket_apis: Vec<WebSocketApi>,
    /// Answers what is neither at a stage nor begins as a route of the HTTP API does: in the cloud, other hosts would.
    /// Without it, the HTTP API answers that, too, or if there is none, a WebSocket API does: not found, and forbidden.
    pub fallback: Option<Router>,
    /// What it allows.
    pub limits: Limits,
    /// What it takes for granted.
    pub assumptions: Assumptions,
    /// What goes wrong, to begin with.
    pub faults: Faults,
    /// Queues beside the APIs.
    pub queues: Option<Arc<dyn Queues>>,
    /// What requests to the management API, and calls to the queues, must be signed with. By default, signatures are not checked.
    pub credentials: Option<Credentials>,
    /// What lets functions in this program post to connections without HTTP.
    pub direct: Direct,
    /// What hears of each invocation that has ended. Without it, the log does.
    pub watcher: Option<Watcher>,
    /// With it, the port takes TLS, too: a function that takes the management API's address from its event calls
    /// `https://…`, which is what it is on AWS.
    pub tls: Option<Arc<ServerConfig>>,
}

/// A gateway with its connections and with the functions that it has running.
pub(crate) struct RunningGateway {
    http_api: Option<HttpApi>,
    websocket_apis: Vec<Arc<WebSocketApi>>,
    fallback: Option<Router>,
    limits: Limits,
    assumptions: Assumptions,
    faults: Arc<FaultSwitch>,
    queues: Option<Arc<dyn Queues>>,
    credentials: Option<Credentials>,
    journal: Arc<Journal>,
    invoker: Invoker,
    connections: Connections,
    courier: Courier,
    new_connections: Throttle,
    requests: Throttle,
    /// How near to the limits anything has come.
    peaks: Arc<Peaks>,
    /// Every invocation, and every connection's life.
    tasks: TaskTracker,
    /// Cancelled when the gateway is about to end.
    closing: CancellationToken,
}

impl RunningGateway {
    pub(crate) fn new(gateway: Gateway) -> Arc<Self> {
        let Gateway {
            http_api,
            websocket_apis,
            fallback,
            limits,
            assumptions,
            faults,
            queues,
            credentials,
            direct,
            watcher,
            tls: _,
        } = gateway;
        let tasks = TaskTracker::new();
        let faults = Arc::new(FaultSwitch::new(faults));
        let journal = Arc::new(Journal::new());
        let peaks = Arc::new(Peaks::default());
        let invoker = Invoker {
            payload_bytes_max: limits.payload_bytes_max,
            faults: Arc::clone(&faults),
            journal: Arc::clone(&journal),
            watcher,
            peaks: Arc::clone(&peaks),
            tasks: tasks.clone(),
        };
        let gateway = Arc::new(Self {
            http_api,
            websocket_apis: websocket_apis.into_iter().map(Arc::new).collect(),
            fallback,
            limits,
            assumptions,
            faults,
            queues,
            credentials,
            journal,
            invoker,
            connections: Connections::default(),
            courier: Courier::default(),
            new_connections: Throttle::new(limits.connection_rate),
            requests: Throttle::new(limits.request_rate),
            peaks,
            tasks,
            closing: CancellationToken::new(),
        });
        direct.begin(&gateway);
        gateway
    }

    pub(crate) fn router(self: &Arc<Self>) -> Router {
        inspector::router().fallback(dispatch).with_state(Arc::clone(self))
    }

    /// Notes that something was refused, for the inspector. If that was on account of an invocation, `request_id` is the id of
    /// the request that caused it.
    pub(crate) fn refuse(
        &self,
        refusal: Refusal,
        subject: impl Display,
        request_id: Option<Identifier>,
    ) {
        self.journal.refuse(refusal, subject, request_id);
    }

    /// The region that the gateway is in.
    pub(crate) fn region(&self) -> &str {
        let credentials = self.credentials.as_ref();
        credentials.map_or(Credentials::DEFAULT_REGION, |credentials| &credentials.region)
    }

    /// The WebSocket API at the stage that a path begins with, and what follows the stage.
    fn websocket_api<'a>(&self, path: &'a str) -> Option<(&Arc<WebSocketApi>, &'a str)> {
        let path = path.strip_prefix('/')?;
        let stage = path.split('/').next()?;
        let api = self.websocket_apis.iter().find(|api| api.stage == stage)?;
        Some((api, &path[stage.len()..]))
    }

    /// Closes every socket with 1001 and waits at most `time_max` until each has had its `$disconnect` and all other
    /// invocations have ended. No new socket opens from now on.
    pub(crate) async fn close(&self, time_max: Duration) {
        self.closing.cancel();
        self.tasks.close();
        if timeout(time_max, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                running = self.tasks.len(),
                "gave up on functions that are still running"
            );
        }
    }
}

/// Takes a request to what answers it. In the cloud, each API has a host of its own; here, a path tells them apart.
async fn dispatch(
    State(gateway): State<Arc<RunningGateway>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response<Body> {
    let path = request.uri().path();
    if !path.starts_with('/') || request.method() == Method::CONNECT {
        // There is nothing at the target of `OPTIONS *`, and no way through.
        return error_response(StatusCode::BAD_REQUEST);
    }
    if queues::is_meant(&gateway, &request) {
        return queues::answer(&gateway, request).await;
    }
    if let Some((api, below)) = gateway.websocket_api(path) {
        let api = Arc::clone(api);
        return match below {
            "" | "/" => websocket_api::upgrade(gateway, api, peer, request).await,
            _ => connections_api::answer(&gateway, &api, request).await,
        };
    }
    if !gateway.websocket_apis.is_empty() && connections_api::is_meant(path) {
        return connections_api::refuse_stage(&gateway, request);
    }
    if let Some(api) = gateway.http_api.as_ref().filter(|api| api.has(path)) {
        return http_api::answer(&gateway, api, peer, request).await;
    }
    if websocket_api::is_upgrade(request.headers()) {
        gateway.refuse(Refusal::UnknownStage, path, None);
        return error_response(gateway.assumptions.unknown_stage_status);
    }
    match (&gateway.fallback, &gateway.http_api) {
        (Some(fallback), _) => {
            let answer = fallback.clone().call(request).await;
            answer.unwrap_or_else(|never| match never {})
        }
        (None, Some(api)) => http_api::answer(&gateway, api, peer, request).await,
        (None, None) => connections_api::refuse_stage(&gateway, request),
    }
}

/// An answer of the gateway's own.
fn error_response(status: StatusCode) -> Response<Body> {
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        status => status.canonical_reason().unwrap_or_default(),
    };
    let mut response = Response::new(json!({ "message": message }).to_string().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
