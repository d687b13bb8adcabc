//! Queues beside the APIs: which requests are calls to them, who may call, and what the inspector does with them.

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use axum::http::Response;
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use gateway::{Credentials, Limits, Queue, Queues};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::World;

/// Queues that remember what they are told.
#[derive(Default)]
struct Recorded(Mutex<Vec<String>>);

impl Recorded {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl Queues for Recorded {
    fn is_target(&self, target: &str) -> bool {
        target.starts_with("AmazonSQS.")
    }

    fn answer(&self, target: String, body: Bytes) -> BoxFuture<'_, Response<Bytes>> {
        self.note(format!("{target} {}", String::from_utf8_lossy(&body)));
        async { Response::new(Bytes::from_static(b"done")) }.boxed()
    }

    fn list(&self) -> Vec<Queue> {
        let waiting = self.0.lock().unwrap().len();
        vec![Queue {
            name: "jobs".to_owned(),
            waiting,
            in_flight: 0,
            delayed: 0,
            dead_letter_queue: None,
            is_dead_letter_queue: true,
        }]
    }

    fn purge(&self, queue: &str) -> Option<usize> {
        (queue == "jobs").then(|| self.take().len())
    }

    fn redrive(&self, queue: &str) -> Option<usize> {
        (queue == "jobs").then(|| self.take().len())
    }
}

async fn world(credentials: Option<Credentials>) -> (World, Arc<Recorded>) {
    let queues = Arc::new(Recorded::default());
    let world = World::start_changed(Limits::default(), None, |gateway, _recorder| {
        gateway.queues = Some(Arc::clone(&queues) as Arc<dyn Queues>);
        gateway.credentials = credentials;
    });
    (world.await, queues)
}

/// The headers that sign a call.
#[expect(
    clippy::disallowed_methods,
    reason = "a signature is of the present, and the gateway has the machine's clock"
)]
fn signature(
    credentials: &Credentials,
    service: &str,
    url: &str,
    body: &str,
) -> Vec<(String, String)> {
    let secret = credentials.secret_access_key.expose_secret();
    let identity = aws_credential_types::Credentials::new(
        &credentials.access_key_id,
        secret,
        None,
        None,
        "test",
    );
    let identity = identity.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&credentials.region)
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default());
    let body = SignableBody::Bytes(body.as_bytes());
    let request = SignableRequest::new("POST", url, std::iter::empty(), body).unwrap();
    let signed = sign(request, &params.build().unwrap().into()).unwrap();
    let headers = signed.output().headers();
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn a_call_is_told_by_its_target() {
    let (world, queues) = world(None).await;
    let post = |path: &str, target: &str| {
        world.http.post(world.url(path)).header("x-amz-target", target.to_owned()).body("{}")
    };
    // Clients differ in where they call.
    for path in ["/", "/123456789012/jobs", "/api/echo"] {
        let answer = post(path, "AmazonSQS.SendMessage").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "done");
        assert_eq!(queues.take(), ["AmazonSQS.SendMessage {}"], "{path}");
    }
    let other = post("/api/echo", "DynamoDB_20120810.PutItem").send().await.unwrap();
    assert_eq!(other.status(), 200);
    let get =
        world.http.get(world.url("/api/echo")).header("x-amz-target", "AmazonSQS.SendMessage");
    assert_eq!(get.send().await.unwrap().status(), 200);
    assert_eq!(queues.take(), Vec::<String>::new());
}

#[tokio::test]
async fn who_does_not_sign_for_the_queues_is_refused() {
    let credentials = Credentials::default();
    let (world, queues) = world(Some(credentials.clone())).await;
    let url = world.url("/");
    let call = async |headers: Vec<(String, String)>| {
        let call = world.http.post(&url).header("x-amz-target", "AmazonSQS.SendMessage").body("{}");
        let call = headers.into_iter().fold(call, |call, (name, value)| call.header(name, value));
        let answer = call.send().await.unwrap();
        let code = answer.headers().get("x-amzn-query-error");
        let code = code.map_or("", |code| code.to_str().unwrap()).to_owned();
        (answer.status().as_u16(), code)
    };
    let refused = |status: u16, code: &str| (status, format!("{code};Sender"));
    assert_eq!(call(vec![]).await, refused(403, "MissingAuthenticationToken"));
    let incomplete = vec![("authorization".to_owned(), "AWS4-HMAC-SHA256".to_owned())];
    assert_eq!(call(incomplete).await, refused(400, "IncompleteSignature"));
    let other_service = signature(&credentials, "execute-api", &url, "{}");
    assert_eq!(call(other_service).await, refused(403, "SignatureDoesNotMatch"));
    let other_body = signature(&credentials, "sqs", &url, "{ }");
    assert_eq!(call(other_body).await, refused(403, "SignatureDoesNotMatch"));
    let stranger = Credentials { access_key_id: "AKIDOTHER".to_owned(), ..credentials.clone() };
    let stranger = signature(&stranger, "sqs", &url, "{}");
    assert_eq!(call(stranger).await, refused(403, "InvalidClientTokenId"));
    assert_eq!(queues.take(), Vec::<String>::new());
    assert_eq!(call(signature(&credentials, "sqs", &url, "{}")).await, (200, String::new()));
    assert_eq!(queues.take().len(), 1);
}

#[tokio::test]
async fn a_call_that_is_too_large_is_refused() {
    let (world, queues) = world(None).await;
    let call = world.http.post(world.url("/")).header("x-amz-target", "AmazonSQS.SendMessage");
    let answer = call.body("x".repeat(4 * 1024 * 1024 + 1)).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(queues.take(), Vec::<String>::new());
}

#[tokio::test]
async fn the_inspector_lists_empties_and_redrives_queues() {
    let (world, queues) = world(None).await;
    let ask = async |method: reqwest::Method, path: &str| {
        let asked = world.http.request(method, world.url(&format!("/_local{path}")));
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    queues.note("one".to_owned());
    let jobs = json!([{
        "name": "jobs", "waiting": 1, "in_flight": 0, "delayed": 0, "dead_letter_queue": null,
        "is_dead_letter_queue": true,
    }]);
    assert_eq!(ask(get, "/queues").await, (200, jobs));
    assert_eq!(ask(post.clone(), "/queues/jobs/redrive").await, (200, json!({"messages": 1})));
    queues.note("two".to_owned());
    assert_eq!(ask(post.clone(), "/queues/jobs/purge").await, (200, json!({"messages": 1})));
    for path in ["/queues/others/purge", "/queues/others/redrive"] {
        assert_eq!(ask(post.clone(), path).await.0, 404);
    }
}
