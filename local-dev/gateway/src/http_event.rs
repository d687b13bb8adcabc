//! The event of an HTTP API's request, in payload format 2.0.

use std::{borrow::Cow, collections::BTreeMap};

use axum::http::{HeaderMap, header::CONTENT_TYPE, request::Parts};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Serialize;

use super::{
    assumptions::Assumptions,
    http_route::{PathParameters, decode},
    identifier::Identifier,
    request::{Caller, event_headers, query_parameters},
    timestamp::Timestamp,
};

const ACCOUNT_ID: &str = "123456789012";

/// The keys are in the order of API Gateway's. What a request does not have is left out, never null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HttpEvent<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: Cow<'a, str>,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: PathParameters,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    stage_variables: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'static str,
    api_id: &'a str,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: String,
    route_key: &'a str,
    stage: &'a str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: Cow<'a, str>,
    protocol: String,
    source_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
}

/// What an event says beside the request itself.
pub(crate) struct Occasion<'a> {
    pub(crate) api_id: &'a str,
    pub(crate) stage: &'a str,
    pub(crate) stage_variables: &'a BTreeMap<String, String>,
    /// The key of the route that the request matched.
    pub(crate) route_key: &'a str,
    pub(crate) path_parameters: PathParameters,
    pub(crate) request_id: Identifier,
    pub(crate) now: Timestamp,
}

impl Occasion<'_> {
    /// The event of a request.
    pub(crate) fn event(
        self,
        request: &Parts,
        body: &[u8],
        caller: &Caller,
        assumptions: &Assumptions,
    ) -> Bytes {
        let Self { route_key, request_id, now, .. } = self;
        let mut headers = event_headers(&request.headers, caller, now);
        // There is one even where the client sent none, as with GET.
        headers.entry("content-length".to_owned()).or_insert_with(|| vec![body.len().to_string()]);
        let cookies = headers.remove("cookie").unwrap_or_default();
        let query = request.uri.query().unwrap_or_default();
        let join = |(name, values): (String, Vec<String>)| (name, values.join(","));
        let (body, is_base64_encoded) = encode_body(&request.headers, body, assumptions);
        let path = request.uri.path();
        // As a variable's value: `%2F` is a slash here and `%00` a NUL, escapes that are none stay.
        let path = if assumptions.raw_path_is_decoded { decode(path) } else { path.into() };
        let event = HttpEvent {
            version: "2.0",
            route_key,
            raw_path: path.clone(),
            raw_query_string: query,
            cookies: cookies.iter().flat_map(|cookies| split_cookies(cookies)).collect(),
            headers: headers.into_iter().map(join).collect(),
            query_string_parameters: query_parameters(query).into_iter().map(join).collect(),
            request_context: RequestContext {
                account_id: ACCOUNT_ID,
                api_id: self.api_id,
                domain_name: caller.host.as_str(),
                domain_prefix: caller.host.host().split('.').next().unwrap_or_default(),
                http: Http {
                    method: request.method.as_str(),
                    path,
                    protocol: format!("{:?}", request.version),
                    source_ip: caller.source_ip.to_string(),
                    user_agent: caller.user_agent.as_deref(),
                },
                request_id: request_id.to_string(),
                route_key,
                stage: self.stage,
                time: now.clf(),
                time_epoch: now.epoch_millis(),
            },
            path_parameters: self.path_parameters,
            body,
            is_base64_encoded,
            stage_variables: self.stage_variables,
        };
        serde_json::to_vec(&event).expect("strings, numbers and maps of strings are JSON").into()
    }
}

fn split_cookies(cookies: &str) -> impl Iterator<Item = String> {
    cookies.split(';').map(str::trim).filter(|cookie| !cookie.is_empty()).map(str::to_owned)
}

/// The body as an event carries it, and whether that is base64: it is, unless the content type is one of text and the
/// body is UTF-8.
fn encode_body<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    assumptions: &Assumptions,
) -> (Option<Cow<'a, str>>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    match str::from_utf8(body) {
        Ok(text) if has_text_type(headers, assumptions) => (Some(text.into()), false),
        _ => (Some(STANDARD.encode(body).into()), true),
    }
}

/// Whether the content type is one that API Gateway passes on as text.
fn has_text_type(headers: &HeaderMap, assumptions: &Assumptions) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let media_type = match content_type.split_once(';') {
        Some(_) if !assumptions.parameters_keep_text => return false,
        Some((media_type, _parameters)) => media_type.trim_end(),
        None => &content_type,
    };
    media_type.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&media_type)
        || assumptions.suffix_json_is_text && media_type.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};
    use serde_json::{Value, json};

    use super::*;
    use crate::request::Peer;

    /// The event of a request for `POST /messages/{room}` at a stage; `pairs` are its variables and the path's.
    fn event_of(
        request: Request<&[u8]>,
        stage: &str,
        pairs: &BTreeMap<String, String>,
        assumptions: &Assumptions,
    ) -> Value {
        let (request, body) = request.into_parts();
        let caller =
            Caller::parse(&request.headers, &request.uri, Peer::plain("198.51.100.7:5000"))
                .unwrap();
        let now = Timestamp::from_epoch_millis(1_795_429_200_000);
        let occasion = Occasion {
            api_id: "p1q2r3s4t5",
            stage,
            stage_variables: pairs,
            route_key: "POST /messages/{room}",
            path_parameters: pairs.clone(),
            request_id: Identifier::mint(now),
            now,
        };
        serde_json::from_slice(&occasion.event(&request, body, &caller, assumptions)).unwrap()
    }

    fn one_pair() -> BTreeMap<String, String> {
        [("room".to_owned(), "the lobby".to_owned())].into()
    }

    /// Source: "Create AWS Lambda proxy integrations for HTTP APIs", and captured traffic for what is left out, for the
    /// forms of ids and times, and for a stage's name, which paths have and the route key does not.
    #[test]
    fn an_event_is_the_documented_one_key_by_key() {
        let request = Request::post("/dev/messages/the%20lobby?limit=20&tag=a&tag=b%20c")
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
        let mut event = event_of(request, "dev", &one_pair(), &Assumptions::default());
        // An id is random, its form is tested where it is minted.
        event["requestContext"]["requestId"] = "QkVAzhvkDoEEPKA=".into();
        let expected = json!({
            "version": "2.0",
            "routeKey": "POST /messages/{room}",
            "rawPath": "/dev/messages/the lobby",
            "rawQueryString": "limit=20&tag=a&tag=b%20c",
            "cookies": ["sid=1", "theme=dark"],
            "headers": {
                "accept": "*/*",
                "content-length": "14",
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
                "apiId": "p1q2r3s4t5",
                "domainName": "chat.example:3000",
                "domainPrefix": "chat",
                "http": {
                    "method": "POST",
                    "path": "/dev/messages/the lobby",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "198.51.100.7",
                    "userAgent": "curl/8.5"
                },
                "requestId": "QkVAzhvkDoEEPKA=",
                "routeKey": "POST /messages/{room}",
                "stage": "dev",
                "time": "23/Nov/2026:10:20:00 +0000",
                "timeEpoch": 1_795_429_200_000_i64
            },
            "pathParameters": { "room": "the lobby" },
            "body": "{\"text\":\"hi\"}\n",
            "isBase64Encoded": false,
            "stageVariables": { "room": "the lobby" }
        });
        // As text, because the order of the keys counts.
        assert_eq!(
            serde_json::to_string_pretty(&event).unwrap(),
            serde_json::to_string_pretty(&expected).unwrap()
        );
    }

    /// Source: captured traffic. A request without a body has a content-length of 0 nevertheless.
    #[test]
    fn what_a_request_does_not_have_is_left_out() {
        let request = Request::post("/messages").header("host", "localhost").body(b"".as_slice());
        let event =
            event_of(request.unwrap(), "$default", &BTreeMap::new(), &Assumptions::default());
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
        assert_eq!(event["headers"]["content-length"], "0");
        assert_eq!(event["requestContext"]["http"].as_object().unwrap().len(), 4);
    }

    /// Source: "Create AWS Lambda proxy integrations for HTTP APIs": values that come more than once are joined by commas,
    /// and each cookie is an entry. Blank parts and names without values are inferred.
    #[test]
    fn what_comes_more_than_once_is_joined() {
        let request = Request::post("/messages/x?a=1&b&a=2&=3&a=%2C&c=%zz&d=%ff+")
            .header("host", "localhost")
            .header("cookie", "a=1;b=2; ;c")
            .header("X-Tag", "1")
            .header("cookie", "d=\"4\"")
            .header("x-tag", "2, 3")
            .body(b"".as_slice());
        let event =
            event_of(request.unwrap(), "$default", &BTreeMap::new(), &Assumptions::default());
        assert_eq!(event["rawQueryString"], "a=1&b&a=2&=3&a=%2C&c=%zz&d=%ff+");
        let query = json!({ "": "3", "a": "1,2,,", "b": "", "c": "%zz", "d": "\u{fffd} " });
        assert_eq!(event["queryStringParameters"], query);
        assert_eq!(event["cookies"], json!(["a=1", "b=2", "c", "d=\"4\""]));
        assert_eq!(event["headers"]["x-tag"], "1,2, 3");
        assert_eq!(event["headers"].get("cookie"), None);
    }

    /// Source: AWS's Lambda test tool for .NET, whose events are compared with those of live HTTP APIs, for decoded paths
    /// and for query strings that are not. What becomes of `%2F`, `%00` and what is no escape is inferred.
    #[test]
    fn the_raw_path_is_decoded_and_the_raw_query_string_is_not() {
        for (path, decoded) in [
            ("/a%20b/caf%C3%A9+", "/a b/caf\u{e9}+"),
            ("/a%2Fb/%2e%2E/%5c", "/a/b/../\\"),
            ("/%00%0a%22", "/\0\n\""),
            ("/%ff%c3/%F0%9F", "/\u{fffd}\u{fffd}/\u{fffd}"),
            ("/%zz/%4/%", "/%zz/%4/%"),
            ("/%2541", "/%41"),
        ] {
            for (raw_path_is_decoded, expected) in [(true, decoded), (false, path)] {
                let request = Request::get(format!("{path}?a%20b=%2F")).header("host", "localhost");
                let request = request.body(b"".as_slice()).unwrap();
                let assumptions = Assumptions { raw_path_is_decoded, ..Assumptions::default() };
                let event = event_of(request, "$default", &BTreeMap::new(), &assumptions);
                assert_eq!(event["rawPath"], expected);
                assert_eq!(event["requestContext"]["http"]["path"], expected);
                assert_eq!(event["rawQueryString"], "a%20b=%2F");
            }
        }
        assert!(Assumptions::default().raw_path_is_decoded);
    }

    fn encoded(content_type: Option<&str>, body: &[u8], assumptions: &Assumptions) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        }
        let (text, is_base64) = encode_body(&headers, body, assumptions);
        let expected = if is_base64 {
            STANDARD.encode(body)
        } else {
            str::from_utf8(body).unwrap().to_owned()
        };
        assert_eq!(text.as_deref(), Some(&*expected));
        is_base64
    }

    /// Source: captured traffic, a table of content types and what became of them.
    #[test]
    fn only_text_of_a_text_type_is_not_in_base64() {
        for (content_type, body, is_base64) in [
            (Some("application/json"), "{}".as_bytes(), false),
            (Some("text/plain"), "é".as_bytes(), false),
            (Some("TEXT/html"), b"<p>", false),
            (Some("application/xml"), b"<a/>", false),
            (Some("application/javascript"), b"1", false),
            (Some("application/json"), b"\xff", true),
            (Some("application/x-www-form-urlencoded"), b"a=b", true),
            (Some("application/octet-stream"), b"hi", true),
            (Some("image/png"), b"hi", true),
            (Some(""), b"hi", true),
            (None, b"hi", true),
        ] {
            let assumptions = Assumptions::default();
            assert_eq!(encoded(content_type, body, &assumptions), is_base64, "{content_type:?}");
        }
    }

    #[test]
    fn what_has_not_been_observed_of_content_types_is_assumed() {
        let set = |pair| {
            let mut assumptions = Assumptions::default();
            assumptions.set_pair(pair).unwrap();
            assumptions
        };
        for (content_type, assumption, is_base64) in [
            ("application/json; charset=utf-8", "parameters-keep-text=true", false),
            ("Application/JSON ;charset=utf-8", "parameters-keep-text=true", false),
            ("application/json; charset=utf-8", "parameters-keep-text=false", true),
            ("application/json", "parameters-keep-text=false", false),
            ("application/problem+json", "suffix-json-is-text=true", false),
            ("application/problem+json; charset=utf-8", "suffix-json-is-text=true", false),
            ("application/problem+json", "suffix-json-is-text=false", true),
        ] {
            let is_encoded = encoded(Some(content_type), b"{}", &set(assumption));
            assert_eq!(is_encoded, is_base64, "{content_type}, {assumption}");
        }
    }
}
