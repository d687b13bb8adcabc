//! The event of `$connect`.

use serde_json::{Value, json};

use super::event::{has_keys, has_no_null, has_times, is_id};
use crate::{
    probe::{Stop, check, is, probes, same},
    socket::{Opening, url_host},
    target::Target,
};

probes! {
    "ws.connect-event.keys" Captured RUST_FIXTURES
        "it has headers, multiValueHeaders, requestContext and isBase64Encoded, in this order" => keys;
    "ws.connect-event.keys-with-query" Captured RUST_FIXTURES
        "with a query string, its parameters come after the headers" => keys_with_query;
    "ws.connect-event.context-keys" Captured RUST_FIXTURES
        "its requestContext has the captured keys in the captured order" => context_keys;
    "ws.connect-event.no-nulls" Captured CAPTURED
        "what it does not have is absent, not null" => no_nulls;
    "ws.connect-event.not-base64" Documented WS_BINARY
        "isBase64Encoded is false" => not_base64;
    "ws.connect-event.type" Documented WS_MAPPING
        "routeKey is $connect, eventType CONNECT, messageDirection IN" => kind;
    "ws.connect-event.header-case" Documented WS_EVENTS
        "names of headers keep their case" => header_case;
    "ws.connect-event.header-case-any" Assumed WS_EVENTS
        "names of headers keep even an unusual case" => unusual_header_case;
    "ws.connect-event.headers-left-out" Documented WS_EVENTS
        "Connection, Upgrade and content-length are left out" => headers_left_out;
    "ws.connect-event.forwarded" Documented WS_EVENTS
        "the gateway adds X-Forwarded-For, -Port and -Proto" => forwarded;
    "ws.connect-event.forwarded-list" Assumed CAPTURED
        "X-Forwarded-For is the client's list and the client" => forwarded_list;
    "ws.connect-event.trace" Documented WS_EVENTS
        "the gateway adds X-Amzn-Trace-Id" => trace;
    "ws.connect-event.multi-value-headers" Documented WS_EVENTS
        "multiValueHeaders has an array for each header" => multi_value_headers;
    "ws.connect-event.subprotocol" Documented WS_SUBPROTOCOL
        "offered subprotocols are one header's value, as sent" => subprotocol;
    "ws.connect-event.query" Documented WS_EVENTS
        "queryStringParameters are decoded" => query;
    "ws.connect-event.query-last" Assumed WS_EVENTS
        "of several values of the same parameter, queryStringParameters has the last" => last_of_query;
    "ws.connect-event.multi-value-query" Documented WS_EVENTS
        "multiValueQueryStringParameters has all values" => multi_value_query;
    "ws.connect-event.user-agent" Captured CAPTURED
        "identity.userAgent is the client's" => user_agent;
    "ws.connect-event.no-user-agent" Captured CAPTURED
        "without a User-Agent there is no identity.userAgent" => no_user_agent;
    "ws.connect-event.source-ip" Documented WS_MAPPING
        "identity.sourceIp is the last of X-Forwarded-For" => source_ip;
    "ws.connect-event.connection-id" Captured CAPTURED
        "connectionId is 15 characters of URL-safe base64 and one =" => connection_id;
    "ws.connect-event.request-id" Documented WS_MAPPING
        "requestId has the same form and is the extendedRequestId" => request_id;
    "ws.connect-event.times" Documented WS_MAPPING
        "requestTimeEpoch is in milliseconds, requestTime the same in the common log format" => times;
    "ws.connect-event.connected-at" Captured CAPTURED
        "connectedAt is in milliseconds and at most moments before requestTimeEpoch" => connected_at;
    "ws.connect-event.stage" Documented WS_MAPPING
        "stage is the name of the stage" => stage;
    "ws.connect-event.domain-name" Captured CAPTURED
        "domainName is the host that the client asked for" => domain_name;
    "ws.connect-event.api-id" Captured CAPTURED
        "apiId is there" => api_id;
}

async fn event(target: &Target) -> Result<Value, Stop> {
    target.connect_event(Opening::default()).await
}

async fn keys(target: &Target) -> Result<(), Stop> {
    let keys = ["headers", "multiValueHeaders", "requestContext", "isBase64Encoded"];
    has_keys("the event", &event(target).await?, &keys)
}

async fn keys_with_query(target: &Target) -> Result<(), Stop> {
    let event = target.connect_event(Opening::default().query("a", "1")).await?;
    let keys = [
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "requestContext",
        "isBase64Encoded",
    ];
    has_keys("the event", &event, &keys)
}

async fn context_keys(target: &Target) -> Result<(), Stop> {
    let keys = [
        "routeKey",
        "eventType",
        "extendedRequestId",
        "requestTime",
        "messageDirection",
        "stage",
        "connectedAt",
        "requestTimeEpoch",
        "identity",
        "requestId",
        "domainName",
        "connectionId",
        "apiId",
    ];
    has_keys("requestContext", &event(target).await?["requestContext"], &keys)
}

async fn no_nulls(target: &Target) -> Result<(), Stop> {
    has_no_null(&event(target).await?)
}

async fn not_base64(target: &Target) -> Result<(), Stop> {
    is("isBase64Encoded", &event(target).await?["isBase64Encoded"], false)
}

async fn kind(target: &Target) -> Result<(), Stop> {
    let context = event(target).await?["requestContext"].take();
    for (key, value) in
        [("routeKey", "$connect"), ("eventType", "CONNECT"), ("messageDirection", "IN")]
    {
        is(key, &context[key], value)?;
    }
    Ok(())
}

async fn header_case(target: &Target) -> Result<(), Stop> {
    let event = target.connect_event(Opening::default().header("X-Custom", "1")).await?;
    for name in ["Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "User-Agent", "X-Custom"] {
        check(event["headers"].get(name).is_some(), || {
            format!("there is no {name} in {}", event["headers"])
        })?;
    }
    Ok(())
}

async fn unusual_header_case(target: &Target) -> Result<(), Stop> {
    let event = target.connect_event(Opening::default().header("x-cUSTOM", "1")).await?;
    is("x-cUSTOM", &event["headers"]["x-cUSTOM"], "1")
}

async fn headers_left_out(target: &Target) -> Result<(), Stop> {
    let event = target.connect_event(Opening::default().header("Content-Length", "0")).await?;
    for part in ["headers", "multiValueHeaders"] {
        let names = event[part].as_object().into_iter().flat_map(|headers| headers.keys());
        for name in names {
            let lower = name.to_ascii_lowercase();
            check(!["connection", "upgrade", "content-length"].contains(&&*lower), || {
                format!("{name} is in {part}")
            })?;
        }
    }
    Ok(())
}

async fn forwarded(target: &Target) -> Result<(), Stop> {
    let url = target.websocket_url()?;
    let (proto, port) = if url.scheme() == "wss" { ("https", 443) } else { ("http", 80) };
    let headers = event(target).await?["headers"].take();
    is("X-Forwarded-Proto", &headers["X-Forwarded-Proto"], proto)?;
    is("X-Forwarded-Port", &headers["X-Forwarded-Port"], url.port().unwrap_or(port).to_string())?;
    check(headers["X-Forwarded-For"].is_string(), || format!("the headers are {headers}"))
}

async fn forwarded_list(target: &Target) -> Result<(), Stop> {
    let opening = Opening::default().header("X-Forwarded-For", "203.0.113.1");
    let event = target.connect_event(opening).await?;
    let source_ip = event["requestContext"]["identity"]["sourceIp"].as_str().unwrap_or_default();
    let forwarded_for = event["headers"]["X-Forwarded-For"].as_str().unwrap_or_default();
    same("X-Forwarded-For", forwarded_for, format!("203.0.113.1, {source_ip}"))
}

async fn trace(target: &Target) -> Result<(), Stop> {
    let event = event(target).await?;
    let trace = event["headers"]["X-Amzn-Trace-Id"].as_str().unwrap_or_default();
    check(trace.starts_with("Root=1-"), || format!("X-Amzn-Trace-Id is {trace:?}"))
}

async fn multi_value_headers(target: &Target) -> Result<(), Stop> {
    let opening = Opening::default().header("X-Twice", "1").header("X-Twice", "2");
    let event = target.connect_event(opening).await?;
    is("X-Twice", &event["multiValueHeaders"]["X-Twice"], json!(["1", "2"]))?;
    is("Sec-WebSocket-Version", &event["multiValueHeaders"]["Sec-WebSocket-Version"], json!(["13"]))
}

async fn subprotocol(target: &Target) -> Result<(), Stop> {
    let opening = Opening::default().header("Sec-WebSocket-Protocol", "chat.v1, other");
    let event = target.connect_event(opening).await?;
    is("the header", &event["headers"]["Sec-WebSocket-Protocol"], "chat.v1, other")
}

fn queried() -> Opening {
    Opening { query: "tag=1&tag=b%20c&token=a%2Bb".to_owned(), ..Opening::default() }
}

async fn query(target: &Target) -> Result<(), Stop> {
    let event = target.connect_event(queried()).await?;
    is("token", &event["queryStringParameters"]["token"], "a+b")
}

async fn last_of_query(target: &Target) -> Result<(), Stop> {
    let event = target.connect_event(queried()).await?;
    is("tag", &event["queryStringParameters"]["tag"], "b c")
}

async fn multi_value_query(target: &Target) -> Result<(), Stop> {
    let event = target.connect_event(queried()).await?;
    let expected = json!({ "tag": ["1", "b c"], "token": ["a+b"] });
    is("multiValueQueryStringParameters", &event["multiValueQueryStringParameters"], expected)
}

async fn user_agent(target: &Target) -> Result<(), Stop> {
    let event = event(target).await?;
    let agent = &event["requestContext"]["identity"]["userAgent"];
    is("identity.userAgent", agent, event["headers"]["User-Agent"].clone())
}

async fn no_user_agent(target: &Target) -> Result<(), Stop> {
    let mut observer = target.session().await?;
    let script = json!({ "posts": [{ "to": observer.id, "data": "$report" }] });
    let _socket = target.socket(&Opening::default().script(&script)).await?;
    let report = observer.report("CONNECT").await?;
    has_keys("identity", &report["event"]["requestContext"]["identity"], &["sourceIp"])
}

async fn source_ip(target: &Target) -> Result<(), Stop> {
    let event = event(target).await?;
    let forwarded_for = event["headers"]["X-Forwarded-For"].as_str().unwrap_or_default();
    let last = forwarded_for.rsplit(", ").next();
    same("identity.sourceIp", event["requestContext"]["identity"]["sourceIp"].as_str(), last)
}

async fn connection_id(target: &Target) -> Result<(), Stop> {
    is_id(&event(target).await?["requestContext"]["connectionId"])
}

async fn request_id(target: &Target) -> Result<(), Stop> {
    let context = event(target).await?["requestContext"].take();
    is_id(&context["requestId"])?;
    is("extendedRequestId", &context["extendedRequestId"], context["requestId"].clone())
}

async fn times(target: &Target) -> Result<(), Stop> {
    let context = event(target).await?["requestContext"].take();
    has_times(&context["requestTime"], &context["requestTimeEpoch"])
}

async fn connected_at(target: &Target) -> Result<(), Stop> {
    // On AWS it is 0 to 2 ms; a busy machine may take longer between two looks at its clock.
    const MILLIS_MAX: i64 = 500;

    let context = event(target).await?["requestContext"].take();
    let [connected_at, now] =
        ["connectedAt", "requestTimeEpoch"].map(|key| context[key].as_i64().unwrap_or_default());
    check((0..=MILLIS_MAX).contains(&(now - connected_at)), || {
        format!("connectedAt is {connected_at}, requestTimeEpoch {now}")
    })
}

async fn stage(target: &Target) -> Result<(), Stop> {
    let url = target.websocket_url()?;
    let stage = event(target).await?["requestContext"]["stage"].take();
    same("stage", stage.as_str(), Some(url.path().trim_matches('/')))
}

async fn domain_name(target: &Target) -> Result<(), Stop> {
    let host = url_host(&target.websocket_url()?);
    is("domainName", &event(target).await?["requestContext"]["domainName"], host)
}

async fn api_id(target: &Target) -> Result<(), Stop> {
    let api_id = event(target).await?["requestContext"]["apiId"].take();
    check(api_id.as_str().is_some_and(|id| !id.is_empty()), || format!("apiId is {api_id}"))
}
