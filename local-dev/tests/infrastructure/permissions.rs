//! Who may do what: no function more than its code does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Test,
    functions::start,
    stack::{EVERYTHING, POSTGRES, Stack, Template, text},
};

pub(crate) const TESTS: &[Test] = &[
    ("no_function_may_do_more_than_its_code_does", functions_may_do_what_they_do),
    ("only_functions_that_verify_tokens_have_the_secret", who_has_the_secret),
    ("roles_are_for_functions_and_for_the_apis_logs", roles_are_for_functions),
    ("nobody_but_the_cdn_reads_the_page", nobody_but_the_cdn_reads_the_page),
];

/// A right: what, on what, as the template names it.
type Right = (String, String);

fn right(action: &str, resource: &str) -> Right {
    (action.to_owned(), resource.to_owned())
}

/// What the role of a function allows.
fn allowed(stack: &Stack, id: &str) -> BTreeSet<Right> {
    let role = stack.properties(&format!("{id}Role"));
    assert_eq!(role["ManagedPolicyArns"], Value::Null, "{id}");
    let mut rights = BTreeSet::new();
    for policy in role["Policies"].as_array().unwrap() {
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow", "{id}");
            for key in statement.as_object().unwrap().keys() {
                assert!(["Effect", "Action", "Resource"].contains(&key.as_str()), "{id}: {key}");
            }
            for action in list(&statement["Action"]) {
                for resource in list(&statement["Resource"]) {
                    rights.insert((text(action), name(resource)));
                }
            }
        }
    }
    rights
}

fn list(node: &Value) -> Vec<&Value> {
    node.as_array().map_or_else(|| vec![node], |nodes| nodes.iter().collect())
}

/// `Resource.Attribute`, or a text with its placeholders.
fn name(resource: &Value) -> String {
    if let Some(parts) = resource["Fn::GetAtt"].as_array() {
        return format!("{}.{}", text(&parts[0]), text(&parts[1]));
    }
    resource["Fn::Sub"].as_str().map_or_else(|| text(resource), str::to_owned)
}

/// What a function's code does, by the settings that it asks for and by what is known of it here.
fn needed(stack: &Stack, id: &str, function: &str, is_traced: bool) -> BTreeSet<Right> {
    let asked = start(function, stack.properties(id)).unwrap();
    let logs = format!("{id}Logs.Arn");
    let mut rights =
        BTreeSet::from([right("logs:CreateLogStream", &logs), right("logs:PutLogEvents", &logs)]);
    if stack.resources.contains_key("Cluster") {
        let connect = if function == "migrate" { "dsql:DbConnectAdmin" } else { "dsql:DbConnect" };
        rights.insert(right(connect, "Cluster.ResourceArn"));
    }
    if asked.contains("CONNECTIONS_ENDPOINT") {
        let connections = |method: &str| {
            let arn = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${ChatWebSocketApi}";
            right("execute-api:ManageConnections", &format!("{arn}/ws/{method}/@connections/*"))
        };
        // All of these write to sockets: messages, or who has come or left.
        rights.insert(connections("POST"));
        match function {
            "connect" | "disconnect" => {}
            "presence" => drop(rights.insert(connections("GET"))),
            // These close sockets of sessions that have ended.
            _ => drop(rights.insert(connections("DELETE"))),
        }
    }
    if asked.contains("BROADCAST_QUEUE_URL") {
        rights.insert(right("sqs:SendMessage", "BroadcastQueue.Arn"));
    }
    if function == "broadcast" {
        // What Lambda does with the queue in the function's name. Source: "Using Lambda with Amazon SQS".
        for action in ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"] {
            rights.insert(right(action, "BroadcastQueue.Arn"));
        }
    }
    if is_traced {
        // Neither of them can be had for less than everything. Source: Service Authorization Reference, AWS X-Ray.
        for action in ["xray:PutTelemetryRecords", "xray:PutTraceSegments"] {
            rights.insert(right(action, "*"));
        }
    }
    rights
}

fn functions_may_do_what_they_do(template: &Template) {
    let stacks = [(&[][..], false), (&POSTGRES, false), (&EVERYTHING, true)];
    for (parameters, is_traced) in stacks {
        let stack = template.with(parameters);
        for (id, function, properties) in stack.functions() {
            let role = json!({ "Fn::GetAtt": [format!("{id}Role"), "Arn"] });
            assert_eq!(properties["Role"], role, "{id}");
            let needed = needed(&stack, id, &function, is_traced);
            assert_eq!(allowed(&stack, id), needed, "{id} with {parameters:?}");
        }
    }
}

fn who_has_the_secret(template: &Template) {
    let stack = template.plain();
    let has =
        |function: &Value, secret: &str| function.to_string().contains(&format!("${{{secret}}}"));
    let with = |secret: &str| -> Vec<&str> {
        stack
            .functions()
            .filter(|(.., function)| has(function, secret))
            .map(|(id, ..)| id)
            .collect()
    };
    assert_eq!(
        with("JwtSecret"),
        ["Connect", "Login", "Logout", "Messages", "Presence", "Refresh"]
    );
    assert_eq!(with("CdnSecret"), ["Login"]);
    // Nobody reads it later on: CloudFormation has put it where it belongs.
    assert!(!template.json().contains("secretsmanager:GetSecretValue"));
}

fn roles_are_for_functions(template: &Template) {
    let stack = template.with(&EVERYTHING);
    for (id, role) in stack.of_kind("AWS::IAM::Role") {
        let trust = &role.properties["AssumeRolePolicyDocument"]["Statement"];
        let service = &trust[0]["Principal"]["Service"];
        assert_eq!(trust.as_array().unwrap().len(), 1, "{id}");
        if id == "ApiGatewayRole" {
            assert_eq!(service, "apigateway.amazonaws.com");
            let policies = role.properties["ManagedPolicyArns"].as_array().unwrap();
            let [policy] = policies.as_slice() else { panic!("{id} has one policy") };
            let policy = text(&policy["Fn::Sub"]);
            let expected = "service-role/AmazonAPIGatewayPushToCloudWatchLogs";
            assert!(policy.ends_with(expected), "{policy}");
            assert_eq!(role.properties["Policies"], Value::Null);
            continue;
        }
        assert_eq!(service, "lambda.amazonaws.com", "{id}");
        let function = id.strip_suffix("Role").unwrap();
        assert!(stack.resources.contains_key(function), "{id} is nobody's");
    }
}

fn nobody_but_the_cdn_reads_the_page(template: &Template) {
    let stack = template.plain();
    let bucket = stack.properties("SiteBucket");
    for block in
        ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"]
    {
        assert_eq!(bucket["PublicAccessBlockConfiguration"][block], true, "{block}");
    }
    let statements = &stack.properties("SiteBucketPolicy")["PolicyDocument"]["Statement"];
    let allows: Vec<&Value> =
        list(statements).into_iter().filter(|statement| statement["Effect"] == "Allow").collect();
    let [allow] = allows.as_slice() else { panic!("one statement allows") };
    assert_eq!(allow["Principal"], json!({ "Service": "cloudfront.amazonaws.com" }));
    assert_eq!(allow["Action"], json!(["s3:GetObject", "s3:ListBucket"]));
    let source = text(&allow["Condition"]["StringEquals"]["AWS:SourceArn"]["Fn::Sub"]);
    assert!(source.ends_with(":distribution/${Distribution}"), "{source}");
}
