//! Which function is meant by an ARN.

use crate::{names, problem::Problem, property::Property, resolver::Resolver};

/// The logical id of the function that an ARN names, or the address at which API Gateway invokes it:
/// `arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations`. A version or an alias of the function
/// is the function.
pub(crate) fn function(
    resolver: &Resolver<'_>,
    property: &Property<'_>,
) -> Result<String, Problem> {
    let text = property.text()?;
    let arn = text
        .split_once(":lambda:path/2015-03-31/functions/")
        .and_then(|(_, rest)| rest.strip_suffix("/invocations"))
        .unwrap_or(text);
    let is_meant = |name: &str| {
        let rest = arn.strip_prefix(&names::function_arn(name, resolver.options));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    let named = resolver.functions().find(|(_, name)| is_meant(name));
    named.map(|(logical_id, _)| logical_id.to_owned()).ok_or_else(|| {
        property.problem(format!("{text:?} is not the ARN of a function of this template"))
    })
}
