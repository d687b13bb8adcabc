//! Cross-origin requests, where the HTTP API itself answers them.

use std::time::Duration;

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Method, Response, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
            ORIGIN,
        },
    },
};

/// An HTTP API's CORS configuration. An API that has one answers every preflight request itself, and what its functions
/// say about CORS is ignored.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// Origins that may call the API, compared exactly; `*` is any.
    pub allow_origins: Vec<HeaderValue>,
    /// Methods that they may use.
    pub allow_methods: Vec<HeaderValue>,
    /// Headers that they may send.
    pub allow_headers: Vec<HeaderValue>,
    /// Headers of answers that they may read.
    pub expose_headers: Vec<HeaderValue>,
    /// How long a browser may remember the answer to a preflight request.
    pub max_age: Option<Duration>,
}

impl Cors {
    /// The answer to a preflight request; `None` if the request is not one.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        let origin = headers.get(ORIGIN)?;
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
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
        for name in [
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
        if let Some(origin) = origin
            && self.allow_origin(origin, headers)
        {
            insert_list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose_headers);
        }
    }

    fn allow_origin(&self, origin: &HeaderValue, headers: &mut HeaderMap) -> bool {
        let any = HeaderValue::from_static("*");
        let allowed = if self.allow_origins.contains(&any) {
            any
        } else if self.allow_origins.contains(origin) {
            origin.clone()
        } else {
            return false;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        true
    }
}

fn insert_list(headers: &mut HeaderMap, name: axum::http::HeaderName, values: &[HeaderValue]) {
    let list = values.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b","[..]);
    if !list.is_empty() {
        let list = HeaderValue::from_bytes(&list).expect("header values joined by commas are one");
        headers.insert(name, list);
    }
}
