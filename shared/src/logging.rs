//! One log for every program: text for people on a terminal, JSON for machines.
//!
//! Never logged at any level: tokens, passwords, hashes, secrets, message texts, query strings, whole events. Libraries
//! are not that careful (the Lambda runtime traces whole events), so they are heard from `info` up whatever `LOG` says.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, ParseError, Targets},
    fmt::MakeWriter,
    layer::{Identity, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::settings::{Lookup, SettingError};

/// Starts logging to standard error as `LOG` and `LOG_FORMAT` say. Later calls change nothing.
///
/// # Errors
/// When either setting cannot be understood.
pub fn start(lookup: &Lookup) -> Result<(), SettingError> {
    start_with(lookup, Identity::new())
}

/// The same, with `also` hearing everything that is logged.
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
    let levels = parse_levels(lookup.get("LOG").as_deref().unwrap_or("info"))?;
    let json = match lookup.get("LOG_FORMAT").as_deref() {
        None => !is_terminal,
        Some("json") => true,
        Some("text") => false,
        Some(other) => {
            return Err(SettingError::new(
                "LOG_FORMAT",
                format!("{other:?} is not a log format, allowed are text and json"),
                "json",
            ));
        }
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let registry = tracing_subscriber::registry().with(also).with(levels).with(trusted());
    // A second start in one process (tests do that) keeps the first log.
    if json {
        registry.with(lines.json().flatten_event(true)).try_init().ok();
    } else {
        registry.with(lines.with_ansi(is_terminal)).try_init().ok();
    }
    Ok(())
}

/// Only this project's own parts may say more than `info`, and sqlx, whose statements hold no values.
fn trusted() -> Targets {
    // A target's name is compared by how it begins: `lambda` would be the Lambda runtime, too, which traces whole events.
    const OURS: [&str; 14] = [
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
    let is_unknown = |part: &&str| !part.contains('=') && part.parse::<LevelFilter>().is_err();
    if let Some(word) = text.split(',').map(str::trim).find(is_unknown) {
        return Err(bad(&format!("{word:?} is no level")));
    }
    text.parse().map_err(|error: ParseError| bad(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_a_word_or_a_list_by_target() {
        for good in ["info", "off", "debug,sqlx=warn", "shared=trace"] {
            assert!(parse_levels(good).is_ok(), "{good}");
        }
        for bad in ["loud", "sqlx=loud", "info,verbose"] {
            let error = parse_levels(bad).unwrap_err().to_string();
            assert!(error.contains("is not a list of log levels"), "{error}");
        }
    }
}
