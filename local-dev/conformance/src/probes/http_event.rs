//! The event of an HTTP API's request, in payload format 2.0.

use serde_json::{Value, json};

use super::event::{has_keys, has_no_null, has_times, is_id};
use crate::{
    probe::{Stop, check, is, probes, same},
    socket::url_host,
    target::{self, Target, given},
    wire::Request,
};

probes! {
    "http.event.keys" Documented HTTP_LAMBDA
        "the event of a plain GET has these keys in this order, and none for what is absent" => keys;
    "http.event.keys-all" Assumed HTTP_LAMBDA
        "the event of a request with everything has all keys, pathParameters and body at the end" => all_keys;
    "http.event.context-keys" Documented HTTP_LAMBDA
        "its requestContext has the documented keys in the documented order" => context_keys;
    "http.event.http-keys" Documented HTTP_LAMBDA
        "requestContext.http has method, path, protocol, sourceIp and userAgent" => http_keys;
    "http.event.no-nulls" Captured MINISTACK_766
        "what it does not have is absent, not null" => no_nulls;
    "http.event.version" Documented HTTP_LAMBDA
        "version is 2.0" => version;
    "http.event.route-key" Documented HTTP_LAMBDA
        "routeKey and requestContext.routeKey are the route's" => route_key;
    "http.event.path" Documented HTTP_LAMBDA
        "rawPath and requestContext.http.path are the path of the request" => path;
    "http.event.path-decoded" Assumed DOTNET_TEST_TOOL
        "both are decoded, while rawQueryString is not" => path_is_decoded;
    "http.event.query" Documented HTTP_LAMBDA
        "rawQueryString is as sent, and values of the same parameter are joined by commas" => query;
    "http.event.query-decoded" Documented HTTP_LAMBDA
        "queryStringParameters are decoded" => query_is_decoded;
    "http.event.cookies" Documented HTTP_LAMBDA
        "cookies are split" => cookies;
    "http.event.cookie-header" Assumed HTTP_LAMBDA
        "the header cookie is not among the headers" => cookie_header;
    "http.event.header-case" Documented HTTP_LAMBDA
        "names of headers are in lower case" => header_case;
    "http.event.header-twice" Documented HTTP_LAMBDA
        "values of the same header are joined by commas" => header_twice;
    "http.event.forwarded" Captured CAPTURED
        "the gateway adds x-forwarded-for, -port and -proto" => forwarded;
    "http.event.forwarded-list" Captured CAPTURED
        "x-forwarded-for is the client's list and the client" => forwarded_list;
    "http.event.trace" Captured CAPTURED
        "the gateway adds x-amzn-trace-id" => trace;
    "http.event.request-id" Captured CAPTURED
        "requestId has the form of an id and is the answer's apigw-requestid" => request_id;
    "http.event.times" Documented HTTP_LAMBDA
        "timeEpoch is in milliseconds, time the same in the common log format" => times;
    "http.event.domain" Documented HTTP_LAMBDA
        "domainName is the host, domainPrefix its first label" => domain;
    "http.event.stage" Documented HTTP_LAMBDA
        "stage is $default" => stage;
    "http.event.account" Documented HTTP_LAMBDA
        "accountId is 12 digits" => account;
    "http.event.path-parameters-decoded" Assumed UNKNOWN
        "pathParameters are decoded" => path_parameters_are_decoded;
    "http.event.body-json" Captured MINISTACK_766
        "a body of application/json is text" => async |target| body(target, Some("application/json"), false).await;
    "http.event.body-text" Captured MINISTACK_766
        "a body of text/plain is text" => async |target| body(target, Some("text/plain"), false).await;
    "http.event.body-csv" Captured MINISTACK_766
        "a body of text/csv is text" => async |target| body(target, Some("text/csv"), false).await;
    "http.event.body-xml" Captured MINISTACK_766
        "a body of application/xml is text" => async |target| body(target, Some("application/xml"), false).await;
    "http.event.body-javascript" Captured MINISTACK_766
        "a body of application/javascript is text"
        => async |target| body(target, Some("application/javascript"), false).await;
    "http.event.body-form" Captured MINISTACK_766
        "a form is base64" => async |target| body(target, Some("application/x-www-form-urlencoded"), true).await;
    "http.event.body-binary" Captured MINISTACK_766
        "a body of application/octet-stream is base64"
        => async |target| body(target, Some("application/octet-stream"), true).await;
    "http.event.body-no-type" Captured MINISTACK_766
        "a body without content-type is base64" => async |target| body(target, None, true).await;
    "http.event.body-charset" Assumed UNKNOWN
        "a text type with a charset is text"
        => async |target| body(target, Some("application/json; charset=utf-8"), false).await;
    "http.event.body-suffix" Assumed UNKNOWN
        "a body of application/problem+json is base64"
        => async |target| body(target, Some("application/problem+json"), true).await;
    "http.event.body-of-delete" Documented HTTP_LAMBDA
        "a body of DELETE is passed on" => body_of_delete;
    "http.event.named-stage-path" Captured FLOCI_2172
        "at a named stage, rawPath begins with it, and routeKey does not" => named_stage;
    "http.event.stage-variables" Documented HTTP_LAMBDA
        "a stage's variables are in the event" => stage_variables;
}

async fn event_of(target: &Target, request: Request) -> Result<Value, Stop> {
    Ok(target.report(request).await?["event"].take())
}

async fn plain(target: &Target) -> Result<Value, Stop> {
    event_of(target, Request::new("GET", "/exact")).await
}

async fn keys(target: &Target) -> Result<(), Stop> {
    let keys = [
        "version",
        "routeKey",
        "rawPath",
        "rawQueryString",
        "headers",
        "requestContext",
        "isBase64Encoded",
    ];
    let event = plain(target).await?;
    has_keys("the event", &event, &keys)?;
    is("rawQueryString", &event["rawQueryString"], "")
}

async fn all_keys(target: &Target) -> Result<(), Stop> {
    let keys = [
        "version",
        "routeKey",
        "rawPath",
        "rawQueryString",
        "cookies",
        "headers",
        "queryStringParameters",
        "requestContext",
        "pathParameters",
        "body",
        "isBase64Encoded",
    ];
    let request = Request::new("POST", "/files/a/b?c=d")
        .header("cookie", "e=f")
        .header("content-type", "text/plain")
        .body("hello");
    has_keys("the event", &event_of(target, request).await?, &keys)
}

async fn context_keys(target: &Target) -> Result<(), Stop> {
    let keys = [
        "accountId",
        "apiId",
        "domainName",
        "domainPrefix",
        "http",
        "requestId",
        "routeKey",
        "stage",
        "time",
        "timeEpoch",
    ];
    has_keys("requestContext", &plain(target).await?["requestContext"], &keys)
}

async fn http_keys(target: &Target) -> Result<(), Stop> {
    let request = Request::new("GET", "/exact").header("user-agent", "probe/1");
    let http = event_of(target, request).await?["requestContext"]["http"].take();
    let keys = ["method", "path", "protocol", "sourceIp", "userAgent"];
    has_keys("http", &http, &keys)?;
    for (key, value) in [("method", "GET"), ("protocol", "HTTP/1.1"), ("userAgent", "probe/1")] {
        is(key, &http[key], value)?;
    }
    Ok(())
}

async fn no_nulls(target: &Target) -> Result<(), Stop> {
    has_no_null(&plain(target).await?)
}

async fn version(target: &Target) -> Result<(), Stop> {
    is("version", &plain(target).await?["version"], "2.0")
}

async fn route_key(target: &Target) -> Result<(), Stop> {
    let event = plain(target).await?;
    is("routeKey", &event["routeKey"], "GET /exact")?;
    is("requestContext.routeKey", &event["requestContext"]["routeKey"], "GET /exact")
}

async fn path(target: &Target) -> Result<(), Stop> {
    let event = plain(target).await?;
    is("rawPath", &event["rawPath"], "/exact")?;
    is("requestContext.http.path", &event["requestContext"]["http"]["path"], "/exact")
}

async fn path_is_decoded(target: &Target) -> Result<(), Stop> {
    let event = event_of(target, Request::new("GET", "/users/a%20b%C3%A9?c=%20")).await?;
    is("rawPath", &event["rawPath"], "/users/a b\u{e9}")?;
    is("requestContext.http.path", &event["requestContext"]["http"]["path"], "/users/a b\u{e9}")?;
    is("rawQueryString", &event["rawQueryString"], "c=%20")
}

async fn query(target: &Target) -> Result<(), Stop> {
    let event = event_of(target, Request::new("GET", "/exact?tag=a&limit=20&tag=b")).await?;
    is("rawQueryString", &event["rawQueryString"], "tag=a&limit=20&tag=b")?;
    let expected = json!({ "tag": "a,b", "limit": "20" });
    is("queryStringParameters", &event["queryStringParameters"], expected)
}

async fn query_is_decoded(target: &Target) -> Result<(), Stop> {
    let event = event_of(target, Request::new("GET", "/exact?a%20b=c%2Bd%C3%A9&empty=")).await?;
    is("rawQueryString", &event["rawQueryString"], "a%20b=c%2Bd%C3%A9&empty=")?;
    let expected = json!({ "a b": "c+d\u{e9}", "empty": "" });
    is("queryStringParameters", &event["queryStringParameters"], expected)
}

fn with_cookies() -> Request {
    Request::new("GET", "/exact").header("Cookie", "sid=1; theme=dark")
}

async fn cookies(target: &Target) -> Result<(), Stop> {
    let event = event_of(target, with_cookies()).await?;
    is("cookies", &event["cookies"], json!(["sid=1", "theme=dark"]))
}

async fn cookie_header(target: &Target) -> Result<(), Stop> {
    let event = event_of(target, with_cookies()).await?;
    same("the header cookie", event["headers"].get("cookie"), None::<&Value>)
}

async fn header_case(target: &Target) -> Result<(), Stop> {
    let request = Request::new("GET", "/exact").header("X-cUSTOM", "Value");
    let headers = event_of(target, request).await?["headers"].take();
    is("x-custom", &headers["x-custom"], "Value")?;
    let names = headers.as_object().into_iter().flat_map(|headers| headers.keys());
    for name in names {
        same("a header", name.as_str(), name.to_ascii_lowercase())?;
    }
    Ok(())
}

async fn header_twice(target: &Target) -> Result<(), Stop> {
    let request = Request::new("GET", "/exact").header("x-twice", "1").header("X-Twice", "2");
    is("x-twice", &event_of(target, request).await?["headers"]["x-twice"], "1,2")
}

async fn forwarded(target: &Target) -> Result<(), Stop> {
    let event = plain(target).await?;
    let headers = &event["headers"];
    let url = given(target.http.as_ref(), "--http")?;
    is("x-forwarded-proto", &headers["x-forwarded-proto"], url.scheme())?;
    let port = url.port_or_known_default().unwrap_or_default().to_string();
    is("x-forwarded-port", &headers["x-forwarded-port"], port)?;
    let source_ip = event["requestContext"]["http"]["sourceIp"].clone();
    is("x-forwarded-for", &headers["x-forwarded-for"], source_ip)
}

async fn forwarded_list(target: &Target) -> Result<(), Stop> {
    let request = Request::new("GET", "/exact").header("X-Forwarded-For", "203.0.113.1");
    let event = event_of(target, request).await?;
    let source_ip = event["requestContext"]["http"]["sourceIp"].as_str().unwrap_or_default();
    let forwarded_for = event["headers"]["x-forwarded-for"].as_str().unwrap_or_default();
    // With or without a space.
    same("x-forwarded-for", forwarded_for.replace(", ", ","), format!("203.0.113.1,{source_ip}"))
}

async fn trace(target: &Target) -> Result<(), Stop> {
    let event = plain(target).await?;
    let trace = event["headers"]["x-amzn-trace-id"].as_str().unwrap_or_default();
    check(trace.starts_with("Root=1-"), || format!("x-amzn-trace-id is {trace:?}"))
}

async fn request_id(target: &Target) -> Result<(), Stop> {
    let response = target.http(Request::new("GET", "/exact")).await?;
    let report = target::report(&response)?;
    let id = &report["event"]["requestContext"]["requestId"];
    is_id(id)?;
    same("apigw-requestid", response.header("apigw-requestid"), id.as_str())
}

async fn times(target: &Target) -> Result<(), Stop> {
    let event = plain(target).await?;
    let context = &event["requestContext"];
    has_times(&context["time"], &context["timeEpoch"])
}

async fn domain(target: &Target) -> Result<(), Stop> {
    let url = given(target.http.as_ref(), "--http")?;
    let event = plain(target).await?;
    let context = &event["requestContext"];
    is("domainName", &context["domainName"], url_host(url))?;
    let host = url.host_str().unwrap_or_default();
    is("domainPrefix", &context["domainPrefix"], host.split('.').next().unwrap_or_default())
}

async fn stage(target: &Target) -> Result<(), Stop> {
    is("stage", &plain(target).await?["requestContext"]["stage"], "$default")
}

async fn account(target: &Target) -> Result<(), Stop> {
    let account = plain(target).await?["requestContext"]["accountId"].take();
    let is_account =
        account.as_str().is_some_and(|id| id.len() == 12 && id.bytes().all(|c| c.is_ascii_digit()));
    check(is_account, || format!("accountId is {account}"))
}

async fn path_parameters_are_decoded(target: &Target) -> Result<(), Stop> {
    let event = event_of(target, Request::new("GET", "/users/a%20b%C3%A9")).await?;
    is("pathParameters", &event["pathParameters"], json!({ "id": "a b\u{e9}" }))
}

async fn body(target: &Target, content_type: Option<&str>, is_base64: bool) -> Result<(), Stop> {
    let mut request = Request::new("POST", "/exact").body(r#"{"text":"hi"}"#);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let event = event_of(target, request).await?;
    is("isBase64Encoded", &event["isBase64Encoded"], is_base64)?;
    let expected = if is_base64 { "eyJ0ZXh0IjoiaGkifQ==" } else { r#"{"text":"hi"}"# };
    is("the body", &event["body"], expected)
}

async fn body_of_delete(target: &Target) -> Result<(), Stop> {
    let request = Request::new("DELETE", "/any").header("content-type", "text/plain").body("hello");
    is("the body", &event_of(target, request).await?["body"], "hello")
}

async fn named_stage(target: &Target) -> Result<(), Stop> {
    let response = target.http_named(Request::new("GET", "/exact")).await?;
    let event = target::report(&response)?["event"].take();
    let url = given(target.http_named.as_ref(), "--http-named")?;
    let stage = url.path().trim_matches('/');
    is("routeKey", &event["routeKey"], "GET /exact")?;
    is("stage", &event["requestContext"]["stage"], stage)?;
    for path in [&event["rawPath"], &event["requestContext"]["http"]["path"]] {
        is("the path", path, format!("/{stage}/exact"))?;
    }
    Ok(())
}

async fn stage_variables(target: &Target) -> Result<(), Stop> {
    let response = target.http_named(Request::new("GET", "/exact")).await?;
    let event = target::report(&response)?["event"].take();
    is("stageVariables", &event["stageVariables"], json!({ "colour": "blue" }))
}
