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

/// The most headers, and the most cookies, of a response. Ours: there is room for not many more in a [`HeaderMap`].
const HEADERS_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    status_code: Option<StatusNumber>,
    headers: Option<Map<String, Value>>,
    multi_value_headers: Option<Map<String, Value>>,
    cookies: Option<Vec<String>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

/// A status code. As text, it is what the blueprints of Lambda's console answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum StatusNumber {
    Number(u16),
    Text(String),
}

impl ProxyResponse {
    /// Parses a response, which must have a `statusCode`.
    pub(crate) fn parse(response: &[u8]) -> Result<Self, MalformedResponse> {
        Document::read(response)?.check()
    }

    /// Parses a response of payload format 2.0: one that is JSON, but has no `statusCode`, is itself the body,
    /// and a string without its quotes is.
    pub(crate) fn parse_or_infer(response: Bytes) -> Result<Self, MalformedResponse> {
        if let Ok(document) = Document::read(&response)
            && document.status_code.is_some()
        {
            return document.check();
        }
        let document: Value =
            serde_json::from_slice(&response).map_err(|_error| MalformedResponse)?;
        if document.get("statusCode").is_some() {
            return Err(MalformedResponse);
        }
        let json = HeaderValue::from_static("application/json");
        let body = if let Value::String(text) = document { text.into() } else { response };
        Ok(Self {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
            multi_value_headers: HeaderMap::new(),
            cookies: Vec::new(),
            body,
        })
    }
}

impl Document {
    fn read(response: &[u8]) -> Result<Self, MalformedResponse> {
        // An array of its values would be taken for one, too.
        if !response.trim_ascii_start().starts_with(b"{") {
            return Err(MalformedResponse);
        }
        serde_json::from_slice(response).map_err(|_error| MalformedResponse)
    }

    fn check(self) -> Result<ProxyResponse, MalformedResponse> {
        // A status of 1xx would not be an answer; one above 599 does not exist.
        let number = match self.status_code.ok_or(MalformedResponse)? {
            StatusNumber::Number(number) => Some(number),
            StatusNumber::Text(text) => text.parse().ok(),
        };
        let status = number
            .filter(|code| (200..600).contains(code))
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or(MalformedResponse)?;
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded.unwrap_or_default() {
            STANDARD.decode(body).map_err(|_error| MalformedResponse)?.into()
        } else {
            body.into()
        };
        let cookies = self.cookies.unwrap_or_default();
        if cookies.len() > HEADERS_MAX {
            return Err(MalformedResponse);
        }
        Ok(ProxyResponse {
            status,
            headers: parse_headers(self.headers.unwrap_or_default())?,
            multi_value_headers: parse_headers(self.multi_value_headers.unwrap_or_default())?,
            cookies: cookies.iter().map(|cookie| parse_value(cookie)).collect::<Result<_, _>>()?,
            body,
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
            if headers.len() >= HEADERS_MAX {
                return Err(MalformedResponse);
            }
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

    /// Source: the blueprint "microservice-http-endpoint" of Lambda's console.
    #[test]
    fn the_status_may_be_text() {
        let response = ProxyResponse::parse(br#"{"statusCode":"201"}"#).unwrap();
        assert_eq!(response.status, StatusCode::CREATED);
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

    /// Source: "Create AWS Lambda proxy integrations for HTTP APIs", response format 2.0; strings also in captured traffic.
    #[test]
    fn a_document_without_a_status_is_itself_the_body() {
        for (document, body) in [
            (r#"{ "ok": true }"#, r#"{ "ok": true }"#),
            ("[1, 2]", "[1, 2]"),
            (r#"[200,null,null,null,"x",false]"#, r#"[200,null,null,null,"x",false]"#),
            ("42", "42"),
            ("null", "null"),
            (r#""Hello from Lambda!""#, "Hello from Lambda!"),
            (r#""a \"quoted\" text\n""#, "a \"quoted\" text\n"),
            (r#""""#, ""),
        ] {
            let response = ProxyResponse::parse_or_infer(document.into()).unwrap();
            assert_eq!(response.status, StatusCode::OK);
            assert_eq!(response.headers, headers(&[("content-type", "application/json")]));
            assert_eq!(response.body, body);
            assert_eq!(ProxyResponse::parse(document.as_bytes()), Err(MalformedResponse));
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for document in [
            "",
            "hi",
            r#"{"statusCode":"ok"}"#,
            r#"{"statusCode":"99"}"#,
            r#"{"statusCode":200.5}"#,
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

    #[test]
    fn more_headers_than_there_is_room_for_are_malformed() {
        let headers = |count: usize| {
            let headers: Map<_, _> = (0..count).map(|n| (format!("x-{n}"), n.into())).collect();
            serde_json::json!({ "statusCode": 200, "headers": headers }).to_string()
        };
        let cookies = |count: usize| {
            serde_json::json!({ "statusCode": 200, "cookies": vec!["a=1"; count] }).to_string()
        };
        for (document, is_good) in [
            (headers(HEADERS_MAX), true),
            (headers(HEADERS_MAX + 1), false),
            (cookies(HEADERS_MAX), true),
            (cookies(HEADERS_MAX + 1), false),
        ] {
            assert_eq!(ProxyResponse::parse(document.as_bytes()).is_ok(), is_good);
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
