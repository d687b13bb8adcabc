//! Cross-origin requests, where the HTTP API itself answers them.

use std::time::Duration;

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Response,
        header::{
            ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
            ORIGIN,
        },
    },
};

/// An HTTP API's CORS configuration. An API that has one answers every preflight request itself, and what its functions
/// say about CORS is ignored. It sends no `Vary: Origin`: nobody has seen API Gateway do so.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// Origins that may call the API, compared exactly; `*` is any, and `https://*` any with that scheme.
    pub allow_origins: Vec<HeaderValue>,
    /// Methods that they may use.
    pub allow_methods: Vec<HeaderValue>,
    /// Headers that they may send.
    pub allow_headers: Vec<HeaderValue>,
    /// Headers of answers that they may read.
    pub expose_headers: Vec<HeaderValue>,
    /// How long a browser may remember the answer to a preflight request.
    pub max_age: Option<Duration>,
    /// Whether they may send cookies. Not together with the origin `*`.
    pub allow_credentials: bool,
}

/// Why API Gateway takes no such CORS configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorsError {
    /// Any origin could act as the user.
    #[error("allow_credentials cannot be combined with the origin *; name the origins")]
    CredentialsForAll,
    /// There are no patterns for hosts.
    #[error("the origin {0:?} has a wildcard; the only ones are *, http://* and https://*")]
    Wildcard(HeaderValue),
}

const ANY: &str = "*";

/// Source: "Configuring CORS for an HTTP API", allowOrigins.
const WILDCARDS: [&str; 3] = [ANY, "http://*", "https://*"];

impl Cors {
    /// Whether API Gateway takes the configuration.
    pub(crate) fn check(&self) -> Result<(), CorsError> {
        if self.allow_credentials && self.allow_origins.iter().any(|origin| origin == ANY) {
            return Err(CorsError::CredentialsForAll);
        }
        let is_pattern = |origin: &&HeaderValue| {
            origin.as_bytes().contains(&b'*')
                && !WILDCARDS.iter().any(|wildcard| origin == wildcard)
        };
        match self.allow_origins.iter().find(is_pattern) {
            Some(origin) => Err(CorsError::Wildcard(origin.clone())),
            None => Ok(()),
        }
    }

    /// The answer to a preflight request; `None` if the request is not one.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        let origin = headers.get(ORIGIN)?;
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        if self.allow_origin(origin, response.headers_mut()) {
            let headers = response.headers_mut();
            insert_list(headers, ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods);
            insert_list(headers, ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers);
            if let Some(max_age) = self.max_age {
                headers.insert(ACCESS_CONTROL_MAX_AGE, max_age.as_secs().into());
            }
        }
        Some(response)
    }

    /// Replaces what a response says about CORS by what is configured. `origin` is the request's.
    pub(crate) fn apply(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let is_about_cors = |name: &&HeaderName| name.as_str().starts_with("access-control-");
        for name in headers.keys().filter(is_about_cors).cloned().collect::<Vec<_>>() {
            headers.remove(name);
        }
        if let Some(origin) = origin
            && self.allow_origin(origin, headers)
        {
            insert_list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose_headers);
        }
    }

    fn allow_origin(&self, origin: &HeaderValue, headers: &mut HeaderMap) -> bool {
        let is_allowed = |allowed: &HeaderValue| match allowed.as_bytes().strip_suffix(b"*") {
            Some(start) => origin.as_bytes().starts_with(start),
            None => allowed == origin,
        };
        let allowed = if self.allow_origins.iter().any(|allowed| allowed == ANY) {
            HeaderValue::from_static(ANY)
        } else if self.allow_origins.iter().any(is_allowed) {
            origin.clone()
        } else {
            return false;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.allow_credentials {
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        true
    }
}

fn insert_list(headers: &mut HeaderMap, name: HeaderName, values: &[HeaderValue]) {
    let list = values.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b","[..]);
    if !list.is_empty() {
        let list = HeaderValue::from_bytes(&list).expect("header values joined by commas are one");
        headers.insert(name, list);
    }
}
