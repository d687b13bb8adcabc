//! Events of functions. Those of the type `HttpApi` are routes; those of queues are read by `queue_event`.

use std::time::Duration;

use crate::{
    draft::{Api, Draft},
    http_api,
    model::{EventSource, Function, HttpRoute, Method, Queue, Throttling},
    names,
    node::Node,
    problem::Problem,
    property::{Fates, Property},
    queue_event,
    report::Report,
    resource::{SAM_HTTP_API, Stack},
    stage,
};

const FATES: Fates = Fates {
    of: "HttpApi event",
    read: &[
        "ApiId",
        "Auth",
        "Method",
        "Path",
        "PayloadFormatVersion",
        "RouteSettings",
        "TimeoutInMillis",
    ],
    passed_over: &[],
    others: &[],
};

/// Methods of routes.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// Adds the routes that the events of a function are to the APIs; the implicit API is made when it is needed. Its queues are
/// returned.
pub(crate) fn read_all(
    stack: &Stack<'_>,
    function: &Function,
    events: Option<&Node>,
    queues: &[Queue],
    drafts: &mut Vec<Draft>,
    report: &mut Report,
) -> Vec<EventSource> {
    let mut sources = Vec::new();
    let Some(events) = events else { return sources };
    let path = format!("{}.Events", function.logical_id);
    let Some(events) = report.keep(Property::new(path, events).map()) else { return sources };
    for (entry, event) in events.entries() {
        let is_queue = event.get("Type").and_then(|kind| kind.node.scalar()) == Some("SQS");
        if is_queue {
            let read = queue_event::read(function, queues, &event, entry.line, report);
            sources.extend(report.keep(read).flatten());
        } else {
            let read = read(stack, &function.logical_id, &event, entry.line, drafts, report);
            report.keep(read);
        }
    }
    sources
}

fn read(
    stack: &Stack<'_>,
    function: &str,
    event: &Property<'_>,
    line: usize,
    drafts: &mut Vec<Draft>,
    report: &mut Report,
) -> Result<(), Problem> {
    match event.required("Type")?.text()? {
        "HttpApi" => {}
        "Api" => {
            let message = "local-dev has no REST APIs; make it an event of the type HttpApi";
            return Err(Problem::new(&event.path, line, message));
        }
        kind => {
            let message =
                format!("there are no {kind} events here; {function} is not invoked by it");
            report.warn(&event.path, line, message);
            return Ok(());
        }
    }
    let nothing = Node::new(line, crate::node::Kind::Map(Vec::new()));
    let properties = match event.get("Properties") {
        Some(properties) => properties.map()?,
        None => Property::new(&event.path, &nothing),
    };
    FATES.announce(&properties, report);
    let (method, path) = key(&properties)?;
    let settings = properties.get("RouteSettings");
    let route = HttpRoute {
        method,
        path,
        function: function.to_owned(),
        timeout: timeout(properties.get("TimeoutInMillis").as_ref(), 30_000)?,
        throttling: settings
            .map_or(Ok(Throttling::default()), |settings| stage::throttling(settings, report))?,
        line,
    };
    if let Some(format) = properties.get("PayloadFormatVersion") {
        check_payload(&format)?;
    }
    let Some(draft) = api(stack, &properties, line, drafts, report)? else { return Ok(()) };
    check_open(&properties, &route, draft.default_authorizer.as_deref())?;
    if let Api::Http(api) = &mut draft.api {
        api.routes.push(route);
    }
    Ok(())
}

/// The API that the event belongs to; `None` if that one has been refused.
fn api<'a>(
    stack: &Stack<'_>,
    properties: &Property<'_>,
    line: usize,
    drafts: &'a mut Vec<Draft>,
    report: &mut Report,
) -> Result<Option<&'a mut Draft>, Problem> {
    let implicit = names::api_id(http_api::IMPLICIT);
    let id = properties.get("ApiId");
    let wanted = id.as_ref().map_or(Ok(implicit.as_str()), Property::text)?;
    let is_it = |draft: &Draft| draft.api_id() == wanted && matches!(draft.api, Api::Http(_));
    if !drafts.iter().any(is_it) {
        if stack.of_kind(SAM_HTTP_API).any(|api| names::api_id(api.id) == wanted) {
            return Ok(None);
        }
        if wanted != implicit {
            let message = format!("{wanted:?} is not an AWS::Serverless::HttpApi of this template");
            return Err(id.as_ref().unwrap_or(properties).problem(message));
        }
        drafts.push(http_api::implicit(stack, line, report)?);
    }
    Ok(drafts.iter_mut().find(|draft| is_it(draft)))
}

/// The method and the path; without both, it is the route of everything that has no other.
fn key(properties: &Property<'_>) -> Result<(Method, String), Problem> {
    let (method, path) = match (properties.get("Method"), properties.get("Path")) {
        (None, None) => return Ok((Method::Any, "$default".to_owned())),
        (Some(method), Some(path)) => (method, path),
        (None, Some(_)) => return Err(properties.problem("Method is missing")),
        (Some(_), None) => return Err(properties.problem("Path is missing")),
    };
    let method = parse_method(method.text()?).ok_or_else(|| {
        let allowed = METHODS.join(", ");
        let message = format!(
            "{:?} is not a method, it takes ANY, {allowed}",
            method.text().unwrap_or_default()
        );
        method.problem(message)
    })?;
    if path.text()? == "$default" && method == Method::Any {
        return Ok((method, "$default".to_owned()));
    }
    check_path(&path, path.text()?)?;
    Ok((method, path.text()?.to_owned()))
}

/// The method of that name, in any case.
pub(crate) fn parse_method(text: &str) -> Option<Method> {
    let upper = text.to_ascii_uppercase();
    match upper.as_str() {
        "ANY" | "X-AMAZON-APIGATEWAY-ANY-METHOD" => Some(Method::Any),
        _ => METHODS.contains(&upper.as_str()).then_some(Method::Only(upper)),
    }
}

/// A path begins with a slash; `{name}` is a segment, `{name+}` is all that are left.
pub(crate) fn check_path(property: &Property<'_>, path: &str) -> Result<(), Problem> {
    let mut segments =
        path.strip_prefix('/').into_iter().flat_map(|rest| rest.split('/')).peekable();
    let mut is_path = segments.peek().is_some();
    while let Some(segment) = segments.next() {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        is_path &= match name {
            None => !segment.contains(['{', '}', '?', '#']),
            Some(name) => {
                let (name, may_follow) = match name.strip_suffix('+') {
                    Some(name) => (name, false),
                    None => (name, true),
                };
                let last = segments.peek().is_none();
                !name.is_empty() && !name.contains(['{', '}', '+']) && (may_follow || last)
            }
        };
    }
    if is_path {
        return Ok(());
    }
    let message =
        format!("{path:?} is not a path, it takes /words, /{{names}} and, at its end, /{{name+}}");
    Err(property.problem(message))
}

/// How long API Gateway waits, if that is less than the `longest` it can.
pub(crate) fn timeout(
    value: Option<&Property<'_>>,
    longest: u64,
) -> Result<Option<Duration>, Problem> {
    let Some(value) = value else { return Ok(None) };
    let millis = value.number(&(50..=longest), "milliseconds")?;
    Ok((millis < longest).then(|| Duration::from_millis(millis)))
}

/// Functions get the payload format 2.0 and no other.
pub(crate) fn check_payload(format: &Property<'_>) -> Result<(), Problem> {
    match format.text()? {
        "2.0" => Ok(()),
        other => Err(format.problem(format!(
            "the payload format {other:?} is not done here, local-dev sends events in \"2.0\""
        ))),
    }
}

/// A route that somebody guards in the cloud would be open here.
fn check_open(
    properties: &Property<'_>,
    route: &HttpRoute,
    default_authorizer: Option<&str>,
) -> Result<(), Problem> {
    let auth = properties.get("Auth").map(Property::map).transpose()?;
    let own = auth.as_ref().and_then(|auth| auth.get("Authorizer"));
    let own = own.map(|name| name.text()).transpose()?;
    match own.or(default_authorizer) {
        None | Some("NONE") => Ok(()),
        Some(name) => Err(auth.as_ref().unwrap_or(properties).problem(guarded(route, name))),
    }
}

/// Why a guarded route is refused.
pub(crate) fn guarded(route: &HttpRoute, authorizer: &str) -> String {
    format!(
        "the authorizer {authorizer} is not asked here, so {route} would be open to everybody; local-dev has no \
         authorizers of HTTP APIs"
    )
}
