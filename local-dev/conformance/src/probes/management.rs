//! The management API, `@connections`.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::PercentEncodingMode;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Iso8601};
use uuid::Uuid;

use super::event::{has_keys, is_id};
use crate::{
    probe::{Stop, check, is, probes, same},
    socket::Opening,
    target::{Session, Target},
    wire::{Request, Response},
};

probes! {
    "ws.management.post" Documented WS_CONNECTIONS
        "POST is answered 200 with an empty body, and the client gets what was posted" => posts;
    "ws.management.post-headers" Captured BREF_SAMPLES
        "POST's answer has application/json, length 0, a request id, an API Gateway id and a trace id" => post_headers;
    "ws.management.post-largest" Documented WS_QUOTAS
        "128 KB can be posted" => largest_post;
    "ws.management.post-too-large-413" Documented MANAGEMENT_MODEL
        "more than 128 KB are answered 413 PayloadTooLargeException" => too_large_post;
    "ws.management.post-not-utf8" Assumed UNKNOWN
        "bytes that are not UTF-8 are replaced by U+FFFD" => post_not_utf8;
    "ws.management.post-order" Assumed POST_ORDER
        "posts that wait for each other come in their order" => posts_are_in_order;
    "ws.management.post-from-function" Documented WS_CONNECTIONS
        "a function can post to another connection" => function_posts;
    "ws.management.post-during-connect-410" Documented GONE
        "a post to a connection whose $connect still runs is answered 410" => post_during_connect;
    "ws.management.get" Captured BREF_SAMPLES
        "GET is answered with identity, connectedAt and lastActiveAt" => get;
    "ws.management.get-format" Captured BREF_SAMPLES
        "GET's answer is JSON with a space before and after each colon, two to indent" => get_format;
    "ws.management.get-times" Captured BREF_SAMPLES
        "its times are ISO 8601 in UTC with milliseconds" => get_times;
    "ws.management.get-last-active" Assumed UNKNOWN
        "lastActiveAt moves with messages" => last_active_moves;
    "ws.management.delete" Captured BREF_SAMPLES
        "DELETE is answered 204 without body and content-type" => delete;
    "ws.management.delete-twice-410" Captured BREF_SAMPLES
        "a second DELETE is answered 410" => delete_twice;
    "ws.management.gone-410" Captured BREF_SAMPLES
        "all calls for a connection that is gone are answered 410 GoneException with an empty body" => gone;
    "ws.management.gone-unknown" Captured BREF_SAMPLES
        "an id that no connection ever had is answered 410, too" => unknown_id;
    "ws.management.malformed-400" Captured BREF_SAMPLES
        "what has no id's form is answered 400 BadRequestException with the id" => malformed_id;
    "ws.management.path-encoded" Documented WS_CONNECTIONS
        "a path with @ and = percent-encoded is understood" => encoded_path;
    "ws.management.path-raw" Captured AWSCURL_61
        "a path with @ and = as they are is understood" => raw_path;
    "ws.management.signature-single" Captured CPP_1553
        "a signature of the path encoded once is accepted" => single_encoding;
    "ws.management.unsigned-403" Captured BRAIN_29
        "a call that is not signed is answered 403 Missing Authentication Token" => unsigned;
    "ws.management.bad-signature-403" Captured AWSCURL_61
        "a call with another secret's signature is answered 403 with a text about signatures" => bad_signature;
    "ws.management.unknown-stage-403" Captured CAPTURED
        "a stage that is not there is answered 403" => unknown_stage;
    "ws.management.slow-client-429" Documented MANAGEMENT_MODEL
        "posts to a client that does not read are answered 429 LimitExceededException sooner or later" => slow_client;
}

async fn posts(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, id } = target.session().await?;
    let response = target.manage("POST", &id, "hello").await?;
    same("the status", response.status, 200)?;
    same("the body", response.text(), "")?;
    same("the message", socket.message().await?, "hello")
}

/// The ids that every answer has.
fn has_ids(response: &Response) -> Result<(), Stop> {
    let request_id = response.header("x-amzn-requestid").unwrap_or_default();
    check(Uuid::try_parse(request_id).is_ok(), || {
        format!("x-amzn-requestid is {request_id:?}, no UUID")
    })?;
    let id = response.header("x-amz-apigw-id").unwrap_or_default();
    is_id(&id.into()).map_err(|stop| stop.at("x-amz-apigw-id"))
}

fn is_traced(response: &Response) -> Result<(), Stop> {
    let trace = response.header("x-amzn-trace-id").unwrap_or_default();
    check(trace.starts_with("Root=1-"), || format!("x-amzn-trace-id is {trace:?}"))
}

async fn post_headers(target: &Target) -> Result<(), Stop> {
    let Session { socket: _socket, id } = target.session().await?;
    let response = target.manage("POST", &id, "hello").await?;
    same("the status", response.status, 200)?;
    same("content-type", response.header("content-type"), Some("application/json"))?;
    same("content-length", response.header("content-length"), Some("0"))?;
    has_ids(&response)?;
    is_traced(&response)
}

async fn largest_post(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, id } = target.session().await?;
    target.post(&id, "x".repeat(128 * 1024)).await?;
    same("the length of the message", socket.message().await?.len(), 128 * 1024)
}

async fn too_large_post(target: &Target) -> Result<(), Stop> {
    let Session { socket: _socket, id } = target.session().await?;
    let response = target.manage("POST", &id, "x".repeat(128 * 1024 + 1)).await?;
    same("the status", response.status, 413)?;
    has_error_type(&response, "PayloadTooLargeException")
}

fn has_error_type(response: &Response, expected: &str) -> Result<(), Stop> {
    // It may be followed by a colon and a URL.
    let seen = response.header("x-amzn-errortype").unwrap_or_default();
    same("x-amzn-errortype", seen.split(':').next(), Some(expected))
}

async fn post_not_utf8(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, id } = target.session().await?;
    target.post(&id, b"a\xffb").await?;
    same("the message", socket.message().await?, "a\u{fffd}b")
}

async fn posts_are_in_order(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, id } = target.session().await?;
    let posts: Vec<_> =
        (0..8).map(|number| json!({ "to": id, "data": number.to_string() })).collect();
    socket.text(json!({ "script": { "posts": posts } }).to_string()).await?;
    for number in 0..8 {
        same("the message", socket.message().await?, number.to_string())?;
    }
    Ok(())
}

async fn function_posts(target: &Target) -> Result<(), Stop> {
    let mut receiver = target.session().await?;
    let mut sender = target.session().await?;
    let script = json!({ "posts": [{ "to": receiver.id, "data": "from another" }] });
    sender.socket.text(json!({ "script": script }).to_string()).await?;
    same("the message", receiver.socket.message().await?, "from another")
}

async fn post_during_connect(target: &Target) -> Result<(), Stop> {
    let mut observer = target.session().await?;
    let script = json!({ "posts": [{ "to": "$self", "data": "too early" }] });
    let (mut session, report) =
        target.observed(&mut observer, Opening::default().script(&script)).await?;
    is("the statuses of the posts", &report["posts"], json!([410]))?;
    session.barrier().await
}

async fn described(target: &Target) -> Result<(Session, Response), Stop> {
    let session = target.session_with(&Opening::default().header("User-Agent", "probe/1")).await?;
    let response = target.manage("GET", &session.id, "").await?;
    same("the status", response.status, 200)?;
    Ok((session, response))
}

fn description(response: &Response) -> Result<Value, Stop> {
    serde_json::from_slice(&response.body)
        .map_err(|_error| Stop::differs(format!("the body is {:?}", response.text())))
}

async fn get(target: &Target) -> Result<(), Stop> {
    let (_session, response) = described(target).await?;
    let description = description(&response)?;
    has_keys("the body", &description, &["identity", "connectedAt", "lastActiveAt"])?;
    has_keys("identity", &description["identity"], &["sourceIp", "userAgent"])?;
    is("userAgent", &description["identity"]["userAgent"], "probe/1")
}

async fn get_format(target: &Target) -> Result<(), Stop> {
    let (_session, response) = described(target).await?;
    same("content-type", response.header("content-type"), Some("application/json"))?;
    let pretty = format!("{:#}", description(&response)?).replace("\": ", "\" : ");
    same("the body", response.text(), pretty)
}

fn parse_time(value: &Value) -> Result<OffsetDateTime, Stop> {
    let text = value.as_str().filter(|text| text.len() == 24 && text.ends_with('Z'));
    let time = text.and_then(|text| OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok());
    time.ok_or_else(|| Stop::differs(format!("{value} is no such time")))
}

async fn get_times(target: &Target) -> Result<(), Stop> {
    let (_session, response) = described(target).await?;
    let description = description(&response)?;
    let [connected_at, last_active_at] =
        ["connectedAt", "lastActiveAt"].map(|key| parse_time(&description[key]));
    check(connected_at? <= last_active_at?, || format!("the body is {description}"))
}

async fn last_active_moves(target: &Target) -> Result<(), Stop> {
    let (mut session, before) = described(target).await?;
    session.barrier().await?;
    let after = target.manage("GET", &session.id, "").await?;
    let [before, after] =
        [before, after].map(|response| parse_time(&description(&response)?["lastActiveAt"]));
    let (before, after) = (before?, after?);
    check(before < after, || format!("it was {before} and is {after}"))
}

async fn delete(target: &Target) -> Result<(), Stop> {
    let Session { socket: _socket, id } = target.session().await?;
    let response = target.manage("DELETE", &id, "").await?;
    same("the status", response.status, 204)?;
    same("content-type", response.header("content-type"), None::<&str>)?;
    has_ids(&response)?;
    is_traced(&response)
}

async fn delete_twice(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, id } = target.session().await?;
    same("the status", target.manage("DELETE", &id, "").await?.status, 204)?;
    socket.closed().await?;
    is_gone(&target.manage("DELETE", &id, "").await?)
}

fn is_gone(response: &Response) -> Result<(), Stop> {
    same("the status", response.status, 410)?;
    has_error_type(response, "GoneException")?;
    same("content-type", response.header("content-type"), Some("application/json"))?;
    same("content-length", response.header("content-length"), Some("0"))?;
    has_ids(response)
}

async fn gone(target: &Target) -> Result<(), Stop> {
    let mut observer = target.session().await?;
    let (mut session, _event) = target.observed(&mut observer, Opening::default()).await?;
    session.socket.close(Some(1000), "").await?;
    observer.disconnect_event().await?;
    for method in ["POST", "GET", "DELETE"] {
        is_gone(&target.manage(method, &session.id, "").await?).map_err(|stop| stop.at(method))?;
    }
    Ok(())
}

async fn unknown_id(target: &Target) -> Result<(), Stop> {
    is_gone(&target.manage("POST", "QkT3rfHsDoECHlw=", "hello").await?)
}

async fn malformed_id(target: &Target) -> Result<(), Stop> {
    let Session { socket: _socket, id } = target.session().await?;
    let id = format!("{id}junk");
    let response = target.manage("POST", &id, "hello").await?;
    same("the status", response.status, 400)?;
    has_error_type(&response, "BadRequestException")?;
    same(
        "the body",
        response.text(),
        json!({ "message": format!("Invalid connectionId: {id}") }).to_string(),
    )
}

async fn encoded_path(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, id } = target.session().await?;
    let path = target.connection_path(&id)?;
    check(path.contains("/%40connections/") && path.ends_with("%3D"), || path.clone())?;
    target.post(&id, "hello").await?;
    same("the message", socket.message().await?, "hello")
}

async fn post_to(
    target: &Target,
    path: impl FnOnce(&str, &str) -> String,
    mode: PercentEncodingMode,
) -> Result<(), Stop> {
    let Session { mut socket, id } = target.session().await?;
    let base = target.management_url()?.path().trim_end_matches('/').to_owned();
    let request = Request::new("POST", path(&base, &id)).body("hello");
    let response = target.manage_with(request, mode).await?;
    check(response.status == 200, || format!("{} {}", response.status, response.text()))?;
    same("the message", socket.message().await?, "hello")
}

async fn raw_path(target: &Target) -> Result<(), Stop> {
    // The signature of a raw path is that of the path encoded once.
    post_to(target, |base, id| format!("{base}/@connections/{id}"), PercentEncodingMode::Double)
        .await
}

async fn single_encoding(target: &Target) -> Result<(), Stop> {
    let path = |base: &str, id: &str| format!("{base}/%40connections/{}", id.replace('=', "%3D"));
    post_to(target, path, PercentEncodingMode::Single).await
}

async fn unsigned(target: &Target) -> Result<(), Stop> {
    let Session { socket: _socket, id } = target.session().await?;
    let request = Request::new("POST", target.connection_path(&id)?).body("hello");
    let response = target.request(&target.management_url()?, request).await?;
    same("the status", response.status, 403)?;
    has_error_type(&response, "MissingAuthenticationTokenException")?;
    same("the body", response.text(), r#"{"message":"Missing Authentication Token"}"#)
}

async fn bad_signature(target: &Target) -> Result<(), Stop> {
    let Some(credentials) = &target.credentials else {
        return Err(Stop::skipped("needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
    };
    let Session { socket: _socket, id } = target.session().await?;
    let token = credentials.session_token().map(str::to_owned);
    let wrong = Credentials::new(credentials.access_key_id(), "wrong", token, None, "probe");
    let url = target.management_url()?;
    let request = Request::new("POST", target.connection_path(&id)?).body("hello");
    let request = target.signed_by(&wrong, &url, request, PercentEncodingMode::Double)?;
    let response = target.request(&url, request).await?;
    same("the status", response.status, 403)?;
    let body = response.text();
    check(body.contains("request signature we calculated does not match"), || {
        format!("the body is {body:?}")
    })
}

async fn unknown_stage(target: &Target) -> Result<(), Stop> {
    let Session { socket: _socket, id } = target.session().await?;
    let path = format!("/there-is-no-such-stage/%40connections/{}", id.replace('=', "%3D"));
    let request = Request::new("POST", path).body("hello");
    let response = target.manage_with(request, PercentEncodingMode::Double).await?;
    same("the status", response.status, 403)
}

async fn slow_client(target: &Target) -> Result<(), Stop> {
    const POSTS_MAX: usize = 256;

    let mut observer = target.session().await?;
    // A small window, so that what waits waits at the target and not in this machine.
    let opening = Opening { receive_bytes: Some(4096), ..Opening::default() };
    let (session, _report) = target.observed(&mut observer, opening).await?;
    for _ in 0..POSTS_MAX {
        let response = target.manage("POST", &session.id, "x".repeat(128 * 1024)).await?;
        match response.status {
            200 => {}
            429 => return has_error_type(&response, "LimitExceededException"),
            status => return Err(Stop::differs(format!("the status is {status}"))),
        }
    }
    Err(Stop::differs(format!("{POSTS_MAX} posts of 128 KB were taken")))
}
