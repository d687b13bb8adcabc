//! Requests in the one form in which both sides sign them.

use std::{borrow::Cow, collections::BTreeSet};

use axum::http::{HeaderValue, request::Parts};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

use super::SECURITY_TOKEN;

/// What of a request is signed, but for its path.
pub(super) struct CanonicalRequest<'a> {
    method: &'a str,
    /// Percent-encoded, in order.
    parameters: Vec<(String, String)>,
    /// In order.
    headers: Vec<(&'a str, Vec<u8>)>,
    /// Of the body that came. What `x-amz-content-sha256` says is a header like any other: API Gateway was seen to hash
    /// for itself, and to refuse `UNSIGNED-PAYLOAD`.
    payload_hash: String,
}

impl<'a> CanonicalRequest<'a> {
    /// `signed_headers` are names in lower case.
    pub(super) fn new(
        signed_headers: &'a BTreeSet<String>,
        request: &'a Parts,
        body: &[u8],
    ) -> Self {
        let query = request.uri.query().unwrap_or_default();
        let mut parameters: Vec<_> = query
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                (encode_parameter(name), encode_parameter(value))
            })
            .filter(|(name, _value)| name != "X-Amz-Signature")
            .collect();
        parameters.sort_unstable();
        let headers = signed_headers.iter();
        let headers = headers.map(|name| (name.as_str(), header_values(request, name))).collect();
        let payload_hash = hex::encode(Sha256::digest(body));
        Self { method: request.method.as_str(), parameters, headers, payload_hash }
    }

    /// The same to be shown. AWS shows the token as well, but clients write such answers to their logs.
    pub(super) fn without_token(mut self) -> Self {
        const REDACTED: &str = "***";
        for (name, value) in &mut self.parameters {
            if name.eq_ignore_ascii_case(SECURITY_TOKEN) {
                REDACTED.clone_into(value);
            }
        }
        for (name, value) in &mut self.headers {
            if *name == SECURITY_TOKEN {
                *value = REDACTED.into();
            }
        }
        self
    }

    /// With the path as given.
    pub(super) fn bytes(&self, path: &str) -> Vec<u8> {
        let parameters = self.parameters.iter().map(|(name, value)| format!("{name}={value}"));
        let parameters: Vec<_> = parameters.collect();
        let mut bytes = format!("{}\n{path}\n{}\n", self.method, parameters.join("&")).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b":", value, b"\n"].concat());
        }
        let names: Vec<_> = self.headers.iter().map(|(name, _value)| *name).collect();
        bytes.extend(format!("\n{}\n{}", names.join(";"), self.payload_hash).into_bytes());
        bytes
    }
}

/// A header's values as they are signed: joined, without spaces around them and with single ones within. In HTTP/2 the
/// host is in the request's target.
fn header_values(request: &Parts, name: &str) -> Vec<u8> {
    let mut values: Vec<&[u8]> =
        request.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if values.is_empty()
        && name == "host"
        && let Some(authority) = request.uri.authority()
    {
        values.push(authority.as_str().as_bytes());
    }
    let values = values.into_iter().map(|value| {
        let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(&b' ')
    });
    values.collect::<Vec<_>>().join(&b',')
}

/// The path with what it is made of percent-encoded once more, and with it encoded once, whether or not it came so.
pub(super) fn encoded_paths(path: &str) -> [String; 2] {
    let encode = |segment: &[u8]| percent_encode(segment, RESERVED).to_string();
    let twice: Vec<_> = path.split('/').map(|segment| encode(segment.as_bytes())).collect();
    let once = path.split('/').map(|segment| encode(&Cow::from(percent_decode_str(segment))));
    let once: Vec<_> = once.collect();
    [twice.join("/"), once.join("/")]
}

/// The name or the value of a query parameter, whose spaces may have come as `+`.
fn encode_parameter(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encode(&Cow::from(percent_decode_str(&text)), RESERVED).to_string()
}

/// What is percent-encoded where something is signed.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
