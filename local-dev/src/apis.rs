//! The APIs that a template describes, put together with the functions that answer.

use std::{collections::HashMap, error::Error, time::Duration};

use axum::http::HeaderValue;
use gateway::{
    Authorizer, Cors, Function, HttpApi, HttpRoute, Rate, RouteKey, Throttle, WebSocketApi,
    WebSocketRoute,
};
use template::{Template, Throttling};

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

/// The HTTP API of `template`, if it has one. `account` is what the account lets through, which routes may have less of.
///
/// # Errors
/// When API Gateway would not take it.
pub fn http_api(
    template: &Template,
    functions: &Functions,
    account: Option<Rate>,
) -> Result<Option<HttpApi>, ApiError> {
    let Some(api) = &template.http_api else { return Ok(None) };
    let built = build_http_api(api, functions, account);
    built.map(Some).map_err(|problem| ApiError {
        api: api.logical_id.clone(),
        line: api.line,
        problem,
    })
}

fn build_http_api(
    api: &template::HttpApi,
    functions: &Functions,
    account: Option<Rate>,
) -> Result<HttpApi, Box<dyn Error + Send + Sync>> {
    let routes = api.routes.iter().map(|route| {
        let function = functions[&route.function].clone();
        Ok(HttpRoute {
            key: RouteKey::parse(&route.to_string())?,
            function,
            timeout: route.timeout,
            throttle: Throttle::new(rate(route.throttling, api.throttling, account)),
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

/// What a route lets through of its own: what the template says of it, or else of its API; if that is only one of the
/// numbers, the other is the account's. Where the account's rate is lifted, so are those of routes.
fn rate(route: Throttling, api: Throttling, account: Option<Rate>) -> Option<Rate> {
    let (per_second, burst) = (route.rate.or(api.rate), route.burst.or(api.burst));
    let has_own = per_second.is_some() || burst.is_some();
    account.filter(|_account| has_own).map(|account| Rate {
        per_second: per_second.unwrap_or(account.per_second),
        burst: burst.unwrap_or(account.burst),
    })
}

/// The WebSocket APIs of `template`. `account` is what the account lets through, which routes may have less of.
///
/// # Errors
/// When API Gateway would not take one of them.
pub fn websocket_apis(
    template: &Template,
    functions: &Functions,
    account: Option<Rate>,
) -> Result<Vec<WebSocketApi>, ApiError> {
    let apis = template.websocket_apis.iter().map(|api| {
        build_websocket_api(api, functions, account).map_err(|problem| ApiError {
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
    account: Option<Rate>,
) -> Result<WebSocketApi, Box<dyn Error + Send + Sync>> {
    let route = |route: &template::WebSocketRoute| WebSocketRoute {
        key: route.key.clone(),
        function: functions[&route.function].clone(),
        two_way: route.two_way,
        timeout: route.timeout,
        throttle: Throttle::new(rate(route.throttling, api.throttling, account)),
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
        id: api.api_id.clone(),
        stage: api.stage.clone(),
        routes: api.routes.iter().map(route).collect(),
        route_selection: api.route_selection_expression.parse()?,
        authorizer: authorizer.transpose()?,
        stage_variables: api.stage_variables.iter().cloned().collect(),
        ..WebSocketApi::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_takes_what_it_does_not_say_from_its_api_and_the_account() {
        let own = |rate, burst| Throttling { rate, burst };
        let neither = Throttling::default();
        let account = Some(Rate { per_second: 10_000.0, burst: 5_000 });
        for (route, api, expected) in [
            (neither, neither, None),
            (own(Some(2.5), Some(4)), neither, Some((2.5, 4))),
            (own(Some(2.5), None), own(Some(100.0), Some(20)), Some((2.5, 20))),
            (own(None, Some(1)), own(Some(10.0), None), Some((10.0, 1))),
            (neither, own(Some(100.0), Some(20)), Some((100.0, 20))),
            (own(Some(0.0), None), neither, Some((0.0, 5_000))),
            (own(None, Some(0)), neither, Some((10_000.0, 0))),
        ] {
            let expected = expected.map(|(per_second, burst)| Rate { per_second, burst });
            assert_eq!(rate(route, api, account), expected, "{route:?} of {api:?}");
            assert_eq!(rate(route, api, None), None);
        }
    }
}
