//! Messages from clients.

use serde_json::{Value, json};

use super::event::{has_keys, has_no_null, has_times, is_id};
use crate::{
    probe::{Stop, check, is, probes, same},
    socket::{CONTINUATION, Frame, Opening, Socket, TEXT},
    target::{Session, Target},
};

probes! {
    "ws.message.keys" Captured CAPTURED
        "the event has requestContext, body and isBase64Encoded, in this order" => keys;
    "ws.message.context-keys" Captured CAPTURED
        "its requestContext has the captured keys in the captured order" => context_keys;
    "ws.message.no-nulls" Captured CAPTURED
        "what it does not have is absent, not null" => no_nulls;
    "ws.message.type" Documented WS_MAPPING
        "eventType is MESSAGE, messageDirection IN, isBase64Encoded false" => kind;
    "ws.message.message-id" Documented WS_MAPPING
        "messageId has the form of an id" => message_id;
    "ws.message.id-tail" Captured CAPTURED
        "messageId ends as the connectionId does" => id_tail;
    "ws.message.times" Documented WS_MAPPING
        "requestTime and requestTimeEpoch are the message's" => times;
    "ws.message.connection" Captured CAPTURED
        "connectionId, connectedAt, identity and domainName are those of $connect" => same_connection;
    "ws.message.body-verbatim" Captured CAPTURED
        "the body is the text exactly as sent" => body_is_verbatim;
    "ws.message.fragments" Documented WS_QUOTAS
        "128 KB in frames of 32 KB are one message" => fragments_are_joined;
    "ws.message.frame-32-kb" Documented WS_QUOTAS
        "a frame of 32 KB is taken" => largest_frame_is_taken;
    "ws.route.match" Documented WS_ROUTES
        "a message goes to the route that its action names, which routeKey says"
        => async |target| routes(target, r#"{"action":"oneway"}"#, "oneway").await;
    "ws.route.case" Documented WS_ROUTES
        "route keys are matched with their case"
        => async |target| routes(target, r#"{"action":"OneWay"}"#, "$default").await;
    "ws.route.unknown" Documented WS_ROUTES
        "a message that no route matches goes to $default, which routeKey says"
        => async |target| routes(target, r#"{"action":"unknown"}"#, "$default").await;
    "ws.route.missing" Documented WS_ROUTES
        "a message without the key goes to $default"
        => async |target| routes(target, r#"{"text":"oneway"}"#, "$default").await;
    "ws.route.empty" Documented WS_ROUTES
        "a message whose key is empty goes to $default"
        => async |target| routes(target, r#"{"action":""}"#, "$default").await;
    "ws.route.not-json" Documented WS_ROUTES
        "a message that is not JSON goes to $default"
        => async |target| routes(target, "oneway", "$default").await;
    "ws.route.array" Documented WS_ROUTES
        "a message that is JSON but no object goes to $default"
        => async |target| routes(target, r#"["oneway"]"#, "$default").await;
    "ws.route.nested" Documented WS_ROUTES
        "only the key at the top counts"
        => async |target| routes(target, r#"{"a":{"action":"oneway"}}"#, "$default").await;
    "ws.route.number" Assumed WS_ROUTES
        "a number selects the route of its digits"
        => async |target| routes(target, r#"{"action":7}"#, "7").await;
    "ws.route.connect" Assumed UNKNOWN
        "a message cannot select $connect"
        => async |target| routes(target, r#"{"action":"$connect"}"#, "$default").await;
    "ws.route.disconnect" Assumed UNKNOWN
        "a message cannot select $disconnect"
        => async |target| routes(target, r#"{"action":"$disconnect"}"#, "$default").await;
    "ws.route.lenient-json" Assumed CAPTURED
        "a message with an unquoted key is not JSON to the route selection"
        => async |target| routes(target, r#"{"action":"oneway", body:"x"}"#, "$default").await;
    "ws.route.concatenation" Documented WS_ROUTES
        "an expression may join several keys" => concatenation;
    "ws.route.forbidden" Captured DART_13
        "without $default, a message that no route matches is answered with the frame Forbidden" => forbidden;
    "ws.answer.one-way" Documented WS_INTEGRATIONS
        "a one-way route sends nothing of its answer" => one_way_is_silent;
    "ws.answer.one-way-status" Captured CAPTURED
        "the status of a one-way route's answer has no effect" => one_way_status;
    "ws.answer.two-way" Captured SLS_WS_12
        "a two-way route sends the body of its answer as it is" => two_way_sends;
    "ws.answer.two-way-status" Assumed YAI333_2
        "a two-way route sends the body of an answer with status 500, too" => two_way_error;
    "ws.answer.fail" Captured CHAT_24
        "a function that fails is answered with the frame Internal server error"
        => async |target| fails(target, "oneway", &json!({ "end": "fail" })).await;
    "ws.answer.panic" Captured CHAT_24
        "a function that panics is answered with the frame Internal server error"
        => async |target| fails(target, "oneway", &json!({ "end": "panic" })).await;
    "ws.answer.exit" Captured CHAT_24
        "a function whose process ends is answered with the frame Internal server error"
        => async |target| fails(target, "oneway", &json!({ "end": "exit" })).await;
    "ws.answer.malformed" Captured BREF_773
        "a one-way answer that is no document is answered with the frame Internal server error"
        => async |target| fails(target, "oneway", &json!({ "answer": "yes" })).await;
    "ws.answer.two-way-fail" Captured CHAT_24
        "a two-way function that fails is answered with the same frame"
        => async |target| fails(target, "echo", &json!({ "end": "fail" })).await;
    "ws.answer.two-way-malformed" Captured CHAT_24
        "a two-way answer without statusCode is answered with the same frame"
        => async |target| fails(target, "echo", &json!({ "answer": { "body": "x" } })).await;
    "ws.answer.function-timeout" Captured CHAT_24
        "a function that Lambda stops is answered with the frame Internal server error"
        => async |target| fails(target, "impatient", &json!({ "sleep_ms": 5000 })).await;
    "ws.answer.timeout" Captured MANGUM_128
        "a function that takes longer than its integration may is answered with the frame Endpoint request timed out"
        => times_out;
    "ws.message.concurrent" Documented ORDER
        "messages of a connection do not wait for each other" => messages_are_concurrent;
}

async fn event(target: &Target) -> Result<Value, Stop> {
    target.session().await?.event_of("hello").await
}

async fn context(target: &Target) -> Result<Value, Stop> {
    Ok(event(target).await?["requestContext"].take())
}

async fn keys(target: &Target) -> Result<(), Stop> {
    has_keys("the event", &event(target).await?, &["requestContext", "body", "isBase64Encoded"])
}

async fn context_keys(target: &Target) -> Result<(), Stop> {
    let keys = [
        "routeKey",
        "messageId",
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
    has_keys("requestContext", &context(target).await?, &keys)
}

async fn no_nulls(target: &Target) -> Result<(), Stop> {
    has_no_null(&event(target).await?)
}

async fn kind(target: &Target) -> Result<(), Stop> {
    let event = event(target).await?;
    is("eventType", &event["requestContext"]["eventType"], "MESSAGE")?;
    is("messageDirection", &event["requestContext"]["messageDirection"], "IN")?;
    is("isBase64Encoded", &event["isBase64Encoded"], false)
}

async fn message_id(target: &Target) -> Result<(), Stop> {
    is_id(&context(target).await?["messageId"])
}

async fn id_tail(target: &Target) -> Result<(), Stop> {
    let context = context(target).await?;
    let tail = |key: &str| {
        let id = context[key].as_str().unwrap_or_default();
        id.get(id.len().saturating_sub(6)..).map(str::to_owned)
    };
    same("the end of messageId", tail("messageId"), tail("connectionId"))
}

async fn times(target: &Target) -> Result<(), Stop> {
    let context = context(target).await?;
    has_times(&context["requestTime"], &context["requestTimeEpoch"])?;
    let [connected_at, now] = ["connectedAt", "requestTimeEpoch"].map(|key| context[key].as_i64());
    check(connected_at.is_some() && connected_at <= now, || format!("{context}"))
}

async fn same_connection(target: &Target) -> Result<(), Stop> {
    let mut observer = target.session().await?;
    let (mut session, report) = target.observed(&mut observer, Opening::default()).await?;
    let event = session.event_of("hello").await?;
    for key in ["connectionId", "connectedAt", "identity", "domainName", "stage", "apiId"] {
        let [of_connect, of_message] =
            [&report["event"], &event].map(|event| &event["requestContext"][key]);
        is(key, of_message, of_connect.clone())?;
    }
    Ok(())
}

async fn body_is_verbatim(target: &Target) -> Result<(), Stop> {
    let text = " { \"text\" : \"caf\u{e9} \u{1f600} \\u00e9\" }\r\n\t";
    let event = target.session().await?.event_of(text).await?;
    is("the body", &event["body"], text)
}

/// A message that has nothing posted but how long it was.
fn padded(bytes: usize) -> String {
    let script = json!({ "posts": [{ "to": "$self", "data": "it came whole" }] });
    let empty = json!({ "script": script, "padding": "" }).to_string().len();
    json!({ "script": script, "padding": "x".repeat(bytes - empty) }).to_string()
}

async fn fragments_are_joined(target: &Target) -> Result<(), Stop> {
    let mut session = target.session().await?;
    let message = padded(128 * 1024);
    let (mut frames, mut opcode) = (Vec::new(), TEXT);
    for part in message.as_bytes().chunks(32 * 1024) {
        frames.push(Frame::begin(opcode, part));
        opcode = CONTINUATION;
    }
    if let Some(last) = frames.last_mut() {
        last.fin = true;
    }
    session.socket.send_all(frames).await?;
    same("the next message", session.socket.message().await?, "it came whole")
}

async fn largest_frame_is_taken(target: &Target) -> Result<(), Stop> {
    let mut session = target.session().await?;
    session.socket.text(padded(32 * 1024)).await?;
    same("the next message", session.socket.message().await?, "it came whole")
}

async fn routes(target: &Target, message: &str, route_key: &str) -> Result<(), Stop> {
    let event = target.session().await?.event_of(message).await?;
    is("routeKey", &event["requestContext"]["routeKey"], route_key)
}

async fn concatenation(target: &Target) -> Result<(), Stop> {
    let shaken = target.authorize(&Opening::default().query("authorize", "allow")).await?;
    let mut socket = shaken.socket.ok_or_else(|| Stop::differs("the handshake was refused"))?;
    for (service, action, route_key) in
        [("chat", "send", "chatsend"), ("chat", "other", "$default"), ("send", "chat", "$default")]
    {
        let message = json!({ "service": service, "action": action, "script": {} });
        socket.text(message.to_string()).await?;
        let report: Value = serde_json::from_str(&socket.message().await?).unwrap_or_default();
        is("routeKey", &report["event"]["requestContext"]["routeKey"], route_key)?;
    }
    Ok(())
}

/// The frame must be one of the gateway's own, byte by byte but for the ids.
fn is_gateway_frame(frame: &str, message: &str) -> Result<Value, Stop> {
    let ids: Value = serde_json::from_str(frame).unwrap_or_default();
    let [connection, request] =
        ["connectionId", "requestId"].map(|key| ids[key].as_str().unwrap_or_default());
    let expected = format!(
        r#"{{"message": "{message}", "connectionId":"{connection}", "requestId":"{request}"}}"#
    );
    same("the frame", frame, &*expected)?;
    is_id(&ids["connectionId"])?;
    is_id(&ids["requestId"])?;
    Ok(ids)
}

async fn forbidden(target: &Target) -> Result<(), Stop> {
    let mut socket = target.bare().await?;
    for message in [r#"{"action":"unknown"}"#, "not JSON"] {
        socket.text(message).await?;
        is_gateway_frame(&socket.message().await?, "Forbidden")?;
    }
    // The connection stays open.
    socket.text(r#"{"action":"known","script":{}}"#).await?;
    let report: Value = serde_json::from_str(&socket.message().await?).unwrap_or_default();
    is("routeKey", &report["event"]["requestContext"]["routeKey"], "known")
}

fn message(action: &str, script: &Value) -> String {
    json!({ "action": action, "script": script }).to_string()
}

/// What comes after a message must be a barrier's frame, and the connection stays open.
async fn is_silent(target: &Target, script: &Value) -> Result<(), Stop> {
    let mut session = target.session().await?;
    // Its function says when it is about to answer, so that the barrier comes after that.
    let mut script = script.clone();
    script["posts"] = json!([{ "to": "$self", "data": "before the answer" }]);
    session.socket.text(message("oneway", &script)).await?;
    same("the next message", session.socket.message().await?, "before the answer")?;
    session.barrier().await?;
    session.barrier().await
}

async fn one_way_is_silent(target: &Target) -> Result<(), Stop> {
    is_silent(target, &json!({ "answer": { "statusCode": 200, "body": "an answer" } })).await
}

async fn one_way_status(target: &Target) -> Result<(), Stop> {
    for status in [301, 401, 501] {
        is_silent(target, &json!({ "answer": { "statusCode": status, "body": "no" } })).await?;
    }
    Ok(())
}

async fn two_way(target: &Target, status: u16) -> Result<(), Stop> {
    let mut session = target.session().await?;
    let body = " not {JSON}, caf\u{e9}\n";
    let answer = json!({ "answer": { "statusCode": status, "body": body } });
    session.socket.text(message("echo", &answer)).await?;
    same("the frame", session.socket.message().await?, body)
}

async fn two_way_sends(target: &Target) -> Result<(), Stop> {
    two_way(target, 200).await
}

async fn two_way_error(target: &Target) -> Result<(), Stop> {
    two_way(target, 500).await
}

/// A message must be answered with that frame of the gateway's; and the connection stays open.
async fn is_told(target: &Target, text: &str, action: &str, script: &Value) -> Result<(), Stop> {
    let mut session = target.session().await?;
    session.socket.text(message(action, script)).await?;
    let ids = is_gateway_frame(&session.socket.message().await?, text)?;
    is("connectionId", &ids["connectionId"], &*session.id)?;
    session.barrier().await
}

async fn fails(target: &Target, action: &str, script: &Value) -> Result<(), Stop> {
    is_told(target, "Internal server error", action, script).await
}

async fn times_out(target: &Target) -> Result<(), Stop> {
    is_told(target, "Endpoint request timed out", "slow", &json!({ "sleep_ms": 3000 })).await
}

async fn messages_are_concurrent(target: &Target) -> Result<(), Stop> {
    let Session { mut socket, .. } = target.session().await?;
    let after = async |socket: &mut Socket, sleep_ms: u64, data: &str| {
        let script = json!({ "sleep_ms": sleep_ms, "posts": [{ "to": "$self", "data": data }] });
        socket.text(message("oneway", &script)).await
    };
    after(&mut socket, 4000, "slow").await?;
    after(&mut socket, 0, "quick").await?;
    same("the first message", socket.message().await?, "quick")?;
    same("the second message", socket.message().await?, "slow")
}
