//! What can't be done here and would change answers: every refusal with its text.

use std::collections::BTreeMap;

use template::{Options, read};

use crate::{reading, with};

fn assert_refused(yaml: &str, expected: &str) {
    let error = reading(yaml).expect_err(expected);
    assert_eq!(error.to_string(), expected, "{yaml}");
}

/// A SAM template with one event of `Hello`, and an HTTP API that has these properties.
fn event(event: &str, api: &str) -> String {
    with(
        &format!("      Events:\n        One: {event}"),
        &format!("  Api:\n    Type: AWS::Serverless::HttpApi\n    Properties: {api}"),
    )
}

/// The same, where the event is of the type `HttpApi`.
fn http(properties: &str) -> String {
    event(&format!("{{ Type: HttpApi, Properties: {{ ApiId: !Ref Api, {properties} }} }}"), "{}")
}

/// A SAM template with a WebSocket API that has these properties, and one route with those.
fn websocket(api: &str, key: &str, route: &str) -> String {
    with(
        "",
        &format!(
            "  Socket:\n    Type: AWS::Serverless::WebSocketApi\n    Properties:\n      {api}\n      Routes:\n        \
             {key}: {{ {route} }}"
        ),
    )
}

const SELECTION: &str = "RouteSelectionExpression: $request.body.action";
const ARN: &str = "FunctionArn: !GetAtt Hello.Arn";

/// A template with a plain API of that protocol, where `PART.PROPERTY` is as `changes` say.
fn plain(protocol: &str, changes: &[(&str, &str)]) -> String {
    let mut yaml = format!(
        "Resources:
  Hello: {{ Type: AWS::Lambda::Function, Properties: {{ Runtime: provided.al2023 }} }}
  Api: {{ Type: AWS::ApiGatewayV2::Api, Properties: {{ ProtocolType: {protocol}, API }} }}
  Stage: {{ Type: AWS::ApiGatewayV2::Stage, Properties: {{ ApiId: !Ref Api, StageName: live, STAGE }} }}
  Integration: {{ Type: AWS::ApiGatewayV2::Integration, Properties: {{ ApiId: !Ref Api, INTEGRATION }} }}
  Route: {{ Type: AWS::ApiGatewayV2::Route, Properties: {{ ApiId: !Ref Api, ROUTE }} }}
  Response: {{ Type: AWS::ApiGatewayV2::RouteResponse, Properties: {{ ApiId: !Ref Api, RESPONSE }} }}
  Authorizer: {{ Type: AWS::ApiGatewayV2::Authorizer, Properties: {{ ApiId: !Ref Api, AUTHORIZER }} }}
"
    );
    let all = [
        ("API", "RouteSelectionExpression: $request.body.action"),
        ("STAGE", "AutoDeploy: true"),
        ("INTEGRATION", "IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Hello.Arn"),
        (
            "ROUTE",
            "RouteKey: $connect, Target: !Sub 'integrations/${Integration}', RouteResponseSelectionExpression: $default",
        ),
        ("RESPONSE", "RouteId: !Ref Route, RouteResponseKey: $default"),
        ("AUTHORIZER", "AuthorizerType: REQUEST, AuthorizerUri: !GetAtt Hello.Arn"),
    ];
    for (part, usual) in all {
        let change = changes.iter().find(|(changed, _)| *changed == part);
        let text = change.map_or_else(
            || usual.to_owned(),
            |(_, change)| match change.strip_prefix('+') {
                Some(more) => format!("{usual}, {more}"),
                None => (*change).to_owned(),
            },
        );
        yaml = yaml.replacen(&format!("{part} }} }}"), &format!("{text} }} }}"), 1);
    }
    yaml
}

#[test]
fn the_templates_of_these_tests_are_good_before_they_are_changed() {
    for yaml in [
        http("Method: GET, Path: /"),
        websocket(SELECTION, "$default", ARN),
        plain("WEBSOCKET", &[]),
    ] {
        assert_eq!(reading(&yaml).map(|template| template.warnings), Ok(Vec::new()), "{yaml}");
    }
}

#[test]
fn sections() {
    let cases = [
        ("", "line 1: the template is empty"),
        ("- a", "line 1: a template is a map of sections"),
        ("Resources: {}", "Resources (line 1): a template has at least one"),
        (
            "Resources: { A: { Type: B } }\nFunctions: {}",
            "Functions (line 2): is not a section of a template; did you mean Resources?",
        ),
        ("Resources: { A: {} }", "A (line 1): Type is missing"),
        (
            "Resources:\n  A:\n    Type: B\n    Propertiez: {}",
            "A.Propertiez (line 4): is not an attribute of a resource, it takes Type, Properties, Condition, DependsOn, Metadata, DeletionPolicy, UpdateReplacePolicy, UpdatePolicy, CreationPolicy, IgnoreGlobals, Connectors",
        ),
        (
            "Resources: { A: { Type: AWS::Serverless::Function } }",
            "Transform (line 1): A is a resource of SAM, so Transform: AWS::Serverless-2016-10-31 must be there",
        ),
        (
            "Transform: [Mine]\nResources: { A: { Type: B } }",
            "Transform (line 1): Mine may change any part of the template, local-dev only does AWS::Serverless-2016-10-31",
        ),
        (
            "Resources: { 'Fn::ForEach::All': [] }",
            "Resources.Fn::ForEach::All (line 1): local-dev doesn't expand this; write its resources out",
        ),
        (
            "Resources: { A: { Type: B, Condition: C } }",
            "A.Condition (line 1): the template has no condition C",
        ),
        (
            "Resources: { A: { Type: B, Condition: [C] } }",
            "A.Condition (line 1): takes the name of a condition",
        ),
        (
            "Resources: { A: { Type: B, Condition: C } }\nConditions: { C: yes }",
            "Conditions.C (line 2): \"yes\" is not a condition, it takes Fn::And, Fn::Equals, Fn::Not, Fn::Or or Condition",
        ),
        (
            "Resources: { A: { Type: B, Condition: C } }\nConditions: { C: !Equals [!ImportValue x, a] }",
            "Conditions.C (line 2): !ImportValue x is not known here, but has to be: another stack exports it",
        ),
        (
            "Resources: { A: { Type: B, Condition: C } }\nConditions: { C: !Condition C }",
            "Conditions.C (line 2): names lead to names more than 20 times, or in a circle",
        ),
        (
            "Resources: { A: { Type: B } }\nGlobals: { Functions: {} }",
            "Globals.Functions (line 2): is not a part of Globals; local-dev reads Function, HttpApi and WebSocketApi",
        ),
        (
            "Resources: { A: { Type: B } }\nGlobals: { WebSocketApi: { Routes: {} } }",
            "Globals.WebSocketApi.Routes (line 2): can't be global, WebSocketApi can: AccessLogSettings, ApiKeySelectionExpression, DefaultRouteSettings, DisableExecuteApiEndpoint, DisableSchemaValidation, Domain, FailOnWarnings, IpAddressType, PropagateTags, RouteSelectionExpression, RouteSettings, StageVariables, Tags",
        ),
    ];
    for (yaml, expected) in cases {
        assert_refused(yaml, expected);
    }
}

#[test]
fn parameters() {
    let cases = [
        (
            "A: { Type: String }",
            &[][..],
            "Parameters.A (line 2): has no value and no Default; give it one with --parameter A=VALUE",
        ),
        ("A: {}", &[], "Parameters.A (line 2): Type is missing"),
        (
            "A: { Type: String, AllowedValues: [x, y] }",
            &[("A", "z")],
            "Parameters.A (line 2): \"z\" is not allowed, it takes one of: x, y",
        ),
        (
            "A: { Type: String, NoEcho: true, AllowedValues: [x] }",
            &[("A", "z")],
            "Parameters.A (line 2): its value (NoEcho) is not allowed, it takes one of: x",
        ),
        (
            "A: { Type: String, MinLength: 3 }",
            &[("A", "z")],
            "Parameters.A (line 2): \"z\" has 1 characters, which is not a length it takes",
        ),
        (
            "A: { Type: Number, MaxValue: 3 }",
            &[("A", "4")],
            "Parameters.A (line 2): \"4\" is not a number that it takes",
        ),
        (
            "A: { Type: String, Default: x }",
            &[("B", "z")],
            "Parameters (line 2): a value is given for B, but the template's parameters are: A",
        ),
    ];
    for (parameters, given, expected) in cases {
        let yaml = format!("Parameters:\n  {parameters}\nResources: {{ A: {{ Type: B }} }}");
        let parameters: BTreeMap<String, String> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let error = read(&yaml, &Options { parameters, ..Options::default() }).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let error = read(
        "Resources: { A: { Type: B } }",
        &Options {
            parameters: BTreeMap::from([("B".to_owned(), String::new())]),
            ..Options::default()
        },
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "Parameters (line 1): a value is given for B, but the template's parameters are: none"
    );
}

#[test]
fn resources() {
    let nested =
        "local-dev reads no nested templates, which may have routes; write its resources out here";
    let rest = "local-dev has no REST APIs; describe it as an HTTP API (AWS::Serverless::HttpApi)";
    let cases = [
        ("AWS::Serverless::Api", rest),
        ("AWS::ApiGateway::RestApi", rest),
        (
            "AWS::ApiGatewayV2::ApiGatewayManagedOverrides",
            "local-dev doesn't change what API Gateway made by itself; describe the API's own resources",
        ),
        (
            "AWS::ApiGatewayV2::IntegrationResponse",
            "local-dev doesn't rewrite responses; only proxy integrations (AWS_PROXY) are done here",
        ),
        (
            "AWS::CloudFormation::Macro",
            "local-dev doesn't run macros, which may change any part of a template",
        ),
        ("AWS::CloudFormation::Stack", nested),
        ("AWS::Serverless::Application", nested),
    ];
    for (kind, message) in cases {
        assert_refused(
            &with("", &format!("  Other: {{ Type: {kind} }}")),
            &format!("Other (line 8): {message}"),
        );
    }
}

#[test]
fn functions() {
    let images = "local-dev runs bootstraps, not images; use PackageType: Zip";
    let cases = [
        ("PackageType: Image", format!("Hello.PackageType (line 7): {images}")),
        ("ImageUri: x", format!("Hello.ImageUri (line 7): {images}")),
        ("ImageConfig: {}", format!("Hello.ImageConfig (line 7): {images}")),
        ("InlineCode: x", "Hello.InlineCode (line 7): local-dev runs bootstraps, not source text; use CodeUri".to_owned()),
        ("DurableConfig: {}", "Hello.DurableConfig (line 7): local-dev has no durable functions; an invocation runs once, from start to end".to_owned()),
        ("Timeout: 901", "Hello.Timeout (line 7): \"901\" is not allowed, it takes 1 to 900 seconds".to_owned()),
        ("MemorySize: 64", "Hello.MemorySize (line 7): \"64\" is not allowed, it takes 128 to 10240 megabytes".to_owned()),
        ("ReservedConcurrentExecutions: -1", "Hello.ReservedConcurrentExecutions (line 7): \"-1\" is not allowed, it takes 0 to 4294967295 at once".to_owned()),
        ("FunctionName: !ImportValue x", "Hello.FunctionName (line 7): !ImportValue x is not known here, but has to be: another stack exports it".to_owned()),
        ("Environment: x", "Hello.Environment (line 7): \"x\" is not allowed, it takes a map".to_owned()),
        ("Environment: { Variables: { 1A: x } }", "Hello.Environment.Variables.1A (line 7): is not a name of a variable, it takes letters, digits and _ after a letter".to_owned()),
        ("CodeUri: 'target/lambda/a b'", "Hello (line 3): \"a b\" is not the name of a binary, it takes letters, digits, hyphens and underscores".to_owned()),
        ("Events: []", "Hello.Events (line 7): a list is not allowed, it takes a map".to_owned()),
    ];
    for (property, expected) in cases {
        assert_refused(&with(&format!("      {property}"), ""), &expected);
    }
    let path = "    Metadata: { BuildProperties: { Binary: ../../bin/sh } }";
    assert_refused(
        &with(path, ""),
        "Hello.Metadata.BuildProperties.Binary (line 7): \"../../bin/sh\" is not the name of a binary, it takes letters, digits, hyphens and underscores",
    );
    let runtime = with("", "").replace("provided.al2023", "python3.13");
    assert_refused(
        &runtime,
        "Hello.Runtime (line 6): \"python3.13\" doesn't run here: local-dev runs bootstraps (provided.al2023); build Hello with a custom runtime",
    );
    let runtime = with("", "").replace("      Runtime: provided.al2023", "      Timeout: 3");
    assert_refused(&runtime, "Hello (line 3): Runtime is missing");
    let twice = "  Twin: { Type: AWS::Lambda::Function, Properties: { FunctionName: Hello } }";
    assert_refused(
        &with("", twice),
        "Twin.FunctionName (line 8): another function is called \"Hello\" as well",
    );
}

#[test]
fn reserved_variables() {
    let reserved =
        "is reserved, Lambda sets it and deploys no function that does; use another name";
    for name in [
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
    ] {
        assert_refused(
            &with(&format!("      Environment: {{ Variables: {{ {name}: x }} }}"), ""),
            &format!("Hello.Environment.Variables.{name} (line 7): {reserved}"),
        );
    }
    let two = "      Environment: { Variables: { AWS_REGION: x, TZ: y, LAMBDA_TASK_ROOT: z } }";
    assert_refused(
        &with(two, ""),
        &format!(
            "Hello.Environment.Variables.AWS_REGION (line 7): {reserved}\n\
             Hello.Environment.Variables.LAMBDA_TASK_ROOT (line 7): {reserved}"
        ),
    );
    let free = "      Environment: { Variables: { TZ: Europe/Vienna, AWS_LAMBDA_EXEC_WRAPPER: /opt/wrap, PATH: /bin } }";
    assert_eq!(reading(&with(free, "")).unwrap().functions[0].environment.len(), 3);
}

#[test]
fn events() {
    let place = "Hello.Events.One.Properties";
    let path = |text: &str| {
        format!(
            "{place}.Path (line 8): {text:?} is not a path, it takes /words, /{{names}} and, at its end, /{{name+}}"
        )
    };
    let cases = [
        ("Method: GET", format!("{place} (line 8): Path is missing")),
        ("Path: /", format!("{place} (line 8): Method is missing")),
        (
            "Method: FETCH, Path: /",
            format!(
                "{place}.Method (line 8): \"FETCH\" is not a method, it takes ANY, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
            ),
        ),
        ("Method: GET, Path: $default", path("$default")),
        ("Method: GET, Path: hello", path("hello")),
        ("Method: GET, Path: '/{a+}/b'", path("/{a+}/b")),
        ("Method: GET, Path: '/{}'", path("/{}")),
        ("Method: GET, Path: '/a{b}'", path("/a{b}")),
        (
            "Method: GET, Path: !Ref Nobody",
            format!(
                "{place}.Path (line 8): !Ref Nobody is not known here, but has to be: the template has no Nobody"
            ),
        ),
        (
            "TimeoutInMillis: 30001",
            format!(
                "{place}.TimeoutInMillis (line 8): \"30001\" is not allowed, it takes 50 to 30000 milliseconds"
            ),
        ),
        (
            "PayloadFormatVersion: '1.0'",
            format!(
                "{place}.PayloadFormatVersion (line 8): the payload format \"1.0\" is not done here, local-dev sends events in \"2.0\""
            ),
        ),
        (
            "Auth: { Authorizer: Jwt }",
            format!(
                "{place}.Auth (line 8): the authorizer Jwt is not asked here, so $default would be open to everybody; local-dev has no authorizers of HTTP APIs"
            ),
        ),
        (
            "RouteSettings: { ThrottlingRateLimit: many }",
            format!(
                "{place}.RouteSettings.ThrottlingRateLimit (line 8): \"many\" is not allowed, it takes 0 to 1000000000 requests per second"
            ),
        ),
    ];
    for (properties, expected) in cases {
        assert_refused(&http(properties), &expected);
    }
}

#[test]
fn events_without_an_api() {
    let one = "Hello.Events.One";
    let place = format!("{one}.Properties");
    assert_refused(
        &event("{ Type: Api }", "{}"),
        &format!(
            "{one} (line 8): local-dev has no REST APIs; make it an event of the type HttpApi"
        ),
    );
    assert_refused(&event("{}", "{}"), &format!("{one} (line 8): Type is missing"));
    assert_refused(
        &event("{ Type: HttpApi, Properties: { ApiId: a1b2c3 } }", "{}"),
        &format!(
            "{place}.ApiId (line 8): \"a1b2c3\" is not an AWS::Serverless::HttpApi of this template"
        ),
    );
    assert_refused(
        &event("{ Type: HttpApi }", "{ StageName: x }"),
        "ServerlessHttpApi (line 8): Api is an HTTP API as well; local-dev has one of them, give all routes the same ApiId",
    );
    let twice = with(
        "      Events: { A: { Type: HttpApi, Properties: { Method: GET, Path: '/{a}' } },\n        B: { Type: HttpApi, Properties: { Method: GET, Path: '/{b}' } } }",
        "",
    );
    assert_refused(
        &twice,
        "ServerlessHttpApi (line 8): the route GET /{} is there twice, see line 7",
    );
}

#[test]
fn http_apis() {
    let open_api =
        "local-dev doesn't read OpenAPI; describe the routes as HttpApi events of their functions";
    let cases = [
        ("{ DefinitionBody: {} }", format!("Api.DefinitionBody (line 11): {open_api}")),
        ("{ DefinitionUri: api.yaml }", format!("Api.DefinitionUri (line 11): {open_api}")),
        ("{ Auth: { DefaultAuthorizer: AWS_IAM } }", "Hello.Events.One.Properties (line 8): the authorizer AWS_IAM is not asked here, so $default would be open to everybody; local-dev has no authorizers of HTTP APIs".to_owned()),
        ("{ StageName: a/b }", "Api (line 9): \"a/b\" is not a stage, it takes $default or 1 to 128 letters, digits, hyphens and underscores".to_owned()),
        ("{ StageVariables: { a: !Ref Nobody } }", "Api.StageVariables.a (line 11): !Ref Nobody is not known here, but has to be: the template has no Nobody".to_owned()),
        ("{ RouteSettings: { GET /x: {} } }", "Api.RouteSettings.GET /x (line 11): Api has no route GET /x".to_owned()),
        ("{ CorsConfiguration: everybody }", "Api.CorsConfiguration (line 11): \"everybody\" is not allowed, it takes true or false".to_owned()),
        ("{ CorsConfiguration: { AllowOrigins: ['*'], AllowCredentials: true } }", "Api.CorsConfiguration.AllowCredentials (line 11): is not allowed together with AllowOrigins \"*\"".to_owned()),
        ("{ CorsConfiguration: { MaxAge: 100000 } }", "Api.CorsConfiguration.MaxAge (line 11): \"100000\" is not allowed, it takes 0 to 86400 seconds".to_owned()),
        ("[]", "Api (line 9): Properties must be a map".to_owned()),
    ];
    for (api, expected) in cases {
        let yaml = event("{ Type: HttpApi, Properties: { ApiId: !Ref Api } }", api);
        assert_refused(&yaml, &expected);
    }
    let second = event(
        "{ Type: HttpApi, Properties: { ApiId: !Ref Api } }",
        "{ StageName: a }\n  Other: { Type: AWS::Serverless::HttpApi, Properties: { StageName: b } }",
    );
    assert_refused(
        &second,
        "Other (line 12): Api is an HTTP API as well; local-dev has one of them, give all routes the same ApiId",
    );
    // Another stage would not help.
    assert_refused(
        &second.replace("StageName: b", "StageName: a"),
        "Other (line 12): Api is an HTTP API as well; local-dev has one of them, give all routes the same ApiId",
    );
}

#[test]
fn websocket_apis() {
    let cases = [
        (
            SELECTION,
            "$default",
            "FunctionArn: x",
            "Socket.Routes.$default.FunctionArn (line 13): \"x\" is not the ARN of a function of this template",
        ),
        (
            SELECTION,
            "$default",
            "OperationName: x",
            "Socket.Routes.$default (line 13): FunctionArn is missing",
        ),
        (
            SELECTION,
            "'a/b'",
            ARN,
            "Socket.Routes.a/b (line 13): SAM takes $connect, $disconnect, $default, and keys of letters and digits",
        ),
        (
            "RouteSelectionExpression: $request.header.x",
            "$default",
            ARN,
            "Socket.RouteSelectionExpression (line 11): \"$request.header.x\" is not done here, local-dev selects routes by the message: $request.body.action",
        ),
        ("Name: x", "$default", ARN, "Socket (line 8): RouteSelectionExpression is missing"),
    ];
    for (api, key, route, expected) in cases {
        // The lines are those of an API with two properties before its routes.
        let yaml = websocket(&format!("{api}\n      Description: x"), key, route);
        let found = reading(&yaml).expect_err(expected).to_string();
        assert_eq!(found, expected.replace("line 13", "line 14"), "{yaml}");
    }
}

#[test]
fn what_guards_websocket_routes() {
    let keys = "local-dev has no API keys, so the route would be open to everybody";
    let models = "local-dev doesn't validate against models, so messages would reach the function that don't in the cloud";
    let parameters = "local-dev doesn't look for required parameters, so requests would reach the function that don't in the cloud";
    let at = "Socket.Routes.$connect";
    let cases = [
        ("ApiKeyRequired: true", format!("{at}.ApiKeyRequired (line 13): {keys}")),
        ("RequestModels: {}", format!("{at}.RequestModels (line 13): {models}")),
        (
            "ModelSelectionExpression: x",
            format!("{at}.ModelSelectionExpression (line 13): {models}"),
        ),
        ("RequestParameters: {}", format!("{at}.RequestParameters (line 13): {parameters}")),
        (
            "IntegrationTimeout: 29001",
            format!(
                "{at}.IntegrationTimeout (line 13): \"29001\" is not allowed, it takes 50 to 29000 milliseconds"
            ),
        ),
        (
            "RouteResponseSelectionExpression: all",
            format!(
                "{at}.RouteResponseSelectionExpression (line 13): \"all\" is not allowed, it takes $default"
            ),
        ),
    ];
    for (route, expected) in cases {
        assert_refused(&websocket(SELECTION, "$connect", &format!("{ARN}, {route}")), &expected);
    }
    let iam = format!("{SELECTION}\n      Auth: {{ AuthType: AWS_IAM }}");
    assert_refused(
        &websocket(&iam, "$connect", ARN),
        "Socket.Auth.AuthType (line 12): \"AWS_IAM\" is not done here, so $connect would be open to everybody; local-dev asks functions (CUSTOM)",
    );
    let custom = |more: &str| format!("{SELECTION}\n      Auth: {{ AuthType: CUSTOM{more} }}");
    let arn = ", AuthArn: !GetAtt Hello.Arn";
    assert_refused(
        &websocket(&custom(""), "$connect", ARN),
        "Socket.Auth (line 12): AuthArn is missing",
    );
    assert_refused(
        &websocket(&custom(arn), "$default", ARN),
        "Socket.Auth (line 8): an authorizer decides on $connect, and there is no such route",
    );
    let source = format!("{arn}, IdentitySource: [context.identity.sourceIp]");
    assert_refused(
        &websocket(&custom(&source), "$connect", ARN),
        "Socket.Auth.IdentitySource (line 12): \"context.identity.sourceIp\" is not done here, local-dev knows route.request.header.NAME, route.request.querystring.NAME and stageVariables.NAME",
    );
}

#[test]
fn stages_of_websocket_apis() {
    let default = format!("{SELECTION}\n      StageName: $default");
    assert_refused(
        &websocket(&default, "$default", ARN),
        "Socket.StageName (line 12): the stage of a WebSocket API can't be $default",
    );
    let second = format!(
        "{}  Other: {{ Type: AWS::Serverless::WebSocketApi, Properties: {{ {SELECTION}, Routes: {{ $default: {{ {ARN} }} }} }} }}\n",
        websocket(SELECTION, "$default", ARN)
    );
    assert_refused(
        &second,
        "Other (line 14): Socket has the stage \"default\" as well; local-dev has one address for all APIs, where the stage tells them apart: give one of them another StageName here, for example by a parameter (StageName: !Ref NAME, and --parameter NAME=VALUE)",
    );
    let both = format!(
        "{}  Web: {{ Type: AWS::Serverless::HttpApi, Properties: {{ StageName: v1 }} }}\n",
        websocket(&format!("{SELECTION}\n      StageName: v1"), "$default", ARN)
    );
    assert_refused(
        &both,
        "Socket (line 8): Web has the stage \"v1\" as well; local-dev has one address for all APIs, where the stage tells them apart: give one of them another StageName here, for example by a parameter (StageName: !Ref NAME, and --parameter NAME=VALUE)",
    );
    let settings = format!("{SELECTION}\n      RouteSettings: {{ ping: {{}} }}");
    assert_refused(
        &websocket(&settings, "$default", ARN),
        "Socket.RouteSettings.ping (line 12): Socket has no route ping",
    );
}

#[test]
fn plain_integrations_and_apis() {
    let rewritten = "local-dev doesn't rewrite requests and responses";
    let quick = "local-dev doesn't make routes and stages by itself; describe them as resources of their own";
    let open_api =
        "local-dev doesn't read OpenAPI; describe the routes as AWS::ApiGatewayV2::Route";
    let cases = [
        ("API", "+Body: {}", format!("Api.Body (line 3): {open_api}")),
        ("API", "+BodyS3Location: {}", format!("Api.BodyS3Location (line 3): {open_api}")),
        ("API", "+BasePath: x", format!("Api.BasePath (line 3): {open_api}")),
        ("API", "+Target: x", format!("Api.Target (line 3): {quick}")),
        ("API", "+RouteKey: x", format!("Api.RouteKey (line 3): {quick}")),
        ("API", "+CredentialsArn: x", format!("Api.CredentialsArn (line 3): {quick}")),
        ("API", "+CorsConfiguration: {}", "Api.CorsConfiguration (line 3): only HTTP APIs have it".to_owned()),
        ("API", "Name: x", "Api (line 3): RouteSelectionExpression is missing".to_owned()),
        ("INTEGRATION", "IntegrationType: HTTP_PROXY", "Integration.IntegrationType (line 5): \"HTTP_PROXY\" is not done here, local-dev invokes functions (AWS_PROXY)".to_owned()),
        ("INTEGRATION", "IntegrationType: MOCK", "Integration.IntegrationType (line 5): \"MOCK\" is not done here, local-dev invokes functions (AWS_PROXY)".to_owned()),
        ("INTEGRATION", "+ConnectionType: VPC_LINK", "Integration.ConnectionType (line 5): local-dev has no private integrations".to_owned()),
        ("INTEGRATION", "+ConnectionId: x", "Integration.ConnectionId (line 5): local-dev has no private integrations".to_owned()),
        ("INTEGRATION", "+TlsConfig: {}", "Integration.TlsConfig (line 5): local-dev has no private integrations".to_owned()),
        ("INTEGRATION", "+IntegrationSubtype: SQS-SendMessage", "Integration.IntegrationSubtype (line 5): local-dev invokes functions, not other services".to_owned()),
        ("INTEGRATION", "+ContentHandlingStrategy: x", format!("Integration.ContentHandlingStrategy (line 5): {rewritten}")),
        ("INTEGRATION", "+RequestParameters: {}", format!("Integration.RequestParameters (line 5): {rewritten}")),
        ("INTEGRATION", "+RequestTemplates: {}", format!("Integration.RequestTemplates (line 5): {rewritten}")),
        ("INTEGRATION", "+ResponseParameters: {}", format!("Integration.ResponseParameters (line 5): {rewritten}")),
        ("INTEGRATION", "+TemplateSelectionExpression: x", format!("Integration.TemplateSelectionExpression (line 5): {rewritten}")),
        ("INTEGRATION", "+PayloadFormatVersion: '2.0'", "Integration.PayloadFormatVersion (line 6): \"2.0\" is not allowed, a WebSocket API has the payload format \"1.0\"".to_owned()),
        ("INTEGRATION", "IntegrationType: AWS_PROXY, IntegrationUri: !Ref Nobody", "Integration.IntegrationUri (line 5): !Ref Nobody is not known here, but has to be: the template has no Nobody".to_owned()),
        ("RESPONSE", "RouteId: !Ref Route, RouteResponseKey: x", "Response.RouteResponseKey (line 7): \"x\" is not allowed, it takes $default".to_owned()),
        ("RESPONSE", "RouteId: !Ref Stage, RouteResponseKey: $default", "Response.RouteId (line 7): \"live\" is not a route of this API; use !Ref with its name".to_owned()),
        ("RESPONSE", "+ResponseModels: {}", format!("Response.ResponseModels (line 7): {rewritten}")),
        ("RESPONSE", "+ResponseParameters: {}", format!("Response.ResponseParameters (line 7): {rewritten}")),
        ("RESPONSE", "+ModelSelectionExpression: x", format!("Response.ModelSelectionExpression (line 7): {rewritten}")),
    ];
    for (part, change, expected) in cases {
        assert_refused(&plain("WEBSOCKET", &[(part, change)]), &expected);
    }
    assert_refused(
        &plain("MQTT", &[]),
        "Api.ProtocolType (line 3): \"MQTT\" is not allowed, it takes HTTP or WEBSOCKET",
    );
}

#[test]
fn plain_routes() {
    let target = "Target: !Sub 'integrations/${Integration}'";
    let route = |more: &str| {
        format!("RouteKey: $connect, RouteResponseSelectionExpression: $default, {more}")
    };
    let cases = [
        (
            format!("RouteKey: $ping, {target}"),
            "Route.RouteKey (line 6): \"$ping\" is not a route key; only $connect, $disconnect and $default begin with $",
        ),
        (
            route("Target: x"),
            "Route.Target (line 6): \"x\" is not an integration of this API, it takes integrations/ and the !Ref of one",
        ),
        (route("OperationName: x"), "Route (line 6): Target is missing"),
        (
            route(&format!("{target}, AuthorizationType: AWS_IAM")),
            "Route.AuthorizationType (line 6): \"AWS_IAM\" is not done here, so $connect would be open to everybody; local-dev asks functions (CUSTOM)",
        ),
        (
            route(&format!("{target}, AuthorizationType: CUSTOM")),
            "Route (line 6): AuthorizerId is missing",
        ),
        (
            route(&format!("{target}, AuthorizationType: CUSTOM, AuthorizerId: x")),
            "Route.AuthorizerId (line 6): \"x\" is not an authorizer of this template",
        ),
        (
            format!("RouteKey: $default, {target}, AuthorizationType: CUSTOM"),
            "Route.AuthorizationType (line 6): only $connect can have an authorizer",
        ),
        (
            route(&format!("{target}, ApiKeyRequired: true")),
            "Route.ApiKeyRequired (line 6): local-dev has no API keys, so the route would be open to everybody",
        ),
        (
            route(&format!("{target}, RequestModels: {{}}")),
            "Route.RequestModels (line 6): local-dev doesn't validate against models, so messages would reach the function that don't in the cloud",
        ),
        (
            route(&format!("{target}, ModelSelectionExpression: x")),
            "Route.ModelSelectionExpression (line 6): local-dev doesn't validate against models, so messages would reach the function that don't in the cloud",
        ),
        (
            route(&format!("{target}, RequestParameters: {{}}")),
            "Route.RequestParameters (line 6): local-dev doesn't look for required parameters, so requests would reach the function that don't in the cloud",
        ),
    ];
    for (route, expected) in cases {
        assert_refused(&plain("WEBSOCKET", &[("ROUTE", &route)]), expected);
    }
    let other = plain(
        "WEBSOCKET",
        &[("ROUTE", "RouteKey: x"), ("RESPONSE", "RouteId: x, RouteResponseKey: $default")],
    )
    .replace("Route, Properties: { ApiId: !Ref Api", "Route, Properties: { ApiId: abc");
    assert_eq!(
        reading(&other).unwrap_err().problems[0].to_string(),
        "Route.ApiId (line 6): \"abc\" is not an API of this template; use !Ref with its name"
    );
}

#[test]
fn plain_authorizers_and_stages() {
    let asked = ("ROUTE", "+AuthorizationType: CUSTOM, AuthorizerId: !Ref Authorizer");
    let cases = [
        (
            "AuthorizerType: JWT",
            "Authorizer.AuthorizerType (line 8): \"JWT\" is not allowed, it takes REQUEST",
        ),
        (
            "+AuthorizerPayloadFormatVersion: '2.0'",
            "Authorizer.AuthorizerPayloadFormatVersion (line 8): a WebSocket API has no payload formats of authorizers",
        ),
        (
            "+EnableSimpleResponses: true",
            "Authorizer.EnableSimpleResponses (line 8): a WebSocket API takes policies from its authorizer",
        ),
        (
            "+JwtConfiguration: {}",
            "Authorizer.JwtConfiguration (line 8): a WebSocket API has no JWT authorizers",
        ),
    ];
    for (change, expected) in cases {
        let error =
            reading(&plain("WEBSOCKET", &[asked, ("AUTHORIZER", change)])).expect_err(expected);
        assert!(error.problems.iter().any(|problem| problem.to_string() == expected), "{error}");
    }
    let without = plain("WEBSOCKET", &[])
        .replace("AWS::ApiGatewayV2::Stage", "AWS::ApiGatewayV2::Deployment");
    assert_refused(
        &without,
        "Api (line 3): the API has no AWS::ApiGatewayV2::Stage, so nobody can reach it",
    );
    let second = format!(
        "{}  Second: {{ Type: AWS::ApiGatewayV2::Stage, Properties: {{ ApiId: !Ref Api, StageName: b }} }}",
        plain("WEBSOCKET", &[])
    );
    assert_refused(
        &second,
        "Second (line 9): Api has another stage, local-dev has one of each API",
    );
    let unnamed = plain("WEBSOCKET", &[]).replace("StageName: live, ", "");
    assert_refused(&unnamed, "Stage (line 4): StageName is missing");
}

#[test]
fn plain_http_routes() {
    let target = "Target: !Sub 'integrations/${Integration}'";
    let usual = "IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Hello.Arn";
    let two = format!("{usual}, PayloadFormatVersion: '2.0'");
    let get = format!("RouteKey: GET /, {target}");
    let cases = [
        (
            usual.to_owned(),
            get.clone(),
            "Integration.PayloadFormatVersion (line 6): is missing, it takes \"2.0\"",
        ),
        (
            format!("{usual}, PayloadFormatVersion: '1.0'"),
            get.clone(),
            "Integration.PayloadFormatVersion (line 6): the payload format \"1.0\" is not done here, local-dev sends events in \"2.0\"",
        ),
        (
            two.clone(),
            format!("RouteKey: /x, {target}"),
            "Route.RouteKey (line 6): \"/x\" is not a route key, it takes $default or a method and a path",
        ),
        (
            two.clone(),
            format!("RouteKey: GET x, {target}"),
            "Route.RouteKey (line 6): \"x\" is not a path, it takes /words, /{names} and, at its end, /{name+}",
        ),
        (
            two,
            format!("{get}, AuthorizationType: JWT"),
            "Route.AuthorizationType (line 6): the authorizer JWT is not asked here, so GET / would be open to everybody; local-dev has no authorizers of HTTP APIs",
        ),
    ];
    for (integration, route, expected) in cases {
        let yaml =
            plain("HTTP", &[("API", "Name: x"), ("INTEGRATION", &integration), ("ROUTE", &route)]);
        let error = reading(&yaml).expect_err(expected);
        assert_eq!(error.problems[0].to_string(), expected);
    }
}
