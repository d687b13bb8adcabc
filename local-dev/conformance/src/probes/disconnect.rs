//! `$disconnect`: what functions hear of a connection's end.

use serde_json::{Value, json};
use tokio::time::sleep;

use super::event::{has_keys, has_no_null, has_times};
use crate::{
    probe::{Stop, is, probes, same},
    socket::{BINARY, Frame, Opening, TEXT, url_host},
    target::{Session, Target},
};

probes! {
    "ws.disconnect.keys" Documented WS_EVENTS
        "the event has headers, multiValueHeaders, requestContext and isBase64Encoded, in this order" => keys;
    "ws.disconnect.headers" Documented WS_EVENTS
        "its headers are not the handshake's but Host, x-api-key, X-Forwarded-For and x-restapi" => headers;
    "ws.disconnect.context-keys" Documented WS_EVENTS
        "its requestContext has the documented keys in the documented order" => context_keys;
    "ws.disconnect.no-nulls" Captured CAPTURED
        "what it does not have is absent, not null" => no_nulls;
    "ws.disconnect.type" Documented WS_EVENTS
        "routeKey is $disconnect, eventType DISCONNECT, messageDirection IN" => kind;
    "ws.disconnect.connection" Documented WS_EVENTS
        "connectionId, connectedAt, identity and domainName are those of $connect" => same_connection;
    "ws.disconnect.times" Documented WS_MAPPING
        "requestTime and requestTimeEpoch are the end's" => times;
    "ws.disconnect.gone" Documented WS_CONNECT
        "when it runs, the connection is gone" => is_gone;
    "ws.disconnect.no-status-1005" Documented WS_EVENTS
        "a close without code is 1005 Client-side close frame status not set"
        => async |target| closes(target, None, "", 1005, "Client-side close frame status not set").await;
    "ws.disconnect.going-away-1001" Captured CAPTURED
        "a close with 1001 and no reason is 1001 and an empty reason"
        => async |target| closes(target, Some(1001), "", 1001, "").await;
    "ws.disconnect.code-and-reason" Assumed UNKNOWN
        "a client's code and reason are passed on"
        => async |target| closes(target, Some(4321), "good bye", 4321, "good bye").await;
    "ws.disconnect.delete" Captured BOTO3_3789
        "DELETE is 1000 Connection Closed Normally" => after_delete;
    "ws.disconnect.dropped-1006" Documented WS_OVERVIEW
        "a broken TCP connection is 1006" => after_a_drop;
    "ws.disconnect.dropped-reason" Assumed UNKNOWN
        "the reason of a broken TCP connection is empty" => reason_of_a_drop;
    "ws.disconnect.binary-1003" Documented WS_OVERVIEW
        "a binary frame is 1003"
        => async |target| after_frame(target, Frame::new(BINARY, "a"), 1003).await;
    "ws.disconnect.too-big-1009" Documented WS_OVERVIEW
        "a frame of more than 32 KB is 1009"
        => async |target| after_frame(target, Frame::new(TEXT, vec![b'x'; 32 * 1024 + 1]), 1009).await;
    "ws.disconnect.idle" Captured CAPTURED
        "an idle socket's end is 1001 Going away" => after_idleness;
    "ws.disconnect.once" Documented WS_CONNECT
        "it runs once" => runs_once;
}

/// Opens a socket, has `end` end it; the report of the end and the event of the beginning.
async fn report(
    target: &Target,
    end: impl AsyncFnOnce(Session) -> Result<Session, Stop>,
) -> Result<(Value, Value), Stop> {
    let mut observer = target.session().await?;
    let opening = Opening::default().query("a", "1").header("X-Custom", "1");
    let (session, mut beginning) = target.observed(&mut observer, opening).await?;
    let _session = end(session).await?;
    Ok((observer.report("DISCONNECT").await?, beginning["event"].take()))
}

async fn client_closes(mut session: Session) -> Result<Session, Stop> {
    session.socket.close(Some(1000), "").await?;
    Ok(session)
}

async fn event(target: &Target) -> Result<Value, Stop> {
    Ok(report(target, client_closes).await?.0["event"].take())
}

async fn keys(target: &Target) -> Result<(), Stop> {
    let keys = ["headers", "multiValueHeaders", "requestContext", "isBase64Encoded"];
    has_keys("the event", &event(target).await?, &keys)
}

async fn headers(target: &Target) -> Result<(), Stop> {
    let host = url_host(&target.websocket_url()?);
    let event = event(target).await?;
    let one = json!({ "Host": host, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": "" });
    is("headers", &event["headers"], one)?;
    let all =
        json!({ "Host": [host], "x-api-key": [""], "X-Forwarded-For": [""], "x-restapi": [""] });
    is("multiValueHeaders", &event["multiValueHeaders"], all)
}

async fn context_keys(target: &Target) -> Result<(), Stop> {
    let keys = [
        "routeKey",
        "disconnectStatusCode",
        "eventType",
        "extendedRequestId",
        "requestTime",
        "messageDirection",
        "disconnectReason",
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

async fn kind(target: &Target) -> Result<(), Stop> {
    let event = event(target).await?;
    for (key, value) in
        [("routeKey", "$disconnect"), ("eventType", "DISCONNECT"), ("messageDirection", "IN")]
    {
        is(key, &event["requestContext"][key], value)?;
    }
    is("isBase64Encoded", &event["isBase64Encoded"], false)
}

async fn same_connection(target: &Target) -> Result<(), Stop> {
    let (report, beginning) = report(target, client_closes).await?;
    for key in ["connectionId", "connectedAt", "identity", "domainName", "stage", "apiId"] {
        let [of_connect, of_end] =
            [&beginning, &report["event"]].map(|event| &event["requestContext"][key]);
        is(key, of_end, of_connect.clone())?;
    }
    Ok(())
}

async fn times(target: &Target) -> Result<(), Stop> {
    let event = event(target).await?;
    let context = &event["requestContext"];
    has_times(&context["requestTime"], &context["requestTimeEpoch"])
}

async fn is_gone(target: &Target) -> Result<(), Stop> {
    let (report, _beginning) = report(target, client_closes).await?;
    is("the status of a post in $disconnect", &report["posts"], json!([410]))
}

fn ended_with(event: &Value, code: u16, reason: &str) -> Result<(), Stop> {
    is("disconnectStatusCode", &event["requestContext"]["disconnectStatusCode"], code)?;
    is("disconnectReason", &event["requestContext"]["disconnectReason"], reason)
}

async fn closes(
    target: &Target,
    code: Option<u16>,
    sent_reason: &str,
    status: u16,
    reason: &str,
) -> Result<(), Stop> {
    let close = async |mut session: Session| {
        session.socket.close(code, sent_reason).await?;
        Ok(session)
    };
    ended_with(&report(target, close).await?.0["event"], status, reason)
}

async fn after_delete(target: &Target) -> Result<(), Stop> {
    let delete = async |session: Session| {
        same("the status", target.manage("DELETE", &session.id, "").await?.status, 204)?;
        Ok(session)
    };
    ended_with(&report(target, delete).await?.0["event"], 1000, "Connection Closed Normally")
}

async fn dropped(target: &Target) -> Result<Value, Stop> {
    let mut observer = target.session().await?;
    let (session, _event) = target.observed(&mut observer, Opening::default()).await?;
    drop(session);
    Ok(observer.disconnect_event().await?["requestContext"].take())
}

async fn after_a_drop(target: &Target) -> Result<(), Stop> {
    is("disconnectStatusCode", &dropped(target).await?["disconnectStatusCode"], 1006)
}

async fn reason_of_a_drop(target: &Target) -> Result<(), Stop> {
    is("disconnectReason", &dropped(target).await?["disconnectReason"], "")
}

async fn after_frame(target: &Target, frame: Frame, code: u16) -> Result<(), Stop> {
    let send = async |mut session: Session| {
        session.socket.send(frame).await?;
        session.socket.closed().await?;
        Ok(session)
    };
    let (report, _beginning) = report(target, send).await?;
    is("disconnectStatusCode", &report["event"]["requestContext"]["disconnectStatusCode"], code)
}

async fn after_idleness(target: &Target) -> Result<(), Stop> {
    let idle_timeout = target.idle_timeout.ok_or_else(|| Stop::skipped("needs --idle-timeout"))?;
    let mut observer = target.session().await?;
    let (mut session, _event) = target.observed(&mut observer, Opening::default()).await?;
    let closed = session.socket.closed_within(idle_timeout * 2 + target.patience);
    let closed = async { closed.await.map(drop) };
    let keep_observer_busy = async {
        loop {
            sleep(idle_timeout / 4).await;
            if let Err(stop) = observer.socket.text(r#"{"script":{}}"#).await {
                return stop;
            }
        }
    };
    tokio::select! {
        closed = closed => closed?,
        stop = keep_observer_busy => return Err(stop),
    }
    ended_with(&observer.disconnect_event().await?, 1001, "Going away")
}

async fn runs_once(target: &Target) -> Result<(), Stop> {
    let mut observer = target.session().await?;
    for _ in 0..3 {
        let (mut session, _event) = target.observed(&mut observer, Opening::default()).await?;
        session.socket.close(Some(1000), "").await?;
        let event = observer.disconnect_event().await?;
        is("connectionId", &event["requestContext"]["connectionId"], &*session.id)?;
    }
    observer.barrier().await
}
