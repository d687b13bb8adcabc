//! APIs in plain `CloudFormation`.

use std::time::Duration;

use template::{Authorizer, IdentitySource, Throttling, Variable, WebSocketRoute};

use crate::reading;

const TEMPLATE: &str = include_str!("plain.yaml");

#[test]
fn a_websocket_api_is_put_together() {
    let template = reading(TEMPLATE).unwrap();
    let [api] = template.websocket_apis.as_slice() else { panic!("there is one") };
    assert_eq!((api.stage.as_str(), api.line), ("Prod", 6));
    assert_eq!(api.route_selection_expression, "$request.body.message");
    let authorizer = Authorizer {
        name: "doorman".to_owned(),
        function: "EnterFunction".to_owned(),
        identity_sources: vec![IdentitySource::Header("Cookie".to_owned())],
    };
    assert_eq!(api.authorizer, Some(authorizer));
    let route = |key: &str, function: &str, line| WebSocketRoute {
        key: key.to_owned(),
        function: function.to_owned(),
        two_way: false,
        timeout: None,
        throttling: Throttling::default(),
        line,
    };
    let say = WebSocketRoute {
        two_way: true,
        timeout: Some(Duration::from_secs(3)),
        ..route("say", "SayFunction", 28)
    };
    assert_eq!(api.routes, [route("$connect", "EnterFunction", 12), say]);
    let known = |name: &str, text: &str| (name.to_owned(), Variable::Known(text.to_owned()));
    let enter = template.function("EnterFunction").unwrap();
    assert_eq!(enter.environment, [known("TABLE_NAME", "visitors"), known("STAGE", "Prod")]);
}

#[test]
fn what_is_not_made_is_named_once() {
    let template = reading(TEMPLATE).unwrap();
    let warnings: Vec<String> = template.warnings.iter().map(ToString::to_string).collect();
    let expected = "Resources (line 62): local-dev doesn't make these, functions that use them reach nothing here, \
                    and nothing is invoked by them: AWS::DynamoDB::Table (Visitors)";
    assert_eq!(warnings, [expected]);
    for kind in
        ["AWS::ApiGatewayV2::Deployment", "AWS::IAM::Role", "AWS::Lambda::Permission", "Outputs"]
    {
        assert!(template.passed_over.iter().any(|one| one == kind), "{kind}");
    }
}

#[test]
fn another_runtime_is_refused_by_its_name() {
    let yaml = TEMPLATE.replace("Runtime: provided.al2023", "Runtime: nodejs22.x");
    let text = reading(&yaml).unwrap_err().to_string();
    let expected = [
        "EnterFunction.Runtime (line 71): \"nodejs22.x\" doesn't run here: local-dev runs bootstraps \
         (provided.al2023); build EnterFunction with a custom runtime",
        "SayFunction.Runtime (line 82): \"nodejs22.x\" doesn't run here: local-dev runs bootstraps \
         (provided.al2023); build SayFunction with a custom runtime",
    ];
    assert_eq!(text.lines().take(2).collect::<Vec<&str>>(), expected);
}

#[test]
fn an_http_api_is_put_together() {
    let yaml = "
Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: { Name: api, ProtocolType: HTTP, CorsConfiguration: { AllowOrigins: ['*'] } }
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: { ApiId: !Ref Api, StageName: $default, AutoDeploy: true }
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Api
      IntegrationType: AWS_PROXY
      IntegrationUri: !GetAtt Hello.Arn
      PayloadFormatVersion: '2.0'
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties: { ApiId: !Ref Api, RouteKey: 'GET /hello', Target: !Sub 'integrations/${Integration}' }
  Hello:
    Type: AWS::Lambda::Function
    Properties: { Runtime: provided.al2023, Code: target/lambda/hello, Role: role, Handler: bootstrap }
";
    let template = reading(yaml).unwrap();
    assert_eq!(template.warnings, []);
    assert_eq!(template.function("Hello").unwrap().binary, "hello");
    let api = template.http_api.unwrap();
    assert_eq!(api.routes[0].to_string(), "GET /hello");
    assert_eq!(api.cors.unwrap().allow_origins, ["*"]);
}
