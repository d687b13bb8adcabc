//! What the inspector says, as JSON. All of it is redacted here.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Value, json};

use crate::{
    RunningGateway,
    assumptions::Assumptions,
    connection::Connection,
    journal::{Entry, Outcome, Start},
    limits::Limits,
    queues::Queue,
    redaction::{redact_json, redact_text},
};

/// How much of one text is shown of an event or a response, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// An invocation in a list.
#[derive(Serialize)]
pub(super) struct Summary {
    id: String,
    request_id: String,
    function: String,
    route: String,
    /// The invocation that this one repeats.
    replay_of: Option<String>,
    started_at: String,
    start: &'static str,
    /// `running`, `ok` or `error`.
    outcome: &'static str,
    /// The response's `statusCode`, if it has one.
    status: Option<u16>,
    error: Option<String>,
    duration_ms: Option<f64>,
    event_bytes: usize,
    response_bytes: Option<usize>,
    lines: usize,
}

/// An invocation with all that is known of it.
#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    summary: Summary,
    event: Value,
    /// The response, as JSON if it is some, as text if not.
    response: Option<Value>,
    response_is_json: bool,
    /// What the function logged, and what the gateway has to say about it.
    log: Vec<String>,
    /// How many more lines there were.
    log_lines_dropped: usize,
}

impl Summary {
    pub(super) fn of(entry: &Entry) -> Self {
        let call = &entry.record().call;
        // Nothing is parsed while the function may want to say something.
        let (start, outcome, lines) = {
            let progress = entry.record().progress();
            let lines = progress.lines.len() + progress.lines_dropped;
            (progress.start, progress.outcome.clone(), lines)
        };
        let (response, error) = match outcome.as_ref().map(|outcome| &outcome.result) {
            None => (None, None),
            Some(Ok(response)) => (Some(response), None),
            Some(Err(error)) => (None, Some(redact_text(error).into_owned())),
        };
        Self {
            id: call.id.clone(),
            request_id: call.request_id.to_string(),
            function: call.function.name().to_owned(),
            route: redact_text(&call.route_key).into_owned(),
            replay_of: call.replay_of.clone(),
            started_at: entry.record().started_at.iso_8601(),
            start: match start {
                Start::InProcess => "in-process",
                Start::Warm => "warm",
                Start::Cold => "cold",
            },
            outcome: match outcome {
                None => "running",
                Some(Outcome { result: Ok(_), .. }) => "ok",
                Some(Outcome { result: Err(_), .. }) => "error",
            },
            status: response.and_then(status),
            error,
            // In microseconds, first, since a fraction would be shown with all its digits.
            duration_ms: outcome
                .as_ref()
                .map(|outcome| (outcome.duration.as_secs_f64() * 1e6).round() / 1e3),
            event_bytes: call.event.len(),
            response_bytes: response.map(Bytes::len),
            lines,
        }
    }

    pub(super) fn is_of(&self, function: &str) -> bool {
        self.function == function
    }
}

/// The `statusCode` of a response.
pub(crate) fn status(response: &Bytes) -> Option<u16> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "statusCode")]
        status_code: u16,
    }

    serde_json::from_slice(response).ok().map(|Document { status_code }| status_code)
}

/// An invocation with all that is known of it. It parses megabytes, if there are some.
pub(super) fn detail(entry: &Entry) -> Value {
    let progress = entry.record().progress().clone();
    let response = progress.outcome.and_then(|outcome| outcome.result.ok());
    let response_is_json = response
        .as_deref()
        .is_some_and(|response| serde_json::from_slice::<IgnoredAny>(response).is_ok());
    let document = Detail {
        summary: Summary::of(entry),
        event: readable(&entry.record().call.event),
        response: response.as_deref().map(readable),
        response_is_json,
        log: progress.lines.iter().map(|line| redact_text(line).into_owned()).collect(),
        log_lines_dropped: progress.lines_dropped,
    };
    json!(document)
}

/// A document without its secrets: JSON, or if it is none, text.
fn readable(document: &[u8]) -> Value {
    let text = || Value::from(redact_text(&String::from_utf8_lossy(document)));
    let mut readable = redact_json(document).unwrap_or_else(text);
    shorten(&mut readable);
    readable
}

/// Cuts long texts. It is done last, since of a part of a document one cannot say where its secrets are.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(shorten),
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            let bytes = text.len();
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            text.extend(["… [cut: ", &bytes.to_string(), " bytes in all]"]);
        }
        _ => {}
    }
}

/// A connection.
#[derive(PartialEq, Serialize)]
pub(super) struct ConnectionView {
    id: String,
    stage: String,
    source_ip: String,
    user_agent: Option<String>,
    connected_at: String,
    last_active_at: String,
    /// What waits for the client to read it.
    queued_bytes: usize,
}

impl ConnectionView {
    pub(super) fn of(connection: &Connection, limits: &Limits) -> Self {
        let user_agent = connection.caller.user_agent.as_deref().map(redact_text);
        Self {
            id: connection.id.to_string(),
            stage: connection.api.stage.clone(),
            source_ip: connection.caller.source_ip.to_string(),
            user_agent: user_agent.map(Cow::into_owned),
            connected_at: connection.connected_at.iso_8601(),
            last_active_at: connection.last_active_at().iso_8601(),
            queued_bytes: limits.outbound_bytes_max.saturating_sub(connection.outbox.room_bytes()),
        }
    }
}

/// The queues, if there are any.
pub(super) fn queues(gateway: &RunningGateway) -> Vec<Queue> {
    gateway.queues.as_ref().map(|queues| queues.list()).unwrap_or_default()
}

/// The limits with AWS's beside them, and what is taken for granted.
pub(super) fn limits(limits: &Limits, assumptions: &Assumptions) -> Value {
    let (values, defaults) = (json!(limits), json!(Limits::default()));
    let rows = values.as_object().into_iter().flatten().map(|(name, value)| {
        json!({
            "name": name.trim_end_matches("_max").replace('_', "-"),
            "value": value,
            "default": defaults[name],
        })
    });
    let assumptions = assumptions.rows().map(|(row, value)| {
        json!({ "name": row.name, "value": value, "default": row.default, "meaning": row.meaning })
    });
    json!({ "limits": rows.collect::<Vec<_>>(), "assumptions": assumptions.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_after_their_secrets_are_out() {
        let padding = "é".repeat(TEXT_BYTES_MAX);
        let body = json!({ "padding": padding, "password": "abc" }).to_string();
        let bytes = body.len() + "[redacted]".len() - "abc".len();
        let event = json!({ "body": body, "routeKey": "$default" });
        let shown = readable(event.to_string().as_bytes());
        let text = shown["body"].as_str().unwrap();
        assert!(text.len() < TEXT_BYTES_MAX + 100);
        assert!(text.ends_with(&format!("é… [cut: {bytes} bytes in all]")), "{}", text.len());
        assert_eq!(shown["routeKey"], "$default");
        assert_eq!(readable(b"password=abc"), "password=[redacted]");
    }

    #[test]
    fn limits_have_awss_beside_them() {
        let own = Limits { frame_bytes_max: 7, request_rate: None, ..Limits::default() };
        let shown = limits(&own, &Assumptions::default());
        let row = |name: &str| {
            let rows = shown["limits"].as_array().unwrap();
            rows.iter().find(|row| row["name"] == name).unwrap().clone()
        };
        assert_eq!(
            row("idle-timeout"),
            json!({ "name": "idle-timeout", "value": 600.0, "default": 600.0 })
        );
        assert_eq!(
            row("frame-bytes"),
            json!({ "name": "frame-bytes", "value": 7, "default": 32768 })
        );
        assert_eq!(row("request-rate")["value"], Value::Null);
        assert_eq!(row("request-rate")["default"], json!({ "per_second": 10000.0, "burst": 5000 }));
        let row = &shown["assumptions"][0];
        assert_eq!(
            (&row["name"], &row["value"]),
            (&json!("connect-timeout-status"), &json!("504"))
        );
    }
}
