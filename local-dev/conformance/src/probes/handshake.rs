//! Opening a socket.

use serde_json::{Value, json};

use super::event::{has_keys, is_id};
use crate::{
    probe::{Stop, check, is, probes, same},
    socket::{Handshake, Opening, Socket, url_host},
    target::{Target, identify},
    wire::Request,
};

probes! {
    "ws.handshake.101" Captured PYWS_1065
        "an accepted handshake is answered 101 with Connection: upgrade and upgrade: websocket"
        => is_answered_101;
    "ws.handshake.deflate" Captured PYWS_1065
        "permessage-deflate is negotiated with a client that offers it" => negotiates_deflate;
    "ws.handshake.pending" Documented WS_CONNECT
        "the handshake is answered only after $connect has answered" => waits_for_connect;
    "ws.handshake.no-connect-route" Documented WS_CONNECT
        "without a $connect route everybody may connect" => needs_no_connect_route;
    "ws.handshake.status-200" Captured CAPTURED
        "$connect's 200 opens the socket" => async |target| opens_with(target, 200).await;
    "ws.handshake.status-201" Captured CAPTURED
        "$connect's 201 opens the socket" => async |target| opens_with(target, 201).await;
    "ws.handshake.status-204" Assumed UNKNOWN
        "$connect's 204 opens the socket" => async |target| opens_with(target, 204).await;
    "ws.handshake.status-299" Assumed UNKNOWN
        "$connect's 299 opens the socket" => async |target| opens_with(target, 299).await;
    "ws.handshake.status-301" Captured CAPTURED
        "$connect's 301 is the handshake's" => async |target| refuses_with(target, 301).await;
    "ws.handshake.status-400" Documented WS_SUBPROTOCOL
        "$connect's 400 is the handshake's" => async |target| refuses_with(target, 400).await;
    "ws.handshake.status-401" Documented WS_CONNECT
        "$connect's 401 is the handshake's" => async |target| refuses_with(target, 401).await;
    "ws.handshake.status-403" Documented WS_CONNECT
        "$connect's 403 is the handshake's" => async |target| refuses_with(target, 403).await;
    "ws.handshake.status-404" Assumed UNKNOWN
        "$connect's 404 is the handshake's" => async |target| refuses_with(target, 404).await;
    "ws.handshake.status-500" Captured CHAT_49
        "$connect's 500 is the handshake's" => async |target| refuses_with(target, 500).await;
    "ws.handshake.status-501" Captured CAPTURED
        "$connect's 501 is the handshake's" => async |target| refuses_with(target, 501).await;
    "ws.handshake.fail-502" Captured SLS_WS_13
        "a $connect that fails refuses with 502"
        => async |target| fails_with(target, &json!({ "end": "fail" }), 502).await;
    "ws.handshake.panic-502" Captured SLS_WS_13
        "a $connect that panics refuses with 502"
        => async |target| fails_with(target, &json!({ "end": "panic" }), 502).await;
    "ws.handshake.exit-502" Captured SLS_WS_13
        "a $connect whose process ends refuses with 502"
        => async |target| fails_with(target, &json!({ "end": "exit" }), 502).await;
    "ws.handshake.malformed-502" Captured ALG_107
        "a $connect that answers a text in place of a document refuses with 502"
        => async |target| fails_with(target, &json!({ "answer": "yes" }), 502).await;
    "ws.handshake.no-status-502" Captured ALG_107
        "a $connect that answers no statusCode refuses with 502"
        => async |target| fails_with(target, &json!({ "answer": { "body": "" } }), 502).await;
    "ws.handshake.timeout-504" Assumed UNKNOWN
        "a $connect that takes longer than its integration may refuses with 504"
        => async |target| fails_with(target, &json!({ "sleep_ms": 6000 }), 504).await;
    "ws.handshake.refusal-body" Assumed UNKNOWN
        "a refusal's body has the shape of the gateway's frames" => refusal_has_body;
    "ws.handshake.refusal-no-disconnect" Assumed WS_CONNECT
        "a refused connection has no $disconnect" => refused_has_no_disconnect;
    "ws.handshake.subprotocol" Documented WS_SUBPROTOCOL
        "the subprotocol that $connect selects is the handshake's" => async |target| {
            selects(target, &json!({ "headers": { "Sec-WebSocket-Protocol": "b" } })).await
        };
    "ws.handshake.subprotocol-any-case" Assumed WS_SUBPROTOCOL
        "the header with which $connect selects may be in any case" => async |target| {
            selects(target, &json!({ "headers": { "sec-websocket-protocol": "b" } })).await
        };
    "ws.handshake.subprotocol-multi-value" Assumed UNKNOWN
        "$connect may select the subprotocol in multiValueHeaders" => async |target| {
            selects(target, &json!({ "multiValueHeaders": { "Sec-WebSocket-Protocol": ["b"] } })).await
        };
    "ws.handshake.subprotocol-none" Documented WS_SUBPROTOCOL
        "offers of which $connect selects none open a socket without subprotocol" => selects_none;
    "ws.handshake.headers-dropped" Documented SET_COOKIE
        "no other header of $connect's answer is forwarded" => drops_headers;
    "ws.handshake.body-dropped" Documented SET_COOKIE
        "the body of $connect's answer is not sent" => drops_body;
    "ws.handshake.unknown-stage-403" Assumed UNKNOWN
        "a handshake at a stage that is not there is refused with 403" => unknown_stage;
    "ws.handshake.plain-get-426" Assumed SLS_OFFLINE
        "a GET that is no handshake is answered 426" => plain_get;
    "ws.handshake.url-too-long" Documented WS_QUOTAS
        "a URL of more than 4096 characters is refused" => long_url_is_refused;
    "ws.handshake.url-too-long-414" Assumed UNKNOWN
        "a URL of more than 4096 characters is refused with 414" => long_url_is_414;
    "ws.handshake.url-longest" Documented WS_QUOTAS
        "a URL of almost 4096 characters is taken" => longest_url_is_taken;
    "ws.handshake.throttled-429" Captured SNC_3
        "a throttled handshake is refused with 429" => throttled;
    "ws.authorizer.allow" Documented WS_AUTHORIZER
        "a connection that the authorizer allows opens" => authorizer_allows;
    "ws.authorizer.context" Captured BOTO3_3789
        "what the authorizer says is in the events of the connection, its values as text" => context_is_kept;
    "ws.authorizer.context-at-end" Captured BOTO3_3789
        "$disconnect's event has it, too" => context_is_kept_to_the_end;
    "ws.authorizer.stage-variables" Captured CAPTURED
        "a stage's variables are in the events of its connections" => stage_variables;
    "ws.authorizer.event" Documented WS_AUTHORIZER
        "the authorizer's event is that of $connect with type, methodArn and all headers" => authorizer_event;
    "ws.authorizer.deny-403" Documented WS_CONNECT
        "a connection that the authorizer denies is refused with 403"
        => async |target| authorizer_answers(target, "deny", 403).await;
    "ws.authorizer.unauthorized-401" Documented WS_AUTHORIZER_ANSWERS
        "the error Unauthorized refuses with 401"
        => async |target| authorizer_answers(target, "unauthorized", 401).await;
    "ws.authorizer.missing-identity-401" Documented WS_AUTHORIZER
        "a request without the identity source is refused with 401" => missing_identity;
    "ws.authorizer.fail-500" Assumed UNKNOWN
        "an authorizer that fails refuses with 500"
        => async |target| authorizer_answers(target, "fail", 500).await;
    "ws.authorizer.malformed-500" Assumed UNKNOWN
        "an authorizer that answers no policy refuses with 500"
        => async |target| authorizer_answers(target, "malformed", 500).await;
}

async fn is_answered_101(target: &Target) -> Result<(), Stop> {
    // That the accept key is right has been checked for every socket.
    let Handshake { response, .. } = target.handshake(&Opening::default()).await?;
    same("the status", response.status, 101)?;
    for (name, value) in [("connection", "upgrade"), ("upgrade", "websocket")] {
        let seen = response.header(name).map(str::to_ascii_lowercase);
        same(name, seen.as_deref(), Some(value))?;
    }
    same("the subprotocol", response.header("sec-websocket-protocol"), None::<&str>)
}

async fn negotiates_deflate(target: &Target) -> Result<(), Stop> {
    let offer = "permessage-deflate; client_max_window_bits";
    let opening = Opening::default().header("Sec-WebSocket-Extensions", offer);
    let Handshake { response, .. } = target.handshake(&opening).await?;
    let extensions = response.header("sec-websocket-extensions").unwrap_or_default();
    check(extensions.starts_with("permessage-deflate"), || {
        format!("the handshake's extensions are {extensions:?}")
    })
}

async fn waits_for_connect(target: &Target) -> Result<(), Stop> {
    const SLEEP_MS: u64 = 300;

    let start = std::time::Instant::now();
    let shaken = target.handshake_with(&json!({ "sleep_ms": SLEEP_MS })).await?;
    same("the status", shaken.response.status, 101)?;
    let elapsed_ms = start.elapsed().as_millis();
    check(elapsed_ms >= SLEEP_MS.into(), || format!("the answer came after {elapsed_ms} ms"))
}

async fn needs_no_connect_route(target: &Target) -> Result<(), Stop> {
    target.bare().await.map(drop)
}

fn answer(status: u16) -> Value {
    json!({ "answer": { "statusCode": status } })
}

async fn opens_with(target: &Target, status: u16) -> Result<(), Stop> {
    let shaken = target.handshake_with(&answer(status)).await?;
    same("the status", shaken.response.status, 101)?;
    let mut socket = shaken.socket.ok_or_else(|| Stop::differs("no socket"))?;
    identify(&mut socket).await.map(drop)
}

async fn refuses_with(target: &Target, status: u16) -> Result<(), Stop> {
    fails_with(target, &answer(status), status).await
}

async fn fails_with(target: &Target, script: &Value, status: u16) -> Result<(), Stop> {
    same("the status", target.handshake_with(script).await?.response.status, status)
}

async fn refusal_has_body(target: &Target) -> Result<(), Stop> {
    let body = target.handshake_with(&answer(403)).await?.response.text();
    let ids: Value = serde_json::from_str(&body).unwrap_or_default();
    has_keys(&format!("the body {body:?}"), &ids, &["message", "connectionId", "requestId"])?;
    is_id(&ids["connectionId"])?;
    is_id(&ids["requestId"])
}

async fn refused_has_no_disconnect(target: &Target) -> Result<(), Stop> {
    let mut observer = target.session().await?;
    let opening = Opening::default().script(&answer(403)).observer(&observer.id);
    same("the status", target.handshake(&opening).await?.response.status, 403)?;
    observer.report("CONNECT").await?;
    let (mut session, _event) = target.observed(&mut observer, Opening::default()).await?;
    session.socket.close(Some(1000), "").await?;
    let event = observer.disconnect_event().await?;
    same("the connection", event["requestContext"]["connectionId"].as_str(), Some(&*session.id))
}

fn offering() -> Opening {
    Opening::default().header("Sec-WebSocket-Protocol", "a, b")
}

async fn selects(target: &Target, selection: &Value) -> Result<(), Stop> {
    let mut script = answer(200);
    script["answer"]["headers"] = selection["headers"].clone();
    script["answer"]["multiValueHeaders"] = selection["multiValueHeaders"].clone();
    let Handshake { response, .. } = target.handshake(&offering().script(&script)).await?;
    same("the status", response.status, 101)?;
    same("the subprotocol", response.header("sec-websocket-protocol"), Some("b"))
}

async fn selects_none(target: &Target) -> Result<(), Stop> {
    let Handshake { response, .. } = target.handshake(&offering()).await?;
    same("the status", response.status, 101)?;
    same("the subprotocol", response.header("sec-websocket-protocol"), None::<&str>)
}

async fn drops_headers(target: &Target) -> Result<(), Stop> {
    let headers = json!({ "Set-Cookie": "a=1", "X-Custom": "1", "Content-Type": "text/plain" });
    let script = json!({ "answer": { "statusCode": 200, "headers": headers } });
    let Handshake { response, .. } = target.handshake_with(&script).await?;
    same("the status", response.status, 101)?;
    for name in ["set-cookie", "x-custom", "content-type"] {
        same(name, response.header(name), None::<&str>)?;
    }
    Ok(())
}

async fn drops_body(target: &Target) -> Result<(), Stop> {
    let script = json!({ "answer": { "statusCode": 200, "body": "welcome" } });
    let mut socket = target.socket(&Opening::default().script(&script)).await?;
    identify(&mut socket).await.map(drop)
}

async fn unknown_stage(target: &Target) -> Result<(), Stop> {
    let mut url = target.websocket_url()?;
    url.set_path("/there-is-no-such-stage");
    let shaken = Opening::default().open(&url, target.patience).await?;
    same("the status", shaken.response.status, 403)
}

async fn plain_get(target: &Target) -> Result<(), Stop> {
    let url = target.websocket_url()?;
    let response = target.request(&url, Request::new("GET", url.path())).await?;
    same("the status", response.status, 426)
}

/// A handshake whose URL, with scheme and host, has about so many characters.
async fn shake_with_url(target: &Target, chars: usize) -> Result<Handshake, Stop> {
    let url = target.websocket_url()?;
    let rest = url.path().len() + "?a=".len();
    target.handshake(&Opening::default().query("a", &"x".repeat(chars - rest))).await
}

async fn long_url_is_refused(target: &Target) -> Result<(), Stop> {
    let status = shake_with_url(target, 4097).await?.response.status;
    check(status >= 400, || format!("the status is {status}"))
}

async fn long_url_is_414(target: &Target) -> Result<(), Stop> {
    same("the status", shake_with_url(target, 4097).await?.response.status, 414)
}

async fn longest_url_is_taken(target: &Target) -> Result<(), Stop> {
    // Whether the scheme and the host count is not said; here they do.
    let url = target.websocket_url()?;
    let origin = format!("{}://{}", url.scheme(), url_host(&url)).len();
    same("the status", shake_with_url(target, 4096 - origin).await?.response.status, 101)
}

async fn throttled(target: &Target) -> Result<(), Stop> {
    same("the status", target.throttled().await?.response.status, 429)
}

fn authorizing(answer: &str) -> Opening {
    Opening::default().query("authorize", answer)
}

/// An authorized socket, and the event of a message on it.
async fn authorized(target: &Target) -> Result<(Socket, Value), Stop> {
    let shaken = target.authorize(&authorizing("allow")).await?;
    same("the status", shaken.response.status, 101)?;
    let mut socket = shaken.socket.ok_or_else(|| Stop::differs("no socket"))?;
    socket.text(r#"{"service":"chat","action":"send","script":{}}"#).await?;
    let mut report: Value = serde_json::from_str(&socket.message().await?).unwrap_or_default();
    Ok((socket, report["event"].take()))
}

async fn authorizer_allows(target: &Target) -> Result<(), Stop> {
    authorized(target).await.map(drop)
}

async fn authorizer_answers(target: &Target, answer: &str, status: u16) -> Result<(), Stop> {
    same("the status", target.authorize(&authorizing(answer)).await?.response.status, status)
}

async fn missing_identity(target: &Target) -> Result<(), Stop> {
    same("the status", target.authorize(&Opening::default()).await?.response.status, 401)
}

async fn context_is_kept(target: &Target) -> Result<(), Stop> {
    let (_socket, event) = authorized(target).await?;
    let context = &event["requestContext"]["authorizer"];
    for (key, value) in
        [("principalId", "u-1"), ("role", "member"), ("level", "7"), ("is_admin", "false")]
    {
        is(key, &context[key], value)?;
    }
    check(context["integrationLatency"].is_number(), || format!("the context is {context}"))
}

async fn context_is_kept_to_the_end(target: &Target) -> Result<(), Stop> {
    let mut observer = target.session().await?;
    let shaken = target.authorize(&authorizing("allow").observer(&observer.id)).await?;
    let mut socket = shaken.socket.ok_or_else(|| Stop::differs("the handshake was refused"))?;
    observer.report("CONNECT").await?;
    socket.close(Some(1000), "").await?;
    let event = observer.disconnect_event().await?;
    is("principalId", &event["requestContext"]["authorizer"]["principalId"], "u-1")
}

async fn stage_variables(target: &Target) -> Result<(), Stop> {
    let (_socket, event) = authorized(target).await?;
    is("stageVariables", &event["stageVariables"], json!({ "colour": "blue" }))
}

async fn authorizer_event(target: &Target) -> Result<(), Stop> {
    let (_socket, event) = authorized(target).await?;
    let event = event["requestContext"]["authorizer"]["event"].as_str().unwrap_or_default();
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    is("the type", &event["type"], "REQUEST")?;
    let arn = event["methodArn"].as_str().unwrap_or_default();
    check(arn.starts_with("arn:aws:execute-api:") && arn.ends_with("/$connect"), || {
        format!("the methodArn is {arn:?}")
    })?;
    is("the parameters", &event["queryStringParameters"], json!({ "authorize": "allow" }))?;
    for (name, value) in
        [("connection", "upgrade"), ("upgrade", "websocket"), ("content-length", "0")]
    {
        let seen = header_of(&event, name).map(str::to_ascii_lowercase);
        same(name, seen.as_deref(), Some(value))?;
    }
    same("isBase64Encoded", event.get("isBase64Encoded"), None::<&Value>)
}

/// A header of an event, whatever the case of its name.
fn header_of<'a>(event: &'a Value, name: &str) -> Option<&'a str> {
    let headers = event["headers"].as_object()?;
    let (_, value) = headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
    value.as_str()
}
