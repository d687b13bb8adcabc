//! APIs as plain `CloudFormation` describes them: an API, a stage, and for each route a resource for its key and one for
//! its function. They may also add to APIs of SAM.

use std::collections::BTreeSet;

use crate::{
    draft::{Answers, Api, Draft},
    http_api::{self, ACCESS_LOG, ENDPOINT},
    http_event,
    model::{Authorizer, HttpRoute, Method, Throttling, WebSocketRoute},
    node::Node,
    problem::Problem,
    property::{
        Fate::{Refused, Warned},
        Fates, Property,
    },
    report::Report,
    resource::{Resource, Stack},
    stage, target,
    websocket_api::{self, API_KEYS, MODELS, PARAMETERS, PREDEFINED_KEYS, TIMEOUT_MILLIS_MAX},
};

pub(crate) const API: &str = "AWS::ApiGatewayV2::Api";
const AUTHORIZER: &str = "AWS::ApiGatewayV2::Authorizer";
const INTEGRATION: &str = "AWS::ApiGatewayV2::Integration";
const ROUTE: &str = "AWS::ApiGatewayV2::Route";
const ROUTE_RESPONSE: &str = "AWS::ApiGatewayV2::RouteResponse";
const STAGE: &str = "AWS::ApiGatewayV2::Stage";

/// The kinds of resources that are read here.
pub(crate) const KINDS: [&str; 6] = [API, AUTHORIZER, INTEGRATION, ROUTE, ROUTE_RESPONSE, STAGE];

const OPEN_API: &str =
    "local-dev doesn't read OpenAPI; describe the routes as AWS::ApiGatewayV2::Route";
const QUICK: &str =
    "local-dev doesn't make routes and stages by itself; describe them as resources of their own";
const REWRITTEN: &str = "local-dev doesn't rewrite requests and responses";

const API_FATES: Fates = Fates {
    of: API,
    read: &["CorsConfiguration", "ProtocolType", "RouteSelectionExpression"],
    passed_over: &[
        "ApiKeySelectionExpression",
        "Description",
        "DisableSchemaValidation",
        "FailOnWarnings",
        "IpAddressType",
        "Name",
        "Tags",
        "Version",
    ],
    others: &[
        ("BasePath", Refused(OPEN_API)),
        ("Body", Refused(OPEN_API)),
        ("BodyS3Location", Refused(OPEN_API)),
        ("CredentialsArn", Refused(QUICK)),
        ("DisableExecuteApiEndpoint", Warned(ENDPOINT)),
        ("RouteKey", Refused(QUICK)),
        ("Target", Refused(QUICK)),
    ],
};

const INTEGRATION_FATES: Fates = Fates {
    of: INTEGRATION,
    read: &[
        "ApiId",
        "ConnectionType",
        "IntegrationType",
        "IntegrationUri",
        "PayloadFormatVersion",
        "TimeoutInMillis",
    ],
    passed_over: &["CredentialsArn", "Description", "IntegrationMethod", "PassthroughBehavior"],
    others: &[
        ("ConnectionId", Refused("local-dev has no private integrations")),
        ("ContentHandlingStrategy", Refused(REWRITTEN)),
        ("IntegrationSubtype", Refused("local-dev invokes functions, not other services")),
        ("RequestParameters", Refused(REWRITTEN)),
        ("RequestTemplates", Refused(REWRITTEN)),
        ("ResponseParameters", Refused(REWRITTEN)),
        ("TemplateSelectionExpression", Refused(REWRITTEN)),
        ("TlsConfig", Refused("local-dev has no private integrations")),
    ],
};

const ROUTE_FATES: Fates = Fates {
    of: ROUTE,
    read: &[
        "ApiId",
        "AuthorizationType",
        "AuthorizerId",
        "RouteKey",
        "RouteResponseSelectionExpression",
        "Target",
    ],
    passed_over: &["AuthorizationScopes", "OperationName"],
    others: &[
        ("ApiKeyRequired", Refused(API_KEYS)),
        ("ModelSelectionExpression", Refused(MODELS)),
        ("RequestModels", Refused(MODELS)),
        ("RequestParameters", Refused(PARAMETERS)),
    ],
};

const ROUTE_RESPONSE_FATES: Fates = Fates {
    of: ROUTE_RESPONSE,
    read: &["ApiId", "RouteId", "RouteResponseKey"],
    passed_over: &[],
    others: &[
        ("ModelSelectionExpression", Refused(REWRITTEN)),
        ("ResponseModels", Refused(REWRITTEN)),
        ("ResponseParameters", Refused(REWRITTEN)),
    ],
};

const STAGE_FATES: Fates = Fates {
    of: STAGE,
    read: &["ApiId", "DefaultRouteSettings", "RouteSettings", "StageName", "StageVariables"],
    passed_over: &[
        "AccessPolicyId",
        "AutoDeploy",
        "ClientCertificateId",
        "DeploymentId",
        "Description",
        "Tags",
    ],
    others: &[("AccessLogSettings", Warned(ACCESS_LOG))],
};

const AUTHORIZER_FATES: Fates = Fates {
    of: AUTHORIZER,
    read: &["ApiId", "AuthorizerType", "AuthorizerUri", "IdentitySource", "Name"],
    passed_over: &["AuthorizerCredentialsArn", "IdentityValidationExpression"],
    others: &[
        (
            "AuthorizerPayloadFormatVersion",
            Refused("a WebSocket API has no payload formats of authorizers"),
        ),
        (
            "AuthorizerResultTtlInSeconds",
            Warned("a WebSocket API asks its authorizer for each connection, nothing is cached"),
        ),
        ("EnableSimpleResponses", Refused("a WebSocket API takes policies from its authorizer")),
        ("JwtConfiguration", Refused("a WebSocket API has no JWT authorizers")),
    ],
};

/// What a route's function is, and how it is invoked.
struct Integration {
    id: String,
    api_id: String,
    function: String,
    payload_format: Option<String>,
    /// What `TimeoutInMillis` says, with its place.
    timeout: Option<Node>,
}

/// Reads all resources of API Gateway and puts them where they belong.
pub(crate) fn read_all(stack: &Stack<'_>, drafts: &mut Vec<Draft>, report: &mut Report) {
    let errors = report.errors.len();
    for resource in stack.of_kind(API) {
        let draft = read_api(stack, resource, report);
        drafts.extend(report.keep(draft));
    }
    let mut integrations = Vec::new();
    for resource in stack.of_kind(INTEGRATION) {
        let integration = read_integration(stack, resource, report);
        integrations.extend(report.keep(integration));
    }
    // Whatever routes would be missing is what has just been reported.
    if report.errors.len() > errors {
        return;
    }
    let mut asked = BTreeSet::new();
    for resource in stack.of_kind(ROUTE) {
        let parts = Parts { stack, integrations: &integrations };
        let route = parts.read_route(resource, drafts, &mut asked, report);
        report.keep(route);
    }
    for resource in stack.of_kind(ROUTE_RESPONSE) {
        let response = read_response(stack, resource, drafts, report);
        report.keep(response);
    }
    for resource in stack.of_kind(STAGE) {
        let stage = read_stage(stack, resource, drafts, report);
        report.keep(stage);
    }
    if stack.of_kind(AUTHORIZER).any(|resource| !asked.contains(resource.id)) {
        report.passed_over.insert(format!("{AUTHORIZER} that no route asks"));
    }
}

fn read_api(
    stack: &Stack<'_>,
    resource: &Resource<'_>,
    report: &mut Report,
) -> Result<Draft, Problem> {
    let node = stack.properties(resource, &API_FATES, report);
    let properties = Property::new(resource.id, &node);
    let protocol = properties.required("ProtocolType")?;
    let cors = properties.get("CorsConfiguration");
    match protocol.text()? {
        "HTTP" => {
            let cors = cors.map(|cors| http_api::cors(&cors, report)).transpose()?;
            Ok(Draft::http(resource, cors.flatten()))
        }
        "WEBSOCKET" if cors.is_none() => {
            let expression = properties.required("RouteSelectionExpression")?;
            Ok(Draft::websocket(resource, websocket_api::selection(&expression)?))
        }
        "WEBSOCKET" => Err(cors.unwrap_or(properties).problem("only HTTP APIs have it")),
        other => {
            let message = format!("{other:?} is not allowed, it takes HTTP or WEBSOCKET");
            Err(protocol.problem(message))
        }
    }
}

fn read_integration(
    stack: &Stack<'_>,
    resource: &Resource<'_>,
    report: &mut Report,
) -> Result<Integration, Problem> {
    let node = stack.properties(resource, &INTEGRATION_FATES, report);
    let properties = Property::new(resource.id, &node);
    let kind = properties.required("IntegrationType")?;
    if kind.text()? != "AWS_PROXY" {
        let message =
            format!("{:?} is not done here, local-dev invokes functions (AWS_PROXY)", kind.text()?);
        return Err(kind.problem(message));
    }
    if let Some(connection) = properties.get("ConnectionType")
        && connection.text()? != "INTERNET"
    {
        return Err(connection.problem("local-dev has no private integrations"));
    }
    let format = properties.get("PayloadFormatVersion");
    Ok(Integration {
        id: resource.id.to_owned(),
        api_id: properties.required("ApiId")?.text()?.to_owned(),
        function: target::function(&stack.resolver, &properties.required("IntegrationUri")?)?,
        payload_format: format.map(|format| format.text().map(str::to_owned)).transpose()?,
        timeout: properties.get("TimeoutInMillis").map(|timeout| timeout.node.clone()),
    })
}

/// The API that a resource belongs to.
fn api_of<'a>(
    drafts: &'a mut [Draft],
    properties: &Property<'_>,
) -> Result<&'a mut Draft, Problem> {
    let id = properties.required("ApiId")?;
    let wanted = id.text()?;
    drafts.iter_mut().find(|draft| draft.api_id() == wanted).ok_or_else(|| {
        id.problem(format!("{wanted:?} is not an API of this template; use !Ref with its name"))
    })
}

/// What a route is made of.
struct Parts<'a> {
    stack: &'a Stack<'a>,
    integrations: &'a [Integration],
}

impl Parts<'_> {
    fn read_route(
        &self,
        resource: &Resource<'_>,
        drafts: &mut [Draft],
        asked: &mut BTreeSet<String>,
        report: &mut Report,
    ) -> Result<(), Problem> {
        let node = self.stack.properties(resource, &ROUTE_FATES, report);
        let properties = Property::new(resource.id, &node);
        let draft = api_of(drafts, &properties)?;
        let key = properties.required("RouteKey")?;
        let integration = self.integration(&properties, draft.api_id())?;
        let line = resource.line;
        let function = integration.function.clone();
        let throttling = Throttling::default();
        match &mut draft.api {
            Api::Http(api) => {
                let timeout = integration.timeout(30_000)?;
                integration.check_payload(true, line)?;
                let (method, path) = http_key(&key)?;
                let route = HttpRoute { method, path, function, timeout, throttling, line };
                check_open(&properties, &route)?;
                api.routes.push(route);
            }
            Api::WebSocket(api) => {
                let timeout = integration.timeout(TIMEOUT_MILLIS_MAX)?;
                integration.check_payload(false, line)?;
                let key = websocket_key(&key)?;
                if let Some(authorizer) = self.authorizer(&properties, &key, asked, report)? {
                    api.authorizer = Some(authorizer);
                }
                let selected = websocket_api::response_selection(&properties)?;
                let route_id = resource.id.to_owned();
                draft.answers.push(Answers { route_id, selected, response: None });
                let two_way = false;
                api.routes.push(WebSocketRoute {
                    key,
                    function,
                    two_way,
                    timeout,
                    throttling,
                    line,
                });
            }
        }
        Ok(())
    }

    /// `Target: integrations/ID`.
    fn integration(&self, route: &Property<'_>, api_id: &str) -> Result<&Integration, Problem> {
        let target = route.required("Target")?;
        let text = target.text()?;
        let id = text.strip_prefix("integrations/").unwrap_or_default();
        let is_it = |one: &&Integration| one.id == id && one.api_id == api_id;
        self.integrations.iter().find(is_it).ok_or_else(|| {
            target.problem(format!(
                "{text:?} is not an integration of this API, it takes integrations/ and the !Ref of one"
            ))
        })
    }

    /// Who decides on `$connect`.
    fn authorizer(
        &self,
        route: &Property<'_>,
        key: &str,
        asked: &mut BTreeSet<String>,
        report: &mut Report,
    ) -> Result<Option<Authorizer>, Problem> {
        let Some(kind) = route.get("AuthorizationType") else { return Ok(None) };
        match kind.text()? {
            "NONE" => return Ok(None),
            "CUSTOM" if key == "$connect" => {}
            "CUSTOM" => return Err(kind.problem("only $connect can have an authorizer")),
            other => return Err(kind.problem(websocket_api::guarded(other))),
        }
        let id = route.required("AuthorizerId")?;
        let wanted = id.text()?;
        let found = self.stack.of_kind(AUTHORIZER).find(|resource| resource.id == wanted);
        let Some(resource) = found else {
            return Err(id.problem(format!("{wanted:?} is not an authorizer of this template")));
        };
        asked.insert(wanted.to_owned());
        let node = self.stack.properties(resource, &AUTHORIZER_FATES, report);
        let properties = Property::new(resource.id, &node);
        let kind = properties.required("AuthorizerType")?;
        if kind.text()? != "REQUEST" {
            let message = format!("{:?} is not allowed, it takes REQUEST", kind.text()?);
            return Err(kind.problem(message));
        }
        let name = properties.get("Name").map(|name| name.text().map(str::to_owned)).transpose()?;
        Ok(Some(Authorizer {
            name: name.unwrap_or_else(|| resource.id.to_owned()),
            function: target::function(
                &self.stack.resolver,
                &properties.required("AuthorizerUri")?,
            )?,
            identity_sources: websocket_api::identity_sources(
                properties.get("IdentitySource").as_ref(),
            )?,
        }))
    }
}

impl Integration {
    fn timeout(&self, longest: u64) -> Result<Option<std::time::Duration>, Problem> {
        let path = format!("{}.TimeoutInMillis", self.id);
        let timeout = self.timeout.as_ref().map(|timeout| Property::new(path, timeout));
        http_event::timeout(timeout.as_ref(), longest)
    }

    /// HTTP APIs have to name the payload format, and here that is 2.0; WebSocket APIs have only 1.0.
    fn check_payload(&self, is_http: bool, line: usize) -> Result<(), Problem> {
        let path = format!("{}.PayloadFormatVersion", self.id);
        match (is_http, self.payload_format.as_deref()) {
            (true, Some("2.0")) | (false, None | Some("1.0")) => Ok(()),
            (true, None) => Err(Problem::new(path, line, "is missing, it takes \"2.0\"")),
            (true, Some(other)) => {
                let message = format!(
                    "the payload format {other:?} is not done here, local-dev sends events in \"2.0\""
                );
                Err(Problem::new(path, line, message))
            }
            (false, Some(other)) => {
                let message = format!(
                    "{other:?} is not allowed, a WebSocket API has the payload format \"1.0\""
                );
                Err(Problem::new(path, line, message))
            }
        }
    }
}

/// `$default`, or a method and a path.
fn http_key(key: &Property<'_>) -> Result<(Method, String), Problem> {
    let text = key.text()?;
    if text == "$default" {
        return Ok((Method::Any, text.to_owned()));
    }
    let parts = text.split_once(' ');
    let parts = parts.and_then(|(method, path)| Some((http_event::parse_method(method)?, path)));
    let Some((method, path)) = parts else {
        let message =
            format!("{text:?} is not a route key, it takes $default or a method and a path");
        return Err(key.problem(message));
    };
    http_event::check_path(key, path)?;
    Ok((method, path.to_owned()))
}

fn websocket_key(key: &Property<'_>) -> Result<String, Problem> {
    let text = key.text()?;
    let is_known = PREDEFINED_KEYS.contains(&text);
    if is_known || !(text.is_empty() || text.starts_with('$')) {
        return Ok(text.to_owned());
    }
    let message = format!(
        "{text:?} is not a route key; only $connect, $disconnect and $default begin with $"
    );
    Err(key.problem(message))
}

fn check_open(properties: &Property<'_>, route: &HttpRoute) -> Result<(), Problem> {
    let Some(kind) = properties.get("AuthorizationType") else { return Ok(()) };
    match kind.text()? {
        "NONE" => Ok(()),
        other => Err(kind.problem(http_event::guarded(route, other))),
    }
}

fn read_response(
    stack: &Stack<'_>,
    resource: &Resource<'_>,
    drafts: &mut [Draft],
    report: &mut Report,
) -> Result<(), Problem> {
    let node = stack.properties(resource, &ROUTE_RESPONSE_FATES, report);
    let properties = Property::new(resource.id, &node);
    let draft = api_of(drafts, &properties)?;
    let key = properties.required("RouteResponseKey")?;
    if key.text()? != "$default" {
        let message = format!("{:?} is not allowed, it takes $default", key.text()?);
        return Err(key.problem(message));
    }
    let id = properties.required("RouteId")?;
    let wanted = id.text()?;
    let Some(answers) = draft.answers.iter_mut().find(|answers| answers.route_id == wanted) else {
        // A route that is refused is reported, and has no answers.
        if stack.of_kind(ROUTE).any(|route| route.id == wanted) {
            return Ok(());
        }
        let message = format!("{wanted:?} is not a route of this API; use !Ref with its name");
        return Err(id.problem(message));
    };
    answers.response = Some((resource.id.to_owned(), resource.line));
    Ok(())
}

fn read_stage(
    stack: &Stack<'_>,
    resource: &Resource<'_>,
    drafts: &mut [Draft],
    report: &mut Report,
) -> Result<(), Problem> {
    let node = stack.properties(resource, &STAGE_FATES, report);
    let properties = Property::new(resource.id, &node);
    let draft = api_of(drafts, &properties)?;
    properties.required("StageName")?;
    let stage = stage::read(&properties, "", report)?;
    if draft.has_stage() {
        let message =
            format!("{} has another stage, local-dev has one of each API", draft.logical_id());
        return Err(resource.problem(message));
    }
    if matches!(draft.api, Api::WebSocket(_)) {
        websocket_api::check_stage(&properties, &stage)?;
    }
    draft.set_stage(stage);
    Ok(())
}
