//! The stack as a whole.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Test,
    stack::{EVERYTHING, POSTGRES, Stack, Template, references},
};

pub(crate) const TESTS: &[Test] = &[
    ("nothing_waits_for_itself", nothing_waits_for_itself),
    ("nothing_refers_to_what_is_not_there", nothing_refers_to_what_is_not_there),
    ("every_parameter_is_used_and_described", every_parameter_is_used),
    ("everything_is_tagged", everything_is_tagged),
    ("data_is_protected_unless_it_is_said_otherwise", data_is_protected),
    ("nothing_stands_still_at_a_price", nothing_stands_still_at_a_price),
    ("names_fit_wherever_the_stack_is", names_fit),
];

fn all(template: &Template) -> [Stack; 4] {
    let unprotected = [("DeletionProtection", "false")];
    [
        template.plain(),
        template.with(&POSTGRES),
        template.with(&EVERYTHING),
        template.with(&unprotected),
    ]
}

fn nothing_waits_for_itself(template: &Template) {
    for stack in all(template) {
        for id in stack.resources.keys() {
            assert!(!stack.needs_in_all(id).contains(id), "{id} waits for itself");
        }
    }
}

fn nothing_refers_to_what_is_not_there(template: &Template) {
    for stack in all(template) {
        for (id, resource) in &stack.resources {
            for name in references(&resource.properties) {
                let is_known = name.starts_with("AWS::")
                    || stack.resources.contains_key(&name)
                    || template.parameters().contains_key(&name)
                    // Those of SAM's own texts.
                    || name.starts_with("__");
                assert!(is_known, "{id} refers to {name}");
            }
        }
        for (name, output) in &stack.outputs {
            for reference in references(output) {
                let is_known = reference.starts_with("AWS::")
                    || stack.resources.contains_key(&reference)
                    || template.parameters().contains_key(&reference);
                assert!(is_known, "{name} refers to {reference}");
            }
        }
    }
}

fn every_parameter_is_used(template: &Template) {
    let names: BTreeSet<String> = template.parameters().keys().cloned().collect();
    assert_eq!(template.used_parameters(), names);
    for (name, parameter) in template.parameters() {
        assert!(parameter["Description"].is_string(), "{name}");
        assert!(!parameter["Default"].is_null(), "{name}: one command is enough");
    }
    assert_eq!(template.parameters()["DatabaseUrl"]["NoEcho"], true, "it holds a password");
}

/// Types that take no tags. Source: their pages in the template reference of `CloudFormation`.
const UNTAGGED: [&str; 15] = [
    "AWS::ApiGateway::Account",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage", // it has the tags of its API
    "AWS::CloudFront::Function",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::ResponseHeadersPolicy",
    "AWS::CloudWatch::Dashboard",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::Route53::RecordSetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SQS::QueuePolicy",
    "Custom::Schema",
];

fn everything_is_tagged(template: &Template) {
    let stack = template.with(&EVERYTHING);
    let resources = stack.resources.iter();
    for (id, resource) in
        resources.filter(|(_, resource)| !UNTAGGED.contains(&resource.kind.as_str()))
    {
        let tags = &resource.properties["Tags"];
        let application = match tags {
            Value::Array(tags) => {
                tags.iter().find(|tag| tag["Key"] == "application").map(|tag| &tag["Value"])
            }
            tags => tags.get("application").or_else(|| {
                // A Lambda-proxied API that SAM describes in OpenAPI has its tags there.
                resource.properties["Body"]["tags"]
                    .as_array()?
                    .iter()
                    .find(|tag| tag["name"] == "application")
                    .map(|tag| &tag["x-amazon-apigateway-tag-value"])
            }),
        };
        assert_eq!(application, Some(&Value::from("lambda-chat")), "{id} ({})", resource.kind);
    }
}

fn data_is_protected(template: &Template) {
    let protection =
        |stack: &Stack| stack.properties("Cluster")["DeletionProtectionEnabled"].clone();
    assert_eq!(protection(&template.plain()), true);
    assert_eq!(protection(&template.with(&[("DeletionProtection", "false")])), false);
    let cluster = &template.plain().resources["Cluster"].attributes;
    // Nor with the stack, nor when another database takes its place.
    assert_eq!(cluster["DeletionPolicy"], "RetainExceptOnCreate");
    assert_eq!(cluster["UpdateReplacePolicy"], "Retain");
    assert!(!template.with(&POSTGRES).resources.contains_key("Cluster"));
}

/// Types that cost by the hour, whether anybody chats or not.
fn nothing_stands_still_at_a_price(template: &Template) {
    for stack in all(template) {
        for (id, resource) in &stack.resources {
            let by_the_hour = [
                "AWS::EC2::",
                "AWS::RDS::",
                "AWS::ECS::",
                "AWS::ElasticLoadBalancing",
                "AWS::WAFv2::",
                "AWS::KMS::",
            ];
            assert!(!by_the_hour.iter().any(|kind| resource.kind.starts_with(kind)), "{id}");
            assert_eq!(resource.properties["ProvisionedConcurrencyConfig"], Value::Null, "{id}");
        }
    }
}

/// Names of `CloudFront` have 64 characters at most. Source: `CloudFront` API reference.
fn names_fit(template: &Template) {
    /// The longest that cargo xtask deploy takes.
    const STACK: &str = "0123456789012345678901234567890123456789";
    let stack = template.plain();
    let mut names = Vec::new();
    for (id, resource) in &stack.resources {
        let properties = &resource.properties;
        for part in [
            properties,
            &properties["ResponseHeadersPolicyConfig"],
            &properties["OriginAccessControlConfig"],
        ] {
            let name = part["Name"]["Fn::Sub"].as_str();
            names.extend(name.map(|name| (id, name)));
        }
    }
    assert_eq!(names.len(), 4, "{names:?}");
    for (id, name) in names {
        let name =
            name.replace("${AWS::StackName}", STACK).replace("${AWS::Region}", "ap-southeast-1");
        assert!(!name.contains('$') && name.len() <= 64, "{id}: {name}");
    }
}
