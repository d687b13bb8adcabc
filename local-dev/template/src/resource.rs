//! The template as a whole: its sections, and who reads which resource.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Options, api_resource,
    draft::{self, Draft},
    function, globals, http_api, http_event,
    model::Template,
    node::{Entry, Kind, Node},
    parameter,
    problem::Problem,
    property::{Fate, Fates, Property},
    queue,
    report::Report,
    resolver::Resolver,
    websocket_api,
};

/// How many resources there may be. Source: quotas of `CloudFormation`.
const RESOURCES_MAX: usize = 500;

const TRANSFORM: &str = "AWS::Serverless-2016-10-31";

/// Resources that are read; those of API Gateway are in [`api_resource::KINDS`].
pub(crate) const SAM_FUNCTION: &str = "AWS::Serverless::Function";
pub(crate) const FUNCTION: &str = "AWS::Lambda::Function";
pub(crate) const SAM_HTTP_API: &str = "AWS::Serverless::HttpApi";
pub(crate) const SAM_WEBSOCKET_API: &str = "AWS::Serverless::WebSocketApi";
pub(crate) const QUEUE: &str = "AWS::SQS::Queue";

/// What a resource can have. `IgnoreGlobals` and `Connectors` are SAM's.
const ATTRIBUTES: [&str; 11] = [
    "Type",
    "Properties",
    "Condition",
    "DependsOn",
    "Metadata",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "UpdatePolicy",
    "CreationPolicy",
    "IgnoreGlobals",
    "Connectors",
];

const NESTED: &str =
    "local-dev reads no nested templates, which may have routes; write its resources out here";

/// Resources without which another API than the template's would be running.
const REFUSED: [(&str, &str); 7] = [
    (
        "AWS::Serverless::Api",
        "local-dev has no REST APIs; describe it as an HTTP API (AWS::Serverless::HttpApi)",
    ),
    (
        "AWS::ApiGateway::RestApi",
        "local-dev has no REST APIs; describe it as an HTTP API (AWS::Serverless::HttpApi)",
    ),
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
    ("AWS::CloudFormation::Stack", NESTED),
    ("AWS::Serverless::Application", NESTED),
];

/// Resources that change the addresses of APIs, but not what is answered there.
const WARNED: [(&str, &str); 2] = [
    (
        "AWS::ApiGatewayV2::ApiMapping",
        "local-dev has no mappings of paths; the API has the address of local-dev, and no ApiMappingKey before its \
         paths",
    ),
    (
        "AWS::ApiGatewayV2::DomainName",
        "local-dev has no domains; APIs have the address of local-dev",
    ),
];

/// Resources that no function can tell the lack of, by the beginnings of their types.
const PASSED_OVER: [&str; 19] = [
    "AWS::ApiGateway::Account",
    "AWS::ApiGatewayV2::Deployment",
    "AWS::ApiGatewayV2::Model",
    "AWS::ApiGatewayV2::VpcLink",
    "AWS::ApplicationInsights::",
    "AWS::CertificateManager::",
    "AWS::CloudFront::",
    "AWS::CloudWatch::",
    "AWS::CodeDeploy::",
    "AWS::IAM::",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::",
    "AWS::Route53::",
    "AWS::SQS::QueueInlinePolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::Connector",
    "AWS::Serverless::LayerVersion",
    "AWS::WAFv2::",
];

/// A resource that exists: it has no condition, or one that is true.
pub(crate) struct Resource<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) line: usize,
    /// All of it, with `Properties` as they stand in the file.
    node: &'a Node,
}

impl<'a> Resource<'a> {
    pub(crate) fn new(id: &'a str, kind: &'a str, node: &'a Node) -> Self {
        Self { id, kind, line: node.line, node }
    }

    /// What a tool has written or is to read beside the properties.
    pub(crate) fn metadata(&self) -> Option<&Node> {
        self.node.get("Metadata")
    }

    /// As it stands in the file.
    pub(crate) fn property(&self, key: &str) -> Option<&Node> {
        self.node.get("Properties").and_then(|properties| properties.get(key))
    }

    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.id, self.line, message)
    }
}

/// What readers of resources need.
pub(crate) struct Stack<'a> {
    pub(crate) resolver: Resolver<'a>,
    pub(crate) resources: Vec<Resource<'a>>,
    globals: Option<&'a Node>,
}

impl Stack<'_> {
    /// The logical ids of all APIs.
    pub(crate) fn api_ids(&self) -> impl Iterator<Item = &str> {
        let is_api = |kind| [SAM_HTTP_API, SAM_WEBSOCKET_API, api_resource::API].contains(&kind);
        let named = self.resources.iter().filter(move |resource| is_api(resource.kind));
        named.map(|resource| resource.id).chain([http_api::IMPLICIT])
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Resource<'_>> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }

    /// The properties of a resource, with the global ones, worked out. Those that aren't read are told of and missing.
    pub(crate) fn properties(
        &self,
        resource: &Resource<'_>,
        fates: &Fates,
        report: &mut Report,
    ) -> Node {
        let none = Node::new(resource.line, Kind::Null);
        let own = resource.node.get("Properties").unwrap_or(&none);
        let part = resource.kind.strip_prefix("AWS::Serverless::").unwrap_or_default();
        let merged = globals::apply(self.globals, part, own, resource.node.get("IgnoreGlobals"));
        let mut resolved = Vec::new();
        for Entry { key, line, value } in merged.entries() {
            if matches!(fates.of(key), Some(Fate::PassedOver)) {
                report.passed_over.insert(format!("{}.{key}", fates.of));
                continue;
            }
            let path = format!("{}.{key}", resource.id);
            let value = self.resolver.resolve(value).map_err(|problem| problem.within(&path));
            if let Some(Some(value)) = report.keep(value) {
                resolved.push(Entry { key: key.clone(), line: *line, value });
            }
        }
        if !matches!(merged.kind, Kind::Map(_) | Kind::Null) {
            report.errors.push(resource.problem("Properties must be a map"));
        }
        let properties = Node::new(resource.line, Kind::Map(resolved));
        fates.announce(&Property::new(resource.id, &properties), report);
        properties
    }
}

/// Reads everything. What it gives back is only good if nothing is reported as an error.
pub(crate) fn read(root: &Node, options: &Options, report: &mut Report) -> Template {
    check_sections(root, report);
    let parameters = parameter::read(root.get("Parameters"), options, report);
    if !report.errors.is_empty() {
        // What depends on them would only be reported again.
        return Template::default();
    }
    let globals = root.get("Globals");
    globals::check(globals, report);
    let mut resolver = Resolver::new(root, parameters, options);
    let resources = existing(root, &mut resolver, report);
    function::name_all(&resources, &mut resolver, report);
    queue::name_all(&resources, &mut resolver, report);
    let stack = Stack { resolver, resources, globals };
    if !report.errors.is_empty() {
        return Template::default();
    }
    announce_others(&stack, report);
    let described = function::read_all(&stack, report);
    let queues = queue::read_all(&stack, report);
    let mut event_sources = Vec::new();
    let mut drafts: Vec<Draft> = http_api::read_all(&stack, report);
    for (function, events) in &described {
        let mut events_read =
            http_event::read_all(&stack, function, events.as_ref(), &queues, &mut drafts, report);
        event_sources.append(&mut events_read);
    }
    let functions = described.into_iter().map(|(function, _)| function).collect();
    let mut template = Template { functions, queues, event_sources, ..Template::default() };
    websocket_api::read_all(&stack, &mut drafts, report);
    api_resource::read_all(&stack, &mut drafts, report);
    draft::finish(drafts, &mut template, report);
    announce_emptiness(&template, root.line, report);
    template
}

/// Says that there is nothing to ask for. A stack may well have functions only, but then there is nothing to do here.
fn announce_emptiness(template: &Template, line: usize, report: &mut Report) {
    let Template { http_api, websocket_apis, queues, .. } = template;
    if http_api.is_none() && websocket_apis.is_empty() && queues.is_empty() {
        report.warn("", line, "the template describes no API and no queue, so nothing is served");
    } else if queues.is_empty()
        && http_api.iter().all(|api| api.routes.is_empty())
        && websocket_apis.iter().all(|api| api.routes.is_empty())
    {
        report.warn("", line, "no API of the template has a route, so nothing is served");
    }
}

fn check_sections(root: &Node, report: &mut Report) {
    if !matches!(root.kind, Kind::Map(_)) {
        report.errors.push(Problem::new("", root.line, "a template is a map of sections"));
        return;
    }
    for Entry { key, line, value } in root.entries() {
        match key.as_str() {
            "AWSTemplateFormatVersion"
            | "Conditions"
            | "Description"
            | "Globals"
            | "Mappings"
            | "Parameters"
            | "Resources" => {}
            "Metadata" | "Outputs" | "Rules" => {
                report.passed_over.insert(key.clone());
            }
            "Transform" => check_transforms(value, report),
            _ => report.errors.push(Problem::new(
                key,
                *line,
                "is not a section of a template; did you mean Resources?",
            )),
        }
    }
    let resources = root.get("Resources").map_or(&[][..], Node::entries);
    if resources.is_empty() {
        report.errors.push(Problem::new("Resources", root.line, "a template has at least one"));
    }
    if resources.len() > RESOURCES_MAX {
        let message =
            format!("there are {}, CloudFormation takes up to {RESOURCES_MAX}", resources.len());
        report.errors.push(Problem::new("Resources", root.line, message));
    }
    let sam = resources.iter().find(|entry| {
        let kind = entry.value.get("Type").and_then(Node::scalar);
        kind.is_some_and(|kind| kind.starts_with("AWS::Serverless::"))
    });
    if let Some(sam) = sam
        && root.get("Transform").is_none()
    {
        let message =
            format!("{} is a resource of SAM, so Transform: {TRANSFORM} must be there", sam.key);
        report.errors.push(Problem::new("Transform", root.line, message));
    }
}

fn check_transforms(transforms: &Node, report: &mut Report) {
    let names = match &transforms.kind {
        Kind::List(names) => names.as_slice(),
        _ => std::slice::from_ref(transforms),
    };
    for name in names {
        match name.scalar() {
            Some(TRANSFORM) => {}
            // Its functions are known by name; its loops are refused where they stand.
            Some("AWS::LanguageExtensions") => {
                report.passed_over.insert("Transform: AWS::LanguageExtensions".to_owned());
            }
            _ => {
                let message = format!(
                    "{} may change any part of the template, local-dev only does {TRANSFORM}",
                    name.expression()
                );
                report.errors.push(Problem::new("Transform", name.line, message));
            }
        }
    }
}

/// The resources without a condition that is false.
fn existing<'a>(
    root: &'a Node,
    resolver: &mut Resolver<'a>,
    report: &mut Report,
) -> Vec<Resource<'a>> {
    let mut resources = Vec::new();
    for Entry { key: id, line, value: node } in root.get("Resources").map_or(&[][..], Node::entries)
    {
        if id.starts_with("Fn::") {
            let message = "local-dev doesn't expand this; write its resources out";
            report.errors.push(Problem::new(format!("Resources.{id}"), *line, message));
            continue;
        }
        for attribute in node.entries() {
            if !ATTRIBUTES.contains(&attribute.key.as_str()) {
                let path = format!("{id}.{}", attribute.key);
                let message = format!(
                    "is not an attribute of a resource, it takes {}",
                    ATTRIBUTES.join(", ")
                );
                report.errors.push(Problem::new(path, attribute.line, message));
            }
        }
        let Some(kind) = node.get("Type").and_then(Node::scalar) else {
            report.errors.push(Problem::new(id, *line, "Type is missing"));
            continue;
        };
        if let Some(condition) = node.get("Condition") {
            let path = format!("{id}.Condition");
            let Some(name) = condition.scalar() else {
                let message = "takes the name of a condition";
                report.errors.push(Problem::new(path, condition.line, message));
                continue;
            };
            let exists = resolver.condition(name, condition.line);
            if report.keep(exists.map_err(|problem| problem.within(&path))) != Some(true) {
                resolver.set_lacking(id, name);
                continue;
            }
        }
        resources.push(Resource { id, kind, line: *line, node });
    }
    resources
}

/// Says what becomes of resources that nobody reads. What functions may want to use is named in one warning.
fn announce_others(stack: &Stack<'_>, report: &mut Report) {
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut first = None;
    for resource in &stack.resources {
        let kind = resource.kind;
        if let Some((_, message)) = REFUSED.iter().find(|(refused, _)| *refused == kind) {
            report.errors.push(resource.problem(*message));
        } else if let Some((_, message)) = WARNED.iter().find(|(warned, _)| *warned == kind) {
            report.warn(resource.id, resource.line, *message);
        } else if PASSED_OVER.iter().any(|beginning| kind.starts_with(beginning)) {
            report.passed_over.insert(kind.to_owned());
        } else if !is_read(kind) {
            missing.entry(kind).or_default().insert(resource.id);
            first.get_or_insert(resource.line);
        }
    }
    if let Some(line) = first {
        let listed: Vec<String> = missing
            .iter()
            .map(|(kind, ids)| {
                let ids: Vec<&str> = ids.iter().copied().collect();
                format!("{kind} ({})", ids.join(", "))
            })
            .collect();
        let message = format!(
            "local-dev doesn't make these, functions that use them reach nothing here, and nothing is invoked by \
             them: {}",
            listed.join("; ")
        );
        report.warn("Resources", line, message);
    }
}

fn is_read(kind: &str) -> bool {
    [SAM_FUNCTION, FUNCTION, SAM_HTTP_API, SAM_WEBSOCKET_API, QUEUE].contains(&kind)
        || api_resource::KINDS.contains(&kind)
}
