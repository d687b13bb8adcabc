//! The section `Globals`: properties that every function or API has unless it says otherwise.

use std::collections::HashMap;

use crate::{
    node::{Entry, Kind, Node},
    problem::Problem,
    report::Report,
};

/// Which properties each part can have. Source: aws-sam-translator 1.115, plugins/globals.
const FUNCTION: &[&str] = &[
    "Architectures",
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "CapacityProviderConfig",
    "CodeSigningConfigArn",
    "CodeUri",
    "DeadLetterQueue",
    "DeploymentPreference",
    "Description",
    "DurableConfig",
    "Environment",
    "EphemeralStorage",
    "EventInvokeConfig",
    "FileSystemConfigs",
    "FunctionScalingConfig",
    "FunctionUrlConfig",
    "Handler",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PermissionsBoundary",
    "PropagateTags",
    "ProvisionedConcurrencyConfig",
    "PublishToLatestPublished",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "RolePath",
    "Runtime",
    "RuntimeManagementConfig",
    "SnapStart",
    "SourceKMSKeyArn",
    "Tags",
    "TenancyConfig",
    "Timeout",
    "Tracing",
    "VersionDeletionPolicy",
    "VpcConfig",
];
const HTTP_API: &[&str] = &[
    "AccessLogSettings",
    "Auth",
    "CorsConfiguration",
    "DefaultRouteSettings",
    "Domain",
    "FailOnWarnings",
    "PropagateTags",
    "RouteSettings",
    "StageVariables",
    "Tags",
];
const WEBSOCKET_API: &[&str] = &[
    "AccessLogSettings",
    "ApiKeySelectionExpression",
    "DefaultRouteSettings",
    "DisableExecuteApiEndpoint",
    "DisableSchemaValidation",
    "Domain",
    "FailOnWarnings",
    "IpAddressType",
    "PropagateTags",
    "RouteSelectionExpression",
    "RouteSettings",
    "StageVariables",
    "Tags",
];

/// Parts of the section for what local-dev reads nothing of.
const OTHERS: &[&str] = &[
    "Api",
    "CapacityProvider",
    "LayerVersion",
    "MicroVMImage",
    "NetworkConnector",
    "SimpleTable",
    "StateMachine",
];

/// Says what the section has that it can't have.
pub(crate) fn check(globals: Option<&Node>, report: &mut Report) {
    for entry in globals.map_or(&[][..], Node::entries) {
        let allowed = match entry.key.as_str() {
            "Function" => FUNCTION,
            "HttpApi" => HTTP_API,
            "WebSocketApi" => WEBSOCKET_API,
            other if OTHERS.contains(&other) => {
                report.passed_over.insert(format!("Globals.{other}"));
                continue;
            }
            other => {
                let message =
                    "is not a part of Globals; local-dev reads Function, HttpApi and WebSocketApi";
                report.errors.push(Problem::new(format!("Globals.{other}"), entry.line, message));
                continue;
            }
        };
        for property in entry.value.entries() {
            if !allowed.contains(&property.key.as_str()) {
                let path = format!("Globals.{}.{}", entry.key, property.key);
                let message = format!("can't be global, {} can: {}", entry.key, allowed.join(", "));
                report.errors.push(Problem::new(path, property.line, message));
            }
        }
    }
}

/// The properties of a resource on top of the global ones of its part. `ignored` is its attribute `IgnoreGlobals`.
pub(crate) fn apply(
    globals: Option<&Node>,
    part: &str,
    properties: &Node,
    ignored: Option<&Node>,
) -> Node {
    let Some(globals) = globals.and_then(|globals| globals.get(part)) else {
        return properties.clone();
    };
    if ignored.and_then(Node::scalar) == Some("*") {
        return properties.clone();
    }
    let mut globals = globals.clone();
    if let (Kind::Map(entries), Some(Kind::List(ignored))) =
        (&mut globals.kind, ignored.map(|node| &node.kind))
    {
        entries
            .retain(|entry| !ignored.iter().any(|name| name.scalar() == Some(entry.key.as_str())));
    }
    if matches!(properties.kind, Kind::Null) { globals } else { merge(globals, properties, part) }
}

/// Maps are merged and lists joined, the global ones first; of anything else the resource's own counts. An intrinsic
/// function is not a map here. `Architectures` are replaced.
fn merge(global: Node, own: &Node, key: &str) -> Node {
    let is_intrinsic = global.intrinsic().is_some() || own.intrinsic().is_some();
    match (global.kind, &own.kind) {
        (Kind::Map(global), Kind::Map(own_entries)) if !is_intrinsic => {
            let mut places = HashMap::new();
            let mut merged: Vec<Entry> = Vec::new();
            for entry in global {
                places.insert(entry.key.clone(), merged.len());
                merged.push(entry);
            }
            for own in own_entries {
                match places.get(&own.key) {
                    Some(place) => {
                        let nothing = Node::new(own.line, Kind::Null);
                        let global = std::mem::replace(&mut merged[*place].value, nothing);
                        let value = merge(global, &own.value, &own.key);
                        merged[*place] = Entry { key: own.key.clone(), line: own.line, value };
                    }
                    None => merged.push(own.clone()),
                }
            }
            Node::new(own.line, Kind::Map(merged))
        }
        (Kind::List(mut joined), Kind::List(own_nodes)) if key != "Architectures" => {
            joined.extend_from_slice(own_nodes);
            Node::new(own.line, Kind::List(joined))
        }
        _ => own.clone(),
    }
}
