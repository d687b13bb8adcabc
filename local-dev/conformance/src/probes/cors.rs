//! Cross-origin requests, which an HTTP API with a CORS configuration answers for by itself.

use serde_json::json;

use crate::{
    probe::{Stop, check, probes, same},
    target::{Target, scripted},
    wire::{Request, Response},
};

probes! {
    "http.cors.preflight" Documented HTTP_CORS
        "a preflight request is answered by the API, though there is no OPTIONS route" => preflight;
    "http.cors.preflight-204" Assumed CORS_TUTORIAL
        "a preflight request is answered 204" => preflight_is_204;
    "http.cors.preflight-headers" Documented HTTP_CORS
        "its answer has the configured methods, headers and age" => preflight_headers;
    "http.cors.preflight-not-invoked" Documented HTTP_CORS
        "no function hears of a preflight request, even where a route takes every method" => preflight_is_no_event;
    "http.cors.preflight-other-origin" Assumed UNKNOWN
        "the answer to an origin that is not allowed has no CORS headers" => preflight_of_other;
    "http.cors.options" Documented HTTP_CORS
        "OPTIONS without Access-Control-Request-Method is no preflight request" => options_is_no_preflight;
    "http.cors.actual" Documented HTTP_CORS
        "an answer to an allowed origin names it, exposes headers and allows credentials" => actual;
    "http.cors.no-origin" Documented HTTP_CORS
        "an answer to a request without Origin has no CORS headers" => no_origin;
    "http.cors.other-origin" Assumed UNKNOWN
        "a request of an origin that is not allowed reaches the function, and its answer has no CORS headers"
        => other_origin;
    "http.cors.functions-headers" Documented HTTP_CORS
        "CORS headers of the function's are ignored" => functions_headers;
    "http.cors.functions-headers-no-origin" Documented HTTP_CORS
        "they are ignored even without Origin" => functions_headers_without_origin;
    "http.cors.errors" Assumed UNKNOWN
        "the gateway's own errors have CORS headers" => errors;
}

const ORIGIN: &str = "https://app.example";
const OTHER: &str = "https://other.example";

async fn ask(target: &Target, path: &str, origin: &str) -> Result<Response, Stop> {
    let request = Request::new("OPTIONS", path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST");
    target.http(request).await
}

fn has_no_cors(response: &Response) -> Result<(), Stop> {
    let is_cors = |name: &str| {
        name.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("access-control-"))
    };
    let cors = response.headers.iter().find(|(name, _)| is_cors(name));
    check(cors.is_none(), || format!("the headers are {:?}", response.headers))
}

fn allows(response: &Response, origin: &str) -> Result<(), Stop> {
    let seen = response.header("access-control-allow-origin");
    same("access-control-allow-origin", seen, Some(origin))
}

async fn preflight(target: &Target) -> Result<(), Stop> {
    let response = ask(target, "/exact", ORIGIN).await?;
    check((200..300).contains(&response.status), || format!("the status is {}", response.status))?;
    same("the body", response.text(), "")?;
    allows(&response, ORIGIN)
}

async fn preflight_is_204(target: &Target) -> Result<(), Stop> {
    same("the status", ask(target, "/exact", ORIGIN).await?.status, 204)
}

async fn preflight_headers(target: &Target) -> Result<(), Stop> {
    let response = ask(target, "/exact", ORIGIN).await?;
    for (name, expected) in [
        ("access-control-allow-methods", "get,post"),
        ("access-control-allow-headers", "content-type,x-custom"),
        ("access-control-max-age", "600"),
        ("access-control-allow-credentials", "true"),
    ] {
        let seen = response.header(name).unwrap_or_default().to_ascii_lowercase().replace(' ', "");
        same(name, seen, expected)?;
    }
    Ok(())
}

async fn preflight_is_no_event(target: &Target) -> Result<(), Stop> {
    let response = ask(target, "/any", ORIGIN).await?;
    same("the body", response.text(), "")
}

async fn preflight_of_other(target: &Target) -> Result<(), Stop> {
    has_no_cors(&ask(target, "/exact", OTHER).await?)
}

async fn options_is_no_preflight(target: &Target) -> Result<(), Stop> {
    let request = Request::new("OPTIONS", "/any").header("Origin", ORIGIN);
    let report = target.report(request).await?;
    same("routeKey", report["event"]["routeKey"].as_str(), Some("ANY /any"))
}

async fn actual(target: &Target) -> Result<(), Stop> {
    let response = target.http(Request::new("GET", "/exact").header("Origin", ORIGIN)).await?;
    allows(&response, ORIGIN)?;
    let exposed = response.header("access-control-expose-headers").map(str::to_ascii_lowercase);
    same("access-control-expose-headers", exposed.as_deref(), Some("x-exposed"))?;
    let credentials = response.header("access-control-allow-credentials");
    same("access-control-allow-credentials", credentials, Some("true"))
}

async fn no_origin(target: &Target) -> Result<(), Stop> {
    has_no_cors(&target.http(Request::new("GET", "/exact")).await?)
}

async fn other_origin(target: &Target) -> Result<(), Stop> {
    let response = target.http(Request::new("GET", "/exact").header("Origin", OTHER)).await?;
    same("the status", response.status, 200)?;
    has_no_cors(&response)
}

/// A path whose function answers CORS headers of its own.
fn own_headers() -> String {
    let headers = json!({
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "DELETE",
        "Access-Control-Expose-Headers": "x-secret",
    });
    scripted("/script", &json!({ "answer": { "statusCode": 200, "headers": headers } }))
}

async fn functions_headers(target: &Target) -> Result<(), Stop> {
    let response = target.http(Request::new("GET", own_headers()).header("Origin", ORIGIN)).await?;
    allows(&response, ORIGIN)?;
    same("the count of allowed origins", response.all("access-control-allow-origin").count(), 1)?;
    let exposed = response.header("access-control-expose-headers").map(str::to_ascii_lowercase);
    same("access-control-expose-headers", exposed.as_deref(), Some("x-exposed"))
}

async fn functions_headers_without_origin(target: &Target) -> Result<(), Stop> {
    has_no_cors(&target.http(Request::new("GET", own_headers())).await?)
}

async fn errors(target: &Target) -> Result<(), Stop> {
    let response = target.http(Request::new("GET", "/unknown").header("Origin", ORIGIN)).await?;
    same("the status", response.status, 404)?;
    allows(&response, ORIGIN)
}
