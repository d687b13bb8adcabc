//! Files that are made to hurt, or are no templates at all.

use proptest::prelude::*;

use crate::{reading, with};

fn first_line(yaml: &str) -> String {
    reading(yaml)
        .expect_err("it is no template")
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn hostile_files_are_refused() {
    let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |yaml, level| {
        let before = level - 1;
        format!("{yaml}a{level}: &a{level} [*a{before}, *a{before}]\n")
    });
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(500_000), "*a, ".repeat(20));
    let cases = [
        (
            bomb,
            "with its aliases followed, the template has more than 200000 values or 4194304 bytes",
        ),
        (
            long,
            "with its aliases followed, the template has more than 200000 values or 4194304 bytes",
        ),
        (
            "x".repeat(2_000_000),
            "the template has 2000000 bytes, CloudFormation takes up to 1048576",
        ),
        ("a: 1\na: 2".to_owned(), "the key \"a\" is there twice"),
        ("a: &a [*a]".to_owned(), "this alias stands inside of what it repeats"),
        ("a: 1\n---\nb: 2".to_owned(), "a template is one YAML document, here a second begins"),
        ("? [a]\n: b".to_owned(), "keys of a map must be text"),
        ("a: &a { b: c }\nd: { <<: *a }".to_owned(), "CloudFormation doesn't know merge keys (<<)"),
    ];
    for (yaml, expected) in cases {
        let line = first_line(&yaml);
        assert!(line.ends_with(&format!(": {expected}")), "{line}");
    }
}

#[test]
fn what_is_neither_yaml_nor_json_is_an_error_with_its_line() {
    for yaml in ["a: [", "a: *nobody", "a: 'b", "\u{0}", "}", "{\"a\": [1 2}"] {
        let line = first_line(yaml);
        assert!(line.starts_with("line 1: this is neither YAML nor JSON: "), "{line}");
    }
}

#[test]
fn deep_files_are_refused() {
    let deep = format!("a: {}1{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(reading(&deep).is_err());
    let nested = (0..60).fold("a: &a0 x\n".to_owned(), |yaml, level| {
        format!("{yaml}b{level}: &a{} [[[[*a{level}]]]]\n", level + 1)
    });
    let line = first_line(&nested);
    assert!(line.ends_with(": values lie in each other more than 100 deep"), "{line}");
}

#[test]
fn values_that_grow_are_refused() {
    let text = "${A}".repeat(10_000);
    let yaml = format!(
        "Parameters: {{ A: {{ Type: String, Default: {} }} }}\n{}",
        "x".repeat(4_096),
        with(&format!("      Environment: {{ Variables: {{ BIG: !Sub '{text}' }} }}"), "")
    );
    let line = first_line(&yaml);
    assert!(line.ends_with(": worked out, the values have more than 16777216 bytes"), "{line}");
}

#[test]
fn names_in_a_circle_are_refused() {
    let yaml =
        "Resources: { S: { Type: AWS::ApiGatewayV2::Stage, Properties: { StageName: !Ref S } } }";
    let line = first_line(yaml);
    assert!(line.ends_with("names lead to names more than 20 times, or in a circle"), "{line}");
}

#[test]
fn json_is_read_on_one_line_or_many() {
    let long = "x".repeat(3_000);
    let json = format!(
        "{{\"Transform\":\"AWS::Serverless-2016-10-31\",\"Description\":\"{long}\",\"Resources\":{{\"Hello\":{{\"Type\":\
         \"AWS::Serverless::Function\",\"Properties\":{{\"Runtime\":\"provided.al2023\",\"Timeout\":7,\"Environment\":\
         {{\"Variables\":{{\"URL\":\"https:\\/\\/example.com\"}}}}}}}}}}}}"
    );
    assert_eq!(reading(&json).unwrap().functions[0].timeout_secs, 7);
    let lines = json.replace(',', ",\n\t").replace('{', "{\n\t\t");
    assert_eq!(reading(&lines).unwrap().functions[0].timeout_secs, 7);
}

/// Pieces that templates are made of, so that chance gets further than the first character.
const PIECES: [&str; 40] = [
    "Resources:",
    "Transform: AWS::Serverless-2016-10-31",
    "Parameters:",
    "Conditions:",
    "Globals:",
    "Mappings:",
    "  A:",
    "  B:",
    "    Type: AWS::Serverless::Function",
    "    Type: AWS::Serverless::HttpApi",
    "    Type: AWS::Serverless::WebSocketApi",
    "    Type: AWS::ApiGatewayV2::Api",
    "    Type: AWS::ApiGatewayV2::Stage",
    "    Type: AWS::ApiGatewayV2::Route",
    "    Type: AWS::ApiGatewayV2::Integration",
    "    Type: AWS::Lambda::Function",
    "    Type: String",
    "    Default: x",
    "    Properties:",
    "      Runtime: provided.al2023",
    "      ApiId: !Ref A",
    "      StageName: !Ref B",
    "      Events: { E: { Type: HttpApi } }",
    "      Environment: { Variables: { AB: !GetAtt A.Arn } }",
    "      Routes: { $default: { FunctionArn: !GetAtt A.Arn } }",
    "      ProtocolType: WEBSOCKET",
    "      RouteSelectionExpression: $request.body.a",
    "      IntegrationUri: !Sub '${A.Arn}'",
    "      IntegrationType: AWS_PROXY",
    "      RouteKey: $connect",
    "      Target: !Join [/, [integrations, !Ref B]]",
    "      FunctionName: !If [A, b, !Ref A]",
    "      Auth: { AuthType: CUSTOM, AuthArn: !Ref A }",
    "      CorsConfiguration: true",
    "  A: !Equals [!Ref A, b]",
    "  B: !Not [!Condition A]",
    "  Function: { Timeout: !Ref A }",
    "      Timeout: !Select [0, !Split [a, b]]",
    "      : [",
    "      Layers: &a [*a]",
];

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        drop(reading(&text));
    }

    #[test]
    fn no_yaml_panics(text in "[-a:&*!{}\\[\\]?|>'\"#%, \n]{0,80}") {
        drop(reading(&text));
        drop(reading(&with(&format!("      {text}"), "")));
    }

    #[test]
    fn no_template_panics(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..30)) {
        drop(reading(&pieces.join("\n")));
    }
}
