//! Reading requests of the HTTP API, writing its answers.

use std::ops::RangeInclusive;

use lambda_http::{
    Body, Request, RequestExt, Response,
    aws_lambda_events::query_map::QueryMap,
    http::{
        HeaderValue, StatusCode,
        header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE},
    },
    request::RequestContext,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    error::{Error, FieldError, Result},
    json::kind,
};

/// A JSON object in a request's body, read field by field. Remembers every field that breaks its rules, so that one
/// answer names them all.
///
/// ```
/// # use shared::{Result, account::{Password, Username}, http::JsonObject};
/// # fn parse(request: &lambda_http::Request) -> Result<(Username, Password)> {
/// let mut body = JsonObject::read(request)?;
/// let username = body.field("username", Username::parse);
/// let password = body.field("password", Password::parse);
/// let (Some(username), Some(password)) = (username, password) else {
///     return Err(body.refusal());
/// };
/// # Ok((username, password))
/// # }
/// ```
pub struct JsonObject {
    fields: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl JsonObject {
    /// Reads the body.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another content type, an encoded body or one that is not JSON; [`Error::Invalid`] for
    /// JSON that is not an object.
    pub fn read(request: &Request) -> Result<Self> {
        if !is_json(request.headers().get(CONTENT_TYPE)) {
            return Err(Error::Malformed("The body must be sent as application/json.".to_owned()));
        }
        if request.headers().contains_key(CONTENT_ENCODING) {
            return Err(Error::Malformed(
                "The body must not be compressed: send it without Content-Encoding.".to_owned(),
            ));
        }
        let value = serde_json::from_slice(request.body()).map_err(|error| {
            Error::Malformed(format!("The body is not JSON: {}.", without_value(&error)))
        })?;
        match value {
            Value::Object(fields) => Ok(Self { fields, errors: Vec::new() }),
            other => Err(Error::Invalid(vec![FieldError::new(
                "",
                format!("The body must be a JSON object, it is {}.", kind(&other)),
            )])),
        }
    }

    /// The string `name`, as `parse` understands it. `None` leaves an error behind for [`Self::refusal`].
    pub fn field<T, E: Into<String>>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let parsed = match self.fields.get(name) {
            Some(Value::String(text)) => parse(text).map_err(Into::into),
            Some(other) => Err(format!("{name} must be a string, it is {}.", kind(other))),
            None => Err(format!("{name} is missing.")),
        };
        parsed.map_err(|detail| self.errors.push(FieldError { field: name, detail })).ok()
    }

    /// The answer that names every field that was missing or bad.
    pub fn refusal(self) -> Error {
        Error::Invalid(self.errors)
    }
}

/// Parameters of a request's query, read one by one. Remembers every one that breaks its rules, so that one answer names them
/// all.
pub struct Query<'a> {
    parameters: Option<&'a QueryMap>,
    errors: Vec<FieldError>,
}

impl<'a> Query<'a> {
    /// Reads the query.
    pub fn read(request: &'a Request) -> Self {
        Self { parameters: request.query_string_parameters_ref(), errors: Vec::new() }
    }

    /// The parameter `name`, as `parse` understands it, if it is given. A bad one leaves an error behind.
    pub fn parameter<T, E: Into<String>>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let values = self.parameters.and_then(|parameters| parameters.all(name));
        let parsed = match values.unwrap_or_default()[..] {
            [] => return None,
            [value] => parse(value).map_err(Into::into),
            _ => Err(format!("{name} must be given once at most.")),
        };
        parsed.map_err(|detail| self.refuse(name, detail)).ok()
    }

    /// The parameter `name`, a whole number in `range`, if it is given.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        self.parameter(name, |value| {
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse().ok().filter(|number| is_number && range.contains(number));
            number.ok_or_else(|| {
                format!("{name} must be a whole number from {} to {}.", range.start(), range.end())
            })
        })
    }

    /// Leaves an error about the parameter `name` behind.
    pub fn refuse(&mut self, name: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(name, detail.into()));
    }

    /// What was read of it, if all of it was good.
    ///
    /// # Errors
    /// The answer that names every parameter that was bad.
    pub fn checked<T>(self, read: T) -> Result<T> {
        if self.errors.is_empty() { Ok(read) } else { Err(Error::Invalid(self.errors)) }
    }
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

/// What serde says of broken JSON: line and column, never a piece of the text (it may hold a password).
fn without_value(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "it ends too early",
        _ => "it has a syntax error",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// The token of an `Authorization: Bearer …` header, by RFC 6750.
///
/// # Errors
/// [`Error::TokenMissing`] when there is none.
pub fn bearer_token(request: &Request) -> Result<&str> {
    request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(Error::TokenMissing(
            "An access token is needed: send Authorization: Bearer <token>.",
        ))
}

/// API Gateway's id for the request.
pub fn api_request_id(request: &Request) -> Option<&str> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.as_deref(),
        _ => None,
    }
}

/// An answer with `body` as JSON. Nothing here may be kept by a cache: it is tokens and private talk.
pub fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let body = serde_json::to_string(body).expect("answers are plain data");
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer without a body: 204.
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, body: &[u8]) -> Request {
        lambda_http::http::Request::builder()
            .header(CONTENT_TYPE, content_type)
            .body(Body::Binary(body.to_vec()))
            .unwrap()
    }

    #[test]
    fn a_body_that_is_no_json_object_is_refused_with_what_is_wrong() {
        for (content_type, body, status, detail) in [
            ("application/json", &b""[..], 400, "ends too early at line 1 column 0"),
            ("application/json", b"{", 400, "ends too early at line 1 column 1"),
            ("application/json", b"{\"a\":\xff}", 400, "syntax error at line 1 column"),
            ("application/json", b"[]", 422, "must be a JSON object, it is an array"),
            ("application/json", b"null", 422, "must be a JSON object, it is null"),
            ("text/plain", b"{}", 400, "must be sent as application/json"),
            ("application/jsonx", b"{}", 400, "must be sent as application/json"),
        ] {
            let error = JsonObject::read(&request(content_type, body)).err().unwrap();
            assert_eq!(error.status(), status, "{content_type} {body:?}");
            assert!(error.to_string().contains(detail), "{error}");
        }
        for content_type in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(JsonObject::read(&request(content_type, b"{}")).is_ok());
        }
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let mut body =
            JsonObject::read(&request("application/json", b"{\"a\":1,\"b\":\"x\"}")).unwrap();
        let parse = |text: &str| Ok::<_, String>(text.to_owned());
        assert_eq!(body.field("a", parse), None);
        assert_eq!(body.field("b", parse).as_deref(), Some("x"));
        assert_eq!(body.field("c", parse), None);
        assert_eq!(body.refusal().to_string(), "a must be a string, it is a number. c is missing.");
    }
}
