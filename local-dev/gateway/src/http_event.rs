//! The event of an HTTP API's request, in payload format 2.0.

use std::{borrow::Cow, collections::BTreeMap};

use axum::http::{HeaderMap, header::CONTENT_TYPE, request::Parts};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Serialize;

use super::{
    identifier::Identifier,
    request::{Caller, event_headers, query_parameters},
    timestamp::Timestamp,
};

const ACCOUNT_ID: &str = "123456789012";
const API_ID: &str = "httpapi000";

/// The keys are in the order of API Gateway's. What a request does not have is left out, never null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HttpEvent<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: String,
    route_key: &'a str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: String,
    source_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
}

/// The event of a request that matched `route_key`.
pub(crate) fn event(
    request: &Parts,
    body: &[u8],
    caller: &Caller,
    route_key: &str,
    request_id: Identifier,
    now: Timestamp,
) -> Bytes {
    let host = caller.host.as_str();
    let mut headers = event_headers(&request.headers, caller, now);
    let cookies = headers.remove("cookie").unwrap_or_default();
    let query = request.uri.query().unwrap_or_default();
    let join = |(name, values): (String, Vec<String>)| (name, values.join(","));
    let (body, is_base64_encoded) = encode_body(&request.headers, body);
    let event = HttpEvent {
        version: "2.0",
        route_key,
        raw_path: request.uri.path(),
        raw_query_string: query,
        cookies: cookies.iter().flat_map(|cookies| split_cookies(cookies)).collect(),
        headers: headers.into_iter().map(join).collect(),
        query_string_parameters: query_parameters(query).into_iter().map(join).collect(),
        request_context: RequestContext {
            account_id: ACCOUNT_ID,
            api_id: API_ID,
            domain_name: host,
            domain_prefix: caller.host.host().split('.').next().unwrap_or_default(),
            http: Http {
                method: request.method.as_str(),
                path: request.uri.path(),
                protocol: format!("{:?}", request.version),
                source_ip: caller.source_ip.to_string(),
                user_agent: caller.user_agent.as_deref(),
            },
            request_id: request_id.to_string(),
            route_key,
            stage: "$default",
            time: now.clf(),
            time_epoch: now.epoch_millis(),
        },
        body,
        is_base64_encoded,
    };
    serde_json::to_vec(&event).expect("strings, numbers and maps of strings are JSON").into()
}

fn split_cookies(cookies: &str) -> impl Iterator<Item = String> {
    cookies.split(';').map(str::trim).filter(|cookie| !cookie.is_empty()).map(str::to_owned)
}

/// The body as an event carries it, and whether that is base64: it is, unless the content type is one of text and the
/// body is UTF-8.
fn encode_body<'a>(headers: &HeaderMap, body: &'a [u8]) -> (Option<Cow<'a, str>>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    match str::from_utf8(body) {
        Ok(text) if has_text_type(headers) => (Some(text.into()), false),
        _ => (Some(STANDARD.encode(body).into()), true),
    }
}

/// Whether the content type is one that API Gateway passes on as text. Parameters such as `charset` are taken to make
/// no difference; types such as `application/problem+json` are taken to be binary. Neither has been observed.
fn has_text_type(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"]
            .contains(&media_type.as_str())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};
    use serde_json::{Value, json};

    use super::*;

    fn event_of(request: Request<&[u8]>) -> Value {
        let (request, body) = request.into_parts();
        let caller =
            Caller::parse(&request.headers, &request.uri, "198.51.100.7:5000".parse().unwrap())
                .unwrap();
        let now = Timestamp::from_epoch_millis(1_795_429_200_000);
        let route_key = "POST /messages";
        let bytes = event(&request, body, &caller, route_key, Identifier::mint(now), now);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn an_event_is_the_documented_one_key_by_key() {
        let request = Request::post("/messages?limit=20&tag=a&tag=b%20c")
            .header("accept", "*/*")
            .header("content-type", "application/json")
            .header("cookie", "sid=1; theme=dark")
            .header("host", "chat.example:3000")
            .header("user-agent", "curl/8.5")
            .header("x-amzn-trace-id", "Root=1-6b041242-00112233445566778899aabb")
            .header("x-tag", "a")
            .header("x-tag", "b")
            .body(b"{\"text\":\"hi\"}\n".as_slice())
            .unwrap();
        let mut event = event_of(request);
        // An id is random, its form is tested where it is minted.
        event["requestContext"]["requestId"] = "QkVAzhvkDoEEPKA=".into();
        let expected = json!({
            "version": "2.0",
            "routeKey": "POST /messages",
            "rawPath": "/messages",
            "rawQueryString": "limit=20&tag=a&tag=b%20c",
            "cookies": ["sid=1", "theme=dark"],
            "headers": {
                "accept": "*/*",
                "content-type": "application/json",
                "host": "chat.example:3000",
                "user-agent": "curl/8.5",
                "x-amzn-trace-id": "Root=1-6b041242-00112233445566778899aabb",
                "x-forwarded-for": "198.51.100.7",
                "x-forwarded-port": "3000",
                "x-forwarded-proto": "http",
                "x-tag": "a,b"
            },
            "queryStringParameters": { "limit": "20", "tag": "a,b c" },
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "httpapi000",
                "domainName": "chat.example:3000",
                "domainPrefix": "chat",
                "http": {
                    "method": "POST",
                    "path": "/messages",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "198.51.100.7",
                    "userAgent": "curl/8.5"
                },
                "requestId": "QkVAzhvkDoEEPKA=",
                "routeKey": "POST /messages",
                "stage": "$default",
                "time": "23/Nov/2026:10:20:00 +0000",
                "timeEpoch": 1_795_429_200_000_i64
            },
            "body": "{\"text\":\"hi\"}\n",
            "isBase64Encoded": false
        });
        // As text, because the order of the keys counts.
        assert_eq!(
            serde_json::to_string_pretty(&event).unwrap(),
            serde_json::to_string_pretty(&expected).unwrap()
        );
    }

    #[test]
    fn what_a_request_does_not_have_is_left_out() {
        let request = Request::post("/messages").header("host", "localhost").body(b"".as_slice());
        let event = event_of(request.unwrap());
        let keys: Vec<_> = event.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "version",
                "routeKey",
                "rawPath",
                "rawQueryString",
                "headers",
                "requestContext",
                "isBase64Encoded"
            ]
        );
        assert_eq!(event["rawQueryString"], "");
        assert_eq!(event["requestContext"]["http"].as_object().unwrap().len(), 4);
    }

    #[test]
    fn only_text_of_a_text_type_is_not_in_base64() {
        for (content_type, body, is_base64) in [
            (Some("application/json"), "{}".as_bytes(), false),
            (Some("Application/JSON; charset=utf-8"), b"{}", false),
            (Some("text/plain"), "é".as_bytes(), false),
            (Some("application/xml"), b"<a/>", false),
            (Some("application/javascript"), b"1", false),
            (Some("application/json"), b"\xff", true),
            (Some("application/x-www-form-urlencoded"), b"a=b", true),
            (Some("application/problem+json"), b"{}", true),
            (Some("application/octet-stream"), b"hi", true),
            (None, b"hi", true),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            let expected = if is_base64 {
                STANDARD.encode(body)
            } else {
                str::from_utf8(body).unwrap().to_owned()
            };
            assert_eq!(
                encode_body(&headers, body),
                (Some(expected.into()), is_base64),
                "{content_type:?}"
            );
        }
    }
}
