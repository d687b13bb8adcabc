//! The events of a WebSocket API: CONNECT, MESSAGE and DISCONNECT, and the one that asks an authorizer.
//!
//! Sources: API Gateway developer guide, "Set up a WebSocket API integration request" and "Create a Lambda REQUEST
//! authorizer", and events that people have published.

use std::collections::BTreeMap;

use axum::http::request::Parts;
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{
    connection::Connection,
    ending::Closed,
    identifier::Identifier,
    request::{event_headers, query_parameters},
    timestamp::Timestamp,
    websocket_api::WebSocketApi,
};

const ACCOUNT_ID: &str = "123456789012";

/// The keys are in the order of API Gateway's. What an event does not have is left out, never null.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct WebSocketEvent<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "last_values")]
    headers: &'a [(String, Vec<String>)],
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "all_values")]
    multi_value_headers: &'a [(String, Vec<String>)],
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "last_values")]
    query_string_parameters: &'a [(String, Vec<String>)],
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "all_values")]
    multi_value_query_string_parameters: &'a [(String, Vec<String>)],
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_variables: Option<&'a BTreeMap<String, String>>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_base64_encoded: Option<bool>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    route_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    event_type: &'static str,
    extended_request_id: String,
    request_time: String,
    message_direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'a str>,
    stage: &'a str,
    connected_at: i64,
    request_time_epoch: i64,
    identity: Identity<'a>,
    request_id: String,
    domain_name: &'a str,
    connection_id: String,
    api_id: &'a str,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    source_ip: String,
}

/// What every event says of its connection and of itself.
#[derive(Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) request_id: Identifier,
    pub(crate) now: Timestamp,
}

impl<'a> Occasion<'a> {
    /// The occasion of an event of `connection` that happens now.
    pub(crate) fn now(connection: &'a Connection) -> Self {
        let now = Timestamp::now();
        Self { connection, request_id: Identifier::mint(now), now }
    }

    /// What the events of routes have in common.
    fn event(self) -> WebSocketEvent<'a> {
        let variables = &self.connection.api.stage_variables;
        WebSocketEvent {
            stage_variables: Some(variables).filter(|variables| !variables.is_empty()),
            is_base64_encoded: Some(false),
            ..WebSocketEvent::default()
        }
    }

    fn context(self, route_key: &'a str, event_type: &'static str) -> RequestContext<'a> {
        let Self { connection, request_id, now } = self;
        RequestContext {
            route_key,
            authorizer: connection.authorizer.get(),
            event_type,
            extended_request_id: request_id.to_string(),
            request_time: now.clf(),
            message_direction: "IN",
            stage: &connection.api.stage,
            connected_at: connection.connected_at.epoch_millis(),
            request_time_epoch: now.epoch_millis(),
            identity: Identity {
                user_agent: connection.caller.user_agent.as_deref(),
                source_ip: connection.caller.source_ip.to_string(),
            },
            request_id: request_id.to_string(),
            domain_name: connection.caller.host.as_str(),
            connection_id: connection.id.to_string(),
            api_id: &connection.api.id,
            ..RequestContext::default()
        }
    }
}

/// The event of the upgrade request.
pub(crate) fn connect(occasion: Occasion<'_>, request: &Parts) -> Bytes {
    let (headers, query) = (upgrade_headers(occasion, request), upgrade_query(request));
    encode(&WebSocketEvent {
        headers: &headers,
        multi_value_headers: &headers,
        query_string_parameters: &query,
        multi_value_query_string_parameters: &query,
        request_context: occasion.context("$connect", "CONNECT"),
        ..occasion.event()
    })
}

/// The event that asks the authorizer about the upgrade request. It has some headers that `$connect` doesn't see.
pub(crate) fn authorize(occasion: Occasion<'_>, request: &Parts, method_arn: &str) -> Bytes {
    let (mut headers, query) = (upgrade_headers(occasion, request), upgrade_query(request));
    for (name, value) in
        [("Connection", "upgrade"), ("Upgrade", "websocket"), ("content-length", "0")]
    {
        headers.push((name.to_owned(), vec![value.to_owned()]));
    }
    headers.sort_by_cached_key(|(name, _values)| name.to_ascii_lowercase());
    encode(&WebSocketEvent {
        kind: Some("REQUEST"),
        method_arn: Some(method_arn),
        headers: &headers,
        multi_value_headers: &headers,
        query_string_parameters: &query,
        multi_value_query_string_parameters: &query,
        stage_variables: Some(&occasion.connection.api.stage_variables),
        request_context: occasion.context("$connect", "CONNECT"),
        ..WebSocketEvent::default()
    })
}

/// What an authorizer's policy must allow.
pub(crate) fn method_arn(api: &WebSocketApi, region: &str) -> String {
    let WebSocketApi { id, stage, .. } = api;
    format!("arn:aws:execute-api:{region}:{ACCOUNT_ID}:{id}/{stage}/$connect")
}

/// A member of the upgrade request's `requestContext`, found by its names, for example `identity.sourceIp`.
pub(crate) fn context_value(occasion: Occasion<'_>, path: &str) -> Option<Value> {
    let context = serde_json::to_value(occasion.context("$connect", "CONNECT"));
    let context = context.expect("strings and numbers are JSON");
    path.split('.').try_fold(&context, |value, name| value.get(name)).cloned()
}

fn upgrade_headers(occasion: Occasion<'_>, request: &Parts) -> Vec<(String, Vec<String>)> {
    let mut headers = event_headers(&request.headers, &occasion.connection.caller, occasion.now);
    headers.remove("content-length");
    headers.into_iter().map(|(name, values)| (conventional_case(&name), values)).collect()
}

fn upgrade_query(request: &Parts) -> Vec<(String, Vec<String>)> {
    query_parameters(request.uri.query().unwrap_or_default()).into_iter().collect()
}

/// The event of a text message that goes to the route `route_key`.
pub(crate) fn message(
    occasion: Occasion<'_>,
    route_key: &str,
    message_id: Identifier,
    text: &str,
) -> Bytes {
    encode(&WebSocketEvent {
        request_context: RequestContext {
            message_id: Some(message_id.to_string()),
            ..occasion.context(route_key, "MESSAGE")
        },
        body: Some(text),
        ..occasion.event()
    })
}

/// The event of a connection's end. The headers are not those of the upgrade request, but these four.
pub(crate) fn disconnect(occasion: Occasion<'_>, closed: &Closed) -> Bytes {
    let headers = [
        ("Host", occasion.connection.caller.host.as_str()),
        ("x-api-key", ""),
        ("X-Forwarded-For", ""),
        ("x-restapi", ""),
    ]
    .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]));
    encode(&WebSocketEvent {
        headers: &headers,
        multi_value_headers: &headers,
        request_context: RequestContext {
            disconnect_status_code: Some(closed.code),
            disconnect_reason: Some(&closed.reason),
            ..occasion.context("$disconnect", "DISCONNECT")
        },
        ..occasion.event()
    })
}

fn encode(event: &WebSocketEvent<'_>) -> Bytes {
    serde_json::to_vec(event).expect("strings, numbers and maps of strings are JSON").into()
}

fn last_values<S: Serializer>(
    map: &&[(String, Vec<String>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(name, values)| (name, values.last())))
}

fn all_values<S: Serializer>(
    map: &&[(String, Vec<String>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(name, values)| (name, values)))
}

/// A header's name as clients usually write it: `sec-websocket-key` is `Sec-WebSocket-Key`. API Gateway leaves names
/// as they were sent, but here the HTTP parser has made them lower-case.
fn conventional_case(name: &str) -> String {
    let words = name.split('-').map(|word| match word {
        "websocket" => "WebSocket".to_owned(),
        word => {
            let (initial, rest) = word.split_at(word.len().min(1));
            initial.to_ascii_uppercase() + rest
        }
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::Request;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::{Caller, Peer};

    const CONNECTED_AT: i64 = 1_795_428_930_101;

    fn connection(request: &Parts) -> Connection {
        let caller =
            Caller::parse(&request.headers, &request.uri, Peer::plain("198.51.100.7:5000"))
                .unwrap();
        let connected_at = Timestamp::from_epoch_millis(CONNECTED_AT);
        let api = WebSocketApi { stage: "prod".to_owned(), ..WebSocketApi::default() };
        Connection::new(Arc::new(api), caller, connected_at, 1000)
    }

    fn upgrade() -> Parts {
        let request = Request::get("/ws?token=abc&tag=a&tag=b%20c")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("content-length", "0")
            .header("host", "chat.example")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-version", "13")
            .header("user-agent", "Mozilla/5.0")
            .header("x-amzn-trace-id", "Root=1-6b041242-0123456789abcdef01234567")
            .header("x-tag", "a")
            .header("x-tag", "b")
            .body(())
            .unwrap();
        request.into_parts().0
    }

    fn occasion(connection: &Connection) -> Occasion<'_> {
        let now = Timestamp::from_epoch_millis(1_795_428_943_377);
        Occasion { connection, request_id: Identifier::mint(now), now }
    }

    /// The request context, in which only `different` differs from event to event.
    fn context(occasion: Occasion<'_>, different: [Value; 3]) -> Value {
        let [one, two, three] = different;
        let request_id = occasion.request_id.to_string();
        let mut context = serde_json::Map::new();
        let parts = [
            one,
            json!({
                "extendedRequestId": request_id,
                "requestTime": "23/Nov/2026:10:15:43 +0000",
                "messageDirection": "IN",
            }),
            two,
            json!({
                "stage": "prod",
                "connectedAt": CONNECTED_AT,
                "requestTimeEpoch": 1_795_428_943_377_i64,
                "identity": { "userAgent": "Mozilla/5.0", "sourceIp": "198.51.100.7" },
                "requestId": request_id,
                "domainName": "chat.example",
                "connectionId": occasion.connection.id.to_string(),
                "apiId": "wsapi00000",
            }),
            three,
        ];
        for part in parts {
            context.extend(part.as_object().unwrap().clone());
        }
        context.into()
    }

    /// Compares as text, because the order of the keys counts.
    fn assert_same(event: &[u8], expected: &Value) {
        let event: Value = serde_json::from_slice(event).unwrap();
        assert_eq!(
            serde_json::to_string_pretty(&event).unwrap(),
            serde_json::to_string_pretty(expected).unwrap()
        );
    }

    #[test]
    fn a_connect_event_is_the_documented_one_key_by_key() {
        let request = upgrade();
        let connection = connection(&request);
        let occasion = occasion(&connection);
        let expected = json!({
            "headers": {
                "Host": "chat.example",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version": "13",
                "User-Agent": "Mozilla/5.0",
                "X-Amzn-Trace-Id": "Root=1-6b041242-0123456789abcdef01234567",
                "X-Forwarded-For": "198.51.100.7",
                "X-Forwarded-Port": "80",
                "X-Forwarded-Proto": "http",
                "X-Tag": "b",
            },
            "multiValueHeaders": {
                "Host": ["chat.example"],
                "Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ=="],
                "Sec-WebSocket-Version": ["13"],
                "User-Agent": ["Mozilla/5.0"],
                "X-Amzn-Trace-Id": ["Root=1-6b041242-0123456789abcdef01234567"],
                "X-Forwarded-For": ["198.51.100.7"],
                "X-Forwarded-Port": ["80"],
                "X-Forwarded-Proto": ["http"],
                "X-Tag": ["a", "b"],
            },
            "queryStringParameters": { "tag": "b c", "token": "abc" },
            "multiValueQueryStringParameters": { "tag": ["a", "b c"], "token": ["abc"] },
            "requestContext": context(occasion, [
                json!({ "routeKey": "$connect", "eventType": "CONNECT" }), json!({}), json!({}),
            ]),
            "isBase64Encoded": false,
        });
        assert_same(&connect(occasion, &request), &expected);
    }

    #[test]
    fn a_connect_event_without_a_query_has_no_parameters() {
        let mut request = upgrade();
        request.uri = "/ws".parse().unwrap();
        let connection = connection(&request);
        let event: Value =
            serde_json::from_slice(&connect(occasion(&connection), &request)).unwrap();
        let keys: Vec<_> = event.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["headers", "multiValueHeaders", "requestContext", "isBase64Encoded"]);
    }

    #[test]
    fn a_message_event_is_the_documented_one_key_by_key() {
        let connection = connection(&upgrade());
        let occasion = occasion(&connection);
        let message_id = connection.id.message(occasion.now, 1);
        let expected = json!({
            "requestContext": context(occasion, [
                json!({
                    "routeKey": "$default",
                    "messageId": message_id.to_string(),
                    "eventType": "MESSAGE",
                }),
                json!({}),
                json!({}),
            ]),
            "body": " {\"action\": \"send\"}\n",
            "isBase64Encoded": false,
        });
        let event = message(occasion, "$default", message_id, " {\"action\": \"send\"}\n");
        assert_same(&event, &expected);
    }

    #[test]
    fn a_disconnect_event_is_the_documented_one_key_by_key() {
        let connection = connection(&upgrade());
        let occasion = occasion(&connection);
        let expected = json!({
            "headers": {
                "Host": "chat.example", "x-api-key": "", "X-Forwarded-For": "", "x-restapi": "",
            },
            "multiValueHeaders": {
                "Host": ["chat.example"],
                "x-api-key": [""],
                "X-Forwarded-For": [""],
                "x-restapi": [""],
            },
            "requestContext": context(occasion, [
                json!({
                    "routeKey": "$disconnect",
                    "disconnectStatusCode": 1001,
                    "eventType": "DISCONNECT",
                }),
                json!({ "disconnectReason": "" }),
                json!({}),
            ]),
            "isBase64Encoded": false,
        });
        let closed = Closed { code: 1001, reason: String::new() };
        assert_same(&disconnect(occasion, &closed), &expected);
    }

    #[test]
    fn a_stages_variables_and_the_authorizers_word_are_in_every_event() {
        let request = upgrade();
        let mut connection = connection(&request);
        let variables = [("tenant".to_owned(), "a".to_owned())].into();
        let api = WebSocketApi { stage_variables: variables, ..WebSocketApi::default() };
        connection.api = Arc::new(api);
        let said = json!({ "principalId": "u-1", "integrationLatency": 3 });
        connection.authorizer.set(said.as_object().unwrap().clone()).unwrap();
        let occasion = occasion(&connection);
        let closed = Closed { code: 1000, reason: String::new() };
        for (event, position, context) in [
            (connect(occasion, &request), 4, ["routeKey", "authorizer", "eventType"]),
            (
                message(occasion, "$default", connection.id, "hi"),
                0,
                ["routeKey", "authorizer", "messageId"],
            ),
            (disconnect(occasion, &closed), 2, ["routeKey", "authorizer", "disconnectStatusCode"]),
        ] {
            let event: Value = serde_json::from_slice(&event).unwrap();
            let keys: Vec<_> = event.as_object().unwrap().keys().collect();
            assert_eq!(keys[position..position + 2], ["stageVariables", "requestContext"]);
            assert_eq!(event["stageVariables"], json!({ "tenant": "a" }));
            let keys: Vec<_> = event["requestContext"].as_object().unwrap().keys().collect();
            assert_eq!(keys[..3], context);
            assert_eq!(event["requestContext"]["authorizer"], said);
        }
    }

    #[test]
    fn header_names_are_in_their_usual_case() {
        for (name, usual) in [
            ("host", "Host"),
            ("sec-websocket-protocol", "Sec-WebSocket-Protocol"),
            ("x-amzn-trace-id", "X-Amzn-Trace-Id"),
            ("-", "-"),
        ] {
            assert_eq!(conventional_case(name), usual);
        }
    }
}
