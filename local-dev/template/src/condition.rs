//! The section `Conditions`.

use crate::{
    node::{Kind, Node},
    problem::Problem,
    property::Property,
    resolver::Resolver,
};

/// Whether the condition is true. Everything in it must be known.
pub(crate) fn decide(resolver: &Resolver<'_>, condition: &Node) -> Result<bool, Problem> {
    let wrong = || {
        let message = format!(
            "{:?} is not a condition, it takes Fn::And, Fn::Equals, Fn::Not, Fn::Or or Condition",
            condition.expression()
        );
        Problem::new("", condition.line, message)
    };
    let [only] = condition.entries() else { return Err(wrong()) };
    let operands = match &only.value.kind {
        Kind::List(operands) => operands.as_slice(),
        _ => &[],
    };
    resolver.spend(1, condition.line)?;
    match (only.key.as_str(), operands) {
        ("Condition", _) => {
            let name = only.value.scalar().ok_or_else(wrong)?;
            resolver.condition(name, condition.line)
        }
        ("Fn::Equals", [left, right]) => Ok(known(resolver, left)? == known(resolver, right)?),
        ("Fn::Not", [operand]) => Ok(!decide(resolver, operand)?),
        // All operands are looked at, so that what is wrong in one doesn't depend on the others.
        ("Fn::And", [_, ..]) => {
            operands.iter().try_fold(true, |all, operand| Ok(decide(resolver, operand)? && all))
        }
        ("Fn::Or", [_, ..]) => {
            operands.iter().try_fold(false, |any, operand| Ok(decide(resolver, operand)? || any))
        }
        _ => Err(wrong()),
    }
}

fn known(resolver: &Resolver<'_>, node: &Node) -> Result<String, Problem> {
    let Some(value) = resolver.resolve(node)? else { return Ok(String::new()) };
    let property = Property::new("", &value);
    Ok(property.text()?.to_owned())
}
