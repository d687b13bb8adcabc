//! What is not done here and changes no answers: every warning with its text.

use crate::reading;

/// A SAM template as of `crate::with`, where `Hello` has a route besides, so that nothing is said of that.
fn with(properties: &str, resources: &str) -> String {
    let served = "  Served: { Type: AWS::Serverless::WebSocketApi, Properties: { StageName: served, RouteSelectionExpression: x, Routes: { $default: { FunctionArn: !GetAtt Hello.Arn } } } }";
    crate::with(properties, &format!("{resources}\n{served}"))
}

fn assert_warned(yaml: &str, expected: &str) {
    let template = reading(yaml).unwrap_or_else(|error| panic!("{expected}: {error}"));
    let warnings: Vec<String> = template.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, [expected], "{yaml}");
}

#[test]
fn of_functions() {
    let instances = "local-dev has no managed instances; a bootstrap gets one event at a time";
    let cases = [
        ("Layers: [x]", "Hello.Layers (line 7): local-dev unpacks no layers; the bootstrap must find what it needs without them".to_owned()),
        ("VpcConfig: {}", "Hello.VpcConfig (line 7): there is no VPC here; the function reaches what this machine reaches".to_owned()),
        ("Tracing: Active", "Hello.Tracing (line 7): local-dev traces nothing; the function gets trace ids that lead to no traces".to_owned()),
        ("FileSystemConfigs: []", "Hello.FileSystemConfigs (line 7): local-dev mounts no file systems".to_owned()),
        ("FunctionUrlConfig: {}", "Hello.FunctionUrlConfig (line 7): local-dev has no function URLs; give the function a route".to_owned()),
        ("TenancyConfig: {}", "Hello.TenancyConfig (line 7): local-dev doesn't separate tenants; they share their bootstraps".to_owned()),
        ("CapacityProviderConfig: {}", format!("Hello.CapacityProviderConfig (line 7): {instances}")),
        ("FunctionScalingConfig: {}", format!("Hello.FunctionScalingConfig (line 7): {instances}")),
        ("Colour: blue", "Hello.Colour (line 7): local-dev knows no such property of AWS::Serverless::Function and ignores it".to_owned()),
        ("Events: { Nightly: { Type: Schedule } }", "Hello.Events.Nightly (line 7): there are no Schedule events here; Hello is not invoked by it".to_owned()),
        ("Environment: { Variables: { QUEUE: !ImportValue q } }", "Hello.Environment.Variables.QUEUE (line 7): !ImportValue q is not known here: another stack exports it".to_owned()),
    ];
    for (property, expected) in cases {
        assert_warned(&with(&format!("      {property}"), ""), &expected);
    }
    assert_warned(
        &with(
            "",
            "  Plain: { Type: AWS::Lambda::Function, Properties: { Runtime: provided.al2, TracingConfig: { Mode: Active } } }",
        ),
        "Plain.TracingConfig.Mode (line 8): local-dev traces nothing; the function gets trace ids that lead to no traces",
    );
}

#[test]
fn of_apis() {
    let log = "local-dev writes no access log; it logs each invocation instead";
    let domain =
        "local-dev has no domains and no mappings of paths; the API has the address of local-dev";
    let endpoint = "local-dev has no domains, so the API keeps its address";
    let http = "AWS::Serverless::HttpApi, Properties: {";
    let websocket = "AWS::Serverless::WebSocketApi, Properties: { RouteSelectionExpression: x, Routes: { $default: { FunctionArn: !GetAtt Hello.Arn } },";
    for kind in [http, websocket] {
        for (property, message) in [
            ("AccessLogSettings", log),
            ("Domain", domain),
            ("DisableExecuteApiEndpoint", endpoint),
        ] {
            let api = format!("  Api: {{ Type: {kind} {property}: {{}} }} }}");
            assert_warned(&with("", &api), &format!("Api.{property} (line 8): {message}"));
        }
    }
    let off = format!("  Api: {{ Type: {http} DisableExecuteApiEndpoint: false }} }}");
    assert_eq!(reading(&with("", &off)).unwrap().warnings, []);
}

#[test]
fn of_routes_that_answer_half() {
    let api = |route: &str, more: &str| {
        with(
            "",
            &format!(
                "  Api:\n    Type: AWS::Serverless::WebSocketApi\n    Properties:\n      RouteSelectionExpression: x\n      Routes:\n        sayHello: {{ FunctionArn: !GetAtt Hello.Arn{route} }}\n{more}"
            ),
        )
    };
    let asking = api(", RouteResponseSelectionExpression: $default", "");
    assert_warned(
        &asking,
        "Api.Routes.sayHello.RouteResponseSelectionExpression (line 13): the route has no AWS::ApiGatewayV2::RouteResponse, so what its function answers is not sent",
    );
    let response = "  Answer: { Type: AWS::ApiGatewayV2::RouteResponse, Properties: { ApiId: !Ref Api, RouteId: !Ref ApiSayhelloRoute, RouteResponseKey: $default } }";
    assert_warned(
        &api("", response),
        "Answer (line 14): the route sayHello has no RouteResponseSelectionExpression, so what its function answers is not sent",
    );
    let both = api(", RouteResponseSelectionExpression: $default", response);
    let template = reading(&both).unwrap();
    assert_eq!((template.warnings.len(), template.websocket_apis[0].routes[0].two_way), (0, true));
}

#[test]
fn of_caches_of_authorizers() {
    let yaml = with("", "  Api: { Type: AWS::ApiGatewayV2::Api, Properties: { ProtocolType: WEBSOCKET, RouteSelectionExpression: x } }
  Stage: { Type: AWS::ApiGatewayV2::Stage, Properties: { ApiId: !Ref Api, StageName: live } }
  Integration: { Type: AWS::ApiGatewayV2::Integration, Properties: { ApiId: !Ref Api, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Hello.Arn } }
  Route: { Type: AWS::ApiGatewayV2::Route, Properties: { ApiId: !Ref Api, RouteKey: $connect, Target: !Sub 'integrations/${Integration}', AuthorizationType: CUSTOM, AuthorizerId: !Ref Guard } }
  Guard: { Type: AWS::ApiGatewayV2::Authorizer, Properties: { ApiId: !Ref Api, AuthorizerType: REQUEST, AuthorizerUri: !GetAtt Hello.Arn, AuthorizerResultTtlInSeconds: 60 } }");
    assert_warned(
        &yaml,
        "Guard.AuthorizerResultTtlInSeconds (line 12): a WebSocket API asks its authorizer for each connection, nothing is cached",
    );
}

#[test]
fn of_resources_that_are_not_made() {
    let yaml = with(
        "",
        "  Jobs: { Type: AWS::SNS::Topic }\n  Other: { Type: AWS::SNS::Topic }\n  Queue: { Type: AWS::SQS::Queue }\n  Table: { Type: AWS::DynamoDB::Table }\n  Role: { Type: AWS::IAM::Role }\n  Files: { Type: AWS::S3::Bucket }\n  Pages: { Type: AWS::CloudFront::Distribution }",
    );
    assert_warned(
        &yaml,
        "Resources (line 8): local-dev doesn't make these, functions that use them reach nothing here, and nothing is invoked by them: AWS::DynamoDB::Table (Table); AWS::S3::Bucket (Files); AWS::SNS::Topic (Jobs, Other)",
    );
}

#[test]
fn of_domains_and_mappings() {
    assert_warned(
        &with("", "  Domain: { Type: AWS::ApiGatewayV2::DomainName }"),
        "Domain (line 8): local-dev has no domains; APIs have the address of local-dev",
    );
    assert_warned(
        &with(
            "",
            "  Mapping: { Type: AWS::ApiGatewayV2::ApiMapping, Properties: { ApiMappingKey: v1 } }",
        ),
        "Mapping (line 8): local-dev has no mappings of paths; the API has the address of local-dev, and no ApiMappingKey before its paths",
    );
}

#[test]
fn of_templates_that_serve_nothing() {
    assert_warned(
        &crate::with("", ""),
        "line 1: the template describes no API and no queue, so nothing is served",
    );
    assert_warned(
        &crate::with("", "  Api: { Type: AWS::Serverless::HttpApi }"),
        "line 1: no API of the template has a route, so nothing is served",
    );
}
