//! Functions, of SAM and of plain `CloudFormation`.

use crate::{
    model::{Function, Variable},
    names,
    node::{Entry, Kind, Node, Unknown},
    problem::Problem,
    property::{
        Fate::{Refused, Warned},
        Fates, Property,
    },
    report::Report,
    resolver::Resolver,
    resource::{FUNCTION, Resource, SAM_FUNCTION, Stack},
};

const LAYERS: &str =
    "local-dev unpacks no layers; the bootstrap must find what it needs without them";
const VPC: &str = "there is no VPC here; the function reaches what this machine reaches";
const TRACING: &str =
    "local-dev traces nothing; the function gets trace ids that lead to no traces";
const FILES: &str = "local-dev mounts no file systems";
const INSTANCES: &str = "local-dev has no managed instances; a bootstrap gets one event at a time";
const TENANTS: &str = "local-dev doesn't separate tenants; they share their bootstraps";
const DURABLE: &str =
    "local-dev has no durable functions; an invocation runs once, from start to end";
const IMAGE: &str = "local-dev runs bootstraps, not images; use PackageType: Zip";

/// Variables that Lambda sets, and refuses to create a function with. `TZ` and `AWS_LAMBDA_EXEC_WRAPPER` are not among
/// them. Source: the developer guide of Lambda, "Defined runtime environment variables".
const RESERVED: [&str; 18] = [
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
];

const SAM_FATES: Fates = Fates {
    of: SAM_FUNCTION,
    read: &[
        "CodeUri",
        "Environment",
        "Events",
        "FunctionName",
        "MemorySize",
        "PackageType",
        "ReservedConcurrentExecutions",
        "Runtime",
        "Timeout",
        "Tracing",
    ],
    passed_over: &[
        "Architectures",
        "AssumeRolePolicyDocument",
        "AutoPublishAlias",
        "AutoPublishAliasAllProperties",
        "AutoPublishCodeSha256",
        "CodeSigningConfigArn",
        "DeadLetterQueue",
        "DeploymentPreference",
        "Description",
        "EphemeralStorage",
        "EventInvokeConfig",
        "Handler",
        "KmsKeyArn",
        "LoggingConfig",
        "PermissionsBoundary",
        "Policies",
        "PropagateTags",
        "ProvisionedConcurrencyConfig",
        "PublishToLatestPublished",
        "RecursiveLoop",
        "Role",
        "RolePath",
        "RuntimeManagementConfig",
        "SnapStart",
        "SourceKMSKeyArn",
        "Tags",
        "VersionDeletionPolicy",
        "VersionDescription",
    ],
    others: &[
        ("CapacityProviderConfig", Warned(INSTANCES)),
        ("DurableConfig", Refused(DURABLE)),
        ("FileSystemConfigs", Warned(FILES)),
        ("FunctionScalingConfig", Warned(INSTANCES)),
        ("FunctionUrlConfig", Warned("local-dev has no function URLs; give the function a route")),
        ("ImageConfig", Refused(IMAGE)),
        ("ImageUri", Refused(IMAGE)),
        ("InlineCode", Refused("local-dev runs bootstraps, not source text; use CodeUri")),
        ("Layers", Warned(LAYERS)),
        ("TenancyConfig", Warned(TENANTS)),
        ("VpcConfig", Warned(VPC)),
    ],
};

const FATES: Fates = Fates {
    of: FUNCTION,
    read: &[
        "Code",
        "Environment",
        "FunctionName",
        "MemorySize",
        "PackageType",
        "ReservedConcurrentExecutions",
        "Runtime",
        "Timeout",
        "TracingConfig",
    ],
    passed_over: &[
        "Architectures",
        "CodeSigningConfigArn",
        "DeadLetterConfig",
        "Description",
        "EphemeralStorage",
        "Handler",
        "KmsKeyArn",
        "LoggingConfig",
        "PublishToLatestPublished",
        "RecursiveLoop",
        "Role",
        "RuntimeManagementConfig",
        "SnapStart",
        "Tags",
    ],
    others: &[
        ("CapacityProviderConfig", Warned(INSTANCES)),
        ("DurableConfig", Refused(DURABLE)),
        ("FileSystemConfigs", Warned(FILES)),
        ("FunctionScalingConfig", Warned(INSTANCES)),
        ("ImageConfig", Refused(IMAGE)),
        ("Layers", Warned(LAYERS)),
        ("TenancyConfig", Warned(TENANTS)),
        ("VpcConfig", Warned(VPC)),
    ],
};

/// Gives every function its name, which `!Ref` of it is.
pub(crate) fn name_all(
    resources: &[Resource<'_>],
    resolver: &mut Resolver<'_>,
    report: &mut Report,
) {
    let mut names = Vec::new();
    for resource in resources.iter().filter(|resource| is_function(resource)) {
        let path = format!("{}.FunctionName", resource.id);
        let name = match resource.property("FunctionName") {
            None => Ok(resource.id.to_owned()),
            Some(node) => resolver.resolve(node).and_then(|node| match &node {
                None => Ok(resource.id.to_owned()),
                Some(node) => Ok(Property::new(&path, node).text()?.to_owned()),
            }),
        };
        let Some(name) = report.keep(name.map_err(|problem| problem.within(&path))) else {
            continue;
        };
        if names.contains(&name) {
            let message = format!("another function is called {name:?} as well");
            report.errors.push(Problem::new(path, resource.line, message));
        }
        names.push(name.clone());
        resolver.set_function_name(resource.id, name);
    }
}

fn is_function(resource: &Resource<'_>) -> bool {
    [SAM_FUNCTION, FUNCTION].contains(&resource.kind)
}

/// Reads all functions, each with its events.
pub(crate) fn read_all(stack: &Stack<'_>, report: &mut Report) -> Vec<(Function, Option<Node>)> {
    let mut functions = Vec::new();
    for resource in stack.resources.iter().filter(|resource| is_function(resource)) {
        let fates = if resource.kind == SAM_FUNCTION { &SAM_FATES } else { &FATES };
        let node = stack.properties(resource, fates, report);
        let properties = Property::new(resource.id, &node);
        let events = properties.get("Events").map(|events| events.node.clone());
        let function = read(stack, resource, &properties, report);
        if let Some(function) = report.keep(function) {
            functions.push((function, events));
        }
    }
    functions
}

fn read(
    stack: &Stack<'_>,
    resource: &Resource<'_>,
    properties: &Property<'_>,
    report: &mut Report,
) -> Result<Function, Problem> {
    let id = resource.id;
    let number = |key, range, unit| properties.get(key).map(|value| value.number(&range, unit));
    let name = properties.get("FunctionName").map_or(Ok(id), |name| name.text())?;
    if let Some(package) = properties.get("PackageType")
        && package.text()? != "Zip"
    {
        return Err(package.problem(IMAGE));
    }
    let runtime = properties.required("Runtime")?;
    if !matches!(runtime.text()?, "provided" | "provided.al2" | "provided.al2023") {
        return Err(runtime.problem(format!(
            "{:?} doesn't run here: local-dev runs bootstraps (provided.al2023); build {id} with a custom runtime",
            runtime.text()?
        )));
    }
    warn_of_tracing(properties, report)?;
    Ok(Function {
        logical_id: id.to_owned(),
        name: name.to_owned(),
        arn: names::function_arn(name, stack.resolver.options),
        binary: binary(resource, properties)?,
        environment: environment(stack, properties, report)?,
        memory_mb: number("MemorySize", 128..=10_240, "megabytes").unwrap_or(Ok(128))?,
        timeout_secs: number("Timeout", 1..=900, "seconds").unwrap_or(Ok(3))?,
        reserved_concurrency: number("ReservedConcurrentExecutions", 0..=u32::MAX, "at once")
            .transpose()?,
        runtime: runtime.text()?.to_owned(),
        line: resource.line,
    })
}

/// What is passed through is what a function gets here, too.
fn warn_of_tracing(properties: &Property<'_>, report: &mut Report) -> Result<(), Problem> {
    let mode = match properties.get("TracingConfig") {
        Some(config) => config.map()?.get("Mode"),
        None => properties.get("Tracing"),
    };
    if let Some(mode) = mode
        && !matches!(mode.text()?, "Disabled" | "PassThrough")
    {
        report.warn(&mode.path, mode.node.line, TRACING);
    }
    Ok(())
}

/// The folder that the bootstrap is in. It becomes part of a path, so it must be a name and nothing else.
fn binary(resource: &Resource<'_>, properties: &Property<'_>) -> Result<String, Problem> {
    let build = resource.metadata().and_then(|metadata| metadata.get("BuildProperties"));
    let mut path = resource.id.to_owned();
    let mut line = resource.line;
    let name = if let Some(binary) = build.and_then(|build| build.get("Binary")) {
        path = format!("{path}.Metadata.BuildProperties.Binary");
        line = binary.line;
        Property::new(&path, binary).text()?
    } else {
        let code = properties.get("CodeUri").or_else(|| properties.get("Code"));
        let place = code.as_ref().and_then(|code| code.node.scalar());
        place.and_then(built_by_cargo_lambda).unwrap_or(resource.id)
    };
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed) {
        return Ok(name.to_owned());
    }
    let message = format!(
        "{name:?} is not the name of a binary, it takes letters, digits, hyphens and underscores"
    );
    Err(Problem::new(path, line, message))
}

/// `NAME` of `…target/lambda/NAME`, `…/NAME/` and `…/NAME/bootstrap.zip`.
fn built_by_cargo_lambda(code: &str) -> Option<&str> {
    let mut parts = code.split('/').skip_while(|part| *part != "target").skip(1);
    let name = parts.next().filter(|part| *part == "lambda").and_then(|_| parts.next())?;
    match (parts.next(), parts.next()) {
        (None | Some("" | "bootstrap" | "bootstrap.zip"), None) if !name.is_empty() => Some(name),
        _ => None,
    }
}

fn environment(
    stack: &Stack<'_>,
    properties: &Property<'_>,
    report: &mut Report,
) -> Result<Vec<(String, Variable)>, Problem> {
    let Some(environment) = properties.get("Environment") else { return Ok(Vec::new()) };
    let Some(variables) = environment.map()?.get("Variables") else { return Ok(Vec::new()) };
    let mut environment = Vec::new();
    for Entry { key, line, value } in variables.map()?.node.entries() {
        let path = format!("{}.Environment.Variables.{key}", properties.path);
        if RESERVED.contains(&key.as_str()) {
            let message =
                "is reserved, Lambda sets it and deploys no function that does; use another name";
            report.errors.push(Problem::new(path, *line, message));
            continue;
        }
        let begins = key.starts_with(|character: char| character.is_ascii_alphabetic());
        let word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        if !begins || key.len() < 2 || !key.chars().all(word) {
            let message =
                "is not a name of a variable, it takes letters, digits and _ after a letter";
            return Err(Problem::new(path, *line, message));
        }
        let variable = match &value.kind {
            Kind::Unknown(unknown) => Err(unknown.clone()),
            _ => variable(stack, Property::new(&path, value).text()?),
        };
        let variable = variable.unwrap_or_else(|Unknown { expression, why }| {
            report.warn(path, *line, format!("{expression} is not known here: {why}"));
            Variable::Unknown { expression, why }
        });
        environment.push((key.clone(), variable));
    }
    Ok(environment)
}

/// A text, unless it is the address of an API or the URL of a queue here, or has one somewhere in it.
fn variable(stack: &Stack<'_>, text: &str) -> Result<Variable, Unknown> {
    for api in stack.api_ids() {
        let host = names::api_host(&names::api_id(api), stack.resolver.options);
        let Some((before, after)) = text.split_once(&host) else { continue };
        let scheme = match before {
            "" => None,
            "https://" => Some("https".to_owned()),
            "wss://" => Some("wss".to_owned()),
            _ => return Err(embedded(api)),
        };
        if !(after.is_empty() || after.starts_with('/')) {
            return Err(embedded(api));
        }
        return Ok(Variable::Endpoint { api: api.to_owned(), scheme, path: after.to_owned() });
    }
    for (queue, name) in stack.resolver.queues() {
        let url = names::queue_url(name, stack.resolver.options);
        match text.split_once(&url) {
            Some(("", "")) => {
                let path = format!("/{}/{name}", stack.resolver.options.account_id);
                return Ok(Variable::QueueUrl { queue: queue.to_owned(), path });
            }
            // The name of another queue may begin with this one's.
            Some((_, after))
                if !after.starts_with(|next: char| {
                    next.is_ascii_alphanumeric() || "-_.".contains(next)
                }) =>
            {
                return Err(embedded(queue));
            }
            _ => {}
        }
    }
    Ok(Variable::Known(text.to_owned()))
}

fn embedded(id: &str) -> Unknown {
    Unknown {
        expression: format!("a text around the address of {id}"),
        why: "local-dev only knows where that is if the address is the whole value".to_owned(),
    }
}
