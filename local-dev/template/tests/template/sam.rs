//! Templates of SAM.

use std::time::Duration;

use template::{
    Authorizer, Cors, Function, HttpRoute, IdentitySource, Method, Throttling, Variable,
    WebSocketRoute,
};

use crate::{reading, with};

const TEMPLATE: &str = include_str!("sam.yaml");

fn known(text: &str) -> Variable {
    Variable::Known(text.to_owned())
}

#[test]
fn functions_are_read_with_what_is_global() {
    let template = reading(TEMPLATE).unwrap();
    assert_eq!(template.warnings, []);
    let items = Function {
        logical_id: "Items".to_owned(),
        name: "local-dev-items".to_owned(),
        arn: "arn:aws:lambda:us-east-1:123456789012:function:local-dev-items".to_owned(),
        binary: "items".to_owned(),
        environment: vec![
            ("LOG".to_owned(), known("info")),
            ("GREETING".to_owned(), known("good day")),
            (
                "WS".to_owned(),
                Variable::Endpoint {
                    api: "Socket".to_owned(),
                    scheme: Some("https".to_owned()),
                    path: "/live".to_owned(),
                },
            ),
        ],
        memory_mb: 512,
        timeout_secs: 5,
        reserved_concurrency: Some(3),
        runtime: "provided.al2023".to_owned(),
        line: 33,
    };
    assert_eq!(template.function("Items"), Some(&items));
    let echo = template.function("Echo").unwrap();
    assert_eq!((echo.binary.as_str(), echo.name.as_str()), ("echo", "Echo"));
    assert_eq!((echo.timeout_secs, echo.memory_mb), (10, 128));
    assert_eq!(template.function("Guard").unwrap().binary, "guard");
}

#[test]
fn an_http_api_has_the_routes_of_events() {
    let api = reading(TEMPLATE).unwrap().http_api.unwrap();
    assert_eq!((api.logical_id.as_str(), api.stage.as_str(), api.line), ("Web", "$default", 20));
    assert_eq!(api.api_id.len(), 10);
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(api.stage_variables, [variable("colour", "blue"), variable("shape", "round")]);
    assert_eq!(api.throttling, Throttling { rate: Some(100.0), burst: Some(20) });
    let cors = Cors {
        allow_origins: vec!["https://example.com".to_owned()],
        allow_methods: vec!["GET".to_owned(), "POST".to_owned()],
        allow_headers: vec!["authorization".to_owned()],
        expose_headers: vec!["link".to_owned()],
        max_age_secs: Some(600),
        allow_credentials: true,
    };
    assert_eq!(api.cors, Some(cors));
    let one = HttpRoute {
        method: Method::Only("POST".to_owned()),
        path: "/items/{id}".to_owned(),
        function: "Items".to_owned(),
        timeout: Some(Duration::from_millis(1500)),
        throttling: Throttling { rate: Some(2.5), burst: Some(4) },
        line: 49,
    };
    assert_eq!(api.routes[0], one);
    let keys: Vec<String> = api.routes.iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["POST /items/{id}", "ANY /files/{path+}", "$default"]);
}

#[test]
fn a_websocket_api_has_its_routes() {
    let template = reading(TEMPLATE).unwrap();
    let [api] = template.websocket_apis.as_slice() else { panic!("there is one") };
    assert_eq!((api.logical_id.as_str(), api.stage.as_str()), ("Socket", "live"));
    assert_eq!(api.route_selection_expression, "$request.body.action");
    assert_eq!(api.throttling, Throttling { rate: Some(10.0), burst: None });
    let authorizer = Authorizer {
        name: "SocketConnectAuthorizer".to_owned(),
        function: "Guard".to_owned(),
        identity_sources: vec![
            IdentitySource::Header("Authorization".to_owned()),
            IdentitySource::QueryString("token".to_owned()),
        ],
    };
    assert_eq!(api.authorizer, Some(authorizer));
    let route = |key: &str, line| WebSocketRoute {
        key: key.to_owned(),
        function: "Echo".to_owned(),
        two_way: false,
        timeout: None,
        throttling: Throttling::default(),
        line,
    };
    let default = WebSocketRoute { timeout: Some(Duration::from_secs(2)), ..route("$default", 78) };
    let ping = WebSocketRoute {
        two_way: true,
        throttling: Throttling { rate: None, burst: Some(1) },
        ..route("ping", 79)
    };
    assert_eq!(api.routes, [route("$connect", 77), default, ping]);
}

#[test]
fn what_changes_no_answer_is_listed() {
    let template = reading(TEMPLATE).unwrap();
    let expected = [
        "AWS::Serverless::Function.Handler",
        "AWS::Serverless::Function.Policies",
        "RouteSettings.DetailedMetricsEnabled",
    ];
    assert_eq!(template.passed_over, expected);
}

#[test]
fn an_event_without_an_api_belongs_to_the_implicit_one() {
    let yaml = with("      Events: { All: { Type: HttpApi } }", "");
    let api = reading(&yaml).unwrap().http_api.unwrap();
    assert_eq!((api.logical_id.as_str(), api.stage.as_str()), ("ServerlessHttpApi", "$default"));
    assert_eq!(api.routes[0].to_string(), "$default");
}

#[test]
fn the_implicit_api_has_what_is_global() {
    let yaml = format!(
        "Globals: {{ HttpApi: {{ CorsConfiguration: true }} }}\n{}",
        with("      Events: { All: { Type: HttpApi } }", "")
    );
    let api = reading(&yaml).unwrap().http_api.unwrap();
    assert_eq!(api.cors, Some(Cors { allow_origins: vec!["*".to_owned()], ..Cors::default() }));
}

#[test]
fn global_properties_can_be_ignored() {
    let read = |ignore: &str| {
        let yaml = format!(
            "Globals: {{ Function: {{ Timeout: 9, MemorySize: 256 }} }}\n{}",
            with(&format!("    IgnoreGlobals: {ignore}"), "")
        );
        let template = reading(&yaml).unwrap();
        (template.functions[0].timeout_secs, template.functions[0].memory_mb)
    };
    assert_eq!(read("[Timeout]"), (3, 256));
    assert_eq!(read("'*'"), (3, 128));
}

#[test]
fn a_route_can_do_without_the_default_authorizer() {
    let api = "  Api: { Type: AWS::Serverless::HttpApi, Properties: { Auth: { DefaultAuthorizer: Jwt } } }";
    let event = "      Events: { Get: { Type: HttpApi, Properties: { ApiId: !Ref Api, Auth: { Authorizer: NONE } } } }";
    assert_eq!(reading(&with(event, api)).unwrap().http_api.unwrap().routes.len(), 1);
}

#[test]
fn binaries_are_named_by_metadata_then_code_then_resource() {
    let binary = |properties: &str| {
        reading(&with(properties, "")).map(|template| template.functions[0].binary.clone()).unwrap()
    };
    let cases = [
        ("    Metadata: { BuildProperties: { Binary: hello-world } }", "hello-world"),
        ("      CodeUri: target/lambda/hello", "hello"),
        ("      CodeUri: ./target/lambda/hello/", "hello"),
        ("      CodeUri: ../../target/lambda/hello/bootstrap.zip", "hello"),
        ("      CodeUri: functions/hello", "Hello"),
        ("      CodeUri: target/lambda", "Hello"),
        ("      CodeUri: { Bucket: code, Key: target/lambda/hello }", "Hello"),
        ("", "Hello"),
    ];
    for (properties, expected) in cases {
        assert_eq!(binary(properties), expected, "{properties}");
    }
}
