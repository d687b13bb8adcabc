//! Why an event has no response.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::Duration,
};

use serde::Deserialize;

/// Why an event has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function failed.
    #[error(transparent)]
    Function(FunctionError),
    /// No instance is free and no more are allowed. Lambda's API says `TooManyRequestsException` (429); the function
    /// has not been run.
    #[error("no instance is free, and the limit of concurrent executions is reached")]
    Throttled,
    /// Lambda takes no such invocation, for the reason given: the event is too large, or an id cannot stand in a header
    /// and a path. The function has not been run.
    #[error("{0}")]
    Rejected(String),
    /// The function was shut down before it answered.
    #[error("the function was shut down")]
    ShutDown,
}

/// What a function reports in place of a response, or what Lambda reports of a function that cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct FunctionError {
    /// The kind of error. `Runtime.ExitError`, `Runtime.InvalidEntrypoint`, `Sandbox.Timeout` and
    /// `Function.ResponseSizeTooLarge` are Lambda's, the others the function's own.
    pub error_type: String,
    /// What went wrong, for people.
    pub message: String,
}

impl FunctionError {
    /// The error in the body of a post to `…/error`; `header` is the type that the header names.
    pub(crate) fn reported(header: Option<&str>, body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Reported {
            error_type: Option<String>,
            error_message: Option<String>,
        }

        let (reported, is_json) = match serde_json::from_slice::<Reported>(body) {
            Ok(reported) => (reported, true),
            Err(_other) => (Reported::default(), false),
        };
        let unknown = || header.unwrap_or("Function.Unknown").to_owned();
        // The body of another form is shown as it is, so that nothing is lost.
        let other = || if is_json { String::new() } else { String::from_utf8_lossy(body).into() };
        Self {
            error_type: reported.error_type.unwrap_or_else(unknown),
            message: reported.error_message.unwrap_or_else(other),
        }
    }

    /// The instance ended: `how`, if it was not with success.
    pub(crate) fn exited(request_id: &str, how: Option<&str>) -> Self {
        let how = match how {
            Some(how) => format!("Runtime exited with error: {how}"),
            None => "Runtime exited without providing a reason".to_owned(),
        };
        Self {
            error_type: "Runtime.ExitError".to_owned(),
            message: format!("RequestId: {request_id} Error: {how}"),
        }
    }

    /// The instance could not be started. That is said as Lambda does, with what may be behind it.
    pub(crate) fn not_started(request_id: &str, bootstrap: &Path, error: &io::Error) -> Self {
        let why = explain(bootstrap, error).map(|why| format!("; {why}")).unwrap_or_default();
        let bootstrap = bootstrap.display();
        Self {
            error_type: "Runtime.InvalidEntrypoint".to_owned(),
            message: format!("RequestId: {request_id} Error: fork/exec {bootstrap}: {error}{why}"),
        }
    }

    /// The function took longer than `timeout`.
    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self {
            error_type: "Sandbox.Timeout".to_owned(),
            message: format!("Task timed out after {:.2} seconds", timeout.as_secs_f64()),
        }
    }

    /// The response has more than `bytes_max` bytes.
    pub(crate) fn response_too_large(bytes_max: usize) -> Self {
        Self {
            error_type: "Function.ResponseSizeTooLarge".to_owned(),
            message: format!(
                "Response payload size exceeded maximum allowed payload size ({bytes_max} bytes)."
            ),
        }
    }
}

/// `ENOEXEC`, on Linux as on macOS.
#[cfg(unix)]
const NOT_EXECUTABLE: Option<i32> = Some(8);

/// Elsewhere there is no such error.
#[cfg(not(unix))]
const NOT_EXECUTABLE: Option<i32> = None;

/// The most of a file that may be the line that names its interpreter, in bytes, as in Linux.
const INTERPRETER_BYTES_MAX: u64 = 256;

/// What may be behind an error that misleads.
fn explain(bootstrap: &Path, error: &io::Error) -> Option<String> {
    if NOT_EXECUTABLE.is_some() && error.raw_os_error() == NOT_EXECUTABLE {
        let why =
            "it is a script without a `#!` line, or a program for another processor architecture";
        return Some(why.to_owned());
    }
    if error.kind() != io::ErrorKind::NotFound || !bootstrap.exists() {
        return None;
    }
    Some(match interpreter(bootstrap) {
        // Quoted, since what is wrong with it may be the end of the line.
        Some(interpreter) => format!("its `#!` line names {interpreter:?}, which is not there"),
        None => "the file is there, but not the loader that it names".to_owned(),
    })
}

/// The interpreter that the first line of a script names.
fn interpreter(script: &Path) -> Option<String> {
    let mut start = Vec::new();
    File::open(script).ok()?.take(INTERPRETER_BYTES_MAX).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let interpreter = line.trim_start_matches([' ', '\t']).split([' ', '\t']).next()?;
    Some(interpreter.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::*;

    #[test]
    fn what_a_function_reports_is_read_in_any_form() {
        let cases: [(Option<&str>, &str, &str, &str); 5] = [
            (None, r#"{"errorType":"A","errorMessage":"b","stackTrace":[]}"#, "A", "b"),
            (Some("H"), r#"{"errorType":"A","errorMessage":"b"}"#, "A", "b"),
            (Some("H"), r#"{"errorMessage":"b"}"#, "H", "b"),
            (Some("H"), "not JSON", "H", "not JSON"),
            (None, "", "Function.Unknown", ""),
        ];
        for (header, body, error_type, message) in cases {
            let error = FunctionError::reported(header, body.as_bytes());
            assert_eq!((&*error.error_type, &*error.message), (error_type, message), "{body}");
        }
    }

    #[test]
    fn times_have_two_decimals() {
        let message = FunctionError::timed_out(Duration::from_secs(3)).message;
        assert_eq!(message, "Task timed out after 3.00 seconds");
    }

    #[cfg(unix)]
    #[test]
    fn errors_that_mislead_are_explained() {
        let folder = tempdir().unwrap();
        let bootstrap = folder.path().join("bootstrap");
        let says = |error| {
            let error = io::Error::from_raw_os_error(error);
            let message = FunctionError::not_started("1", &bootstrap, &error).message;
            let start = format!("RequestId: 1 Error: fork/exec {}: {error}", bootstrap.display());
            message.strip_prefix(&start).unwrap().to_owned()
        };
        let (missing, not_executable) = (2, 8);
        assert_eq!(says(missing), "");
        for (script, named) in [
            ("#!/no/such/node --flag\n", r#""/no/such/node""#),
            ("#! /bin/sh\r\nexit", r#""/bin/sh\r""#),
        ] {
            fs::write(&bootstrap, script).unwrap();
            assert_eq!(says(missing), format!("; its `#!` line names {named}, which is not there"));
        }
        fs::write(&bootstrap, b"\x7fELF").unwrap();
        assert_eq!(says(missing), "; the file is there, but not the loader that it names");
        assert!(says(not_executable).contains("without a `#!` line"));
        assert_eq!(says(13), "");
    }
}
