//! The function behind every route of the template: it does what its event tells it to and reports what it was given.
//!
//! A script is JSON, in the parameter `script` of the query string (HTTP, `$connect`) or under the key `script` of a
//! message:
//!
//! ```json
//! {
//!     "sleep_ms": 100,
//!     "posts": [{"to": "$self", "data": "$report"}],
//!     "spawned": [{"to": "QkT3rfHsDoECHlw=", "data": "late", "after_ms": 300}],
//!     "variables": ["AWS_REGION"],
//!     "end": "answer",
//!     "answer": {"statusCode": 200},
//!     "body_bytes": 1000
//! }
//! ```
//!
//! It happens in this order, and each part may be missing. Without `answer`, the answer is 200 with a report as its
//! body: the event, how the posts went, which instance this is and how many events it has had. `end` may be `fail`,
//! `panic` or `exit` instead.
//!
//! How somebody outside learns what the function was told:
//! - over HTTP, and from two-way routes, the report is the answer;
//! - a message without a script has its report posted to its own connection;
//! - `$connect` and `$disconnect` post theirs to the observer, another connection. The user agent names it, `(observer
//!   QkT3rfHsDoECHlw=)`, because that is what the event of a connection's end repeats of its handshake.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::posting::Poster;

/// Where variables of the environment come from.
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// One instance of the function. Clones are the same instance.
#[derive(Clone)]
pub struct Fixture(Arc<Instance>);

struct Instance {
    id: String,
    events: AtomicU64,
    poster: Poster,
    variable: Lookup,
    is_process: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct Failure {
    /// As Lambda knows it, for example `Runtime.ExitError`.
    pub error_type: &'static str,
    /// For people.
    pub message: &'static str,
}

impl Failure {
    const ON_DEMAND: Self = Self { error_type: "Fixture.Failed", message: "the script says so" };
    const NOT_UNDERSTOOD: Self =
        Self { error_type: "Fixture.NotUnderstood", message: "the script is none" };
    /// What API Gateway takes for a refusal.
    const UNAUTHORIZED: Self = Self { error_type: "Error", message: "Unauthorized" };
    const EXIT: Self = Self { error_type: "Runtime.ExitError", message: "exit status: 1" };
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Script {
    sleep_ms: u64,
    posts: Vec<Post>,
    spawned: Vec<Post>,
    variables: Vec<String>,
    end: End,
    answer: Option<Value>,
    body_bytes: Option<usize>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Post {
    to: String,
    data: String,
    #[serde(default)]
    after_ms: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    #[default]
    Answer,
    Fail,
    Panic,
    Exit,
}

impl Fixture {
    /// A fresh instance with an environment. Only one that is a process of its own ends it when a script says so.
    pub fn new(variable: Lookup, is_process: bool) -> Self {
        Self(Arc::new(Instance {
            id: Uuid::new_v4().to_string(),
            events: AtomicU64::new(0),
            poster: Poster::new(&*variable),
            variable,
            is_process,
        }))
    }

    /// Handles an event. `context` is what Lambda says of the invocation, if there is a Lambda.
    ///
    /// # Errors
    /// When the script says so, or cannot be understood.
    ///
    /// # Panics
    /// When the script says so.
    pub async fn handle(&self, event: Value, context: Value) -> Result<Value, Failure> {
        let number = self.0.events.fetch_add(1, Ordering::Relaxed) + 1;
        if event["type"] == "REQUEST" {
            return authorize(&event);
        }
        let script = read_script(&event).map_err(|_error| Failure::NOT_UNDERSTOOD)?;
        let has_script = script.is_some();
        let script = script.unwrap_or_default();
        sleep(Duration::from_millis(script.sleep_ms)).await;
        let mut report = json!({
            "event": event,
            "posts": [],
            "instance": self.0.id,
            "number": number,
            "context": context,
            "environment": self.environment(&script.variables),
        });
        for post in Self::before(&event, &script, has_script) {
            let status = self.post(&event, &post, &report).await;
            if let Value::Array(statuses) = &mut report["posts"] {
                statuses.push(status.into());
            }
        }
        for post in script.spawned {
            let (this, event, report) = (self.clone(), event.clone(), report.clone());
            // Nobody waits for it: this is the mistake that freezing shows.
            tokio::spawn(async move { this.post(&event, &post, &report).await });
        }
        match script.end {
            End::Answer => {}
            End::Fail => return Err(Failure::ON_DEMAND),
            End::Panic => panic!("the script says so"),
            End::Exit if self.0.is_process => std::process::exit(1),
            End::Exit => return Err(Failure::EXIT),
        }
        Ok(match (script.answer, script.body_bytes) {
            (Some(answer), _) => answer,
            (None, Some(bytes)) => json!({ "statusCode": 200, "body": "x".repeat(bytes) }),
            (None, None) => json!({
                "statusCode": 200,
                "headers": { "content-type": "application/json" },
                "body": report.to_string(),
            }),
        })
    }

    fn environment(&self, names: &[String]) -> Map<String, Value> {
        let variable = |name: &String| (name.clone(), (self.0.variable)(name).into());
        names.iter().map(variable).collect()
    }

    /// The posts that come before the answer: the script's, and the report for whoever waits for one.
    fn before(event: &Value, script: &Script, has_script: bool) -> Vec<Post> {
        let mut posts = script.posts.clone();
        let to = |to: &str| Post { to: to.to_owned(), data: "$report".to_owned(), after_ms: 0 };
        match event["requestContext"]["eventType"].as_str() {
            Some("MESSAGE") if !has_script => posts.push(to("$self")),
            Some("DISCONNECT") => {
                // The connection should be gone; the report says whether it is.
                posts.push(Post { data: "are you there?".to_owned(), ..to("$self") });
                posts.extend(observer(event).map(to));
            }
            Some("CONNECT") => posts.extend(observer(event).map(to)),
            _ => {}
        }
        posts
    }

    /// Posts; the status of the answer, 0 if there was none.
    async fn post(&self, event: &Value, post: &Post, report: &Value) -> u16 {
        sleep(Duration::from_millis(post.after_ms)).await;
        let context = &event["requestContext"];
        let to = match &*post.to {
            "$self" => context["connectionId"].as_str().unwrap_or_default(),
            id => id,
        };
        let data = if post.data == "$report" { report.to_string() } else { post.data.clone() };
        let [host, stage] = ["domainName", "stage"].map(|key| context[key].as_str());
        let endpoint =
            format!("https://{}/{}", host.unwrap_or_default(), stage.unwrap_or_default());
        self.0.poster.post(&endpoint, to, data).await
    }
}

/// The script of an event, if it has one.
fn read_script(event: &Value) -> serde_json::Result<Option<Script>> {
    if let Some(script) = event["queryStringParameters"]["script"].as_str() {
        return serde_json::from_str(script).map(Some);
    }
    if event["requestContext"]["eventType"] != "MESSAGE" {
        return Ok(None);
    }
    let message: Option<Value> =
        event["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
    match message.and_then(|mut message| message.get_mut("script").map(Value::take)) {
        Some(script) => serde_json::from_value(script).map(Some),
        None => Ok(None),
    }
}

/// The connection that the user agent names.
fn observer(event: &Value) -> Option<&str> {
    let agent = event["requestContext"]["identity"]["userAgent"].as_str()?;
    Some(agent.split_once("(observer ")?.1.split_once(')')?.0)
}

/// Answers as an authorizer of `$connect`, as the parameter `authorize` says.
fn authorize(event: &Value) -> Result<Value, Failure> {
    let effect = match event["queryStringParameters"]["authorize"].as_str() {
        Some("allow") => "Allow",
        Some("deny") => "Deny",
        Some("unauthorized") => return Err(Failure::UNAUTHORIZED),
        Some("malformed") => return Ok(json!({ "principalId": 1 })),
        _ => return Err(Failure::ON_DEMAND),
    };
    let statement = json!([{
        "Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"],
    }]);
    Ok(json!({
        "principalId": "u-1",
        "policyDocument": { "Version": "2012-10-17", "Statement": statement },
        "context": {
            "role": "member", "level": 7, "is_admin": false, "event": event.to_string(),
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> Fixture {
        Fixture::new(Arc::new(|name| (name == "COLOUR").then(|| "blue".to_owned())), false)
    }

    fn body(answer: &Value) -> Value {
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn without_a_script_the_answer_is_a_report() {
        let fixture = fixture();
        for number in [1, 2] {
            let answer = fixture.handle(json!({ "rawPath": "/a" }), Value::Null).await.unwrap();
            let report = body(&answer);
            assert_eq!(report["event"]["rawPath"], "/a");
            assert_eq!(report["number"], number);
        }
    }

    #[tokio::test]
    async fn a_script_says_how_it_ends() {
        let handle = async |script: Value| {
            let query = json!({ "queryStringParameters": { "script": script.to_string() } });
            fixture().handle(query, Value::Null).await
        };
        let answer = handle(json!({ "answer": [1] })).await.unwrap();
        assert_eq!(answer, json!([1]));
        let answer = handle(json!({ "variables": ["COLOUR", "SHAPE"] })).await.unwrap();
        assert_eq!(body(&answer)["environment"], json!({ "COLOUR": "blue", "SHAPE": null }));
        for end in ["fail", "exit", "unknown"] {
            handle(json!({ "end": end })).await.unwrap_err();
        }
    }

    #[test]
    fn the_user_agent_names_the_observer() {
        let event =
            |agent: &str| json!({ "requestContext": { "identity": { "userAgent": agent } } });
        assert_eq!(observer(&event("conformance (observer a-_=)")), Some("a-_="));
        assert_eq!(observer(&event("curl/8.5")), None);
        assert_eq!(observer(&json!({})), None);
    }
}
