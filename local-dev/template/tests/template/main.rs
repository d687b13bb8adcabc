//! What is read from templates, what is refused and what is warned of.

mod chat;
mod hostile;
mod plain;
mod queues;
mod refused;
mod sam;
mod values;
mod warned;

use template::{Options, Template, TemplateError, read};

/// Reads a template with the default options.
fn reading(yaml: &str) -> Result<Template, TemplateError> {
    read(yaml, &Options::default())
}

/// A SAM template of one function, `Hello`, that has what `properties` says, and of these resources. Both are indented
/// as they have to be.
fn with(properties: &str, resources: &str) -> String {
    format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Hello:\n    Type: AWS::Serverless::Function\n    \
         Properties:\n      Runtime: provided.al2023\n{properties}\n{resources}\n"
    )
}
