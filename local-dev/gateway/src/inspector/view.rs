//! What the inspector says, as JSON. All of it is redacted here.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Value, json};

use crate::{
    RunningGateway,
    assumptions::Assumptions,
    connection::Connection,
    journal::{self, Entry, LOG, Outcome, Start, Step},
    limits::Limits,
    queues::Queue,
    redaction::{redact_json, redact_text},
    refusal::{Note, Refusal, Seen},
    usage,
};

/// How much of one text is shown of an event or a response, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// How many steps are drawn of an invocation in a list.
const PARTS_MAX: usize = 24;

/// An invocation in a list.
#[derive(Serialize)]
pub(super) struct Summary {
    id: String,
    request_id: String,
    function: String,
    /// How `cargo lambda` calls it.
    program: String,
    route: String,
    connection_id: Option<String>,
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
    /// How many steps there are.
    steps: usize,
    /// Of the first ones that took time: the kind, when it began and how long it took, in milliseconds.
    parts: Vec<(&'static str, f64, f64)>,
    /// What was refused on account of it, in a word.
    refused: Option<&'static str>,
}

/// A step of an invocation.
#[derive(Serialize)]
struct StepView {
    kind: &'static str,
    label: String,
    /// When it began, after the invocation did.
    offset_ms: f64,
    duration_ms: f64,
    outcome: String,
}

impl StepView {
    fn of(step: &Step) -> Self {
        Self {
            kind: step.kind,
            label: redact_text(&step.label).into_owned(),
            offset_ms: millis(step.offset),
            duration_ms: millis(step.duration),
            outcome: redact_text(&step.outcome).into_owned(),
        }
    }
}

/// A refusal, and what AWS would do.
#[derive(PartialEq, Serialize)]
pub(super) struct NoteView {
    title: &'static str,
    aws: &'static str,
    why: &'static str,
    limit: Option<&'static str>,
    assumption: Option<&'static str>,
    source: &'static str,
}

impl NoteView {
    fn of(refusal: Refusal) -> Self {
        let Note { title, aws, why, limit, assumption, source } = refusal.note();
        Self { title, aws, why, limit, assumption, source }
    }
}

/// What was refused.
#[derive(PartialEq, Serialize)]
pub(super) struct RefusalView {
    count: u64,
    last_at: String,
    subject: String,
    #[serde(flatten)]
    note: NoteView,
}

/// What has been refused, the latest first.
pub(super) fn refusals(gateway: &RunningGateway) -> Vec<RefusalView> {
    let seen = gateway.journal.refusals().seen().into_iter();
    seen.map(|Seen { refusal, count, last_at, subject }| RefusalView {
        count,
        last_at: last_at.iso_8601(),
        subject,
        note: NoteView::of(refusal),
    })
    .collect()
}

/// In microseconds, first, since a fraction would be shown with all its digits.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
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
    /// What happened, in the order in which it began.
    step_list: Vec<StepView>,
    /// How many more steps there were.
    steps_dropped: usize,
    /// Whether steps other than lines of the log were recorded.
    has_steps: bool,
    /// What was refused on account of it, and what AWS would do.
    refusals: Vec<NoteView>,
}

impl Summary {
    pub(super) fn of(entry: &Entry) -> Self {
        let call = &entry.record().call;
        // Nothing is parsed while the function may want to say something.
        let (start, outcome, steps, parts, refused) = {
            let progress = entry.record().progress();
            let steps = progress.steps.len() + progress.steps_dropped;
            let timed = progress.steps.iter().filter(|step| !step.duration.is_zero());
            let parts = timed.map(|step| (step.kind, millis(step.offset), millis(step.duration)));
            let parts: Vec<_> = parts.take(PARTS_MAX).collect();
            let refused = progress.refusals.first().map(|refusal| refusal.note().title);
            (progress.start, progress.outcome.clone(), steps, parts, refused)
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
            program: call.function.program().to_owned(),
            route: redact_text(&call.route_key).into_owned(),
            connection_id: journal::connection_id(&call.event),
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
            duration_ms: outcome.as_ref().map(|outcome| millis(outcome.duration)),
            event_bytes: call.event.len(),
            response_bytes: response.map(Bytes::len),
            steps,
            parts,
            refused,
        }
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

/// Whether what is shown of an invocation has all `words`, which are in lower case. It parses megabytes, if there are some.
pub(super) fn has_words(entry: &Entry, words: &[String]) -> bool {
    let shown = detail(entry).to_string().to_lowercase();
    words.iter().all(|word| {
        // As it stands in the JSON of a text, and in that of a body within it.
        let quoted = Value::from(word.as_str()).to_string();
        let within = Value::from(quoted.trim_matches('"')).to_string();
        [word, quoted.trim_matches('"'), within.trim_matches('"')]
            .iter()
            .any(|word| shown.contains(word))
    })
}

/// An invocation with all that is known of it. It parses megabytes, if there are some.
pub(super) fn detail(entry: &Entry) -> Value {
    let progress = entry.record().progress().clone();
    let response = progress.outcome.and_then(|outcome| outcome.result.ok());
    let response_is_json = response
        .as_deref()
        .is_some_and(|response| serde_json::from_slice::<IgnoredAny>(response).is_ok());
    let lines = progress.steps.iter().filter(|step| step.kind == LOG);
    let mut step_list: Vec<_> = progress.steps.iter().map(StepView::of).collect();
    step_list.sort_by(|one, two| one.offset_ms.total_cmp(&two.offset_ms));
    let document = Detail {
        summary: Summary::of(entry),
        event: readable(&entry.record().call.event),
        response: response.as_deref().map(readable),
        response_is_json,
        log: lines.map(|line| redact_text(&line.label).into_owned()).collect(),
        step_list,
        steps_dropped: progress.steps_dropped,
        has_steps: entry.has_steps(),
        refusals: progress.refusals.iter().copied().map(NoteView::of).collect(),
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

/// The limits with AWS's and what is in use beside them, and what is taken for granted.
pub(super) fn limits(gateway: &RunningGateway) -> Value {
    let RunningGateway { limits, assumptions, .. } = gateway;
    let mut shown = limits_beside_awss(limits, assumptions, &usage::usage(gateway));
    shown["routes"] = usage::routes(gateway);
    shown["connections"] = gateway.connections.all().len().into();
    shown
}

fn limits_beside_awss(limits: &Limits, assumptions: &Assumptions, used: &Value) -> Value {
    let (values, defaults) = (json!(limits), json!(Limits::default()));
    let rows = values.as_object().into_iter().flatten().map(|(field, value)| {
        let name = field.trim_end_matches("_max").replace('_', "-");
        json!({ "value": value, "default": defaults[field], "used": used[&name], "name": name })
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
        let used = json!({ "idle-timeout": 1.5, "frame-bytes": 7 });
        let shown = limits_beside_awss(&own, &Assumptions::default(), &used);
        let row = |name: &str| {
            let rows = shown["limits"].as_array().unwrap();
            rows.iter().find(|row| row["name"] == name).unwrap().clone()
        };
        assert_eq!(
            row("idle-timeout"),
            json!({ "name": "idle-timeout", "value": 600.0, "default": 600.0, "used": 1.5 })
        );
        assert_eq!(
            row("frame-bytes"),
            json!({ "name": "frame-bytes", "value": 7, "default": 32768, "used": 7 })
        );
        assert_eq!(row("request-rate")["value"], Value::Null);
        assert_eq!(row("request-rate")["used"], Value::Null);
        assert_eq!(row("request-rate")["default"], json!({ "per_second": 10000.0, "burst": 5000 }));
        let row = &shown["assumptions"][0];
        assert_eq!(
            (&row["name"], &row["value"]),
            (&json!("connect-timeout-status"), &json!("504"))
        );
    }
}
