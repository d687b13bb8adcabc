//! WebSocket APIs of SAM, with their routes.

use crate::{
    draft::{Answers, Api, Draft},
    http_api::{ACCESS_LOG, DOMAIN, ENDPOINT},
    http_event,
    model::{Authorizer, IdentitySource, Throttling, WebSocketRoute},
    problem::Problem,
    property::{
        Fate::{Refused, Warned},
        Fates, Property,
    },
    report::Report,
    resource::{Resource, SAM_WEBSOCKET_API, Stack},
    stage, target,
};

/// The keys that API Gateway itself gives a meaning. Source: the developer guide of API Gateway, "Create routes for WebSocket
/// APIs".
pub(crate) const PREDEFINED_KEYS: [&str; 3] = ["$connect", "$disconnect", "$default"];

/// The longest that API Gateway waits for a function. Source: API Gateway WebSocket quotas.
pub(crate) const TIMEOUT_MILLIS_MAX: u64 = 29_000;

pub(crate) const API_KEYS: &str =
    "local-dev has no API keys, so the route would be open to everybody";
pub(crate) const MODELS: &str = "local-dev doesn't validate against models, so messages would reach the function that don't in the cloud";
pub(crate) const PARAMETERS: &str = "local-dev doesn't look for required parameters, so requests would reach the function that don't in the cloud";

const FATES: Fates = Fates {
    of: SAM_WEBSOCKET_API,
    read: &[
        "Auth",
        "DefaultRouteSettings",
        "RouteSelectionExpression",
        "RouteSettings",
        "Routes",
        "StageName",
        "StageVariables",
    ],
    passed_over: &[
        "ApiKeySelectionExpression",
        "Description",
        "DisableSchemaValidation",
        "FailOnWarnings",
        "IpAddressType",
        "Name",
        "PropagateTags",
        "Tags",
    ],
    others: &[
        ("AccessLogSettings", Warned(ACCESS_LOG)),
        ("DisableExecuteApiEndpoint", Warned(ENDPOINT)),
        ("Domain", Warned(DOMAIN)),
    ],
};

const ROUTE_FATES: Fates = Fates {
    of: "AWS::Serverless::WebSocketApi.Routes",
    read: &["FunctionArn", "IntegrationTimeout", "RouteResponseSelectionExpression"],
    passed_over: &["OperationName"],
    others: &[
        ("ApiKeyRequired", Refused(API_KEYS)),
        ("ModelSelectionExpression", Refused(MODELS)),
        ("RequestModels", Refused(MODELS)),
        ("RequestParameters", Refused(PARAMETERS)),
    ],
};

const AUTH_FATES: Fates = Fates {
    of: "AWS::Serverless::WebSocketApi.Auth",
    read: &["AuthArn", "AuthType", "IdentitySource", "Name"],
    passed_over: &["InvokeRole"],
    others: &[],
};

/// Reads all WebSocket APIs of SAM.
pub(crate) fn read_all(stack: &Stack<'_>, drafts: &mut Vec<Draft>, report: &mut Report) {
    for resource in stack.of_kind(SAM_WEBSOCKET_API) {
        let draft = read(stack, resource, report);
        drafts.extend(report.keep(draft));
    }
}

fn read(stack: &Stack<'_>, resource: &Resource<'_>, report: &mut Report) -> Result<Draft, Problem> {
    let node = stack.properties(resource, &FATES, report);
    let properties = Property::new(resource.id, &node);
    let expression = selection(&properties.required("RouteSelectionExpression")?)?;
    let mut draft = Draft::websocket(resource, expression);
    let stage = stage::read(&properties, "default", report)?;
    check_stage(&properties, &stage)?;
    draft.set_stage(stage);
    let routes = properties.required("Routes")?.map()?;
    for (entry, route) in routes.entries() {
        let route = read_route(stack, &entry.key, entry.line, route, report);
        let Some((route, selected)) = report.keep(route) else { continue };
        let route_id = format!("{}{}Route", resource.id, capitalised(&route.key));
        draft.answers.push(Answers { route_id, selected, response: None });
        if let Api::WebSocket(api) = &mut draft.api {
            api.routes.push(route);
        }
    }
    if let Some(auth) = properties.get("Auth") {
        let authorizer = authorizer(stack, resource.id, &auth.map()?, report)?;
        if let Api::WebSocket(api) = &mut draft.api {
            api.authorizer = authorizer;
            if api.authorizer.is_some() && api.routes.iter().all(|route| route.key != "$connect") {
                let message = "an authorizer decides on $connect, and there is no such route";
                return Err(Problem::new(format!("{}.Auth", resource.id), resource.line, message));
            }
        }
    }
    Ok(draft)
}

/// The route, and where it selects a response.
fn read_route(
    stack: &Stack<'_>,
    key: &str,
    line: usize,
    route: Property<'_>,
    report: &mut Report,
) -> Result<(WebSocketRoute, Option<(String, usize)>), Problem> {
    let route = route.map()?;
    let is_known = PREDEFINED_KEYS.contains(&key);
    if !is_known && (key.is_empty() || !key.chars().all(char::is_alphanumeric)) {
        let message = "SAM takes $connect, $disconnect, $default, and keys of letters and digits";
        return Err(Problem::new(route.path, line, message));
    }
    ROUTE_FATES.announce(&route, report);
    let selected = response_selection(&route)?;
    let route = WebSocketRoute {
        key: key.to_owned(),
        function: target::function(&stack.resolver, &route.required("FunctionArn")?)?,
        two_way: false,
        timeout: http_event::timeout(route.get("IntegrationTimeout").as_ref(), TIMEOUT_MILLIS_MAX)?,
        throttling: Throttling::default(),
        line,
    };
    Ok((route, selected))
}

/// The route's key as SAM makes it part of a logical id: `sendMessage` becomes `Sendmessage`.
fn capitalised(key: &str) -> String {
    let mut letters = key.trim_start_matches('$').chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(letters.flat_map(char::to_lowercase)).collect()
}

/// Where a route asks for the function's answer to be sent; the only way to ask is `$default`.
pub(crate) fn response_selection(route: &Property<'_>) -> Result<Option<(String, usize)>, Problem> {
    let Some(selection) = route.get("RouteResponseSelectionExpression") else { return Ok(None) };
    match selection.text()? {
        "$default" => Ok(Some((selection.path.clone(), selection.line()))),
        other => Err(selection.problem(format!("{other:?} is not allowed, it takes $default"))),
    }
}

/// The API's route selection expression: text with `$request.body.a.b`, `${request.body.a}` or neither in it.
pub(crate) fn selection(expression: &Property<'_>) -> Result<String, Problem> {
    let text = expression.text()?;
    let variables = text.split('$').skip(1);
    let is_body = |variable: &str| {
        variable.trim_start_matches('{').strip_prefix("request.body.").is_some_and(|path| {
            path.starts_with(|character: char| character.is_alphanumeric() || character == '_')
        })
    };
    if !text.is_empty() && variables.into_iter().all(is_body) {
        return Ok(text.to_owned());
    }
    let message = format!(
        "{text:?} is not done here, local-dev selects routes by the message: $request.body.action"
    );
    Err(expression.problem(message))
}

/// A WebSocket API has no stage without a name.
pub(crate) fn check_stage(properties: &Property<'_>, stage: &stage::Stage) -> Result<(), Problem> {
    if stage.name != "$default" {
        return Ok(());
    }
    let name = properties.get("StageName");
    let message = "the stage of a WebSocket API can't be $default";
    Err(name.as_ref().unwrap_or(properties).problem(message))
}

fn authorizer(
    stack: &Stack<'_>,
    id: &str,
    auth: &Property<'_>,
    report: &mut Report,
) -> Result<Option<Authorizer>, Problem> {
    AUTH_FATES.announce(auth, report);
    let kind = auth.required("AuthType")?;
    match kind.text()? {
        "NONE" => return Ok(None),
        "CUSTOM" => {}
        other => return Err(kind.problem(guarded(other))),
    }
    let name = auth.get("Name").map(|name| name.text().map(str::to_owned)).transpose()?;
    Ok(Some(Authorizer {
        name: name.unwrap_or_else(|| format!("{id}ConnectAuthorizer")),
        function: target::function(&stack.resolver, &auth.required("AuthArn")?)?,
        identity_sources: identity_sources(auth.get("IdentitySource").as_ref())?,
    }))
}

/// Why a handshake that is guarded in this way is refused.
pub(crate) fn guarded(kind: &str) -> String {
    format!(
        "{kind:?} is not done here, so $connect would be open to everybody; local-dev asks functions (CUSTOM)"
    )
}

/// Reads `route.request.header.Name` and its like.
pub(crate) fn identity_sources(
    sources: Option<&Property<'_>>,
) -> Result<Vec<IdentitySource>, Problem> {
    let Some(sources) = sources else { return Ok(Vec::new()) };
    let parse = |text: &String| {
        let name = |beginning| text.strip_prefix(beginning).map(str::to_owned);
        name("route.request.header.")
            .map(IdentitySource::Header)
            .or_else(|| name("route.request.querystring.").map(IdentitySource::QueryString))
            .or_else(|| name("stageVariables.").map(IdentitySource::StageVariable))
            .ok_or_else(|| {
                sources.problem(format!(
                    "{text:?} is not done here, local-dev knows route.request.header.NAME, \
                     route.request.querystring.NAME and stageVariables.NAME"
                ))
            })
    };
    sources.texts()?.iter().map(parse).collect()
}
