//! Reads what a SAM template says of APIs, functions and queues, for an emulator of API Gateway, Lambda and SQS.
//!
//! ```
//! let yaml = "
//! Transform: AWS::Serverless-2016-10-31
//! Resources:
//!   Hello:
//!     Type: AWS::Serverless::Function
//!     Properties:
//!       Runtime: provided.al2023
//!       Events:
//!         Get: { Type: HttpApi, Properties: { Method: GET, Path: '/hello/{name}' } }
//! ";
//! let template = template::read(yaml, &template::Options::default())?;
//! let api = template.http_api.expect("the function has an event of it");
//! assert_eq!(api.routes[0].to_string(), "GET /hello/{name}");
//! assert_eq!(api.routes[0].function, "Hello");
//! # Ok::<(), template::TemplateError>(())
//! ```
//!
//! **The rule.** What a template asks for and an emulator doesn't do is named, with its line: refused where the answers
//! would be others than those of AWS (an authorizer that isn't asked is an open door), warned of where they would not.
//! Each kind of resource has a table of its properties and their fates; a property that isn't in it is warned of, too.
//!
//! **From text to routes**, a module each:
//! - `yaml` makes nodes of text, with tags turned into functions and with lines; hostile files end here.
//! - `parameter` gives parameters their values, `globals` lays a resource's properties over the global ones.
//! - `resolver`, `intrinsic` and `condition` work values out: `!Ref`, `!Sub`, `!If` and so on. A function's ARN and an
//!   API's id become the texts that stand for them here, so a route finds its function however the template puts it.
//! - `resource` tells resources from each other. `function`, `http_event`, `http_api` and `websocket_api` read those of
//!   SAM; `api_resource` reads those of plain `CloudFormation` (`AWS::ApiGatewayV2::*`).
//! - `queue` and `queue_event` read queues and what leads from them to functions.
//! - `draft` puts the parts of an API together and holds the APIs against each other; `model` is what comes out.

mod api_resource;
mod condition;
mod draft;
mod function;
mod globals;
mod http_api;
mod http_event;
mod intrinsic;
mod model;
mod names;
mod node;
mod parameter;
mod problem;
mod property;
mod queue;
mod queue_event;
mod report;
mod resolver;
mod resource;
mod stage;
mod target;
mod websocket_api;
mod yaml;

use std::{collections::BTreeMap, fmt};

pub use model::{
    Authorizer, Cors, EventSource, Fifo, Function, HttpApi, HttpRoute, IdentitySource, Method,
    Queue, Redrive, Template, Throttling, Variable, WebSocketApi, WebSocketRoute,
};
pub use problem::{Problem, TemplateError};

/// What a template doesn't say itself.
#[derive(Clone)]
pub struct Options {
    /// Values for parameters, in place of their defaults. Each must have its parameter.
    pub parameters: BTreeMap<String, String>,
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId`.
    pub account_id: String,
    /// `AWS::StackName`.
    pub stack_name: String,
}

/// Shows the names of parameters, and no value: some are secrets.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("parameters", &self.parameters.keys())
            .field("region", &self.region)
            .field("account_id", &self.account_id)
            .field("stack_name", &self.stack_name)
            .finish()
    }
}

impl Default for Options {
    /// No parameters; a stack called `local-dev` of the account `123456789012` in `us-east-1`.
    fn default() -> Self {
        Self {
            parameters: BTreeMap::new(),
            region: "us-east-1".to_owned(),
            account_id: "123456789012".to_owned(),
            stack_name: "local-dev".to_owned(),
        }
    }
}

/// Reads a template, in YAML or JSON.
///
/// # Errors
/// When it is not a template, or asks for what can't be done here. All that was found is in the error.
pub fn read(yaml: &str, options: &Options) -> Result<Template, TemplateError> {
    let root = yaml::parse(yaml)?;
    let mut report = report::Report::default();
    let mut template = resource::read(&root, options, &mut report);
    // By line, and what has the same line in the order in which it was found.
    report.errors.sort_by_key(|problem| problem.line);
    report.warnings.sort_by_key(|problem| problem.line);
    if !report.errors.is_empty() {
        return Err(TemplateError { problems: report.errors });
    }
    template.warnings = report.warnings;
    template.passed_over = report.passed_over.into_iter().collect();
    Ok(template)
}
