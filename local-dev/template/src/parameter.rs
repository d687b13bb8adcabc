//! The values of parameters: what the caller says, else their defaults.

use std::collections::BTreeMap;

use crate::{
    Options,
    node::{Kind, Node, Unknown},
    problem::Problem,
    property::{Fates, Property},
    report::Report,
};

/// The longest value, in bytes. Source: quotas of `CloudFormation`.
const BYTES_MAX: usize = 4096;

const FATES: Fates = Fates {
    of: "Parameter",
    read: &[
        "Type",
        "Default",
        "AllowedValues",
        "NoEcho",
        "MinLength",
        "MaxLength",
        "MinValue",
        "MaxValue",
    ],
    passed_over: &["AllowedPattern", "ConstraintDescription", "Description"],
    others: &[],
};

/// Works out all values. Those that the caller gives must have a parameter.
pub(crate) fn read(
    section: Option<&Node>,
    options: &Options,
    report: &mut Report,
) -> BTreeMap<String, Kind> {
    let mut values = BTreeMap::new();
    let none = Node::new(1, Kind::Null);
    let section = Property::new("Parameters", section.unwrap_or(&none));
    for (entry, parameter) in section.entries() {
        let value = parameter.map().and_then(|parameter| {
            FATES.announce(&parameter, report);
            value(&entry.key, &parameter, options.parameters.get(&entry.key))
        });
        if let Some(value) = report.keep(value) {
            values.insert(entry.key.clone(), value);
        }
    }
    for name in options.parameters.keys().filter(|name| section.get(name).is_none()) {
        let names: Vec<&str> =
            section.node.entries().iter().map(|entry| entry.key.as_str()).collect();
        let allowed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let message =
            format!("a value is given for {name}, but the template's parameters are: {allowed}");
        report.errors.push(Problem::new("Parameters", section.line(), message));
    }
    values
}

fn value(name: &str, parameter: &Property<'_>, given: Option<&String>) -> Result<Kind, Problem> {
    let kind = parameter.required("Type")?.text()?;
    if kind.starts_with("AWS::SSM::Parameter::") && given.is_none() {
        return Ok(Kind::Unknown(Unknown {
            expression: format!("!Ref {name}"),
            why: format!(
                "its value is in the Parameter Store; --parameter {name}=VALUE gives one here"
            ),
        }));
    }
    let text = match (given, parameter.get("Default")) {
        (Some(text), _) => text.as_str(),
        (None, Some(default)) => default.text()?,
        (None, None) => {
            let message =
                format!("has no value and no Default; give it one with --parameter {name}=VALUE");
            return Err(parameter.problem(message));
        }
    };
    check(parameter, kind, text)?;
    Ok(if kind == "CommaDelimitedList" || kind.contains("List<") {
        let texts = text.split(',').map(|part| Node::text(parameter.line(), part.trim()));
        Kind::List(texts.collect())
    } else {
        Kind::Scalar(text.to_owned())
    })
}

/// Holds a value against what the parameter allows. What is secret isn't repeated.
fn check(parameter: &Property<'_>, kind: &str, text: &str) -> Result<(), Problem> {
    let secret = parameter.get("NoEcho").is_some_and(|value| value.boolean().unwrap_or(true));
    let shown = if secret { "its value (NoEcho)".to_owned() } else { format!("{text:?}") };
    if text.len() > BYTES_MAX {
        let message = format!("its value has {} bytes, it takes up to {BYTES_MAX}", text.len());
        return Err(parameter.problem(message));
    }
    if let Some(allowed) = parameter.get("AllowedValues") {
        let allowed = allowed.texts()?;
        if !allowed.iter().any(|value| value == text) {
            let allowed = allowed.join(", ");
            let message = format!("{shown} is not allowed, it takes one of: {allowed}");
            return Err(parameter.problem(message));
        }
    }
    if kind == "Number" {
        let range =
            bound(parameter, "MinValue", f64::MIN)?..=bound(parameter, "MaxValue", f64::MAX)?;
        if !text.trim().parse().is_ok_and(|number: f64| range.contains(&number)) {
            return Err(parameter.problem(format!("{shown} is not a number that it takes")));
        }
    }
    if kind == "String" {
        #[expect(clippy::cast_precision_loss, reason = "at most 4096")]
        let length = text.chars().count() as f64;
        let range = bound(parameter, "MinLength", 0.0)?..=bound(parameter, "MaxLength", f64::MAX)?;
        if !range.contains(&length) {
            let message =
                format!("{shown} has {length} characters, which is not a length it takes");
            return Err(parameter.problem(message));
        }
    }
    Ok(())
}

fn bound(parameter: &Property<'_>, key: &str, otherwise: f64) -> Result<f64, Problem> {
    parameter.get(key).map_or(Ok(otherwise), |bound| bound.number(&(f64::MIN..=f64::MAX), ""))
}
