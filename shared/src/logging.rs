//! One log for every program: text for people on a terminal, JSON for machines.
//!
//! In JSON, each line that is written while an event is handled says which:
//!
//! ```json
//! {"timestamp":"2026-11-23T10:15:43.377123Z","level":"WARN","target":"shared::management","message":"post failed",
//!  "function":"message","request_id":"8476a536-…","cold_start":false,"api_request_id":"QkT5xEIcDoEFo_A=",
//!  "connection_id":"QkT3rfHsDoECHlw=","trace_id":"1-5759e988-…","recipient":"L0SM9cOFvHcCIhw=","error":"…"}
//! ```
//!
//! Never logged at any level: tokens, passwords, hashes, secrets, message texts, query strings, whole events. Libraries
//! are not that careful (the Lambda runtime traces whole events), so they are heard from `info` up whatever `LOG` says.

use std::{
    fmt,
    io::{IsTerminal, Write, stderr},
    panic::{self, PanicHookInfo},
};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{Event, Metadata, Subscriber, field::Field, span};
use tracing_subscriber::{
    Layer, Registry,
    field::Visit,
    filter::{FilterExt, LevelFilter, ParseError, Targets},
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::{Context, Filter, Identity, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::{
    invocation,
    settings::{Lookup, SettingError},
};

/// Starts the log of a function on standard error, as `LOG` and `LOG_FORMAT` say. Later calls change nothing.
///
/// # Errors
/// When either setting cannot be understood.
pub fn start(lookup: &Lookup) -> Result<(), SettingError> {
    let is_terminal = stderr().is_terminal();
    if !is_json(lookup, is_terminal)? {
        return start_to(lookup, None::<Identity>, stderr, is_terminal);
    }
    let log = JsonLog { levels: levels(lookup)?, trusted: trusted(), lines: JsonLines(stderr) };
    tracing::subscriber::set_global_default(log).ok();
    Ok(())
}

/// Starts the same log with `also` hearing what it wants to: a [`filter`] lets it hear what is logged.
///
/// # Errors
/// When either setting cannot be understood.
pub fn start_with(
    lookup: &Lookup,
    also: impl Layer<Registry> + Send + Sync,
) -> Result<(), SettingError> {
    start_to(lookup, also, stderr, stderr().is_terminal())
}

/// The same, to another place than standard error.
///
/// # Errors
/// When either setting cannot be understood.
pub fn start_to(
    lookup: &Lookup,
    also: impl Layer<Registry> + Send + Sync,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    is_terminal: bool,
) -> Result<(), SettingError> {
    let filter = filter(lookup)?;
    let registry = tracing_subscriber::registry().with(also);
    // A second start in one process (tests do that) keeps the first log.
    if is_json(lookup, is_terminal)? {
        registry.with(JsonLines(writer).with_filter(filter)).try_init().ok();
    } else {
        // <https://no-color.org>
        let has_colour = is_terminal && lookup.get("NO_COLOR").is_none();
        let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(has_colour);
        registry.with(lines.with_filter(filter)).try_init().ok();
    }
    Ok(())
}

/// Whether the log is for machines, as `LOG_FORMAT` says.
fn is_json(lookup: &Lookup, is_terminal: bool) -> Result<bool, SettingError> {
    match lookup.get("LOG_FORMAT").as_deref() {
        None => Ok(!is_terminal),
        Some("json") => Ok(true),
        Some("text") => Ok(false),
        Some(other) => {
            let problem = format!("{other:?} is not a log format, allowed are text and json");
            Err(SettingError::new("LOG_FORMAT", problem, "json"))
        }
    }
}

/// What is logged, as `LOG` says.
///
/// # Errors
/// When the setting cannot be understood.
pub fn filter<S>(lookup: &Lookup) -> Result<impl Filter<S> + use<S>, SettingError> {
    Ok(levels(lookup)?.and(trusted()))
}

fn levels(lookup: &Lookup) -> Result<Targets, SettingError> {
    parse_levels(lookup.get("LOG").as_deref().unwrap_or("info"))
}

/// Writes panics to the log. A panic's own words go to standard error in several lines, which belong to no event.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or("no reason"));
    }));
}

/// The log of a program that has no spans. A [`Registry`] would keep them, and write to 32 KB of memory for a start.
struct JsonLog<W> {
    levels: Targets,
    trusted: Targets,
    lines: JsonLines<W>,
}

impl<W: for<'a> MakeWriter<'a> + 'static> Subscriber for JsonLog<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let takes = |targets: &Targets| targets.would_enable(metadata.target(), metadata.level());
        takes(&self.levels) && takes(&self.trusted)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<Self>::max_level_hint(&self.levels)
    }

    fn event(&self, event: &Event<'_>) {
        self.lines.write(event);
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

/// One line of JSON for each thing that is said, with what is known of the event at hand.
struct JsonLines<W>(W);

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    target: &'a str,
    message: Option<Value>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl<W: for<'a> MakeWriter<'a>> JsonLines<W> {
    fn write(&self, event: &Event<'_>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let message = own.0.remove("message");
        let mut fields = invocation::fields();
        fields.append(&mut own.0);
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp)).ok();
        let metadata = event.metadata();
        let (level, target) = (metadata.level().as_str(), metadata.target());
        let line = Line { timestamp, level, target, message, fields };
        let mut line = serde_json::to_string(&line).expect("it is plain data");
        line.push('\n');
        // Where the log can't be written, there is nobody to tell.
        self.0.make_writer_for(metadata).write_all(line.as_bytes()).ok();
    }
}

impl<W: for<'a> MakeWriter<'a> + 'static, S: Subscriber> Layer<S> for JsonLines<W> {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.write(event);
    }
}

/// What is said, by name.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

/// Only this project's own parts may say more than `info`, and sqlx, whose statements hold no values.
fn trusted() -> Targets {
    // A target's name is compared by how it begins: `lambda` would be the Lambda runtime, too, which traces whole events.
    const OURS: [&str; 16] = [
        "broadcast",
        "connect",
        "disconnect",
        "gateway",
        "lambda::",
        "local_dev",
        "login",
        "logout",
        "message",
        "messages",
        "migrate",
        "presence",
        "refresh",
        "register",
        "shared",
        "sqlx",
    ];
    let ours = OURS.map(|part| (part, LevelFilter::TRACE));
    Targets::new().with_default(LevelFilter::INFO).with_targets(ours)
}

/// `info`, or levels by target: `info,sqlx=warn`.
fn parse_levels(text: &str) -> Result<Targets, SettingError> {
    let bad = |problem: &str| {
        let problem = format!(
            "{text:?} is not a list of log levels: {problem}; allowed are off, error, warn, info, debug and trace, \
             each for everything or for a part of the program as part=level, separated by commas"
        );
        SettingError::new("LOG", problem, "info,sqlx=warn")
    };
    // A word that is no level would pass for the name of a part.
    let is_unknown = |part: &&str| {
        // Nor is a span or a field a part.
        part.contains('[') || !part.contains('=') && part.parse::<LevelFilter>().is_err()
    };
    if let Some(word) = text.split(',').map(str::trim).find(is_unknown) {
        return Err(bad(&format!("{word:?} is neither a level nor part=level")));
    }
    text.parse().map_err(|error: ParseError| bad(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Read},
        sync::Arc,
    };

    use serde_json::json;

    use super::*;
    use crate::invocation::{Invocation, came_by};

    /// What is logged of `work` by default.
    fn logged(work: impl FnOnce()) -> Vec<Value> {
        logged_at("info", work)
    }

    /// The same where `LOG` is set.
    fn logged_at(level: &'static str, work: impl FnOnce()) -> Vec<Value> {
        let (mut reader, writer) = io::pipe().unwrap();
        let lookup = Lookup::from_fn(move |_name| Some(level.to_owned()));
        let (levels, lines) = (levels(&lookup).unwrap(), JsonLines(Arc::new(writer)));
        let log = JsonLog { levels, trusted: trusted(), lines };
        tracing::subscriber::with_default(log, work);
        // The log has gone, and with it the end that writes.
        let mut written = String::new();
        reader.read_to_string(&mut written).unwrap();
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_says_which_event_it_belongs_to() {
        let lines = logged(|| {
            tracing::info!("before");
            tracing::debug!("what is not asked for");
            Invocation::unmeasured("message", "8476a536").enter(|| {
                tracing::warn!(number = 7, is_odd = true, what = "two\nlines", "during");
                came_by(Some("QkT5xEIcDoEFo_A="), Some("QkT3rfHsDoECHlw="));
                tracing::error!(connection_id = "another", "said by the line itself");
            });
            tracing::info!("after");
        });
        let expected = [
            json!({"level": "INFO", "message": "before"}),
            json!({"level": "WARN", "message": "during", "number": 7, "is_odd": true, "what": "two\nlines",
                   "function": "message", "request_id": "8476a536", "cold_start": false}),
            json!({"level": "ERROR", "message": "said by the line itself", "connection_id": "another",
                   "function": "message", "request_id": "8476a536", "cold_start": false,
                   "api_request_id": "QkT5xEIcDoEFo_A="}),
            json!({"level": "INFO", "message": "after"}),
        ];
        assert_eq!(lines.len(), expected.len());
        for (mut line, expected) in lines.into_iter().zip(expected) {
            let fields = line.as_object_mut().unwrap();
            assert_eq!(fields.remove("target"), Some(json!("shared::logging::tests")));
            assert!(fields.remove("timestamp").is_some_and(|time| time.is_string()));
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn libraries_are_heard_from_info_up_whatever_is_asked_for() {
        let lines = logged_at("trace", || {
            tracing::trace!(target: "lambda_runtime", "a whole event");
            tracing::info!(target: "lambda_runtime", "1");
            tracing::trace!(target: "sqlx::query", "2");
            tracing::trace!("3");
        });
        let said: Vec<&Value> = lines.iter().map(|line| &line["message"]).collect();
        assert_eq!(said, ["1", "2", "3"]);
    }

    #[test]
    fn a_panic_is_one_line_of_its_event() {
        let before = panic::take_hook();
        log_panics();
        let lines = logged(|| {
            Invocation::unmeasured("message", "8476a536").enter(|| {
                panic::catch_unwind(|| panic!("with\nmany\nlines")).unwrap_err();
            });
        });
        panic::set_hook(before);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["message"], "panicked: with\nmany\nlines");
        assert_eq!(lines[0]["request_id"], "8476a536");
        assert!(lines[0]["place"].as_str().unwrap().contains("logging.rs:"), "{lines:?}");
    }

    /// What is not logged is passed over by its level alone, before anybody asks a filter.
    #[test]
    fn a_program_without_other_listeners_skips_what_it_does_not_log() {
        for (level, expected) in
            [("warn,sqlx=error", LevelFilter::WARN), ("info", LevelFilter::INFO)]
        {
            let lookup = Lookup::from_fn(move |_name| Some(level.to_owned()));
            let lines = tracing_subscriber::fmt::layer().with_filter(filter(&lookup).unwrap());
            let log = tracing_subscriber::registry().with(None::<Identity>).with(lines);
            assert_eq!(log.max_level_hint(), Some(expected));
            let levels = levels(&lookup).unwrap();
            let log = JsonLog { levels, trusted: trusted(), lines: JsonLines(io::sink) };
            assert_eq!(log.max_level_hint(), Some(expected));
        }
    }

    #[test]
    fn levels_are_a_word_or_a_list_by_target() {
        for good in ["info", "off", "debug,sqlx=warn", "shared=trace"] {
            assert!(parse_levels(good).is_ok(), "{good}");
        }
        for bad in ["loud", "sqlx=loud", "info,verbose", "shared[{recipient}]=debug"] {
            let error = parse_levels(bad).unwrap_err().to_string();
            assert!(error.contains("is not a list of log levels"), "{error}");
        }
    }
}
