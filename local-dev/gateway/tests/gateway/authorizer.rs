//! The authorizer of `$connect`.
//!
//! Source: API Gateway developer guide, "Control access to WebSocket APIs with AWS Lambda REQUEST authorizers".

use gateway::{Authorizer, Credentials, Limits, WebSocketApi};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

use crate::support::{Recorder, World, send};

/// The authorizer's part of a query: `?authorizer=…` is its script.
fn script(event: &Value) -> String {
    event["queryStringParameters"]["authorizer"].as_str().unwrap_or_default().to_owned()
}

fn with_authorizer(api: &mut WebSocketApi, recorder: &Recorder, sources: &[&str]) {
    api.authorizer = Some(Authorizer {
        name: "test".to_owned(),
        function: recorder.function("authorizer", script),
        identity_sources: sources.iter().map(|source| source.parse().unwrap()).collect(),
    });
}

fn verdict(effect: &str, resource: &str, context: &Value) -> String {
    let statement =
        json!({ "Effect": effect, "Action": "execute-api:Invoke", "Resource": resource });
    let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
    json!({ "principalId": "u-1", "policyDocument": policy, "context": context }).to_string()
}

fn query(script: &str) -> String {
    let script: String = url::form_urlencoded::byte_serialize(script.as_bytes()).collect();
    format!("?authorizer={script}")
}

/// The status of a handshake.
async fn status(world: &World, query: &str) -> u16 {
    world.open(query).await.map_or_else(|(status, _body)| status, |_socket| 101)
}

#[tokio::test]
async fn the_authorizers_event_is_the_documented_one() {
    let mut world = World::start_api(|api, recorder| with_authorizer(api, recorder, &[])).await;
    let query = query(&verdict("Allow", "*", &json!({})));
    let mut request = world.socket_url(&query).into_client_request().unwrap();
    request.headers_mut().insert("user-agent", "test/1".parse().unwrap());
    let (_socket, _response) = connect_async(request).await.unwrap();
    let event = world.event("$connect").await;
    let keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "type",
            "methodArn",
            "headers",
            "multiValueHeaders",
            "queryStringParameters",
            "multiValueQueryStringParameters",
            "stageVariables",
            "requestContext",
        ]
    );
    assert_eq!(event["type"], "REQUEST");
    let arn = "arn:aws:execute-api:us-east-1:123456789012:wsapi00000/ws/$connect";
    assert_eq!(event["methodArn"], arn);
    assert_eq!(event["stageVariables"], json!({}));
    for (name, value) in
        [("Connection", "upgrade"), ("Upgrade", "websocket"), ("content-length", "0")]
    {
        assert_eq!(event["headers"][name], value);
        assert_eq!(event["multiValueHeaders"][name], json!([value]));
    }
    assert_eq!(event["headers"]["User-Agent"], "test/1");
    let context = &event["requestContext"];
    assert_eq!(context["eventType"], "CONNECT");
    assert_eq!(context.get("authorizer"), None);

    // The one of the integration is about the same request, and has none of those headers.
    let connect = world.event("$connect").await;
    assert_eq!(connect["requestContext"]["requestId"], context["requestId"]);
    assert_eq!(connect["requestContext"]["connectionId"], context["connectionId"]);
    for name in ["Connection", "Upgrade", "content-length"] {
        assert_eq!(connect["headers"].get(name), None);
    }
    assert_eq!(connect["isBase64Encoded"], false);
}

#[tokio::test]
async fn what_the_authorizer_says_is_in_every_event_of_the_connection() {
    let mut world = World::start_api(|api, recorder| with_authorizer(api, recorder, &[])).await;
    let said = json!({ "role": "member", "level": 7, "admin": true });
    let mut socket = world.open(&query(&verdict("Allow", "*", &said))).await.unwrap();
    world.event("$connect").await;
    let connect = world.event("$connect").await;
    let authorizer = connect["requestContext"]["authorizer"].clone();
    let latency = authorizer["integrationLatency"].as_u64().unwrap();
    let expected = json!({
        "principalId": "u-1",
        "role": "member",
        "level": "7",
        "admin": "true",
        "integrationLatency": latency,
    });
    assert_eq!(authorizer, expected);
    send(&mut socket, "hi").await;
    assert_eq!(world.event("$default").await["requestContext"]["authorizer"], expected);
    socket.close(None).await.unwrap();
    assert_eq!(world.event("$disconnect").await["requestContext"]["authorizer"], expected);
}

#[tokio::test]
async fn the_authorizers_answer_decides_before_connect_runs() {
    let mut world = World::start_api(|api, recorder| with_authorizer(api, recorder, &[])).await;
    let allow = |resource| verdict("Allow", resource, &json!({}));
    for (answer, expected) in [
        (allow("arn:aws:execute-api:*:*:wsapi00000/ws/$connect"), 101),
        (allow("arn:aws:execute-api:*:*:wsapi00000/other/*"), 403),
        (verdict("Deny", "*", &json!({})), 403),
        ("unauthorized".to_owned(), 401),
        ("fail".to_owned(), 500),
        ("panic".to_owned(), 500),
        ("throttled".to_owned(), 500),
        ("{}".to_owned(), 500),
        ("not JSON".to_owned(), 500),
        (verdict("Allow", "*", &json!({ "nested": {} })), 500),
    ] {
        assert_eq!(status(&world, &query(&answer)).await, expected, "{answer}");
        world.event("$connect").await;
        if expected == 101 {
            world.event("$connect").await;
            world.event("$disconnect").await;
        }
    }
    assert_eq!(world.stop().await, Vec::<Value>::new());
}

#[tokio::test]
async fn without_an_identity_the_authorizer_is_not_asked() {
    let sources = [
        "route.request.header.X-Auth",
        "route.request.querystring.token",
        "stageVariables.tenant",
        "context.identity.sourceIp",
    ];
    let mut world = World::start_api(|api, recorder| {
        api.stage_variables = [("tenant".to_owned(), "a".to_owned())].into();
        with_authorizer(api, recorder, &sources);
    })
    .await;
    let allow = query(&verdict("Allow", "*", &json!({})));
    let full = format!("{allow}&token=1");
    for (query, header, expected) in [
        (&full, Some("x"), 101),
        (&full, None, 401),
        (&full, Some(""), 401),
        (&allow, Some("x"), 401),
        (&format!("{allow}&token="), Some("x"), 401),
    ] {
        let mut request = world.socket_url(query).into_client_request().unwrap();
        if let Some(header) = header {
            request.headers_mut().insert("x-auth", header.parse().unwrap());
        }
        let opened = World::open_request(request).await;
        let status = opened.as_ref().map_or_else(|(status, _body)| *status, |_socket| 101);
        assert_eq!(status, expected, "{query} {header:?}");
        if expected == 101 {
            let event = world.event("$connect").await;
            assert_eq!(event["stageVariables"], json!({ "tenant": "a" }));
            world.event("$connect").await;
            drop(opened);
            world.event("$disconnect").await;
        }
    }
    assert_eq!(world.stop().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_identity_that_is_not_there_is_401() {
    let sources = ["stageVariables.missing", "context.missing"];
    for source in sources {
        let world =
            World::start_api(|api, recorder| with_authorizer(api, recorder, &[source])).await;
        assert_eq!(status(&world, &query(&verdict("Allow", "*", &json!({})))).await, 401);
        assert_eq!(world.stop().await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn an_api_is_named_by_its_id_and_region() {
    let mut world = World::start_changed(Limits::default(), None, |gateway, recorder| {
        let region = "eu-central-1".to_owned();
        gateway.credentials = Some(Credentials { region, ..Credentials::default() });
        gateway.websocket_apis[0].id = "a1b2c3d4e5".to_owned();
        with_authorizer(&mut gateway.websocket_apis[0], recorder, &[]);
    })
    .await;
    let arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/ws/$connect";
    assert_eq!(status(&world, &query(&verdict("Allow", arn, &json!({})))).await, 101);
    let authorizers = world.event("$connect").await;
    assert_eq!(authorizers["methodArn"], arn);
    for event in [authorizers, world.event("$connect").await] {
        assert_eq!(event["requestContext"]["apiId"], "a1b2c3d4e5");
    }
}
