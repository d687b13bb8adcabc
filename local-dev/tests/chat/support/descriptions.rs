//! The OpenAPI and AsyncAPI files, held against what the running program really answers.

use std::{
    collections::BTreeSet,
    sync::{Mutex, OnceLock},
};

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

/// Both descriptions, and which parts of them have been seen at work.
pub struct Descriptions {
    pub openapi: Value,
    pub asyncapi: Value,
    seen: Mutex<BTreeSet<String>>,
}

impl Descriptions {
    /// The two files of this repository.
    pub fn get() -> &'static Self {
        static DESCRIPTIONS: OnceLock<Descriptions> = OnceLock::new();
        DESCRIPTIONS.get_or_init(|| Self {
            openapi: serde_saphyr::from_str(include_str!("../../../../infra/openapi.yaml"))
                .unwrap(),
            asyncapi: serde_saphyr::from_str(include_str!("../../../../infra/asyncapi.yaml"))
                .unwrap(),
            seen: Mutex::default(),
        })
    }

    /// Fails unless the description has this answer of this operation, with these headers and this body.
    pub fn check_answer(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Value,
    ) {
        let Some((path, operation)) = self.operation(method, path) else {
            assert_eq!(status, 404, "{method} {path} is not described, but answered");
            return;
        };
        let what = format!("{method} {path} {}", status.as_u16());
        self.seen.lock().unwrap().insert(what.clone());
        let response = follow(&self.openapi, &operation["responses"][status.as_str()]);
        assert!(!response.is_null(), "{what} is not described: {body}");

        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let Some(value) = headers.get(name.as_str()) else {
                assert_ne!(header["required"], json!(true), "{what}: the header {name} is missing");
                continue;
            };
            let value = value.to_str().unwrap();
            let value = value.parse().map_or_else(|_| json!(value), |number: i64| json!(number));
            check(&self.openapi, &header["schema"], &value, &what);
        }

        let content = &response["content"];
        if content.is_null() {
            assert!(body.is_null(), "{what} is described without a body: {body}");
            return;
        }
        let content_type = headers.get("content-type").map(|value| value.to_str().unwrap());
        let described = &content[content_type.unwrap_or_default()];
        assert!(!described.is_null(), "{what}: content type {content_type:?} is not described");
        check(&self.openapi, &described["schema"], body, &what);
        if content_type == Some("application/problem+json") {
            assert_eq!(body["status"], status.as_u16(), "{what}: {body}");
        }
    }

    /// Fails unless a request that was served is as its operation describes requests.
    pub fn check_request(&self, method: &Method, path: &str, body: &Value) {
        let (path, operation) = self.operation(method, path).expect("what is served is described");
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        check(&self.openapi, schema, body, &format!("the body of {method} {path}"));
    }

    /// The operation that a request is for, with its path as it is described.
    fn operation(&self, method: &Method, path: &str) -> Option<(&str, &Value)> {
        let paths = self.openapi["paths"].as_object().unwrap();
        let (described, operations) = paths.iter().find(|(described, _)| is_at(path, described))?;
        Some((described, operations.get(method.as_str().to_lowercase())?))
    }

    /// Fails unless the description has this frame among those a `chat.v1` client is shown.
    pub fn check_frame(&self, frame: &Value) {
        let name = match frame["type"].as_str() {
            Some("message") => "message",
            Some("messages") => "messages",
            Some("error") => "error",
            Some("pong") => "pong",
            Some("presence") => "presence",
            Some("typing") => "typing",
            _ => "gatewayError",
        };
        self.check_message(name, frame);
        if let Some(code) = frame["code"].as_str() {
            self.seen.lock().unwrap().insert(format!("code {code}"));
        }
    }

    /// Fails unless the description has this frame as a message that a `chat.v1` client sends.
    pub fn check_sent(&self, frame: &Value) {
        self.check_message("send", frame);
    }

    /// Fails unless the description has this frame as one by which a `chat.v1` client tells that its user is writing.
    pub fn check_typing(&self, frame: &Value) {
        self.check_message("tellTyping", frame);
    }

    /// Fails unless the description has this frame as one that a plain client is shown.
    pub fn check_plain(&self, frame: &str) {
        self.check_message("plainMessage", &json!(frame));
    }

    fn check_message(&self, name: &str, payload: &Value) {
        self.seen.lock().unwrap().insert(format!("frame {name}"));
        let message = follow(&self.asyncapi, &self.asyncapi["channels"]["room"]["messages"][name]);
        check(&self.asyncapi, &message["payload"], payload, name);
    }

    /// Whether an answer or a frame has been seen at work.
    pub fn has_seen(&self, what: &str) -> bool {
        self.seen.lock().unwrap().contains(what)
    }
}

/// Whether a path is that of a description, in which `{name}` stands for any part.
fn is_at(path: &str, described: &str) -> bool {
    let is_part = |(part, described): (&str, &str)| part == described || described.starts_with('{');
    path.split('/').count() == described.split('/').count()
        && path.split('/').zip(described.split('/')).all(is_part)
}

/// What `node` points to, if it is a reference.
fn follow<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(pointer) => {
            document.pointer(pointer.trim_start_matches('#')).expect("references lead somewhere")
        }
        None => node,
    }
}

fn check(document: &Value, schema: &Value, value: &Value, what: &str) {
    let mut schema = schema.clone();
    // References inside of the schema start at the document's root.
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is one");
    let errors: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{what} is not as described: {errors:?} in {value}");
}
