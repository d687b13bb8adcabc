//! What `!Ref`, `!GetAtt` and conditions mean in this template.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use crate::{
    Options, names,
    node::{Kind, Node, Unknown},
    problem::Problem,
};

/// How much all values together may become: nodes, and bytes of text. Templates that are not made to hurt stay far below.
const SPENDING_MAX: usize = 16 * 1024 * 1024;

/// How far a name may lead to a name that leads to a name.
const HOPS_MAX: usize = 20;

/// Knows the names of a template.
pub(crate) struct Resolver<'a> {
    pub(crate) options: &'a Options,
    pub(crate) parameters: BTreeMap<String, Kind>,
    pub(crate) mappings: Option<&'a Node>,
    conditions: Option<&'a Node>,
    resources: BTreeMap<&'a str, Named<'a>>,
    decided: RefCell<BTreeMap<String, bool>>,
    hops: Cell<usize>,
    spent: Cell<usize>,
}

/// What is known of a resource before its properties are read.
#[derive(Clone)]
struct Named<'a> {
    kind: &'a str,
    properties: Option<&'a Node>,
    /// The condition that is false, so that it doesn't exist.
    lacking: Option<&'a str>,
    /// Of a function.
    function_name: Option<String>,
    /// Of a queue.
    queue_name: Option<String>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(
        template: &'a Node,
        parameters: BTreeMap<String, Kind>,
        options: &'a Options,
    ) -> Self {
        let resources = template.get("Resources").map_or(&[][..], Node::entries);
        let named = resources.iter().map(|entry| {
            let named = Named {
                kind: entry.value.get("Type").and_then(Node::scalar).unwrap_or_default(),
                properties: entry.value.get("Properties"),
                lacking: None,
                function_name: None,
                queue_name: None,
            };
            (entry.key.as_str(), named)
        });
        Self {
            options,
            parameters,
            mappings: template.get("Mappings"),
            conditions: template.get("Conditions"),
            resources: named.collect(),
            decided: RefCell::default(),
            hops: Cell::new(0),
            spent: Cell::new(0),
        }
    }

    /// From now on the resource doesn't exist, for that condition.
    pub(crate) fn set_lacking(&mut self, logical_id: &str, condition: &'a str) {
        if let Some(named) = self.resources.get_mut(logical_id) {
            named.lacking = Some(condition);
        }
    }

    /// From now on the function has that name.
    pub(crate) fn set_function_name(&mut self, logical_id: &str, name: String) {
        if let Some(named) = self.resources.get_mut(logical_id) {
            named.function_name = Some(name);
        }
    }

    /// From now on the queue has that name.
    pub(crate) fn set_queue_name(&mut self, logical_id: &str, name: String) {
        if let Some(named) = self.resources.get_mut(logical_id) {
            named.queue_name = Some(name);
        }
    }

    /// What `!Ref` of that name is; `None` for `AWS::NoValue`.
    pub(crate) fn reference(&self, name: &str, line: usize) -> Result<Option<Kind>, Problem> {
        let options = self.options;
        let text = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => options.region.clone(),
            "AWS::AccountId" => options.account_id.clone(),
            "AWS::Partition" => names::partition(options).to_owned(),
            "AWS::URLSuffix" => names::url_suffix(options).to_owned(),
            "AWS::StackName" => options.stack_name.clone(),
            "AWS::StackId" => format!(
                "arn:{}:cloudformation:{}:{}:stack/{}/local",
                names::partition(options),
                options.region,
                options.account_id,
                options.stack_name
            ),
            _ => {
                let kind = match self.parameters.get(name) {
                    Some(value) => value.clone(),
                    None => self.resource_reference(name, line)?,
                };
                return Ok(Some(kind));
            }
        };
        Ok(Some(Kind::Scalar(text)))
    }

    fn resource_reference(&self, name: &str, line: usize) -> Result<Kind, Problem> {
        let expression = || format!("!Ref {name}");
        let Some(named) = self.resources.get(name) else {
            return Ok(self.generated(name));
        };
        if let Some(condition) = named.lacking {
            let why = format!("{name} doesn't exist, its condition {condition} is false");
            return Ok(Kind::Unknown(Unknown { expression: expression(), why }));
        }
        let text = match named.kind {
            "AWS::Serverless::HttpApi"
            | "AWS::Serverless::WebSocketApi"
            | "AWS::ApiGatewayV2::Api" => names::api_id(name),
            "AWS::ApiGatewayV2::Stage" => return self.stage_name(name, named, line),
            kind if kind.starts_with("AWS::ApiGatewayV2::") => name.to_owned(),
            kind => match (&named.function_name, &named.queue_name) {
                (Some(function), _) => function.clone(),
                (None, Some(queue)) => names::queue_url(queue, self.options),
                (None, None) => return Ok(absent(expression(), name, kind)),
            },
        };
        Ok(Kind::Scalar(text))
    }

    /// What SAM makes beside the resources that the template names.
    fn generated(&self, name: &str) -> Kind {
        if name == crate::http_api::IMPLICIT {
            return Kind::Scalar(names::api_id(name));
        }
        if let Some((function, "Alias" | "Version")) = name.split_once('.')
            && let Some(name) = self.function_name(function)
        {
            return Kind::Scalar(names::function_arn(name, self.options));
        }
        let of_route = self.resources.iter().any(|(id, named)| {
            named.kind == "AWS::Serverless::WebSocketApi"
                && name.starts_with(id)
                && name.ends_with("Route")
        });
        if of_route {
            return Kind::Scalar(name.to_owned());
        }
        Kind::Unknown(Unknown {
            expression: format!("!Ref {name}"),
            why: format!("the template has no {name}"),
        })
    }

    fn stage_name(&self, name: &str, named: &Named<'a>, line: usize) -> Result<Kind, Problem> {
        let stage = named.properties.and_then(|properties| properties.get("StageName"));
        let Some(stage) = stage else {
            let why = format!("{name} has no StageName");
            return Ok(Kind::Unknown(Unknown { expression: format!("!Ref {name}"), why }));
        };
        let stage = self.hop(line, || self.resolve(stage))?;
        Ok(stage.map_or(Kind::Null, |node| node.kind))
    }

    /// What `!GetAtt` of that attribute is.
    pub(crate) fn attribute(&self, name: &str, attribute: &str) -> Kind {
        let expression = format!("!GetAtt {name}.{attribute}");
        let unknown = |why| Kind::Unknown(Unknown { expression: expression.clone(), why });
        let named = self.resources.get(name);
        if let Some(condition) = named.and_then(|named| named.lacking) {
            return unknown(format!("{name} doesn't exist, its condition {condition} is false"));
        }
        let kind = match named {
            Some(named) => named.kind,
            None if name == crate::http_api::IMPLICIT => "AWS::Serverless::HttpApi",
            None => return unknown(format!("the template has no {name}")),
        };
        let id = names::api_id(name);
        let host = names::api_host(&id, self.options);
        let text = match (kind, attribute) {
            (
                "AWS::Serverless::HttpApi"
                | "AWS::Serverless::WebSocketApi"
                | "AWS::ApiGatewayV2::Api",
                "ApiId",
            ) => id,
            ("AWS::Serverless::HttpApi", "ApiEndpoint") => format!("https://{host}"),
            ("AWS::Serverless::WebSocketApi", "ApiEndpoint") => format!("wss://{host}"),
            ("AWS::ApiGatewayV2::Api", "ApiEndpoint") => {
                let properties = named.and_then(|named| named.properties);
                let protocol = properties.and_then(|properties| properties.get("ProtocolType"));
                let is_http = protocol.and_then(Node::scalar) == Some("HTTP");
                format!("{}://{host}", if is_http { "https" } else { "wss" })
            }
            (kind, "AuthorizerId" | "IntegrationId" | "RouteId")
                if kind.starts_with("AWS::ApiGatewayV2::") =>
            {
                name.to_owned()
            }
            ("AWS::SQS::Queue", attribute) => {
                let queue = self.queue_name(name).unwrap_or(name);
                match attribute {
                    "Arn" => names::queue_arn(queue, self.options),
                    "QueueName" => queue.to_owned(),
                    "QueueUrl" => names::queue_url(queue, self.options),
                    _ => return absent(expression, name, kind),
                }
            }
            (kind, "Arn") => match self.function_name(name) {
                Some(function) => names::function_arn(function, self.options),
                None => return absent(expression, name, kind),
            },
            (kind, _) => return absent(expression, name, kind),
        };
        Kind::Scalar(text)
    }

    /// The logical ids and the names of all functions that exist.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resources.iter().filter_map(|(id, named)| Some((*id, named.function_name.as_deref()?)))
    }

    fn function_name(&self, logical_id: &str) -> Option<&str> {
        self.resources.get(logical_id)?.function_name.as_deref()
    }

    /// The logical ids and the names of all queues that exist.
    pub(crate) fn queues(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resources.iter().filter_map(|(id, named)| Some((*id, named.queue_name.as_deref()?)))
    }

    pub(crate) fn queue_name(&self, logical_id: &str) -> Option<&str> {
        self.resources.get(logical_id)?.queue_name.as_deref()
    }

    /// The logical id of the queue that an ARN names.
    pub(crate) fn queue_of_arn(&self, arn: &str) -> Option<&str> {
        let is_meant = |name: &str| names::queue_arn(name, self.options) == arn;
        self.queues().find(|(_, name)| is_meant(name)).map(|(logical_id, _)| logical_id)
    }

    /// Whether a condition of the template is true.
    pub(crate) fn condition(&self, name: &str, line: usize) -> Result<bool, Problem> {
        if let Some(decided) = self.decided.borrow().get(name) {
            return Ok(*decided);
        }
        let Some(condition) = self.conditions.and_then(|conditions| conditions.get(name)) else {
            return Err(Problem::new("", line, format!("the template has no condition {name}")));
        };
        let decided = self
            .hop(line, || crate::condition::decide(self, condition))
            .map_err(|problem| problem.within(&format!("Conditions.{name}")))?;
        self.decided.borrow_mut().insert(name.to_owned(), decided);
        Ok(decided)
    }

    /// Follows a name, unless it leads in a circle.
    fn hop<T>(
        &self,
        line: usize,
        follow: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        if self.hops.get() == HOPS_MAX {
            let message = format!("names lead to names more than {HOPS_MAX} times, or in a circle");
            return Err(Problem::new("", line, message));
        }
        self.hops.set(self.hops.get() + 1);
        let result = follow();
        self.hops.set(self.hops.get() - 1);
        result
    }

    /// Counts what values have become.
    pub(crate) fn spend(&self, amount: usize, line: usize) -> Result<(), Problem> {
        self.spent.set(self.spent.get().saturating_add(amount));
        if self.spent.get() <= SPENDING_MAX {
            return Ok(());
        }
        let message = format!("worked out, the values have more than {SPENDING_MAX} bytes");
        Err(Problem::new("", line, message))
    }
}

fn absent(expression: String, name: &str, kind: &str) -> Kind {
    let why = format!("{name} is of the type {kind}, of which local-dev doesn't know that");
    Kind::Unknown(Unknown { expression, why })
}
