//! What becomes of the functions' responses. Unless a test says otherwise, its source is "Create AWS Lambda proxy
//! integrations for HTTP APIs", response format 2.0.

use gateway::{Assumptions, FunctionError, Gateway};
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use crate::site::{Site, api, assert_error, fixed, script};

async fn scripted() -> Site {
    Site::start(api([script("POST /script")])).await
}

/// That cookies come before the header, and that the body is decoded whatever its type, has been observed by others.
#[tokio::test]
async fn a_response_has_a_status_headers_cookies_and_a_body() {
    let site = scripted().await;
    let document = json!({
        "statusCode": 418,
        "headers": { "X-One": "1", "x-number": 2, "x-bool": true, "Set-Cookie": "b=2" },
        "cookies": ["a=1; HttpOnly", "c=3"],
        "body": "/wA=",
        "isBase64Encoded": true,
    });
    let response = site.script(document).await;
    assert_eq!(response.status(), 418);
    let headers = response.headers();
    assert_eq!(headers["x-one"], "1");
    assert_eq!(headers["x-number"], "2");
    assert_eq!(headers["x-bool"], "true");
    assert_eq!(headers["content-length"], "2");
    let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; HttpOnly", "c=3", "b=2"]);
    assert_eq!(response.bytes().await.unwrap().as_ref(), b"\xff\0");
}

/// Inferred, except that `multiValueHeaders` are documented for format 1.0 alone.
#[tokio::test]
async fn headers_that_are_the_gateways_are_dropped() {
    let document = json!({
        "statusCode": 200,
        "headers": {
            "apigw-requestid": "mine",
            "connection": "close",
            "content-length": "99",
            "keep-alive": "timeout=1",
            "trailer": "x-one",
            "transfer-encoding": "gzip",
            "upgrade": "websocket",
            "www-authenticate": "Bearer",
            "x-amzn-trace-id": "Root=1",
        },
        "multiValueHeaders": { "x-multi": ["a", "b"] },
        "body": "hi",
    });
    let response = scripted().await.script(document).await;
    let mut headers: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "apigw-requestid",
            "content-length",
            "content-type",
            "date",
            "www-authenticate",
            "x-amzn-trace-id"
        ]
    );
    assert_eq!(response.headers()["apigw-requestid"].len(), 16);
    assert_eq!(response.headers()["content-length"], "2");
    assert_eq!(response.text().await.unwrap(), "hi");
}

#[tokio::test]
async fn json_without_a_status_is_the_body() {
    let site = scripted().await;
    for (document, body) in [
        (r#"{ "ok": true }"#, r#"{ "ok": true }"#),
        (r#"["statusCode"]"#, r#"["statusCode"]"#),
        (r#""Hello from Lambda!""#, "Hello from Lambda!"),
    ] {
        let response = site.script(document).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.text().await.unwrap(), body);
    }
}

/// Source: captured traffic. It is an assumption nevertheless, because AWS documents none.
#[tokio::test]
async fn a_body_has_a_content_type() {
    for (default, expected) in [
        (None, Some("text/plain; charset=utf-8")),
        (Some("application/json"), Some("application/json")),
        (Some("\n"), None),
    ] {
        let mut assumptions = Assumptions::default();
        if let Some(default) = default {
            assumptions.set("default-content-type", default).unwrap();
        }
        let gateway = Gateway { assumptions, ..Gateway::default() };
        let site = Site::start_with(api([script("POST /script")]), gateway).await;
        let content_type = async |document: Value| {
            let response = site.script(document).await;
            response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned())
        };
        let text = json!({ "statusCode": 200, "body": "hi" });
        assert_eq!(content_type(text).await.as_deref(), expected);
        let html =
            json!({ "statusCode": 200, "headers": { "Content-Type": "text/html" }, "body": "<p>" });
        assert_eq!(content_type(html).await.as_deref(), Some("text/html"));
        assert_eq!(content_type(json!({ "statusCode": 200 })).await, None);
    }
}

/// Source: RFC 9110, 6.4.1.
#[tokio::test]
async fn some_answers_have_no_body() {
    let head = fixed(
        "HEAD /a",
        Ok(r#"{"statusCode":200,"headers":{"content-type":"text/html"},"body":"<p>"}"#),
    );
    let site = Site::start(api([head, script("POST /script")])).await;
    let response = site.send("HEAD", "/a", &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/html");
    assert_eq!(response.headers()["content-length"], "3");
    assert_eq!(response.text().await.unwrap(), "");
    for status in [204, 304] {
        let document =
            json!({ "statusCode": status, "headers": { "etag": "\"1\"" }, "body": "hi" });
        let response = site.script(document).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["etag"], "\"1\"");
        assert_eq!(response.headers().get("content-type"), None);
        assert_eq!(response.text().await.unwrap(), "");
    }
    // The connection is still in step.
    assert_eq!(
        site.script(json!({ "statusCode": 200, "body": "hi" })).await.text().await.unwrap(),
        "hi"
    );
}

/// Ours: how many API Gateway sends is not known.
#[tokio::test]
async fn as_many_headers_as_there_may_be_are_sent() {
    let site = scripted().await;
    let headers: serde_json::Map<_, _> =
        (0..10_000).map(|n| (format!("x-{n}"), n.into())).collect();
    let document = json!({ "statusCode": 200, "headers": headers, "cookies": vec!["a=1"; 10_000] });
    let request = format!(
        "POST /script HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{document}",
        document.to_string().len()
    );
    let answer = site.exchange(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{}", &answer[..100]);
    assert_eq!(answer.matches("set-cookie: a=1\r\n").count(), 10_000);
}

/// Source: "Troubleshooting issues with HTTP API Lambda integrations" for malformed responses and failures; Lambda quotas for
/// the size; captured traffic for the form of the answers and for what throttled functions give.
#[tokio::test]
async fn what_is_no_response_is_an_error() {
    let failed = || FunctionError::Failed { error_type: "Test".into(), message: "as told".into() };
    let routes = || {
        [
            script("POST /script"),
            fixed("GET /failed", Err(failed)),
            fixed("GET /throttled", Err(|| FunctionError::Throttled)),
            fixed("GET /no-json", Ok("hi")),
        ]
    };
    let site = Site::start(api(routes())).await;
    for path in ["/failed", "/no-json"] {
        assert_error(site.send("GET", path, &[]).await, 500, "Internal Server Error").await;
    }
    for malformed in [
        r#"{"statusCode":"ok"}"#,
        r#"{"statusCode":200.5}"#,
        r#"{"statusCode":0}"#,
        r#"{"statusCode":101}"#,
        r#"{"statusCode":200,"body":{}}"#,
        r#"{"statusCode":200,"headers":{"x":"a\nb"}}"#,
        r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#,
    ] {
        assert_error(site.script(malformed).await, 500, "Internal Server Error").await;
    }
    assert_error(site.send("GET", "/throttled", &[]).await, 503, "Service Unavailable").await;

    let mut assumptions = Assumptions::default();
    assumptions.set("function-throttled-status", "429").unwrap();
    let gateway = Gateway { assumptions, ..Gateway::default() };
    let site = Site::start_with(api(routes()), gateway).await;
    assert_error(site.send("GET", "/throttled", &[]).await, 429, "Too Many Requests").await;
}
