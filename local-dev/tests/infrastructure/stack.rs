//! The expanded template, and the stack that it is with certain values for its parameters.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Map, Value};

/// `infra/template.yaml`, expanded.
pub(crate) struct Template(Value);

/// A stack: parameters have their values, conditions are decided. What else refers to resources is left as it stands.
pub(crate) struct Stack {
    pub(crate) resources: BTreeMap<String, Resource>,
    pub(crate) outputs: Map<String, Value>,
}

pub(crate) struct Resource {
    pub(crate) kind: String,
    pub(crate) properties: Value,
    pub(crate) depends_on: Vec<String>,
    pub(crate) attributes: Value,
}

/// The stack without a cluster of its own: `DatabaseUrl`.
pub(crate) const POSTGRES: [(&str, &str); 1] =
    [("DatabaseUrl", "postgres://chat@db.example.com/chat")];

/// Everything that a parameter can add.
pub(crate) const EVERYTHING: [(&str, &str); 8] = [
    ("AllowedOrigins", "https://a.example,https://b.example"),
    ("Domain", "chat.example.com"),
    ("CertificateArn", "arn:aws:acm:us-east-1:123456789012:certificate/1"),
    ("HostedZoneId", "Z0123456789"),
    ("AlarmMail", "ops@example.com"),
    ("Tracing", "on"),
    ("LoginConcurrency", "50"),
    ("JwtSecretVersion", "0123456789-0123456789-0123456789"),
];

impl Template {
    /// Has it expanded by the SAM translator of `python`.
    pub(crate) fn expand(python: &Path) -> Self {
        let infra = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra");
        let mut command = Command::new(python);
        let command = command.arg(infra.join("expand.py")).arg(infra.join("template.yaml"));
        // The translator writes ARNs by region.
        let output = command.env("AWS_DEFAULT_REGION", "us-east-1").stdin(Stdio::null()).output();
        let output = output.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "SAM cannot expand the template: {errors}");
        Self(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The stack that is made when nothing is said.
    pub(crate) fn plain(&self) -> Stack {
        self.with(&[])
    }

    /// The stack with these parameters, which replace defaults.
    pub(crate) fn with(&self, values: &[(&str, &str)]) -> Stack {
        let mut parameters = BTreeMap::new();
        for (name, parameter) in self.0["Parameters"].as_object().unwrap() {
            let given = values.iter().find(|(given, _)| given == name);
            let value =
                given.map_or_else(|| text(&parameter["Default"]), |(_, value)| (*value).to_owned());
            parameters.insert(name.clone(), value);
        }
        for (name, _) in values {
            assert!(parameters.contains_key(*name), "there is no parameter {name}");
        }
        let decider = Decider { conditions: &self.0["Conditions"], parameters };
        let resources = self.0["Resources"].as_object().unwrap().iter();
        let resources = resources.filter(|(_, resource)| decider.has(resource));
        Stack {
            resources: resources.map(|(id, node)| (id.clone(), decider.resource(node))).collect(),
            outputs: decider
                .settle(&Value::Object(
                    self.outputs()
                        .filter(|(_, output)| decider.has(output))
                        .map(|(name, output)| (name.clone(), output.clone()))
                        .collect(),
                ))
                .and_then(|outputs| outputs.as_object().cloned())
                .unwrap(),
        }
    }

    fn outputs(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0["Outputs"].as_object().unwrap().iter()
    }

    pub(crate) fn parameters(&self) -> &Map<String, Value> {
        self.0["Parameters"].as_object().unwrap()
    }

    /// The expanded text, to search in.
    pub(crate) fn json(&self) -> String {
        self.0.to_string()
    }

    /// Every parameter that something refers to.
    pub(crate) fn used_parameters(&self) -> BTreeSet<String> {
        let parts = ["Conditions", "Resources", "Outputs"].map(|part| &self.0[part]);
        let mut names = BTreeSet::new();
        for part in parts {
            names.extend(references(part));
        }
        names.into_iter().filter(|name| self.parameters().contains_key(name)).collect()
    }
}

impl Stack {
    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&str, &Resource)> {
        let of_kind = self.resources.iter().filter(move |(_, resource)| resource.kind == kind);
        of_kind.map(|(id, resource)| (id.as_str(), resource))
    }

    /// The properties of a resource.
    pub(crate) fn properties(&self, id: &str) -> &Value {
        let resource = self.resources.get(id);
        &resource.unwrap_or_else(|| panic!("there is no {id}")).properties
    }

    /// The functions: logical id, name of the binary, properties.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&str, String, &Value)> {
        let functions = self.of_kind("AWS::Lambda::Function");
        functions.map(|(id, function)| (id, id.to_lowercase(), &function.properties))
    }

    /// What a resource needs to be there before it.
    pub(crate) fn needs(&self, id: &str) -> BTreeSet<String> {
        let resource = &self.resources[id];
        let mut needed = references(&resource.properties);
        needed.extend(resource.depends_on.iter().cloned());
        needed.retain(|name| self.resources.contains_key(name));
        needed
    }

    /// A resource, and all that must be there before it.
    pub(crate) fn needs_in_all(&self, id: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut rest = vec![id.to_owned()];
        while let Some(next) = rest.pop() {
            rest.extend(self.needs(&next).into_iter().filter(|needed| all.insert(needed.clone())));
        }
        all
    }
}

/// What `node` refers to: `Ref`, `Fn::GetAtt`, `Fn::Sub`.
pub(crate) fn references(node: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    match node {
        Value::Array(nodes) => nodes.iter().for_each(|node| names.extend(references(node))),
        Value::Object(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    ("Ref", Value::String(name)) => _ = names.insert(name.clone()),
                    ("Fn::GetAtt", Value::Array(parts)) => _ = names.insert(text(&parts[0])),
                    ("Fn::GetAtt", Value::String(path)) => {
                        names.extend(path.split('.').next().map(str::to_owned));
                    }
                    ("Fn::Sub", Value::String(template)) => names.extend(placeholders(template)),
                    ("Fn::Sub", Value::Array(parts)) => {
                        let own = parts[1].as_object().unwrap();
                        let others = placeholders(parts[0].as_str().unwrap()).into_iter();
                        names.extend(others.filter(|name| !own.contains_key(name)));
                        names.extend(references(&parts[1]));
                    }
                    _ => names.extend(references(value)),
                }
            }
        }
        _ => {}
    }
    names
}

/// The resources and parameters in `${…}`.
fn placeholders(template: &str) -> Vec<String> {
    let parts = template.split("${").skip(1);
    let names = parts.filter_map(|part| part.split_once('}')).map(|(name, _)| name);
    names
        .filter(|name| !name.starts_with('!'))
        .filter_map(|name| name.split('.').next())
        .map(str::to_owned)
        .collect()
}

/// Decides conditions.
struct Decider<'a> {
    conditions: &'a Value,
    parameters: BTreeMap<String, String>,
}

impl Decider<'_> {
    fn has(&self, node: &Value) -> bool {
        node["Condition"].as_str().is_none_or(|name| self.is_true(&self.conditions[name]))
    }

    fn is_true(&self, condition: &Value) -> bool {
        let (function, operands) = condition.as_object().unwrap().iter().next().unwrap();
        match function.as_str() {
            "Fn::Equals" => {
                let operands: Vec<_> =
                    operands.as_array().unwrap().iter().map(|node| self.settle(node)).collect();
                text(operands[0].as_ref().unwrap()) == text(operands[1].as_ref().unwrap())
            }
            "Fn::Not" => !self.is_true(&operands[0]),
            _ => panic!("the tests don't know {function}"),
        }
    }

    fn resource(&self, node: &Value) -> Resource {
        let depends_on = match &node["DependsOn"] {
            Value::Array(ids) => ids.iter().map(text).collect(),
            Value::String(id) => vec![id.clone()],
            _ => Vec::new(),
        };
        Resource {
            kind: text(&node["Type"]),
            properties: self.settle(&node["Properties"]).unwrap(),
            depends_on,
            attributes: node.clone(),
        }
    }

    /// The value with its conditions decided and its parameters filled in; `None` for `AWS::NoValue`.
    fn settle(&self, node: &Value) -> Option<Value> {
        match node {
            Value::Array(nodes) => {
                Some(nodes.iter().filter_map(|node| self.settle(node)).collect())
            }
            Value::Object(entries) => {
                if let Some(choice) = entries.get("Fn::If") {
                    let name = choice[0].as_str().unwrap();
                    let chosen = if self.is_true(&self.conditions[name]) { 1 } else { 2 };
                    return self.settle(&choice[chosen]);
                }
                match entries.get("Ref").and_then(Value::as_str) {
                    Some("AWS::NoValue") => return None,
                    Some(name) if self.parameters.contains_key(name) => {
                        return Some(self.parameters[name].clone().into());
                    }
                    _ => {}
                }
                let settled = entries
                    .iter()
                    .filter_map(|(key, value)| Some((key.clone(), self.settle(value)?)));
                Some(Value::Object(settled.collect()))
            }
            node => Some(node.clone()),
        }
    }
}

/// A text or a number, as text.
pub(crate) fn text(node: &Value) -> String {
    node.as_str().map_or_else(|| node.to_string(), str::to_owned)
}
