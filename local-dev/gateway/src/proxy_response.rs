//! What a function answers: the response document of a Lambda proxy integration.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A function's response, checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProxyResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Payload format 1.0's way to repeat a header. HTTP APIs with format 2.0 do not know it.
    pub(crate) multi_value_headers: HeaderMap,
    pub(crate) cookies: Vec<HeaderValue>,
    /// Decoded, where it was in base64.
    pub(crate) body: Bytes,
}

/// A function's response is not what the gateway expects.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed Lambda proxy response")]
pub(crate) struct MalformedResponse;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    status_code: u16,
    headers: Option<Map<String, Value>>,
    multi_value_headers: Option<Map<String, Value>>,
    cookies: Option<Vec<String>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

impl ProxyResponse {
    /// Parses a response, which must have a `statusCode`.
    pub(crate) fn parse(response: &[u8]) -> Result<Self, MalformedResponse> {
        let document: Document =
            serde_json::from_slice(response).map_err(|_error| MalformedResponse)?;
        // A status of 1xx would not be an answer; one above 599 does not exist.
        let status = Some(document.status_code)
            .filter(|code| (200..600).contains(code))
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or(MalformedResponse)?;
        let body = document.body.unwrap_or_default();
        let body = if document.is_base64_encoded.unwrap_or_default() {
            STANDARD.decode(body).map_err(|_error| MalformedResponse)?.into()
        } else {
            body.into()
        };
        let cookies = document.cookies.unwrap_or_default();
        Ok(Self {
            status,
            headers: parse_headers(document.headers.unwrap_or_default())?,
            multi_value_headers: parse_headers(document.multi_value_headers.unwrap_or_default())?,
            cookies: cookies.iter().map(|cookie| parse_value(cookie)).collect::<Result<_, _>>()?,
            body,
        })
    }

    /// Parses a response of payload format 2.0: one that is JSON, but has no `statusCode`, is itself the body.
    pub(crate) fn parse_or_infer(response: Bytes) -> Result<Self, MalformedResponse> {
        let document: Value =
            serde_json::from_slice(&response).map_err(|_error| MalformedResponse)?;
        if document.get("statusCode").is_some() {
            return Self::parse(&response);
        }
        let json = HeaderValue::from_static("application/json");
        Ok(Self {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
            multi_value_headers: HeaderMap::new(),
            cookies: Vec::new(),
            body: response,
        })
    }
}

fn parse_headers(document: Map<String, Value>) -> Result<HeaderMap, MalformedResponse> {
    let mut headers = HeaderMap::new();
    for (name, value) in document {
        let name: HeaderName = name.parse().map_err(|_error| MalformedResponse)?;
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let value = match value {
                Value::String(text) => parse_value(&text)?,
                Value::Number(_) | Value::Bool(_) => parse_value(&value.to_string())?,
                _ => return Err(MalformedResponse),
            };
            headers.append(&name, value);
        }
    }
    Ok(headers)
}

fn parse_value(text: &str) -> Result<HeaderValue, MalformedResponse> {
    HeaderValue::from_str(text).map_err(|_error| MalformedResponse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_a_status_headers_cookies_and_a_body() {
        let response = br#"{
            "statusCode": 201,
            "headers": {"X-One": "1", "x-two": 2, "x-three": true},
            "multiValueHeaders": {"x-four": ["a", "b"]},
            "cookies": ["sid=2; HttpOnly"],
            "body": "aGk=",
            "isBase64Encoded": true
        }"#;
        let expected = ProxyResponse {
            status: StatusCode::CREATED,
            headers: headers(&[("x-one", "1"), ("x-two", "2"), ("x-three", "true")]),
            multi_value_headers: headers(&[("x-four", "a"), ("x-four", "b")]),
            cookies: vec![HeaderValue::from_static("sid=2; HttpOnly")],
            body: Bytes::from_static(b"hi"),
        };
        assert_eq!(ProxyResponse::parse(response).as_ref(), Ok(&expected));
        assert_eq!(ProxyResponse::parse_or_infer(response.as_slice().into()), Ok(expected));
    }

    #[test]
    fn all_but_the_status_may_be_null() {
        let response = br#"{"statusCode":204,"headers":null,"multiValueHeaders":null,"cookies":null,"body":null,"isBase64Encoded":null}"#;
        let expected = ProxyResponse {
            status: StatusCode::NO_CONTENT,
            headers: HeaderMap::new(),
            multi_value_headers: HeaderMap::new(),
            cookies: Vec::new(),
            body: Bytes::new(),
        };
        assert_eq!(ProxyResponse::parse(response), Ok(expected));
    }

    #[test]
    fn a_document_without_a_status_is_itself_the_body() {
        for document in [r#"{ "ok": true }"#, "[1, 2]", "\"hi\"", "null"] {
            let response = ProxyResponse::parse_or_infer(document.into()).unwrap();
            assert_eq!(response.status, StatusCode::OK);
            assert_eq!(response.headers, headers(&[("content-type", "application/json")]));
            assert_eq!(response.body, document);
            assert_eq!(ProxyResponse::parse(document.as_bytes()), Err(MalformedResponse));
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for document in [
            "",
            "hi",
            r#"{"statusCode":"200"}"#,
            r#"{"statusCode":null}"#,
            r#"{"statusCode":100}"#,
            r#"{"statusCode":600}"#,
            r#"{"statusCode":200,"body":{}}"#,
            r#"{"statusCode":200,"headers":{"x":null}}"#,
            r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
            r#"{"statusCode":200,"headers":{"x":"a\nb"}}"#,
            r#"{"statusCode":200,"cookies":["a\nb"]}"#,
            r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#,
        ] {
            assert_eq!(
                ProxyResponse::parse_or_infer(document.into()),
                Err(MalformedResponse),
                "{document}"
            );
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }
}
