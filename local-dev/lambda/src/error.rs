//! Why an event has no response.

use std::{io, path::Path, time::Duration};

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
    /// The kind of error. `Runtime.ExitError`, `Runtime.InvalidEntrypoint`, `Sandbox.Timedout` and
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

    /// The instance could not be started.
    pub(crate) fn not_started(request_id: &str, bootstrap: &Path, error: &io::Error) -> Self {
        let bootstrap = bootstrap.display();
        Self {
            error_type: "Runtime.InvalidEntrypoint".to_owned(),
            message: format!("RequestId: {request_id} Error: fork/exec {bootstrap}: {error}"),
        }
    }

    /// The function took longer than `timeout`.
    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self {
            error_type: "Sandbox.Timedout".to_owned(),
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

#[cfg(test)]
mod tests {
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
}
