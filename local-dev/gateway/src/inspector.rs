//! The inspector: a page at `/_local` that shows what the gateway does, and the same as JSON.
//!
//! ```text
//! GET    /_local                          the page
//! GET    /_local/connections              the open connections, newest first
//! DELETE /_local/connections/{id}         breaks the TCP connection, without a close frame
//! GET    /_local/invocations              the last invocations, newest first; ?function=NAME&text=WORDS&limit=N
//! GET    /_local/invocations/{id}         one with its event, response, log, steps, and what was refused
//! POST   /_local/invocations/{id}/replay  the same event once more; answers the new invocation when it has ended
//! GET    /_local/queues                   the queues, and how many messages they hold
//! POST   /_local/queues/{name}/purge      deletes a queue's messages; answers how many, {"messages": 3}
//! POST   /_local/queues/{name}/redrive    moves dead letters back to where they came from; likewise
//! GET    /_local/refusals                 what was refused and what AWS would do, the latest first
//! GET    /_local/events                   all of that live, as Server-Sent Events: `snapshot`, `invocation`,
//!                                         `connections`, `queues`, `refusals`, and `reset` before another snapshot
//! GET    /_local/faults                   the faults and how often they happen, {"post-410": 0.1, …}
//! PUT    /_local/faults                   sets those that are named and ends all others
//! PATCH  /_local/faults                   sets those that are named; 0 or null ends one
//! GET    /_local/limits                   the limits with AWS's and what is in use beside them, and what is taken for
//!                                         granted
//! ```
//!
//! Errors are `{"message": "…"}`, as the gateway's own. Who may ask is `guard`'s to say. Nothing secret is shown; a
//! replay has the original event all the same.

mod feed;
mod guard;
mod view;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Path, RawQuery, Request, State},
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
    middleware::{Next, from_fn},
    response::IntoResponse,
    routing::{delete, get, post},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use url::form_urlencoded;

use crate::{
    RunningGateway, body,
    faults::{Fault, Faults},
    journal::{Entry, INVOCATIONS_MAX},
    request::Peer,
};
pub(crate) use view::status;
use view::{ConnectionView, Summary};

/// Sent with every answer. Scripts, styles and connections come from the same origin, nobody may frame the page, no form
/// leaves it by itself, and no script may make markup of a text.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What an inspector has no use for.
const PERMISSIONS_POLICY: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

/// The files of the page: name, content type, content.
const FILES: [(&str, &str, &str); 13] = [
    ("base.css", "text/css; charset=utf-8", include_str!("inspector/base.css")),
    ("layout.css", "text/css; charset=utf-8", include_str!("inspector/layout.css")),
    ("side.css", "text/css; charset=utf-8", include_str!("inspector/side.css")),
    ("invocations.css", "text/css; charset=utf-8", include_str!("inspector/invocations.css")),
    ("details.css", "text/css; charset=utf-8", include_str!("inspector/details.css")),
    ("inspector.js", "text/javascript; charset=utf-8", include_str!("inspector/inspector.js")),
    ("api.js", "text/javascript; charset=utf-8", include_str!("inspector/api.js")),
    ("details.js", "text/javascript; charset=utf-8", include_str!("inspector/details.js")),
    ("lists.js", "text/javascript; charset=utf-8", include_str!("inspector/lists.js")),
    ("refusals.js", "text/javascript; charset=utf-8", include_str!("inspector/refusals.js")),
    ("settings.js", "text/javascript; charset=utf-8", include_str!("inspector/settings.js")),
    ("store.js", "text/javascript; charset=utf-8", include_str!("inspector/store.js")),
    ("waterfall.js", "text/javascript; charset=utf-8", include_str!("inspector/waterfall.js")),
];

/// The largest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

type Gateway = State<Arc<RunningGateway>>;

/// What is below `/_local`.
pub(crate) fn router() -> Router<Arc<RunningGateway>> {
    let inspector = Router::new()
        .route("/", get(page))
        .route("/{file}", get(file))
        .route("/connections", get(connections))
        .route("/connections/{id}", delete(cut))
        .route("/invocations", get(invocations))
        .route("/invocations/{id}", get(invocation))
        .route("/invocations/{id}/replay", post(replay))
        .route("/queues", get(queues))
        .route("/queues/{name}/purge", post(purge))
        .route("/queues/{name}/redrive", post(redrive))
        .route("/refusals", get(refusals))
        .route("/events", get(events))
        .route("/faults", get(faults).put(put_faults).patch(patch_faults))
        .route("/limits", get(limits))
        .fallback(async || error(StatusCode::NOT_FOUND, "Not Found"))
        .method_not_allowed_fallback(async || {
            error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        })
        .layer(from_fn(protect));
    // A nested root does not match the slash at its end.
    Router::new().route("/_local/", get(page).layer(from_fn(protect))).nest("/_local", inspector)
}

/// Answers only who may look, and adds the headers.
async fn protect(
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let mut response = match guard::check(peer.address, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => error(StatusCode::FORBIDDEN, refusal),
    };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // What `frame-ancestors` says, for browsers that do not know it.
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn page() -> Response<Body> {
    typed("text/html; charset=utf-8", include_str!("inspector/index.html"))
}

async fn file(Path(name): Path<String>) -> Response<Body> {
    match FILES.iter().find(|(file, ..)| *file == name) {
        Some((_, content_type, content)) => typed(content_type, *content),
        None => error(StatusCode::NOT_FOUND, "Not Found"),
    }
}

async fn connections(State(gateway): Gateway) -> Response<Body> {
    let all = gateway.connections.all();
    let views = all.iter().rev().map(|connection| ConnectionView::of(connection, &gateway.limits));
    json_response(StatusCode::OK, &views.collect::<Vec<_>>())
}

async fn cut(State(gateway): Gateway, Path(id): Path<String>) -> Response<Body> {
    let all = gateway.connections.all();
    match all.iter().find(|connection| connection.id.to_string() == id) {
        Some(connection) => {
            connection.cut();
            StatusCode::NO_CONTENT.into_response()
        }
        None => error(StatusCode::NOT_FOUND, "There is no such connection."),
    }
}

async fn invocations(State(gateway): Gateway, RawQuery(query): RawQuery) -> Response<Body> {
    let mut function = None;
    let mut limit = INVOCATIONS_MAX;
    let mut words = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "function" => function = Some(value.into_owned()),
            "text" => words.extend(value.split_whitespace().map(str::to_lowercase)),
            "limit" => match value.parse() {
                Ok(number) => limit = number,
                Err(_) => {
                    return error(StatusCode::BAD_REQUEST, "The limit is a whole number from 0.");
                }
            },
            _ => {}
        }
    }
    let entries = gateway.journal.entries();
    let found = spawn_blocking(move || {
        let entries = entries.iter().rev();
        let of_function = entries.filter(|entry| {
            function.as_ref().is_none_or(|name| entry.record().call.function.name() == name)
        });
        let found = of_function.filter(|entry| words.is_empty() || view::has_words(entry, &words));
        found.take(limit).map(Summary::of).collect::<Vec<_>>()
    });
    match found.await {
        Ok(found) => json_response(StatusCode::OK, &found),
        Err(_panic) => error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

async fn invocation(State(gateway): Gateway, Path(id): Path<String>) -> Response<Body> {
    match gateway.journal.find(&id) {
        Some(entry) => detail(entry).await,
        None => no_invocation(),
    }
}

async fn replay(State(gateway): Gateway, Path(id): Path<String>) -> Response<Body> {
    match gateway.journal.find(&id) {
        Some(original) => detail(gateway.invoker.replay(&original.record().call).await).await,
        None => no_invocation(),
    }
}

async fn detail(entry: Entry) -> Response<Body> {
    match spawn_blocking(move || view::detail(&entry)).await {
        Ok(detail) => json_response(StatusCode::OK, &detail),
        Err(_panic) => error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

fn no_invocation() -> Response<Body> {
    error(StatusCode::NOT_FOUND, "There is no such invocation, or it is too long ago.")
}

async fn queues(State(gateway): Gateway) -> Response<Body> {
    json_response(StatusCode::OK, &view::queues(&gateway))
}

async fn purge(State(gateway): Gateway, Path(name): Path<String>) -> Response<Body> {
    count_messages(gateway.queues.as_ref().and_then(|queues| queues.purge(&name)))
}

async fn redrive(State(gateway): Gateway, Path(name): Path<String>) -> Response<Body> {
    count_messages(gateway.queues.as_ref().and_then(|queues| queues.redrive(&name)))
}

fn count_messages(messages: Option<usize>) -> Response<Body> {
    match messages {
        Some(messages) => json_response(StatusCode::OK, &json!({ "messages": messages })),
        None => error(StatusCode::NOT_FOUND, "There is no such queue."),
    }
}

async fn refusals(State(gateway): Gateway) -> Response<Body> {
    json_response(StatusCode::OK, &view::refusals(&gateway))
}

async fn events(State(gateway): Gateway) -> Response<Body> {
    feed::feed(gateway).into_response()
}

async fn faults(State(gateway): Gateway) -> Response<Body> {
    show_faults(&gateway)
}

async fn put_faults(State(gateway): Gateway, request: Request) -> Response<Body> {
    change_faults(&gateway, Faults::default(), request).await
}

async fn patch_faults(State(gateway): Gateway, request: Request) -> Response<Body> {
    let faults = gateway.faults.get();
    change_faults(&gateway, faults, request).await
}

async fn change_faults(
    gateway: &RunningGateway,
    mut faults: Faults,
    request: Request,
) -> Response<Body> {
    const SHAPE: &str =
        r#"The faults are an object of names and numbers, for example {"post-410": 0.1}."#;

    let (parts, body) = request.into_parts();
    let Ok(body) = body::read(&parts.headers, body, BODY_BYTES_MAX).await else {
        return error(StatusCode::BAD_REQUEST, SHAPE);
    };
    let Ok(wanted) = serde_json::from_slice::<Map<String, Value>>(&body) else {
        return error(StatusCode::BAD_REQUEST, SHAPE);
    };
    for (name, value) in wanted {
        let value = match value {
            Value::Null => "0".to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return error(StatusCode::BAD_REQUEST, SHAPE),
        };
        if let Err(problem) = faults.set(&name, &value) {
            return error(StatusCode::BAD_REQUEST, &problem.to_string());
        }
    }
    gateway.faults.replace(faults);
    show_faults(gateway)
}

/// All faults by name, and those of single functions. What does not happen has the number 0.
fn show_faults(gateway: &RunningGateway) -> Response<Body> {
    let mut shown: Map<_, _> =
        Fault::ALL.iter().map(|fault| (fault.name().to_owned(), json!(0.0))).collect();
    if let Value::Object(faults) = json!(gateway.faults.get()) {
        shown.extend(faults);
    }
    json_response(StatusCode::OK, &shown)
}

async fn limits(State(gateway): Gateway) -> Response<Body> {
    // It looks into all events that are remembered.
    match spawn_blocking(move || view::limits(&gateway)).await {
        Ok(limits) => json_response(StatusCode::OK, &limits),
        Err(_panic) => error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

fn error(status: StatusCode, message: &str) -> Response<Body> {
    json_response(status, &json!({ "message": message }))
}

fn json_response(status: StatusCode, document: &impl Serialize) -> Response<Body> {
    let mut response = typed("application/json", json!(document).to_string());
    *response.status_mut() = status;
    response
}

fn typed(content_type: &'static str, content: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(content.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
