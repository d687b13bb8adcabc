//! What nobody has published or observed about API Gateway, so that the emulation had to choose: one table, each row a
//! setting. When somebody looks at the real thing, a row flips.

use std::{fmt, str::FromStr};

use axum::http::StatusCode;

/// A row of the table, for people.
#[derive(Clone, Copy, Debug)]
pub struct Assumption {
    /// How the setting is called.
    pub name: &'static str,
    /// Its value unless set.
    pub default: &'static str,
    /// What it decides.
    pub meaning: &'static str,
}

/// A setting that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssumptionError {
    /// Not of the form `name=value`.
    #[error("{0:?} is not NAME=VALUE, for example ping-resets-idle=true")]
    NotAPair(String),
    /// There is no such row.
    #[error("there is no assumption {0:?}; there are {names}", names = names())]
    UnknownName(String),
    /// The value is of the wrong kind.
    #[error("{value:?} is no value of {name}: {problem}, for example {name}={default}")]
    BadValue {
        /// The row.
        name: &'static str,
        /// The value as it was given.
        value: String,
        /// What is allowed.
        problem: &'static str,
        /// The row's default.
        default: &'static str,
    },
}

fn names() -> String {
    ASSUMPTIONS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}

/// A kind of value.
trait Value: Sized {
    fn parse(text: &str) -> Result<Self, &'static str>;

    /// What is parsed as this value.
    fn text(&self) -> String;
}

impl Value for bool {
    fn parse(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_error| "it is true or false")
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    fn parse(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_error| "it is a whole number from 0")
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, &'static str> {
        // A reason has at most 123 bytes (RFC 6455, 5.5), and none of these texts needs more.
        if text.len() > 123 { Err("it has at most 123 bytes") } else { Ok(text.to_owned()) }
    }

    fn text(&self) -> String {
        self.clone()
    }
}

impl Value for StatusCode {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let status =
            Self::from_str(text).ok().filter(|status| (200..600).contains(&status.as_u16()));
        status.ok_or("it is an HTTP status from 200 to 599")
    }

    fn text(&self) -> String {
        self.as_str().to_owned()
    }
}

macro_rules! assumptions {
    ($($name:literal $field:ident: $kind:ty = $default:literal, $meaning:literal;)+) => {
        /// What the emulation takes for granted. The defaults are the likeliest.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Assumptions {
            $(#[doc = $meaning] pub $field: $kind,)+
        }

        /// The table.
        pub const ASSUMPTIONS: &[Assumption] = &[
            $(Assumption { name: $name, default: $default, meaning: $meaning },)+
        ];

        impl Default for Assumptions {
            fn default() -> Self {
                Self { $($field: <$kind as Value>::parse($default).expect("a test reads them all"),)+ }
            }
        }

        impl Assumptions {
            /// Sets one row.
            ///
            /// # Errors
            /// When there is no such row, or the value is not of its kind.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), AssumptionError> {
                match name {
                    $($name => {
                        self.$field = Value::parse(value).map_err(|problem| {
                            let value = value.to_owned();
                            AssumptionError::BadValue { name: $name, value, problem, default: $default }
                        })?;
                    })+
                    unknown => return Err(AssumptionError::UnknownName(unknown.to_owned())),
                }
                Ok(())
            }

            /// The table with the values as they are.
            pub fn rows(&self) -> impl Iterator<Item = (&'static Assumption, String)> {
                ASSUMPTIONS.iter().zip([$(Value::text(&self.$field),)+])
            }
        }
    };
}

assumptions! {
    "connect-timeout-status" connect_timeout_status: StatusCode = "504",
        "The status of a handshake whose $connect took too long";
    "connect-throttled-status" connect_throttled_status: StatusCode = "429",
        "The status of a handshake whose $connect Lambda throttled";
    "unknown-stage-status" unknown_stage_status: StatusCode = "403",
        "The status of a handshake at a path where no stage is";
    "plain-request-status" plain_request_status: StatusCode = "426",
        "The status of a request at a stage that is no handshake";
    "long-url-status" long_url_status: StatusCode = "414",
        "The status of a handshake whose URL is too long";
    "refusal-has-body" refusal_has_body: bool = "true",
        "A refused handshake has a JSON body like the gateway's frames";
    "multi-value-subprotocol" multi_value_subprotocol: bool = "true",
        "$connect may select the subprotocol in multiValueHeaders, too";
    "disconnect-after-refusal" disconnect_after_refusal: bool = "false",
        "$disconnect runs although $connect refused";
    "visible-after-ms" visible_after_ms: u32 = "0",
        "How long after the 101 @connections still says 410, in milliseconds";
    "lenient-json" lenient_json: bool = "false",
        "Unquoted keys do not keep a message from being JSON for the route selection";
    "two-way-error-body" two_way_error_body: bool = "true",
        "A two-way route delivers the body of a response whose status is not 2xx; else an error frame";
    "throttled-message-text" throttled_message_text: String = "Too Many Requests",
        "The text of the frame that answers a throttled message";
    "throttled-messages-max" throttled_messages_max: u32 = "100",
        "So many throttled messages in a row close a socket with 1008; 0 is never";
    "ping-resets-idle" ping_resets_idle: bool = "false",
        "A ping counts as traffic for the idle timeout";
    "ping-is-activity" ping_is_activity: bool = "false",
        "A ping moves lastActiveAt";
    "outbound-frame-bytes" outbound_frame_bytes: u32 = "0",
        "Posts that are longer go out in frames of so many bytes; 0 is always one frame";
    "invalid-utf8-is-replaced" invalid_utf8_is_replaced: bool = "true",
        "A post that is not UTF-8 is sent with U+FFFD in place of the wrong bytes; else it is answered 400";
    "dropped-reason" dropped_reason: String = "",
        "disconnectReason when the TCP connection broke";
    "preflight-status" preflight_status: StatusCode = "204",
        "The status of the HTTP API's answer to a CORS preflight request";
    "errors-have-cors" errors_have_cors: bool = "true",
        "The HTTP API's own errors carry CORS headers";
    "raw-path-is-decoded" raw_path_is_decoded: bool = "true",
        "rawPath and http.path are without percent escapes, as in AWS's Lambda test tool for .NET; else as sent";
    "suffix-json-is-text" suffix_json_is_text: bool = "false",
        "Bodies of types such as application/problem+json are passed on as text";
    "parameters-keep-text" parameters_keep_text: bool = "true",
        "A text type stays one with parameters such as charset";
    "default-content-type" default_content_type: String = "text/plain; charset=utf-8",
        "The content type of a response with a body that names none";
    "function-throttled-status" function_throttled_status: StatusCode = "503",
        "The HTTP API's status when Lambda throttled the function";
}

impl Assumptions {
    /// Sets one row as `name=value` says.
    ///
    /// # Errors
    /// When it is not such a pair, there is no such row, or the value is not of its kind.
    pub fn set_pair(&mut self, pair: &str) -> Result<(), AssumptionError> {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| AssumptionError::NotAPair(pair.to_owned()))?;
        self.set(name, value)
    }
}

impl fmt::Display for Assumption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}\n    {}", self.name, self.default, self.meaning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_takes_its_default_and_refuses_what_is_of_another_kind() {
        let mut assumptions = Assumptions::default();
        for row in ASSUMPTIONS {
            assert_eq!(assumptions.set(row.name, row.default), Ok(()), "{}", row.name);
            let wrong = "x".repeat(200);
            let error = assumptions.set(row.name, &wrong).unwrap_err().to_string();
            assert!(
                error.contains(&format!("for example {}={}", row.name, row.default)),
                "{error}"
            );
        }
        assert_eq!(assumptions, Assumptions::default());
    }

    #[test]
    fn a_row_is_set_by_its_name() {
        let mut assumptions = Assumptions::default();
        assumptions.set_pair("dropped-reason=a=b").unwrap();
        let rows: Vec<_> = assumptions.rows().map(|(row, value)| (row.name, value)).collect();
        assert!(rows.contains(&("dropped-reason", "a=b".to_owned())), "{rows:?}");
        assert!(rows.contains(&("connect-timeout-status", "504".to_owned())), "{rows:?}");
        assert_eq!(assumptions.dropped_reason, "a=b");
        for (pair, problem) in [
            ("ping-resets-idle", "is not NAME=VALUE"),
            ("pong=true", "there is no assumption \"pong\"; there are connect-timeout-status, "),
            (
                "ping-resets-idle=yes",
                "\"yes\" is no value of ping-resets-idle: it is true or false",
            ),
            ("long-url-status=99", "it is an HTTP status from 200 to 599"),
            ("visible-after-ms=-1", "it is a whole number from 0"),
        ] {
            let error = assumptions.set_pair(pair).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
