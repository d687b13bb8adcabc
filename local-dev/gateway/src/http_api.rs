//! The HTTP API: a request becomes an event, the function's response becomes the answer.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderName, HeaderValue, Response, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, SET_COOKIE},
        request::Parts,
    },
};
use bytes::Bytes;

use super::{
    RunningGateway,
    body::{self, BodyError},
    cors::{Cors, CorsError},
    error_response,
    function::{Function, InvokeError},
    http_event::Occasion,
    http_route::{PathParameters, RouteKey},
    identifier::Identifier,
    proxy_response::ProxyResponse,
    refusal::Refusal,
    request::{Caller, Peer, is_hop_by_hop},
    throttle::Throttle,
    timestamp::Timestamp,
};

/// An HTTP API with one stage.
pub struct HttpApi {
    id: String,
    stage: String,
    stage_variables: BTreeMap<String, String>,
    routes: Vec<HttpRoute>,
    cors: Option<Cors>,
}

/// A route of an HTTP API.
pub struct HttpRoute {
    /// What it matches.
    pub key: RouteKey,
    /// What answers.
    pub function: Function,
    /// How long it may take, if that is less than the gateway's limit.
    pub timeout: Option<Duration>,
    /// What it lets through, of which the account's rate may let through less.
    pub throttle: Throttle,
}

/// Why there is no such HTTP API.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpApiError {
    /// The stage has no proper name.
    #[error(
        "{0:?} is no stage: it is $default, or has 1 to 128 letters, digits, hyphens and underscores"
    )]
    Stage(String),
    /// Two routes match the same requests.
    #[error("the routes {0} and {1} match the same requests")]
    DuplicateRoute(String, String),
    /// Cross-origin requests cannot be answered like that.
    #[error(transparent)]
    Cors(#[from] CorsError),
}

impl HttpApi {
    /// The stage whose paths do not begin with its name.
    pub const DEFAULT_STAGE: &str = "$default";

    /// An API at a stage, `$default` or the first segment of its paths, without variables and without CORS.
    ///
    /// # Errors
    /// When the stage has no proper name, or two routes match the same requests.
    pub fn new(stage: &str, routes: Vec<HttpRoute>) -> Result<Self, HttpApiError> {
        let may_be_in_name =
            |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
        let is_name = (1..=128).contains(&stage.len()) && stage.chars().all(may_be_in_name);
        if stage != Self::DEFAULT_STAGE && !is_name {
            return Err(HttpApiError::Stage(stage.to_owned()));
        }
        for (index, route) in routes.iter().enumerate() {
            let same = routes[..index].iter().find(|before| before.key.is_same_route(&route.key));
            if let Some(same) = same {
                return Err(HttpApiError::DuplicateRoute(
                    same.key.to_string(),
                    route.key.to_string(),
                ));
            }
        }
        Ok(Self {
            id: "httpapi000".to_owned(),
            stage: stage.to_owned(),
            stage_variables: BTreeMap::new(),
            routes,
            cors: None,
        })
    }

    /// Gives the API an id, which events carry as `apiId`.
    #[must_use]
    pub fn with_id(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    /// Gives the stage variables, which events carry.
    #[must_use]
    pub fn with_stage_variables(self, stage_variables: BTreeMap<String, String>) -> Self {
        Self { stage_variables, ..self }
    }

    /// Lets the API itself answer for cross-origin requests. Otherwise, its functions do.
    ///
    /// # Errors
    /// When API Gateway takes no such configuration.
    pub fn with_cors(self, cors: Cors) -> Result<Self, HttpApiError> {
        cors.check()?;
        Ok(Self { cors: Some(cors), ..self })
    }

    /// Whether `path` belongs to this API where there is a fallback. In the cloud, an API has a host of its own; here, it
    /// shares one with others and with what falls back. At a stage with a name, everything below the stage belongs to it. At
    /// `$default`, everything does if any route begins with a variable or is `$default`; else what begins with a route's first
    /// segment.
    pub(crate) fn has(&self, path: &str) -> bool {
        if self.stage != Self::DEFAULT_STAGE {
            return self.below_stage(path).is_some();
        }
        let first = path.strip_prefix('/').and_then(|path| path.split('/').next());
        self.routes.iter().any(|route| {
            let own = route.key.first_segment();
            own.is_none() || own == first
        })
    }

    /// A path without the stage's name: what routes match. `None` when it is not at the stage.
    fn below_stage<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.stage == Self::DEFAULT_STAGE {
            return Some(path);
        }
        match path.strip_prefix('/')?.strip_prefix(&*self.stage)? {
            "" => Some("/"),
            below => below.starts_with('/').then_some(below),
        }
    }

    /// The routes' rates.
    pub(crate) fn throttles(&self) -> impl Iterator<Item = (String, &Throttle)> {
        self.routes.iter().map(|route| (route.key.to_string(), &route.throttle))
    }

    /// The route that takes a request, and the values of its path's variables. It is found by the path as it was sent:
    /// what is decoded only then cannot lead elsewhere.
    fn route(&self, request: &Parts) -> Option<(&HttpRoute, PathParameters)> {
        let (method, path) = (request.method.as_str(), self.below_stage(request.uri.path())?);
        let matching =
            self.routes.iter().filter_map(|route| Some((route, route.key.matches(method, path)?)));
        matching.min_by(|(one, _), (two, _)| one.key.precedence(&two.key))
    }
}

/// Answers a request to the HTTP API.
///
/// The checks are made in this order, which is the likeliest, but not documented: the host and the size of the head, the
/// size of the body, the route's rate, the account's, CORS, whether there is a route, the size of the event. A preflight
/// request that the API answers itself is no route's.
pub(crate) async fn answer(
    gateway: &RunningGateway,
    api: &HttpApi,
    peer: Peer,
    request: Request,
) -> Response<Body> {
    let now = Timestamp::now();
    let request_id = Identifier::mint(now);
    let (request, body) = request.into_parts();
    let call = Call { gateway, api, request: &request, peer, request_id, now };
    let mut response = call.answer(body).await.unwrap_or_else(|status| call.refuse(status));
    let request_id = HeaderValue::from_str(&request_id.to_string()).expect("an id is ASCII");
    response.headers_mut().insert(HeaderName::from_static("apigw-requestid"), request_id);
    response
}

/// A request that is being answered.
#[derive(Clone, Copy)]
struct Call<'a> {
    gateway: &'a RunningGateway,
    api: &'a HttpApi,
    request: &'a Parts,
    peer: Peer,
    request_id: Identifier,
    now: Timestamp,
}

impl Call<'_> {
    /// The error is the status of the gateway's own answer.
    async fn answer(self, body: Body) -> Result<Response<Body>, StatusCode> {
        let Parts { method, headers, .. } = self.request;
        let (caller, body) = self.receive(body).await?;
        let cors = self.api.cors.as_ref();
        let preflight = cors.and_then(|cors| cors.preflight(method, headers));
        let route = self.api.route(self.request).filter(|_route| preflight.is_none());
        let route_admits = route.as_ref().is_none_or(|(route, _)| route.throttle.admit());
        if !(route_admits && self.gateway.requests.admit()) {
            return Err(self.refused(Refusal::HttpThrottled, StatusCode::TOO_MANY_REQUESTS));
        }
        if let Some(mut preflight) = preflight {
            *preflight.status_mut() = self.gateway.assumptions.preflight_status;
            return Ok(preflight);
        }
        let (route, path_parameters) =
            route.ok_or_else(|| self.refused(Refusal::NoRoute, StatusCode::NOT_FOUND))?;
        let mut response = self.integrate(route, path_parameters, &caller, &body).await?;
        if let Some(cors) = cors {
            cors.apply(headers.get(ORIGIN), response.headers_mut());
        }
        Ok(response)
    }

    /// Notes what is refused, with the status that answers it.
    fn refused(self, refusal: Refusal, status: StatusCode) -> StatusCode {
        let subject = format_args!("{} {}", self.request.method, self.request.uri.path());
        self.gateway.refuse(refusal, subject, Some(self.request_id));
        status
    }

    /// The gateway's own answer.
    fn refuse(self, status: StatusCode) -> Response<Body> {
        let mut response = error_response(status);
        if let Some(cors) = &self.api.cors
            && self.gateway.assumptions.errors_have_cors
        {
            cors.apply(self.request.headers.get(ORIGIN), response.headers_mut());
        }
        response
    }

    /// Who sent the request, and its body.
    async fn receive(self, body: Body) -> Result<(Caller, Bytes), StatusCode> {
        let Self { request, gateway, .. } = self;
        let head = || {
            let bytes = head_bytes(request);
            gateway.peaks.http_head_bytes.note(bytes);
            if bytes > gateway.limits.http_head_bytes_max {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                return Err(self.refused(Refusal::HttpHeadTooLarge, status));
            }
            Caller::parse(&request.headers, &request.uri, self.peer).ok_or(StatusCode::BAD_REQUEST)
        };
        match head() {
            Ok(caller) => {
                let bytes_max = gateway.limits.http_body_bytes_max;
                match body::read(&request.headers, body, bytes_max).await {
                    Ok(body) => {
                        gateway.peaks.http_body_bytes.note(body.len());
                        Ok((caller, body))
                    }
                    Err(BodyError::TooLarge) => {
                        let status = StatusCode::PAYLOAD_TOO_LARGE;
                        Err(self.refused(Refusal::HttpBodyTooLarge, status))
                    }
                    Err(BodyError::TooSlow) => Err(StatusCode::REQUEST_TIMEOUT),
                    Err(BodyError::Broken) => Err(StatusCode::BAD_REQUEST),
                }
            }
            Err(status) => {
                body::refuse(&request.headers, body);
                Err(status)
            }
        }
    }

    /// Lets the route's function answer.
    async fn integrate(
        self,
        route: &HttpRoute,
        path_parameters: PathParameters,
        caller: &Caller,
        body: &[u8],
    ) -> Result<Response<Body>, StatusCode> {
        let Self { gateway, api, request, request_id, now, .. } = self;
        let HttpRoute { key, function, timeout, .. } = route;
        let occasion = Occasion {
            api_id: &api.id,
            stage: &api.stage,
            stage_variables: &api.stage_variables,
            route_key: key.as_str(),
            path_parameters,
            request_id,
            now,
        };
        let event = occasion.event(request, body, caller, &gateway.assumptions);
        let time_max = gateway.limits.http_integration_timeout;
        let time_max = timeout.map_or(time_max, |timeout| timeout.min(time_max));
        let invocation =
            gateway.invoker.invoke(function, key.as_str(), request_id, event, time_max).await;
        let response = invocation.map_err(|error| {
            let (refusal, status) = match error {
                InvokeError::Failed(_) => {
                    (Refusal::HttpFunctionFailed, StatusCode::INTERNAL_SERVER_ERROR)
                }
                InvokeError::Throttled => {
                    let status = gateway.assumptions.function_throttled_status;
                    (Refusal::HttpFunctionThrottled, status)
                }
                InvokeError::TimedOut => (Refusal::HttpTimedOut, StatusCode::SERVICE_UNAVAILABLE),
                InvokeError::EventTooLarge => {
                    (Refusal::EventTooLarge, StatusCode::PAYLOAD_TOO_LARGE)
                }
            };
            self.refused(refusal, status)
        })?;
        let response = ProxyResponse::parse_or_infer(response).map_err(|error| {
            tracing::warn!(%request_id, %error, "integration failed");
            self.refused(Refusal::HttpBadResponse, StatusCode::INTERNAL_SERVER_ERROR)
        })?;
        Ok(respond(response, &gateway.assumptions.default_content_type))
    }
}

/// The size of a request's first line and headers on the wire.
fn head_bytes(request: &Parts) -> usize {
    let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = request.method.as_str().len() + target + "  HTTP/1.1\r\n".len();
    let headers = request.headers.iter();
    line + headers.map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// The answer that a function's response stands for. Its `multiValueHeaders` belong to payload format 1.0 and say nothing.
fn respond(function: ProxyResponse, default_content_type: &str) -> Response<Body> {
    let ProxyResponse { status, mut headers, cookies, body, .. } = function;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers_of_cookies = headers.remove(SET_COOKIE);
    for cookie in cookies.into_iter().chain(headers_of_cookies) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    for (name, value) in &headers {
        // The length is that of the body that is really sent.
        if !is_hop_by_hop(name) && name != CONTENT_LENGTH {
            response.headers_mut().append(name, value.clone());
        }
    }
    let may_have_body = ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    if may_have_body && !body.is_empty() {
        if let Ok(default) = HeaderValue::from_str(default_content_type) {
            response.headers_mut().entry(CONTENT_TYPE).or_insert(default);
        }
        *response.body_mut() = body.into();
    }
    response
}
