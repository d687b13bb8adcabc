//! HTTP APIs of SAM. Their routes are events of functions.

use crate::{
    draft::Draft,
    model::Cors,
    node::{Kind, Node},
    problem::Problem,
    property::{
        Fate::{Refused, Warned},
        Fates, Property,
    },
    report::Report,
    resource::{Resource, SAM_HTTP_API, Stack},
    stage,
};

/// The API of events that name none.
pub(crate) const IMPLICIT: &str = "ServerlessHttpApi";

pub(crate) const ACCESS_LOG: &str =
    "local-dev writes no access log; it logs each invocation instead";
pub(crate) const DOMAIN: &str =
    "local-dev has no domains and no mappings of paths; the API has the address of local-dev";
pub(crate) const ENDPOINT: &str = "local-dev has no domains, so the API keeps its address";

const OPEN_API: &str =
    "local-dev doesn't read OpenAPI; describe the routes as HttpApi events of their functions";

const FATES: Fates = Fates {
    of: SAM_HTTP_API,
    read: &[
        "Auth",
        "CorsConfiguration",
        "DefaultRouteSettings",
        "RouteSettings",
        "StageName",
        "StageVariables",
    ],
    passed_over: &["Description", "FailOnWarnings", "Name", "PropagateTags", "Tags"],
    others: &[
        ("AccessLogSettings", Warned(ACCESS_LOG)),
        ("DefinitionBody", Refused(OPEN_API)),
        ("DefinitionUri", Refused(OPEN_API)),
        ("DisableExecuteApiEndpoint", Warned(ENDPOINT)),
        ("Domain", Warned(DOMAIN)),
    ],
};

const AUTH_FATES: Fates = Fates {
    of: "AWS::Serverless::HttpApi.Auth",
    read: &["DefaultAuthorizer"],
    // Routes that make use of them are refused.
    passed_over: &["Authorizers", "EnableIamAuthorizer"],
    others: &[],
};

const CORS_FATES: Fates = Fates {
    of: "CorsConfiguration",
    read: &[
        "AllowCredentials",
        "AllowHeaders",
        "AllowMethods",
        "AllowOrigins",
        "ExposeHeaders",
        "MaxAge",
    ],
    passed_over: &[],
    others: &[],
};

/// Reads all HTTP APIs that the template names; the one that it doesn't is [`implicit`].
pub(crate) fn read_all(stack: &Stack<'_>, report: &mut Report) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for resource in stack.of_kind(SAM_HTTP_API) {
        let draft = read(stack, resource, report);
        drafts.extend(report.keep(draft));
    }
    drafts
}

/// The API that SAM makes for events without `ApiId`. Global properties are its own.
pub(crate) fn implicit(
    stack: &Stack<'_>,
    line: usize,
    report: &mut Report,
) -> Result<Draft, Problem> {
    let nothing = Node::new(line, Kind::Null);
    read(stack, &Resource::new(IMPLICIT, SAM_HTTP_API, &nothing), report)
}

fn read(stack: &Stack<'_>, resource: &Resource<'_>, report: &mut Report) -> Result<Draft, Problem> {
    let node = stack.properties(resource, &FATES, report);
    let properties = Property::new(resource.id, &node);
    let cors = properties.get("CorsConfiguration").map(|value| cors(&value, report)).transpose()?;
    let mut draft = Draft::http(resource, cors.flatten());
    draft.set_stage(stage::read(&properties, "$default", report)?);
    if let Some(auth) = properties.get("Auth") {
        let auth = auth.map()?;
        AUTH_FATES.announce(&auth, report);
        let default = auth.get("DefaultAuthorizer");
        draft.default_authorizer =
            default.map(|name| name.text().map(str::to_owned)).transpose()?;
    }
    Ok(draft)
}

/// `true` is any origin, `false` is none.
pub(crate) fn cors(value: &Property<'_>, report: &mut Report) -> Result<Option<Cors>, Problem> {
    if matches!(value.node.kind, Kind::Scalar(_)) {
        let any = Cors { allow_origins: vec!["*".to_owned()], ..Cors::default() };
        return Ok(value.boolean()?.then_some(any));
    }
    let value = value.clone().map()?;
    CORS_FATES.announce(&value, report);
    let texts = |key| value.get(key).map_or(Ok(Vec::new()), |texts| texts.texts());
    let credentials = value.get("AllowCredentials");
    let cors = Cors {
        allow_origins: texts("AllowOrigins")?,
        allow_methods: texts("AllowMethods")?,
        allow_headers: texts("AllowHeaders")?,
        expose_headers: texts("ExposeHeaders")?,
        max_age_secs: value
            .get("MaxAge")
            .map(|age| age.number(&(0..=86_400), "seconds"))
            .transpose()?,
        allow_credentials: credentials.as_ref().is_some_and(|value| value.boolean() == Ok(true)),
    };
    if let Some(credentials) = credentials.filter(|_| cors.allow_credentials)
        && cors.allow_origins.iter().any(|origin| origin == "*")
    {
        return Err(credentials.problem("is not allowed together with AllowOrigins \"*\""));
    }
    Ok(Some(cors))
}
