//! What a client may be told when something goes wrong, and the one place that turns it into an answer.
//!
//! A variant exists because some client reacts to it; everything else is [`Error::Internal`], whose cause is logged
//! and never shown.

use lambda_http::{
    Body, Response,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    lambda_runtime::Diagnostic,
};
use serde::Serialize;

/// The outcome of whatever can go wrong in a function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, as the cause of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, as the client is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be read at all: not JSON, a wrong content type or encoding. 400.
    #[error("{0}")]
    Malformed(String),
    /// The request can be read and breaks the rules for these fields. 422.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// No token at all. 401.
    #[error("{0}")]
    TokenMissing(&'static str),
    /// A bad token, or a session that has ended. 401.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// A wrong password or an unknown user: the two are the same answer. 401.
    #[error("The username or the password is wrong.")]
    WrongCredentials,
    /// The handshake comes from a page that may not open sockets here. 403.
    #[error("This origin may not connect: {0}")]
    ForbiddenOrigin(String),
    /// Somebody has this username already. 409.
    #[error("The username {0} is taken.")]
    UsernameTaken(String),
    /// Too many failed logins for this username from this address. 429.
    #[error("Too many failed logins. Try again in {retry_after_secs} seconds.")]
    TooManyLogins {
        /// Whole seconds until the next try is let through.
        retry_after_secs: i64,
    },
    /// As many passwords are being hashed as one instance can bear. 503.
    #[error("Too many people are signing in. Try again in a moment.")]
    Busy,
    /// The database cannot be reached; the same request may succeed in a moment. 503.
    #[error("The service is busy or restarting. Try again in a moment.")]
    Unavailable(#[source] BoxError),
    /// Our fault. 500.
    #[error("Something went wrong on our side.")]
    Internal(#[source] BoxError),
}

/// One field that breaks its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's name in the body or the query; empty for the body as a whole.
    pub field: &'static str,
    /// What was wrong and what is allowed.
    pub detail: String,
}

impl FieldError {
    /// `detail` says what was wrong with `field` and what is allowed.
    pub fn new(field: &'static str, detail: impl Into<String>) -> Self {
        Self { field, detail: detail.into() }
    }
}

fn list(errors: &[FieldError]) -> String {
    let details: Vec<&str> = errors.iter().map(|error| error.detail.as_str()).collect();
    details.join(" ")
}

/// Seconds after which a client should try again when there was no room or no database.
pub const RETRY_UNAVAILABLE_SECS: u64 = 1;

impl Error {
    /// Anything that is our fault, with its cause.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::Internal(cause.into())
    }

    /// The table of all errors: HTTP status, machine-readable code, title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed(_) => {
                (StatusCode::BAD_REQUEST, "malformed-request", "The request cannot be read")
            }
            Self::Invalid(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields", "Some fields are not valid")
            }
            Self::TokenMissing(_) | Self::Unauthorized(_) => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "A valid token is needed")
            }
            Self::WrongCredentials => {
                (StatusCode::UNAUTHORIZED, "wrong-credentials", "Login failed")
            }
            Self::ForbiddenOrigin(_) => {
                (StatusCode::FORBIDDEN, "forbidden-origin", "The origin is not allowed")
            }
            Self::UsernameTaken(_) => {
                (StatusCode::CONFLICT, "username-taken", "The username is taken")
            }
            Self::TooManyLogins { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-logins", "Too many failed logins")
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "The service is busy"),
            Self::Unavailable(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service is not available")
            }
            Self::Internal(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error")
            }
        }
    }

    /// The HTTP status this error is answered with.
    pub fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// A word for programs: the tail of the problem's `type`, and a frame's `code` with `_` for `-`.
    pub fn code(&self) -> &'static str {
        self.kind().1
    }

    /// Writes the error to the log, with its causes, if it is one that somebody has to look at.
    pub fn log(&self) {
        if let Self::Unavailable(cause) | Self::Internal(cause) = self {
            tracing::error!(code = self.code(), causes = causes(&**cause), "request failed");
        }
    }

    /// The error as `application/problem+json`, by RFC 9457.
    ///
    /// ```json
    /// {"type":"urn:lambda-chat:problem:invalid-fields","title":"Some fields are not valid","status":422,
    ///  "detail":"…","errors":[{"field":"password","detail":"…"}]}
    /// ```
    pub fn into_response(self) -> Response<Body> {
        #[derive(Serialize)]
        struct Problem<'a> {
            r#type: String,
            title: &'static str,
            status: u16,
            detail: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            errors: Option<&'a [FieldError]>,
        }

        let (status, code, title) = self.kind();
        let problem = Problem {
            r#type: format!("urn:lambda-chat:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: self.to_string(),
            errors: if let Self::Invalid(errors) = &self { Some(errors) } else { None },
        };
        let body = serde_json::to_string(&problem).expect("a problem is plain data");
        let mut response = Response::new(Body::Text(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            // RFC 6750, section 3: a 401 names the scheme, and an error if there was a token.
            Self::Unauthorized(_) => {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            Self::TokenMissing(_) | Self::WrongCredentials => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooManyLogins { retry_after_secs } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_secs));
            }
            Self::Busy | Self::Unavailable(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_UNAVAILABLE_SECS));
            }
            _ => {}
        }
        response
    }
}

/// What an error says, and all that led to it.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// How a failed invocation of the WebSocket API is reported to Lambda: what may be shown, never the cause.
impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.code().to_owned(), error_message: error.to_string() }
    }
}
