//! Which route of an HTTP API a request goes to.

use serde_json::{Value, json};

use crate::{
    probe::{Stop, is, probes, same},
    target::{self, Target, given},
    wire::{Request, Response},
};

probes! {
    "http.route.exact" Documented HTTP_ROUTES
        "a method and a path are a route"
        => async |target| goes_to(target, "POST", "/exact", "POST /exact", None).await;
    "http.route.variable" Documented HTTP_ROUTES
        "a variable takes one segment" => async |target| {
            goes_to(target, "GET", "/users/u-1", "GET /users/{id}", Some(json!({ "id": "u-1" }))).await
        };
    "http.route.variable-one-segment" Documented HTTP_ROUTES
        "a variable takes no more than one segment" => async |target| is_not_found(target, "GET", "/users/a/b").await;
    "http.route.static-first" Documented HTTP_ROUTES
        "a static segment goes before a variable"
        => async |target| goes_to(target, "GET", "/users/me", "GET /users/me", None).await;
    "http.route.variables-in-between" Documented HTTP_ROUTES
        "variables may stand between static segments" => async |target| {
            let parameters = json!({ "id": "u-1", "post": "7" });
            goes_to(target, "GET", "/users/u-1/posts/7", "GET /users/{id}/posts/{post}", Some(parameters)).await
        };
    "http.route.greedy" Documented HTTP_ROUTES
        "a greedy variable takes all segments that are left" => async |target| {
            let parameters = json!({ "proxy": "a/b/c" });
            goes_to(target, "PUT", "/files/a/b/c", "ANY /files/{proxy+}", Some(parameters)).await
        };
    "http.route.greedy-last" Documented HTTP_ROUTES
        "a full match, even with a variable, goes before a greedy one" => async |target| {
            goes_to(target, "GET", "/files/a", "GET /files/{name}", Some(json!({ "name": "a" }))).await
        };
    "http.route.any" Documented HTTP_ROUTES
        "ANY takes every method" => async |target| goes_to(target, "PATCH", "/any", "ANY /any", None).await;
    "http.route.method-first" Documented HTTP_ROUTES
        "a route of the method goes before ANY" => async |target| goes_to(target, "GET", "/any", "GET /any", None).await;
    "http.route.unknown-404" Documented HTTP_ROUTES
        "without a route the answer is 404 Not Found" => async |target| is_not_found(target, "GET", "/unknown").await;
    "http.route.method-404" Documented HTTP_ROUTES
        "a path with another method is not found: there is no 405"
        => async |target| is_not_found(target, "DELETE", "/exact").await;
    "http.route.case-404" Assumed UNKNOWN
        "paths are compared with their case" => async |target| is_not_found(target, "GET", "/Exact").await;
    "http.route.trailing-slash-404" Assumed UNKNOWN
        "a path with a slash at its end is another path" => async |target| is_not_found(target, "GET", "/exact/").await;
    "http.route.prefix-404" Documented HTTP_ROUTES
        "a path below a route's is another path" => async |target| is_not_found(target, "GET", "/exact/more").await;
    "http.route.default" Documented HTTP_ROUTES
        "$default takes what no other route does" => default_route;
    "http.route.default-last" Documented HTTP_ROUTES
        "$default comes last" => default_is_last;
    "http.route.other-stage-404" Documented HTTP_ROUTES
        "a path that begins with no stage is not found where there is no $default stage" => no_stage;
}

async fn goes_to(
    target: &Target,
    method: &'static str,
    path: &str,
    route_key: &str,
    parameters: Option<Value>,
) -> Result<(), Stop> {
    let event = target.report(Request::new(method, path)).await?["event"].take();
    is("routeKey", &event["routeKey"], route_key)?;
    same("pathParameters", event.get("pathParameters"), parameters.as_ref())
}

async fn is_not_found(target: &Target, method: &'static str, path: &str) -> Result<(), Stop> {
    not_found(&target.http(Request::new(method, path)).await?)
}

fn not_found(response: &Response) -> Result<(), Stop> {
    same("the status", response.status, 404)?;
    same("the body", response.text(), r#"{"message":"Not Found"}"#)
}

async fn named(target: &Target, method: &'static str, path: &str) -> Result<Value, Stop> {
    let response = target.http_named(Request::new(method, path)).await?;
    Ok(target::report(&response)?["event"].take())
}

async fn default_route(target: &Target) -> Result<(), Stop> {
    let event = named(target, "DELETE", "/anything/at/all").await?;
    is("routeKey", &event["routeKey"], "$default")?;
    same("pathParameters", event.get("pathParameters"), None::<&Value>)
}

async fn default_is_last(target: &Target) -> Result<(), Stop> {
    is("routeKey", &named(target, "GET", "/exact").await?["routeKey"], "GET /exact")?;
    is("routeKey", &named(target, "POST", "/exact").await?["routeKey"], "$default")
}

async fn no_stage(target: &Target) -> Result<(), Stop> {
    let url = given(target.http_named.as_ref(), "--http-named")?;
    not_found(&target.request(url, Request::new("GET", "/there-is-no-such-stage/exact")).await?)
}
