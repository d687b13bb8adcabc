//! Intrinsic functions, parameters and conditions.

use std::collections::BTreeMap;

use template::{Options, Template, TemplateError, Variable, read};

const SECTIONS: &str = "
Parameters:
  Name: { Type: String, Default: ada }
  List: { Type: CommaDelimitedList, Default: 'one, two' }
  Secret: { Type: 'AWS::SSM::Parameter::Value<String>', Default: /chat/secret }
Mappings:
  Regions: { us-east-1: { Zone: a }, eu-west-1: { Zone: b } }
Conditions:
  IsAda: !Equals [!Ref Name, ada]
  IsNot: !Not [!Condition IsAda]
  Both: !And [!Condition IsAda, !Equals [!Ref 'AWS::Region', us-east-1]]
  Either: { 'Fn::Or': [{ Condition: IsNot }, { Condition: Both }] }
";

const RESOURCES: &str = "
  Socket:
    Type: AWS::Serverless::WebSocketApi
    Properties: { StageName: ws, RouteSelectionExpression: $request.body.a, Routes: { $default: { FunctionArn: !GetAtt Hello.Arn } } }
  Jobs: { Type: AWS::SQS::Queue }
  Things: { Type: AWS::DynamoDB::Table }
  Never: { Type: AWS::SQS::Queue, Condition: IsNot }
";

fn template(value: &str, parameters: &[(&str, &str)]) -> Result<Template, TemplateError> {
    let parameters: BTreeMap<String, String> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let properties = format!("      Environment: {{ Variables: {{ VALUE: {value} }} }}");
    let yaml = format!("{}{SECTIONS}", crate::with(&properties, RESOURCES));
    read(&yaml, &Options { parameters, ..Options::default() })
}

fn value(text: &str) -> Variable {
    let mut template = template(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
    template.functions[0].environment.remove(0).1
}

#[test]
fn values_are_worked_out() {
    let cases = [
        ("plain", "plain"),
        ("900", "900"),
        ("true", "true"),
        ("!Ref Name", "ada"),
        ("{ Ref: Name }", "ada"),
        ("!Ref AWS::Region", "us-east-1"),
        ("!Ref AWS::AccountId", "123456789012"),
        ("!Ref AWS::Partition", "aws"),
        ("!Ref AWS::URLSuffix", "amazonaws.com"),
        ("!Ref AWS::StackName", "local-dev"),
        (
            "!Ref AWS::StackId",
            "arn:aws:cloudformation:us-east-1:123456789012:stack/local-dev/local",
        ),
        ("!Ref Hello", "Hello"),
        ("!GetAtt Hello.Arn", "arn:aws:lambda:us-east-1:123456789012:function:Hello"),
        ("{ 'Fn::GetAtt': [Hello, Arn] }", "arn:aws:lambda:us-east-1:123456789012:function:Hello"),
        ("!Ref Hello.Alias", "arn:aws:lambda:us-east-1:123456789012:function:Hello"),
        ("!Sub '${Name}-${!Name}-${AWS::Region}'", "ada-${Name}-us-east-1"),
        ("!Sub ['${Name} ${Other}', { Name: eve, Other: !Ref Name }]", "eve ada"),
        ("!Sub '${Hello.Arn}:1'", "arn:aws:lambda:us-east-1:123456789012:function:Hello:1"),
        ("{ 'Fn::Sub': 'open ${' }", "open ${"),
        ("!Join ['', [a, !Ref Name]]", "aada"),
        ("!Join [',', !Ref List]", "one,two"),
        ("!Select [1, !Ref List]", "two"),
        ("!Select ['0', !Split ['|', 'x|y']]", "x"),
        ("!If [IsAda, yes it is, no]", "yes it is"),
        ("!If [Either, 1, 2]", "1"),
        ("!If [IsNot, 1, 2]", "2"),
        ("!FindInMap [Regions, !Ref 'AWS::Region', Zone]", "a"),
        ("!FindInMap [Regions, nowhere, Zone, { DefaultValue: z }]", "z"),
        ("!Base64 hello", "aGVsbG8="),
        ("!!str 1", "1"),
        ("!GetAtt Jobs.Arn", "arn:aws:sqs:us-east-1:123456789012:Jobs"),
        ("!GetAtt Jobs.QueueName", "Jobs"),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), Variable::Known(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_queue_is_at_the_address_of_what_runs_the_template() {
    let expected =
        Variable::QueueUrl { queue: "Jobs".to_owned(), path: "/123456789012/Jobs".to_owned() };
    for text in ["!Ref Jobs", "!GetAtt Jobs.QueueUrl"] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn a_value_of_nothing_is_not_there() {
    assert_eq!(template("!Ref AWS::NoValue", &[]).unwrap().functions[0].environment, []);
}

#[test]
fn what_only_a_deployment_knows_is_unknown() {
    let cases = [
        (
            "!Ref Things",
            "!Ref Things",
            "Things is of the type AWS::DynamoDB::Table, of which local-dev doesn't know that",
        ),
        (
            "!Sub 'x-${Things.Arn}'",
            "!Sub x-${Things.Arn}",
            "Things is of the type AWS::DynamoDB::Table, of which local-dev doesn't know that",
        ),
        (
            "!Sub 'at ${Jobs}'",
            "a text around the address of Jobs",
            "local-dev only knows where that is if the address is the whole value",
        ),
        ("!Ref Never", "!Ref Never", "Never doesn't exist, its condition IsNot is false"),
        (
            "!GetAtt Never.Arn",
            "!GetAtt Never.Arn",
            "Never doesn't exist, its condition IsNot is false",
        ),
        ("!Ref Nobody", "!Ref Nobody", "the template has no Nobody"),
        ("!ImportValue other", "!ImportValue other", "another stack exports it"),
        ("!Select [0, !GetAZs '']", "!GetAZs ", "local-dev doesn't work out Fn::GetAZs"),
        (
            "'{{resolve:ssm:/chat/secret}}'",
            "{{resolve:ssm:/chat/secret}}",
            "a dynamic reference is followed when the stack is deployed",
        ),
        (
            "!Ref Secret",
            "!Ref Secret",
            "its value is in the Parameter Store; --parameter Secret=VALUE gives one here",
        ),
        (
            "!Sub 'see https://${Socket}.execute-api.us-east-1.amazonaws.com/ws'",
            "a text around the address of Socket",
            "local-dev only knows where that is if the address is the whole value",
        ),
    ];
    for (text, expression, why) in cases {
        let expected = Variable::Unknown { expression: expression.to_owned(), why: why.to_owned() };
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn addresses_of_apis_are_known_as_such() {
    let cases = [
        ("!GetAtt Socket.ApiEndpoint", Some("wss"), ""),
        (
            "!Sub 'https://${Socket}.execute-api.${AWS::Region}.${AWS::URLSuffix}/ws'",
            Some("https"),
            "/ws",
        ),
        ("!Sub '${Socket}.execute-api.us-east-1.amazonaws.com/ws'", None, "/ws"),
        (
            "!Join ['', ['wss://', !Ref Socket, '.execute-api.us-east-1.amazonaws.com']]",
            Some("wss"),
            "",
        ),
    ];
    for (text, scheme, path) in cases {
        let expected = Variable::Endpoint {
            api: "Socket".to_owned(),
            scheme: scheme.map(str::to_owned),
            path: path.to_owned(),
        };
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn given_parameters_count_before_defaults() {
    let given = template("!Ref Name", &[("Name", "eve")]).unwrap();
    assert_eq!(given.functions[0].environment[0].1, Variable::Known("eve".to_owned()));
    let given = template("!Ref Secret", &[("Secret", "abc")]).unwrap();
    assert_eq!(given.functions[0].environment[0].1, Variable::Known("abc".to_owned()));
}

#[test]
fn values_that_make_no_sense_are_errors() {
    let at = "Hello.Environment";
    let cases = [
        (
            "!Ref List",
            "Hello.Environment.Variables.VALUE (line 7): a list is not allowed, it takes text"
                .to_owned(),
        ),
        ("~", "Hello.Environment.Variables.VALUE (line 7): has no value, it takes text".to_owned()),
        (
            "!Sub '${List}'",
            format!("{at} (line 7): ${{List}} is not text, so it can't be filled in"),
        ),
        ("!Join [a]", format!("{at} (line 7): !Join [a] is not how this function is used")),
        (
            "!Select [2, !Ref List]",
            format!("{at} (line 7): !Select [2, !Ref List] is not how this function is used"),
        ),
        ("!GetAtt Hello", format!("{at} (line 7): !GetAtt Hello is not how this function is used")),
        ("!Split ['', a]", format!("{at} (line 7): !Split [, a] is not how this function is used")),
        ("{ 'Fn::Magic': 1 }", format!("{at} (line 7): !Magic 1 is not how this function is used")),
        ("!If [Nope, 1, 2]", format!("{at} (line 7): the template has no condition Nope")),
        (
            "!FindInMap [Regions, nowhere, Zone]",
            format!("{at} (line 7): !FindInMap [Regions, nowhere, Zone] is not in Mappings"),
        ),
        (
            "{ 'Fn::Sub': a, b: c }",
            format!("{at} (line 7): Fn::Sub must be the only entry of its map"),
        ),
        ("!Magic 1", "line 7: !Magic is not a tag of CloudFormation".to_owned()),
    ];
    for (text, expected) in cases {
        assert_eq!(template(text, &[]).unwrap_err().to_string(), expected, "{text}");
    }
}
