//! What an HTTP API makes of its functions' answers.

use serde_json::{Value, json};

use super::event::is_id;
use crate::{
    probe::{Stop, check, probes, same},
    target::Target,
    wire::{Request, Response},
};

probes! {
    "http.answer.status" Documented HTTP_LAMBDA
        "the answer has the function's status, headers and body" => status_headers_body;
    "http.answer.status-any" Documented HTTP_LAMBDA
        "any status is passed on" => any_status;
    "http.answer.inferred-object" Documented HTTP_LAMBDA
        "a document without statusCode is itself the body, with 200 and application/json"
        => async |target| infers(target, &json!({ "ok": true })).await;
    "http.answer.inferred-text" Documented HTTP_LAMBDA
        "so is a text, without its quotes" => async |target| infers(target, &json!("hello")).await;
    "http.answer.inferred-array" Assumed HTTP_LAMBDA
        "so is an array" => async |target| infers(target, &json!([1, 2])).await;
    "http.answer.cookies" Documented HTTP_LAMBDA
        "each of the cookies is a set-cookie" => cookies;
    "http.answer.cookies-and-header" Assumed MINISTACK_766
        "a Set-Cookie among the headers comes after the cookies" => cookies_and_header;
    "http.answer.base64" Documented HTTP_LAMBDA
        "a body in base64 is decoded" => base64;
    "http.answer.base64-broken" Documented HTTP_TROUBLE
        "a body that should be base64 and is not is answered 500"
        => async |target| {
            let answer = json!({ "statusCode": 200, "body": "?", "isBase64Encoded": true });
            breaks(target, &json!({ "answer": answer })).await
        };
    "http.answer.default-type" Assumed UNKNOWN
        "a body without content-type is text/plain; charset=utf-8" => default_type;
    "http.answer.no-body" Documented HTTP_LAMBDA
        "an answer without body has none" => no_body;
    "http.answer.multi-value-headers" Assumed HTTP_LAMBDA
        "multiValueHeaders of payload format 1.0 are ignored" => multi_value_headers;
    "http.answer.request-id" Captured CORTEX_1225
        "every answer has an apigw-requestid of an id's form" => request_id;
    "http.answer.fail-500" Documented HTTP_TROUBLE
        "a function that fails is answered 500 Internal Server Error"
        => async |target| breaks(target, &json!({ "end": "fail" })).await;
    "http.answer.panic-500" Documented HTTP_TROUBLE
        "a function that panics is answered 500 Internal Server Error"
        => async |target| breaks(target, &json!({ "end": "panic" })).await;
    "http.answer.exit-500" Documented HTTP_TROUBLE
        "a function whose process ends is answered 500 Internal Server Error"
        => async |target| breaks(target, &json!({ "end": "exit" })).await;
    "http.answer.bad-status-500" Documented HTTP_TROUBLE
        "a statusCode that is no number is answered 500"
        => async |target| breaks(target, &json!({ "answer": { "statusCode": "ok" } })).await;
    "http.answer.bad-headers-500" Documented HTTP_TROUBLE
        "headers that are a text are answered 500"
        => async |target| breaks(target, &json!({ "answer": { "statusCode": 200, "headers": "x" } })).await;
    "http.answer.bad-body-500" Documented HTTP_TROUBLE
        "a body that is an object is answered 500"
        => async |target| breaks(target, &json!({ "answer": { "statusCode": 200, "body": {} } })).await;
    "http.answer.function-timeout-500" Documented HTTP_TROUBLE
        "a function that Lambda stops is answered 500 Internal Server Error" => function_times_out;
    "http.answer.timeout-503" Captured CORTEX_1225
        "a function that takes longer than its integration may is answered 503 Service Unavailable" => times_out;
    "http.answer.error-format" Captured CORTEX_1225
        "the gateway's own answers are application/json of known length with an apigw-requestid" => error_format;
}

async fn answer(target: &Target, answer: &Value) -> Result<Response, Stop> {
    target.script("/script", &json!({ "answer": answer })).await
}

async fn status_headers_body(target: &Target) -> Result<(), Stop> {
    let headers = json!({ "Content-Type": "text/html", "X-Custom": "a" });
    let document = json!({ "statusCode": 201, "headers": headers, "body": "<p>" });
    let response = answer(target, &document).await?;
    same("the status", response.status, 201)?;
    same("content-type", response.header("content-type"), Some("text/html"))?;
    same("x-custom", response.header("x-custom"), Some("a"))?;
    same("the body", response.text(), "<p>")
}

async fn any_status(target: &Target) -> Result<(), Stop> {
    for status in [204, 302, 404, 418, 503] {
        let response = answer(target, &json!({ "statusCode": status })).await?;
        same("the status", response.status, status)?;
    }
    Ok(())
}

async fn infers(target: &Target, document: &Value) -> Result<(), Stop> {
    let response = answer(target, document).await?;
    same("the status", response.status, 200)?;
    same("content-type", response.header("content-type"), Some("application/json"))?;
    let body = document.as_str().map_or_else(|| document.to_string(), str::to_owned);
    same("the body", response.text(), body)
}

async fn cookies(target: &Target) -> Result<(), Stop> {
    let document = json!({ "statusCode": 200, "cookies": ["a=1; HttpOnly", "b=2"] });
    let response = answer(target, &document).await?;
    let seen: Vec<_> = response.all("set-cookie").collect();
    same("set-cookie", seen, ["a=1; HttpOnly", "b=2"])
}

async fn cookies_and_header(target: &Target) -> Result<(), Stop> {
    let headers = json!({ "Set-Cookie": "c=3" });
    let document = json!({ "statusCode": 200, "cookies": ["a=1", "b=2"], "headers": headers });
    let response = answer(target, &document).await?;
    let seen: Vec<_> = response.all("set-cookie").collect();
    same("set-cookie", seen, ["a=1", "b=2", "c=3"])
}

async fn base64(target: &Target) -> Result<(), Stop> {
    let headers = json!({ "content-type": "image/png" });
    let document = json!({
        "statusCode": 200, "headers": headers, "body": "AP+J", "isBase64Encoded": true,
    });
    let response = answer(target, &document).await?;
    same("the body", response.body, [0x00, 0xff, 0x89])
}

async fn default_type(target: &Target) -> Result<(), Stop> {
    let response = answer(target, &json!({ "statusCode": 200, "body": "hello" })).await?;
    same("content-type", response.header("content-type"), Some("text/plain; charset=utf-8"))
}

async fn no_body(target: &Target) -> Result<(), Stop> {
    let response = answer(target, &json!({ "statusCode": 200 })).await?;
    same("the body", response.text(), "")
}

async fn multi_value_headers(target: &Target) -> Result<(), Stop> {
    let document = json!({ "statusCode": 200, "multiValueHeaders": { "x-many": ["1", "2"] } });
    let response = answer(target, &document).await?;
    same("x-many", response.header("x-many"), None::<&str>)
}

async fn request_id(target: &Target) -> Result<(), Stop> {
    for path in ["/exact", "/unknown"] {
        let response = target.http(Request::new("GET", path)).await?;
        let id = response.header("apigw-requestid").unwrap_or_default();
        is_id(&id.into()).map_err(|stop| stop.at(path))?;
    }
    Ok(())
}

/// The gateway's own answer.
fn is_error(response: &Response, status: u16, message: &str) -> Result<(), Stop> {
    same("the status", response.status, status)?;
    same("the body", response.text(), json!({ "message": message }).to_string())
}

async fn breaks(target: &Target, script: &Value) -> Result<(), Stop> {
    is_error(&target.script("/script", script).await?, 500, "Internal Server Error")
}

async fn function_times_out(target: &Target) -> Result<(), Stop> {
    let response = target.script("/impatient", &json!({ "sleep_ms": 5000 })).await?;
    is_error(&response, 500, "Internal Server Error")
}

async fn times_out(target: &Target) -> Result<(), Stop> {
    let response = target.script("/slow", &json!({ "sleep_ms": 3000 })).await?;
    is_error(&response, 503, "Service Unavailable")
}

async fn error_format(target: &Target) -> Result<(), Stop> {
    let response = target.http(Request::new("GET", "/unknown")).await?;
    same("content-type", response.header("content-type"), Some("application/json"))?;
    let length = response.body.len().to_string();
    same("content-length", response.header("content-length"), Some(&*length))?;
    check(response.header("apigw-requestid").is_some(), || {
        format!("the headers are {:?}", response.headers)
    })
}
