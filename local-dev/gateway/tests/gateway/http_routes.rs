//! Which requests belong to an HTTP API, and which of its routes takes them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gateway::{Cors, CorsError, Gateway, HttpApi, HttpApiError, HttpRoute, WebSocketApi};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::site::{Site, api, assert_error, echo, gated};

/// The route that takes a request, and the parameters of its path.
async fn taken(site: &Site, method: &str, path: &str) -> Option<(String, Value)> {
    let response = site.send(method, path, &[]).await;
    if response.status() == 404 {
        assert_error(response, 404, "Not Found").await;
        return None;
    }
    assert_eq!(response.status(), 200);
    let event: Value = response.json().await.unwrap();
    assert_eq!(event["routeKey"], event["requestContext"]["routeKey"]);
    let parameters = event.get("pathParameters").cloned().unwrap_or_default();
    Some((event["routeKey"].as_str().unwrap().to_owned(), parameters))
}

/// Source: "Create routes for HTTP APIs", the table of examples; methods and paths that match no route are a 404 there,
/// not a 405. That trailing slashes count and that values are decoded has been observed by others.
#[tokio::test]
async fn the_best_route_takes_a_request() {
    let site = Site::start(api([
        echo("GET /pets/dog/1"),
        echo("GET /pets/dog/{id}"),
        echo("GET /pets/{proxy+}"),
        echo("ANY /{proxy+}"),
        echo("$default"),
    ]))
    .await;
    for (method, path, route, parameters) in [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", Value::Null),
        ("GET", "/pets/dog/2?x=1", "GET /pets/dog/{id}", json!({ "id": "2" })),
        ("GET", "/pets/dog/a%2Fb%20c", "GET /pets/dog/{id}", json!({ "id": "a/b c" })),
        ("GET", "/pets/dog/", "GET /pets/{proxy+}", json!({ "proxy": "dog/" })),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", json!({ "proxy": "cat/1" })),
        ("POST", "/pets/dog/1", "ANY /{proxy+}", json!({ "proxy": "pets/dog/1" })),
        ("POST", "/test/5", "ANY /{proxy+}", json!({ "proxy": "test/5" })),
        ("PURGE", "/test/5", "ANY /{proxy+}", json!({ "proxy": "test/5" })),
        ("OPTIONS", "/test/5", "ANY /{proxy+}", json!({ "proxy": "test/5" })),
        ("GET", "/", "$default", Value::Null),
    ] {
        let expected = Some((route.to_owned(), parameters));
        assert_eq!(taken(&site, method, path).await, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn what_no_route_matches_is_not_found() {
    let site = Site::start(api([echo("GET /a"), echo("GET /a/{id}")])).await;
    for (method, path) in [
        ("POST", "/a"),
        ("OPTIONS", "/a"),
        ("PURGE", "/a"),
        ("get", "/a"),
        ("GET", "/a/"),
        ("GET", "/a/b/"),
        ("GET", "/a/b/c"),
        ("GET", "/a//"),
    ] {
        assert_eq!(taken(&site, method, path).await, None, "{method} {path}");
    }
    // A GET route says nothing about HEAD, and the answer to HEAD has no body.
    let head = site.send("HEAD", "/a", &[]).await;
    assert_eq!(head.status(), 404);
    assert_eq!(head.headers()["content-length"], "23");
    assert_eq!(head.text().await.unwrap(), "");
}

async fn belongs(site: &Site, path: &str) -> bool {
    let response = site.send("GET", path, &[]).await;
    response.headers().contains_key("apigw-requestid")
}

/// In the cloud an API has a host of its own. Here, it shares one with static files.
#[tokio::test]
async fn paths_that_do_not_begin_like_a_route_are_left_to_others() {
    let literal = || [echo("POST /auth/login"), echo("GET /rooms/{id}")];
    let site = Site::start(api(literal())).await;
    for (path, belonging) in [
        ("/auth/login", true),
        ("/auth/unknown", true),
        ("/auth", true),
        ("/rooms/1/2", true),
        ("/", false),
        ("/authentic", false),
        ("/Auth/login", false),
        ("/app/auth/login", false),
        ("/index.html?/auth/login", false),
    ] {
        assert_eq!(belongs(&site, path).await, belonging, "{path}");
    }
    for everything in ["$default", "GET /{page}", "ANY /{proxy+}"] {
        let site = Site::start(api(literal().into_iter().chain([echo(everything)]))).await;
        for path in ["/", "/auth/login", "/index.html"] {
            assert!(belongs(&site, path).await, "{path} with {everything}");
        }
    }
    let root = Site::start(api([echo("GET /")])).await;
    assert!(belongs(&root, "/").await);
    assert!(!belongs(&root, "/index.html").await);
}

/// Source: captured traffic for the form of the answer.
#[tokio::test]
async fn without_a_fallback_an_http_api_has_what_no_stage_has() {
    let cors = Cors { allow_origins: vec!["https://a".parse().unwrap()], ..Cors::default() };
    let named = HttpApi::new("dev", vec![echo("$default")]).unwrap();
    for api in [api([echo("GET /a")]), named] {
        let gateway = Gateway {
            http_api: Some(api.with_cors(cors.clone()).unwrap()),
            websocket_apis: vec![WebSocketApi { stage: "ws".to_owned(), ..Default::default() }],
            ..Gateway::default()
        };
        let site = Site::start_alone(gateway).await;
        for path in ["/", "/unknown", "/A", "/wss", "/index.html", "/development", "/%77s"] {
            let response = site.send("GET", path, &[("origin", "https://a")]).await;
            assert_eq!(response.headers()["access-control-allow-origin"], "https://a", "{path}");
            assert_error(response, 404, "Not Found").await;
        }
        // What is at a stage stays there, and a handshake is not for an HTTP API.
        assert_eq!(site.send("GET", "/ws", &[]).await.status(), 426);
        let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(site.send("GET", "/wss", &upgrade).await.status(), 403);
    }
}

#[tokio::test]
async fn without_any_http_api_what_is_at_no_stage_is_forbidden() {
    let websocket_api = || WebSocketApi { stage: "ws".to_owned(), ..Default::default() };
    for websocket_apis in [vec![websocket_api()], vec![]] {
        let site = Site::start_alone(Gateway { websocket_apis, ..Gateway::default() }).await;
        for (method, path) in [("GET", "/"), ("POST", "/wss"), ("HEAD", "/a/b")] {
            let response = site.send(method, path, &[]).await;
            assert_eq!(response.status(), 403, "{path}");
            assert_eq!(response.headers()["x-amzn-errortype"], "ForbiddenException");
            let body = if method == "HEAD" { "" } else { r#"{"message":"Forbidden"}"# };
            assert_eq!(response.text().await.unwrap(), body);
        }
    }
}

/// Source: "Create routes for HTTP APIs" (the stage is found first), and captured traffic: paths have the stage's name, the
/// route key does not.
#[tokio::test]
async fn the_paths_of_a_named_stage_begin_with_its_name() {
    let routes = vec![echo("GET /a/{id}"), echo("GET /")];
    let variables = BTreeMap::from([("table".to_owned(), "dev-messages".to_owned())]);
    let api = HttpApi::new("dev", routes).unwrap().with_id("p1q2r3s4t5");
    let site = Site::start(api.with_stage_variables(variables)).await;

    let event: Value = site.send("GET", "/dev/a/b", &[]).await.json().await.unwrap();
    assert_eq!(event["routeKey"], "GET /a/{id}");
    assert_eq!(event["rawPath"], "/dev/a/b");
    assert_eq!(event["requestContext"]["http"]["path"], "/dev/a/b");
    assert_eq!(event["requestContext"]["stage"], "dev");
    assert_eq!(event["requestContext"]["apiId"], "p1q2r3s4t5");
    assert_eq!(event["pathParameters"], json!({ "id": "b" }));
    assert_eq!(event["stageVariables"], json!({ "table": "dev-messages" }));
    for root in ["/dev", "/dev/"] {
        assert_eq!(taken(&site, "GET", root).await, Some(("GET /".to_owned(), Value::Null)));
    }
    assert_eq!(taken(&site, "GET", "/dev/a").await, None);
    for elsewhere in ["/", "/a/b", "/devel/a/b", "/prod/a/b"] {
        assert!(!belongs(&site, elsewhere).await, "{elsewhere}");
    }
}

/// Source: "HTTP API quotas" for the names of stages, and "Configuring CORS for an HTTP API".
#[tokio::test]
async fn an_api_that_contradicts_itself_is_refused() {
    let error = |stage: &str, keys: &[&str]| {
        HttpApi::new(stage, keys.iter().map(|key| echo(key)).collect()).err()
    };
    assert_eq!(error("$default", &["GET /a", "POST /a", "ANY /a", "GET /a/", "$default"]), None);
    assert_eq!(error("dev_1-a", &[]), None);
    for stage in ["", "$test", "a/b", "é", &"x".repeat(129)] {
        assert_eq!(error(stage, &[]), Some(HttpApiError::Stage(stage.to_owned())));
    }
    let duplicate = error("$default", &["GET /a/{x}", "GET /b", "GET /a/{y}"]).unwrap();
    assert_eq!(
        duplicate.to_string(),
        "the routes GET /a/{x} and GET /a/{y} match the same requests"
    );

    let with_cors = |origins: &[&'static str], allow_credentials| {
        let allow_origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
        let cors = Cors { allow_origins, allow_credentials, ..Cors::default() };
        api([]).with_cors(cors).err()
    };
    for origins in [&["*"][..], &["https://*", "http://*", "https://chat.example"]] {
        assert_eq!(with_cors(origins, false), None);
    }
    assert_eq!(with_cors(&["https://*"], true), None);
    let credentials_for_all = Some(HttpApiError::Cors(CorsError::CredentialsForAll));
    assert_eq!(with_cors(&["https://a", "*"], true), credentials_for_all);
    for pattern in ["https://*.example", "https://chat.example:*", "**"] {
        let error = HttpApiError::Cors(CorsError::Wildcard(pattern.parse().unwrap()));
        assert_eq!(with_cors(&["https://a", pattern], false), Some(error));
    }
}

/// Source: "HTTP API quotas", integration timeout, which a route's integration can shorten; captured traffic for the answer.
#[tokio::test]
async fn a_route_can_have_less_time() {
    let gate = Arc::new(Semaphore::new(0));
    let slow = HttpRoute { timeout: Some(Duration::from_millis(1)), ..gated("GET /slow", &gate) };
    let site = Site::start(api([slow])).await;
    assert_error(site.send("GET", "/slow", &[]).await, 503, "Service Unavailable").await;
}
