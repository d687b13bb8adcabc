//! The same in HTTP: what the clients above do not show.

use gateway::Credentials;
use reqwest::{Method, StatusCode};
use time::{OffsetDateTime, macros::format_description};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::{Client, Operation, Outcome},
    world::World,
};

pub(crate) async fn refusals_have_api_gateways_headers() {
    let mut world = World::start(Credentials::default()).await;
    let (_socket, id) = world.connect().await;
    let client = reqwest::Client::new();
    let connection = format!("{}/@connections/{id}", world.endpoint());
    let other = format!("{}/@connections", world.endpoint());
    let presigned = format!("{connection}?X-Amz-Algorithm=AWS4-HMAC-SHA256");
    let missing = ("MissingAuthenticationTokenException", "Missing Authentication Token");
    let presigned_message = "AWS query-string parameters must include 'X-Amz-Credential'. AWS \
        query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must \
        include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. \
        Re-examine the query-string parameters.";
    for (method, url, (error_type, message)) in [
        (Method::POST, &connection, missing),
        (Method::GET, &connection, missing),
        (Method::DELETE, &connection, missing),
        (Method::PUT, &connection, missing),
        (Method::OPTIONS, &connection, missing),
        (Method::HEAD, &connection, missing),
        (Method::POST, &other, missing),
        (Method::GET, &presigned, ("IncompleteSignatureException", presigned_message)),
    ] {
        let response = client.request(method.clone(), url).body("hi").send().await.unwrap();
        let headers = response.headers().clone();
        let header = |name| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {url}");
        assert_eq!(header("x-amzn-errortype"), Some(error_type));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("x-amzn-requestid").unwrap().len(), 36);
        assert_eq!(header("x-amz-apigw-id").unwrap().len(), 16);
        assert_eq!(header("x-amzn-trace-id"), None);
        let body = format!(r#"{{"message":"{message}"}}"#);
        assert_eq!(header("content-length"), Some(body.len().to_string().as_str()));
        let expected = if method == Method::HEAD { String::new() } else { body };
        assert_eq!(response.text().await.unwrap(), expected);
    }
}

/// Without the body, nobody knows whether the signature is right.
pub(crate) async fn a_body_that_was_not_read_leads_to_nothing() {
    let mut world = World::start(Credentials::default()).await;
    let (mut socket, id) = world.connect().await;
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let date = OffsetDateTime::now_utc().format(format).unwrap();
    let Credentials { access_key_id, region, .. } = Credentials::default();
    let scope = format!("{access_key_id}/{}/{region}/execute-api/aws4_request", &date[..8]);
    let signature = "0".repeat(64);
    let forged =
        format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={signature}");
    for method in [Method::POST, Method::GET, Method::DELETE] {
        for (bytes, status) in [(10, 403), (128 * 1024 + 1, 413)] {
            let url = format!("{}/@connections/{id}", world.endpoint());
            let request = reqwest::Client::new().request(method.clone(), url);
            let request = request.header("authorization", &forged).header("x-amz-date", &date);
            let response = request.body("x".repeat(bytes)).send().await.unwrap();
            assert_eq!(response.status(), status, "{method} {bytes}");
            let connected_at = "connectedAt";
            assert!(!response.text().await.unwrap().contains(connected_at), "{method} {bytes}");
        }
    }
    let post = world.call(Operation::Post, &id);
    assert_eq!(Client::Rust.call(&post).await, Outcome::Done(None));
    assert_eq!(socket.next().await, Message::text("hi"));
}
