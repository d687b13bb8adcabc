//! The APIs that a template describes, put together with the functions that answer.

use std::{collections::HashMap, error::Error, time::Duration};

use axum::http::HeaderValue;
use gateway::{
    Authorizer, Cors, Function, HttpApi, HttpRoute, RouteKey, WebSocketApi, WebSocketRoute,
};
use template::Template;

/// An API that API Gateway would not take.
#[derive(Debug, thiserror::Error)]
#[error("{api} (line {line}): {problem}")]
pub struct ApiError {
    api: String,
    line: usize,
    problem: Box<dyn Error + Send + Sync>,
}

/// Functions by their logical ids: all that the template's routes lead to.
pub type Functions = HashMap<String, Function>;

/// The HTTP API of `template`, if it has one.
///
/// # Errors
/// When API Gateway would not take it.
pub fn http_api(template: &Template, functions: &Functions) -> Result<Option<HttpApi>, ApiError> {
    let Some(api) = &template.http_api else { return Ok(None) };
    let built = build_http_api(api, functions);
    built.map(Some).map_err(|problem| ApiError {
        api: api.logical_id.clone(),
        line: api.line,
        problem,
    })
}

fn build_http_api(
    api: &template::HttpApi,
    functions: &Functions,
) -> Result<HttpApi, Box<dyn Error + Send + Sync>> {
    let routes = api.routes.iter().map(|route| {
        let function = functions[&route.function].clone();
        Ok(HttpRoute {
            key: RouteKey::parse(&route.to_string())?,
            function,
            timeout: route.timeout,
        })
    });
    let routes = routes.collect::<Result<_, Box<dyn Error + Send + Sync>>>()?;
    let built = HttpApi::new(&api.stage, routes)?
        .with_id(&api.api_id)
        .with_stage_variables(api.stage_variables.iter().cloned().collect());
    match &api.cors {
        Some(cors) => Ok(built.with_cors(read_cors(cors)?)?),
        None => Ok(built),
    }
}

fn read_cors(cors: &template::Cors) -> Result<Cors, Box<dyn Error + Send + Sync>> {
    let values = |texts: &[String]| {
        texts.iter().map(|text| text.parse()).collect::<Result<Vec<HeaderValue>, _>>()
    };
    Ok(Cors {
        allow_origins: values(&cors.allow_origins)?,
        allow_methods: values(&cors.allow_methods)?,
        allow_headers: values(&cors.allow_headers)?,
        expose_headers: values(&cors.expose_headers)?,
        max_age: cors.max_age_secs.map(|secs| Duration::from_secs(secs.into())),
        allow_credentials: cors.allow_credentials,
    })
}

/// The WebSocket APIs of `template`.
///
/// # Errors
/// When API Gateway would not take one of them.
pub fn websocket_apis(
    template: &Template,
    functions: &Functions,
) -> Result<Vec<WebSocketApi>, ApiError> {
    let apis = template.websocket_apis.iter().map(|api| {
        build_websocket_api(api, functions).map_err(|problem| ApiError {
            api: api.logical_id.clone(),
            line: api.line,
            problem,
        })
    });
    apis.collect()
}

fn build_websocket_api(
    api: &template::WebSocketApi,
    functions: &Functions,
) -> Result<WebSocketApi, Box<dyn Error + Send + Sync>> {
    let route = |route: &template::WebSocketRoute| WebSocketRoute {
        key: route.key.clone(),
        function: functions[&route.function].clone(),
        two_way: route.two_way,
        timeout: route.timeout,
    };
    let authorizer = api.authorizer.as_ref().map(|authorizer| {
        let sources = authorizer.identity_sources.iter();
        let identity_sources =
            sources.map(|source| source.to_string().parse()).collect::<Result<_, _>>()?;
        Ok::<_, Box<dyn Error + Send + Sync>>(Authorizer {
            name: authorizer.name.clone(),
            function: functions[&authorizer.function].clone(),
            identity_sources,
        })
    });
    Ok(WebSocketApi {
        stage: api.stage.clone(),
        routes: api.routes.iter().map(route).collect(),
        route_selection: api.route_selection_expression.parse()?,
        authorizer: authorizer.transpose()?,
        stage_variables: api.stage_variables.iter().cloned().collect(),
        ..WebSocketApi::default()
    })
}
