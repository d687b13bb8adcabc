//! The management API: post to a connection, look at it, close it.

use std::borrow::Cow;

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderName, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE, request::Parts,
    },
};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    RunningGateway,
    body::{self, BodyError},
    connection::Connection,
    direct::{self, Answer},
    faults::Fault,
    identifier::{self, Identifier, mint_trace},
    journal::Entry,
    outbox::QueueFull,
    refusal::Refusal,
    signature,
    timestamp::Timestamp,
    websocket_api::WebSocketApi,
};

/// How the management API begins below a stage.
const COLLECTION: &str = "@connections";

/// Whether a path is meant for the management API, with whatever stage, or with none.
pub(crate) fn is_meant(path: &str) -> bool {
    segments(path).take(2).any(|segment| segment == COLLECTION)
}

/// Answers a request where no stage is. It makes no difference whether it is signed.
pub(crate) fn refuse_stage(gateway: &RunningGateway, request: Request) -> Response<Body> {
    let (request, body) = request.into_parts();
    gateway.refuse(Refusal::CallForbidden, subject(&request), None);
    body::refuse(&request.headers, body);
    let mut response = forbidden();
    add_request_ids(&mut response);
    response
}

/// Answers a request below the stage's path. The only thing there is `@connections/{id}`.
pub(crate) async fn answer(
    gateway: &RunningGateway,
    api: &WebSocketApi,
    request: Request,
) -> Response<Body> {
    let (request, body) = request.into_parts();
    // Read whatever comes of it, so that the client can use its TCP connection again.
    let body = body::read(&request.headers, body, gateway.limits.message_bytes_max).await;
    let verified = gateway.credentials.as_ref().map_or(Ok(()), |credentials| {
        let body = body.as_deref().ok();
        signature::verify(credentials, signature::EXECUTE_API, &request, body, Timestamp::now())
    });
    let mut response = match (verified, body) {
        (Err(refusal), _) => {
            gateway.refuse(Refusal::NotSigned, subject(&request), None);
            error(StatusCode::FORBIDDEN, refusal.error_type, &refusal.message)
        }
        // Whoever signed a body that was not read, nobody knows whether they had the secret.
        (Ok(()), Err(error)) => {
            if matches!(error, BodyError::TooLarge) {
                gateway.refuse(Refusal::PostTooLarge, subject(&request), None);
            }
            unread(&error)
        }
        (Ok(()), Ok(_)) if !gateway.requests.admit() => {
            gateway.refuse(Refusal::CallThrottled, subject(&request), None);
            too_many_requests()
        }
        (Ok(()), Ok(body)) => {
            let routed = route(gateway, api, &request, body);
            match caller(gateway, &request) {
                Some(invocation) => invocation.scope(routed).await,
                None => routed.await,
            }
        }
    };
    add_request_ids(&mut response);
    response
}

/// The invocation that makes a request, if it says so. A function in this program need not: it asks in its own task.
fn caller(gateway: &RunningGateway, request: &Parts) -> Option<Entry> {
    let header = request.headers.get("x-amzn-trace-id")?.to_str().ok()?;
    gateway.journal.traced(header)
}

/// Answers a request of somebody who may make it.
async fn route(
    gateway: &RunningGateway,
    api: &WebSocketApi,
    request: &Parts,
    body: Bytes,
) -> Response<Body> {
    let Some(id) = connection_id(request.uri.path()) else {
        gateway.refuse(Refusal::CallForbidden, subject(request), None);
        return forbidden();
    };
    if !identifier::is_well_formed(&id) {
        gateway.refuse(Refusal::BadConnectionId, &id, None);
        let message = format!("Invalid connectionId: {id}");
        return error(StatusCode::BAD_REQUEST, "BadRequestException", &message);
    }
    match request.method {
        Method::POST => post(gateway, api, &id, &body).await,
        Method::GET => get(gateway, api, &id),
        Method::DELETE => delete(gateway, api, &id),
        // Of a method that a path does not have, API Gateway says that nobody has signed for it.
        _ => {
            gateway.refuse(Refusal::CallForbidden, subject(request), None);
            error(
                StatusCode::FORBIDDEN,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )
        }
    }
}

/// What is said of a request that is refused.
fn subject(request: &Parts) -> String {
    format!("{} {}", request.method, request.uri.path())
}

/// The id in `/{stage}/@connections/{id}`.
fn connection_id(path: &str) -> Option<String> {
    let mut segments = segments(path).skip(1);
    let [collection, id] = [segments.next()?, segments.next()?];
    (collection == COLLECTION && segments.next().is_none()).then(|| id.into_owned())
}

/// What is between a path's slashes, decoded: clients differ in what they percent-encode.
fn segments(path: &str) -> impl Iterator<Item = Cow<'_, str>> {
    path.split('/').skip(1).map(|segment| percent_decode_str(segment).decode_utf8_lossy())
}

/// `PostToConnection`. The answer says that the frame is queued, not that the client has it.
async fn post(
    gateway: &RunningGateway,
    api: &WebSocketApi,
    id: &str,
    body: &Bytes,
) -> Response<Body> {
    let began = Instant::now();
    let answer = match gateway.check_text(body) {
        Err(answer) => gateway.refused_call(id, answer),
        Ok(text) => {
            gateway.faults.delay(Fault::PostDelay, None).await;
            let fault = gateway.post_fault();
            fault.unwrap_or_else(|| match gateway.connections.get(api, id) {
                None => gateway.refused_call(id, Answer::Gone),
                Some(connection) => match gateway.send(&connection, &text) {
                    Ok(()) => Answer::Done,
                    Err(QueueFull) => gateway.refused_call(id, Answer::TooMany),
                },
            })
        }
    };
    direct::tell_of_posts(began, [id], &[answer]);
    respond(answer)
}

/// An answer as HTTP.
fn respond(answer: Answer) -> Response<Body> {
    match answer {
        Answer::Done => json_response(StatusCode::OK, String::new()),
        Answer::Gone => gone(),
        Answer::TooMany => too_many_requests(),
        Answer::TooLarge => unread(&BodyError::TooLarge),
        Answer::Malformed => unread(&BodyError::Broken),
        Answer::Failed => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            error(status, "InternalServerErrorException", "Internal server error")
        }
    }
}

/// `GetConnection`.
fn get(gateway: &RunningGateway, api: &WebSocketApi, id: &str) -> Response<Body> {
    let connection = gateway.connections.get(api, id);
    connection.map_or_else(
        || respond(gateway.refused_call(id, Answer::Gone)),
        |connection| json_response(StatusCode::OK, describe(&connection)),
    )
}

/// `DeleteConnection`.
fn delete(gateway: &RunningGateway, api: &WebSocketApi, id: &str) -> Response<Body> {
    if !gateway.delete(api, id) {
        return respond(gateway.refused_call(id, Answer::Gone));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

impl RunningGateway {
    /// Closes a connection, if there is one.
    pub(crate) fn delete(&self, api: &WebSocketApi, id: &str) -> bool {
        let connection = self.connections.remove(api, id);
        connection.inspect(|connection| connection.deleted.cancel()).is_some()
    }
}

/// What is known of a connection, spaced as API Gateway does.
fn describe(connection: &Connection) -> String {
    let source_ip = connection.caller.source_ip;
    let user_agent =
        connection.caller.user_agent.as_deref().map_or_else(String::new, |agent| {
            format!(",\n    \"userAgent\" : {}", Value::from(agent))
        });
    let connected_at = connection.connected_at.iso_8601();
    let last_active_at = connection.last_active_at().iso_8601();
    format!(
        r#"{{
  "identity" : {{
    "sourceIp" : "{source_ip}"{user_agent}
  }},
  "connectedAt" : "{connected_at}",
  "lastActiveAt" : "{last_active_at}"
}}"#
    )
}

/// The client reads too slowly, or there are too many requests: one error stands for both.
fn too_many_requests() -> Response<Body> {
    error(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", "Too Many Requests")
}

/// The request's body is none that could be sent.
fn unread(body_error: &BodyError) -> Response<Body> {
    let (status, error_type, message) = match body_error {
        BodyError::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", "Payload Too Large")
        }
        BodyError::TooSlow => {
            (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", "Request Timeout")
        }
        BodyError::Broken => (StatusCode::BAD_REQUEST, "BadRequestException", "Bad Request"),
    };
    error(status, error_type, message)
}

/// There is nothing that anybody could have a right to.
fn forbidden() -> Response<Body> {
    error(StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden")
}

/// There is no such connection. The body is empty indeed.
fn gone() -> Response<Body> {
    let mut response = json_response(StatusCode::GONE, String::new());
    set_error_type(&mut response, "GoneException");
    response
}

fn error(status: StatusCode, error_type: &'static str, message: &str) -> Response<Body> {
    let mut response = json_response(status, json!({ "message": message }).to_string());
    set_error_type(&mut response, error_type);
    response
}

fn set_error_type(response: &mut Response<Body>, error_type: &'static str) {
    let name = HeaderName::from_static("x-amzn-errortype");
    response.headers_mut().insert(name, HeaderValue::from_static(error_type));
}

fn json_response(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Adds the ids that API Gateway gives every request. One that is malformed or refused gets no trace.
fn add_request_ids(response: &mut Response<Body>) {
    let now = Timestamp::now();
    let is_traced = !matches!(response.status(), StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN);
    let trace = is_traced.then(|| mint_trace(now));
    for (name, value) in [
        ("x-amzn-requestid", Some(Uuid::new_v4().to_string())),
        ("x-amz-apigw-id", Some(Identifier::mint(now).to_string())),
        ("x-amzn-trace-id", trace),
    ] {
        if let Some(value) = value {
            let value = HeaderValue::from_str(&value).expect("ids are ASCII");
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::{HeaderMap, Uri, header::HOST};

    use super::*;
    use crate::request::{Caller, Peer};

    #[test]
    fn ids_are_found_in_encoded_and_in_raw_paths() {
        for path in [
            "/ws/@connections/QkT3rfHsDoECHlw=",
            "/ws/@connections/QkT3rfHsDoECHlw%3D",
            "/ws/%40connections/QkT3rfHsDoECHlw%3D",
            "/ws/%40connections/QkT3rfHsDoECHlw%3d",
        ] {
            assert_eq!(connection_id(path).as_deref(), Some("QkT3rfHsDoECHlw="), "{path}");
        }
        for path in
            ["/ws/", "/ws/@connections", "/ws/other/QkT3rfHsDoECHlw=", "/ws/@connections/a/b"]
        {
            assert_eq!(connection_id(path), None, "{path}");
        }
    }

    #[test]
    fn a_connection_is_described_as_api_gateway_does() {
        let host = (HOST, HeaderValue::from_static("localhost"));
        let caller = Caller::parse(
            &HeaderMap::from_iter([host]),
            &Uri::default(),
            Peer::plain("198.51.100.7:5000"),
        );
        let mut caller = caller.unwrap();
        caller.user_agent = Some("\"Mozilla\"/5.0".to_owned());
        let connected_at = Timestamp::from_epoch_millis(1_795_428_930_101);
        let api = WebSocketApi { stage: "ws".to_owned(), ..WebSocketApi::default() };
        let mut connection = Connection::new(Arc::new(api), caller, connected_at, 1000);
        let expected = r#"{
  "identity" : {
    "sourceIp" : "198.51.100.7",
    "userAgent" : "\"Mozilla\"/5.0"
  },
  "connectedAt" : "2026-11-23T10:15:30.101Z",
  "lastActiveAt" : "2026-11-23T10:15:30.101Z"
}"#;
        assert_eq!(describe(&connection), expected);

        connection.caller.user_agent = None;
        let expected = r#"{
  "identity" : {
    "sourceIp" : "198.51.100.7"
  },
  "connectedAt" : "2026-11-23T10:15:30.101Z",
  "lastActiveAt" : "2026-11-23T10:15:30.101Z"
}"#;
        assert_eq!(describe(&connection), expected);
    }
}
