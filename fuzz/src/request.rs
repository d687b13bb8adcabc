//! Requests written as text. Nearly every text is one, so what a fuzzer has changed still gets far, and seeds can be read.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, uri::PathAndQuery};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

/// A line `METHOD TARGET`, lines `name: value`, an empty line, and the body.
pub struct Request<'a> {
    /// As it stands there, whether there is such a method or not.
    pub method: String,
    /// A path, and maybe a query.
    pub target: PathAndQuery,
    /// What a server would take for headers; other lines are passed over.
    pub headers: HeaderMap,
    /// All that follows.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a request. `None` where a server would not find a method and a target either.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let (head, body) = match text.windows(2).position(|two| two == b"\n\n") {
            Some(end) => (&text[..end], &text[end + 2..]),
            None => (text, &[][..]),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let (method, target) = str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
        let target: PathAndQuery = target.parse().ok().filter(|_| target.starts_with('/'))?;
        let headers = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
        });
        let mut request =
            Self { method: method.to_owned(), target, headers: HeaderMap::new(), body };
        for (name, value) in headers {
            request.headers.append(name, value);
        }
        Some(request)
    }

    /// The event that an HTTP API's route `key` makes of it: `sample` with everything in it that a client chooses.
    pub fn http_event(&self, key: &str, sample: &str) -> Value {
        let mut event: Value = serde_json::from_str(sample).expect("samples are JSON");
        let query = self.target.query().unwrap_or_default();
        event["routeKey"] = json!(key);
        event["rawPath"] = json!(self.target.path());
        event["rawQueryString"] = json!(query);
        event["requestContext"]["routeKey"] = json!(key);
        event["requestContext"]["http"]["method"] = json!(self.method);
        event["requestContext"]["http"]["path"] = json!(self.target.path());
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned();
        match joined(parameters) {
            parameters if parameters.is_empty() => {}
            parameters => event["queryStringParameters"] = json!(parameters),
        }
        let own = event["headers"].as_object().cloned().unwrap_or_default();
        let mut headers = joined(self.texts());
        headers.extend(
            // The gateway's own: a client cannot choose them.
            own.into_iter()
                .filter(|(name, _)| name == "host" || name.starts_with("x-"))
                .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned())),
        );
        event["headers"] = json!(headers);
        self.add_body(&mut event);
        event
    }

    /// The event of a WebSocket API's handshake. The target's query counts, its path doesn't.
    pub fn connect_event(&self, sample: &str) -> Value {
        let mut event: Value = serde_json::from_str(sample).expect("samples are JSON");
        for name in ["headers", "multiValueHeaders"] {
            if let Some(headers) = event[name].as_object_mut() {
                headers.retain(|name, _| name == "Host" || name.starts_with("X-"));
            }
        }
        for (name, values) in grouped(self.texts()) {
            event["headers"][&name] = json!(values.last());
            event["multiValueHeaders"][&name] = json!(values);
        }
        let query = self.target.query().unwrap_or_default();
        let parameters = grouped(form_urlencoded::parse(query.as_bytes()).into_owned());
        if !parameters.is_empty() {
            let last: Map<String, Value> = parameters
                .iter()
                .map(|(name, values)| (name.clone(), json!(values.last())))
                .collect();
            event["queryStringParameters"] = last.into();
            event["multiValueQueryStringParameters"] = json!(parameters);
        }
        event
    }

    /// The event of a frame that carries the body.
    pub fn message_event(&self, sample: &str) -> Value {
        let mut event: Value = serde_json::from_str(sample).expect("samples are JSON");
        // API Gateway takes text only.
        event["body"] = json!(String::from_utf8_lossy(self.body));
        event
    }

    fn add_body(&self, event: &mut Value) {
        let (body, is_base64) = match str::from_utf8(self.body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (BASE64_STANDARD.encode(self.body), true),
        };
        event["isBase64Encoded"] = json!(is_base64);
        event["body"] = if body.is_empty() { Value::Null } else { body.into() };
    }

    fn texts(&self) -> impl Iterator<Item = (String, String)> {
        self.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
    }
}

/// Repeated names with their values, joined as an event of an HTTP API has them.
fn joined(pairs: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    grouped(pairs).into_iter().map(|(name, values)| (name, values.join(","))).collect()
}

fn grouped(pairs: impl Iterator<Item = (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, value) in pairs {
        groups.entry(name).or_default().push(value);
    }
    groups
}
