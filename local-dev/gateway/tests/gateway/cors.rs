//! Cross-origin requests to the HTTP API. Unless a test says otherwise, its source is "Configuring CORS for an HTTP API".

use std::time::Duration;

use gateway::{Assumptions, Cors, Gateway};
use reqwest::{Response, StatusCode, header::HeaderValue};
use serde_json::{Value, json};

use crate::{
    site::{Site, api, api_with_cors, cors_headers, echo, fixed, script},
    support::response,
};

const CHAT: &str = "https://chat.example";

fn values(values: &[&'static str]) -> Vec<HeaderValue> {
    values.iter().map(|value| HeaderValue::from_static(value)).collect()
}

fn cors(origins: &[&'static str]) -> Cors {
    Cors {
        allow_origins: values(origins),
        allow_methods: values(&["GET", "POST"]),
        allow_headers: values(&["authorization", "content-type"]),
        expose_headers: values(&["link", "retry-after"]),
        max_age: Some(Duration::from_mins(10)),
        allow_credentials: false,
    }
}

async fn preflight(site: &Site, path: &str, origin: &str) -> Response {
    let headers = [("origin", origin), ("access-control-request-method", "POST")];
    site.send("OPTIONS", path, &headers).await
}

#[tokio::test]
async fn the_gateway_answers_preflight_requests() {
    // A route for OPTIONS makes no difference, and neither does whether there is a route at all.
    let site = Site::start(api_with_cors(
        [script("POST /script"), echo("OPTIONS /script")],
        cors(&[CHAT]),
    ))
    .await;
    for path in ["/script", "/script/unknown"] {
        let allowed = preflight(&site, path, CHAT).await;
        assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
        assert_eq!(
            cors_headers(allowed.headers()),
            [
                ("allow-headers", "authorization,content-type"),
                ("allow-methods", "GET,POST"),
                ("allow-origin", CHAT),
                ("max-age", "600"),
            ]
        );
        assert_eq!(allowed.headers()["apigw-requestid"].len(), 16);
        assert_eq!(allowed.headers().get("content-type"), None);
        assert_eq!(allowed.text().await.unwrap(), "");
    }
    let foreign = preflight(&site, "/script", "https://evil.example").await;
    assert_eq!(foreign.status(), StatusCode::NO_CONTENT);
    assert_eq!(cors_headers(foreign.headers()), []);
}

/// Without both headers, it is a request like any other.
#[tokio::test]
async fn other_options_requests_go_to_their_route() {
    let site = Site::start(api_with_cors([echo("OPTIONS /a")], cors(&[CHAT]))).await;
    let headers = [("origin", CHAT), ("access-control-request-method", "POST")];
    for headers in [&[][..], &headers[..1], &headers[1..]] {
        let response = site.send("OPTIONS", "/a", headers).await;
        assert_eq!(response.status(), StatusCode::OK);
        let event: Value = response.json().await.unwrap();
        assert_eq!(event["routeKey"], "OPTIONS /a");
    }
}

#[tokio::test]
async fn what_functions_say_is_ignored() {
    let site = Site::start(api_with_cors([script("POST /script")], cors(&[CHAT]))).await;
    let document = response(
        200,
        &json!({
            "access-control-allow-origin": "*",
            "Access-Control-Allow-Credentials": "true",
            "access-control-anything": "yes",
            "x-one": "1",
        }),
        "hi",
    );
    let post = |origin: Option<&'static str>| {
        let request = site.http.post(site.url("/script")).header("content-type", "text/plain");
        let request = request.body(document.clone());
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
        .send()
    };
    let allowed = post(Some(CHAT)).await.unwrap();
    assert_eq!(allowed.headers()["x-one"], "1");
    assert_eq!(
        cors_headers(allowed.headers()),
        [("allow-origin", CHAT), ("expose-headers", "link,retry-after")]
    );
    // Only a browser keeps the answer from the page: the function has run.
    for origin in [None, Some("https://evil.example")] {
        let response = post(origin).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(cors_headers(response.headers()), []);
    }
}

#[tokio::test]
async fn origins_are_compared_or_begin_alike() {
    for (allowed, origin, expected) in [
        (&[CHAT][..], CHAT, Some(CHAT)),
        (&[CHAT], "https://chat.example:443", None),
        (&[CHAT], "https://chat.example.evil", None),
        (&[CHAT], "https://CHAT.example", None),
        (&[CHAT], "http://chat.example", None),
        (&[CHAT], "null", None),
        (&[CHAT, "http://localhost:3000"], "http://localhost:3000", Some("http://localhost:3000")),
        (&["*"], "https://any.example", Some("*")),
        (&["*", CHAT], CHAT, Some("*")),
        (&["*"], "null", Some("*")),
        (&["https://*"], "https://any.example", Some("https://any.example")),
        (&["https://*"], "http://any.example", None),
        (&["http://*"], "http://localhost:3000", Some("http://localhost:3000")),
        (&["http://*"], "https://any.example", None),
        (&[], CHAT, None),
    ] {
        let cors = Cors { allow_origins: values(allowed), ..Cors::default() };
        let site = Site::start(api_with_cors([fixed("GET /a", Ok("{}"))], cors)).await;
        let simple = site.send("GET", "/a", &[("origin", origin)]).await;
        let preflight = preflight(&site, "/a", origin).await;
        for response in [simple, preflight] {
            let expected: Vec<_> =
                expected.map(|origin| ("allow-origin", origin)).into_iter().collect();
            assert_eq!(cors_headers(response.headers()), expected, "{allowed:?}, {origin}");
        }
    }
}

#[tokio::test]
async fn credentials_are_allowed_with_every_answer() {
    let cors = Cors {
        allow_credentials: true,
        allow_methods: values(&["*"]),
        allow_headers: values(&["*"]),
        max_age: Some(Duration::ZERO),
        expose_headers: Vec::new(),
        ..cors(&[CHAT])
    };
    let site = Site::start(api_with_cors([fixed("GET /a", Ok("{}"))], cors)).await;
    let both = [("allow-credentials", "true"), ("allow-origin", CHAT)];
    let simple = site.send("GET", "/a", &[("origin", CHAT)]).await;
    assert_eq!(cors_headers(simple.headers()), both);
    let preflight = preflight(&site, "/a", CHAT).await;
    assert_eq!(
        cors_headers(preflight.headers()),
        [both[0], ("allow-headers", "*"), ("allow-methods", "*"), both[1], ("max-age", "0")]
    );
}

/// Neither is documented: the status is what a tutorial says, and that errors carry the headers has been observed by others.
#[tokio::test]
async fn what_is_not_documented_is_assumed() {
    for (pair, status, error_headers) in [
        ("preflight-status=204", 204, 2),
        ("preflight-status=200", 200, 2),
        ("errors-have-cors=false", 204, 0),
    ] {
        let mut assumptions = Assumptions::default();
        assumptions.set_pair(pair).unwrap();
        let gateway = Gateway { assumptions, ..Gateway::default() };
        let routes = [fixed("GET /broken", Ok("no JSON"))];
        let site = Site::start_with(api_with_cors(routes, cors(&[CHAT])), gateway).await;
        let preflight = preflight(&site, "/broken", CHAT).await;
        assert_eq!(preflight.status(), status);
        assert_eq!(cors_headers(preflight.headers()).len(), 4);
        for (path, status) in [("/broken", 500), ("/broken/unknown", 404)] {
            let error = site.send("GET", path, &[("origin", CHAT)]).await;
            assert_eq!(error.status(), status);
            assert_eq!(cors_headers(error.headers()).len(), error_headers, "{pair}");
        }
    }
}

#[tokio::test]
async fn without_cors_the_functions_answer_for_themselves() {
    let site = Site::start(api([script("POST /script")])).await;
    let document = response(200, &json!({ "access-control-allow-origin": "*" }), "hi");
    let answer = site.script(document).await;
    assert_eq!(cors_headers(answer.headers()), [("allow-origin", "*")]);
    let preflight = preflight(&site, "/script", CHAT).await;
    assert_eq!(preflight.status(), StatusCode::NOT_FOUND);
    assert_eq!(cors_headers(preflight.headers()), []);
}
