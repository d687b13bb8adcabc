//! The environment of an instance.

use std::{ffi::OsString, net::SocketAddr};

use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use crate::config::Config;

/// The version that functions are invoked at.
pub(crate) const VERSION: &str = "$LATEST";

/// What `_HANDLER` says. Functions in a runtime of their own ignore it.
pub(crate) const HANDLER: &str = "bootstrap";

/// The variables of the instance called `instance`, of which the last one of a name counts: defaults, then the
/// function's own, then those that Lambda reserves.
/// Source: AWS Lambda developer guide, "Defined runtime environment variables". `AWS_EXECUTION_ENV` is not defined for
/// functions that bring their own runtime; `_X_AMZN_TRACE_ID` is set by the runtime itself.
pub(crate) fn variables(
    config: &Config,
    instance: &str,
    runtime_api: SocketAddr,
) -> Vec<(OsString, OsString)> {
    let name = &config.name;
    let task_root = config.bootstrap.parent().map(OsString::from).unwrap_or_default();
    let own = config.environment.iter().map(|(name, value)| (name.as_str(), value.into()));
    let reserved: [(&str, OsString); 11] = [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string().into()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", config.memory_mb.to_string().into()),
        ("AWS_LAMBDA_FUNCTION_VERSION", VERSION.into()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}").into()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream(instance).into()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into()),
        ("_HANDLER", HANDLER.into()),
        ("LAMBDA_TASK_ROOT", task_root),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".into()),
        ("TZ", ":UTC".into()),
    ];
    inherited()
        .into_iter()
        .chain(own)
        .chain(reserved)
        .map(|(name, value)| (name.into(), value))
        .collect()
}

/// What depends on the machine: where the interpreters of scripts are, and which locale there is.
fn inherited() -> Vec<(&'static str, OsString)> {
    ["PATH", "LANG"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect()
}

/// The log stream of an instance: `2026/11/23/[$LATEST]8476a5369dfe598c3fcd8476a5369dfe`.
fn log_stream(instance: &str) -> String {
    const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]/[month]/[day]");
    let date = OffsetDateTime::now_utc().format(DATE).expect("a moment has a date");
    format!("{date}/[{VERSION}]{instance}")
}
