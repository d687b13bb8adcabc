//! What a template describes, as an emulator needs it.

use std::{fmt, time::Duration};

use crate::problem::Problem;

/// The functions, APIs and queues of a template.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// All functions, in the order of the file; routes name them by their logical ids.
    pub functions: Vec<Function>,
    /// The HTTP API. A template with more than one is refused.
    pub http_api: Option<HttpApi>,
    /// The WebSocket APIs. No two of them have the same stage.
    pub websocket_apis: Vec<WebSocketApi>,
    /// The queues. No two of them have the same name.
    pub queues: Vec<Queue>,
    /// What leads from queues to functions, unless it is switched off.
    pub event_sources: Vec<EventSource>,
    /// What the template asks for and doesn't get here, in the order of the file.
    pub warnings: Vec<Problem>,
    /// What was not looked at, because the answers are the same without it: types of resources and properties, each
    /// once, for example `AWS::IAM::Role` and `AWS::Serverless::Function.Policies`. For a log that is asked for.
    pub passed_over: Vec<String>,
}

impl Template {
    /// The function of that logical id.
    pub fn function(&self, logical_id: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.logical_id == logical_id)
    }

    /// The queue of that logical id.
    pub fn queue(&self, logical_id: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.logical_id == logical_id)
    }
}

/// A function that is a program: a `bootstrap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name in the template.
    pub logical_id: String,
    /// Its name for AWS: `FunctionName`, else the logical id.
    pub name: String,
    /// `arn:aws:lambda:{region}:{account}:function:{name}`.
    pub arn: String,
    /// The folder that its bootstrap is in, as cargo-lambda names it: `Metadata.BuildProperties.Binary`; else `NAME` if
    /// `CodeUri` is `…target/lambda/NAME`, with or without `/bootstrap.zip`; else the logical id. Never a path.
    pub binary: String,
    /// Its environment, in the order of the file. Includes no variables that Lambda sets by itself.
    pub environment: Vec<(String, Variable)>,
    /// `MemorySize`, in megabytes.
    pub memory_mb: u32,
    /// `Timeout`, in seconds.
    pub timeout_secs: u32,
    /// `ReservedConcurrentExecutions`; 0 is a function that never runs.
    pub reserved_concurrency: Option<u32>,
    /// `provided.al2023` or one of its predecessors.
    pub runtime: String,
    /// The line of the file where it is described.
    pub line: usize,
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// This text.
    Known(String),
    /// The address of an API of this template, `https://{id}.execute-api.{region}.amazonaws.com` in the cloud. What runs
    /// the template knows where that is here.
    Endpoint {
        /// The API's logical id.
        api: String,
        /// `https` or `wss`; `None` where the variable is a host without one.
        scheme: Option<String>,
        /// What follows the host: nothing, or a path that begins with `/`, for example `/ws`.
        path: String,
    },
    /// The URL of a queue of this template, `https://sqs.{region}.amazonaws.com/{account}/{name}` in the cloud. What runs
    /// the template knows where that is here.
    QueueUrl {
        /// The queue's logical id.
        queue: String,
        /// What follows the host: `/{account}/{name}`.
        path: String,
    },
    /// Only known in the cloud. It is warned of.
    Unknown {
        /// What the template says, in short: `!GetAtt Jobs.Arn`.
        expression: String,
        /// Why it isn't known.
        why: String,
    },
}

/// An HTTP API.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpApi {
    /// Its name in the template; `ServerlessHttpApi` if SAM makes it.
    pub logical_id: String,
    /// The id that `!Ref` of it gives here, the same at every start; for `requestContext.apiId`.
    pub api_id: String,
    /// `$default`, or the first segment of its paths.
    pub stage: String,
    /// What events carry as `stageVariables`, in the order of the file.
    pub stage_variables: Vec<(String, String)>,
    /// Its routes; no two answer the same requests.
    pub routes: Vec<HttpRoute>,
    /// What the API itself does about cross-origin requests.
    pub cors: Option<Cors>,
    /// Of routes that don't have their own.
    pub throttling: Throttling,
    /// The line of the file where it is described.
    pub line: usize,
}

/// A route of an HTTP API. Shown as its route key, `POST /auth/login`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRoute {
    /// The method.
    pub method: Method,
    /// `$default`, or a path: `/a/{b}/{proxy+}`.
    pub path: String,
    /// The logical id of the function.
    pub function: String,
    /// How long API Gateway waits for the function, if less than 30 seconds.
    pub timeout: Option<Duration>,
    /// What this route has in place of the API's.
    pub throttling: Throttling,
    /// The line of the file where it is described.
    pub line: usize,
}

impl fmt::Display for HttpRoute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.method {
            Method::Any if self.path == "$default" => formatter.write_str("$default"),
            Method::Any => write!(formatter, "ANY {}", self.path),
            Method::Only(method) => write!(formatter, "{method} {}", self.path),
        }
    }
}

/// The method of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// All that no other route of the path takes.
    Any,
    /// This one, in capitals.
    Only(String),
}

/// What an HTTP API does about cross-origin requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins that may call it; `*` is any.
    pub allow_origins: Vec<String>,
    /// Methods that they may use.
    pub allow_methods: Vec<String>,
    /// Headers that they may send.
    pub allow_headers: Vec<String>,
    /// Headers of answers that they may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may remember the answer to a preflight request, in seconds.
    pub max_age_secs: Option<u32>,
    /// Whether they may send cookies.
    pub allow_credentials: bool,
}

/// A WebSocket API.
#[derive(Clone, Debug, PartialEq)]
pub struct WebSocketApi {
    /// Its name in the template.
    pub logical_id: String,
    /// The id that `!Ref` of it gives here, the same at every start; for `requestContext.apiId`.
    pub api_id: String,
    /// The only segment of its path.
    pub stage: String,
    /// What events carry as `stageVariables`, in the order of the file.
    pub stage_variables: Vec<(String, String)>,
    /// For example `$request.body.action`.
    pub route_selection_expression: String,
    /// Its routes; no two have the same key.
    pub routes: Vec<WebSocketRoute>,
    /// What decides on `$connect` before the function does.
    pub authorizer: Option<Authorizer>,
    /// Of routes that don't have their own.
    pub throttling: Throttling,
    /// The line of the file where it is described.
    pub line: usize,
}

/// A route of a WebSocket API.
#[derive(Clone, Debug, PartialEq)]
pub struct WebSocketRoute {
    /// `$connect`, `$disconnect`, `$default` or what the route selection expression gives.
    pub key: String,
    /// The logical id of the function.
    pub function: String,
    /// Whether the function's answer is sent to the client: it has `RouteResponseSelectionExpression: $default` and a
    /// route response.
    pub two_way: bool,
    /// How long API Gateway waits for the function, if less than 29 seconds.
    pub timeout: Option<Duration>,
    /// What this route has in place of the API's.
    pub throttling: Throttling,
    /// The line of the file where it is described.
    pub line: usize,
}

/// A function that lets handshakes in or doesn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// Its name for AWS.
    pub name: String,
    /// The logical id of the function.
    pub function: String,
    /// What a request must have, so that the function is asked at all.
    pub identity_sources: Vec<IdentitySource>,
}

/// A part of the request for `$connect`. Shown as `route.request.header.Authorization`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// The header of that name.
    Header(String),
    /// The parameter of that name in the query string.
    QueryString(String),
    /// The stage variable of that name.
    StageVariable(String),
}

impl fmt::Display for IdentitySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(formatter, "route.request.header.{name}"),
            Self::QueryString(name) => write!(formatter, "route.request.querystring.{name}"),
            Self::StageVariable(name) => write!(formatter, "stageVariables.{name}"),
        }
    }
}

/// How many requests are let through. What is `None` is as it is for the whole account.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Throttling {
    /// `ThrottlingRateLimit`: requests per second.
    pub rate: Option<f64>,
    /// `ThrottlingBurstLimit`: requests at once.
    pub burst: Option<u32>,
}

/// A queue of SQS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name in the template.
    pub logical_id: String,
    /// Its name for AWS: `QueueName`, else the logical id, with `.fifo` at the end of a FIFO queue's.
    pub name: String,
    /// `arn:aws:sqs:{region}:{account}:{name}`.
    pub arn: String,
    /// What makes it a FIFO queue.
    pub fifo: Option<Fifo>,
    /// `VisibilityTimeout`, in seconds.
    pub visibility_timeout_secs: u32,
    /// `DelaySeconds`.
    pub delay_secs: u32,
    /// `MessageRetentionPeriod`, in seconds.
    pub retention_secs: u32,
    /// `MaximumMessageSize`, in bytes.
    pub message_bytes_max: u32,
    /// `ReceiveMessageWaitTimeSeconds`.
    pub receive_wait_secs: u32,
    /// `RedrivePolicy`, if it leads to a queue of this template.
    pub redrive: Option<Redrive>,
    /// The line of the file where it is described.
    pub line: usize,
}

/// What is special about a FIFO queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fifo {
    /// `ContentBasedDeduplication`.
    pub content_based_deduplication: bool,
    /// Whether `DeduplicationScope` is `messageGroup`.
    pub deduplicates_by_group: bool,
}

/// What becomes of messages that are received again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The logical id of the queue that gets them.
    pub queue: String,
    /// `maxReceiveCount`.
    pub receives_max: u32,
}

/// A queue whose messages invoke a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// The logical id of the function.
    pub function: String,
    /// The logical id of the queue.
    pub queue: String,
    /// `BatchSize`: messages of one invocation.
    pub batch_size: u32,
    /// `MaximumBatchingWindowInSeconds`.
    pub batching_window_secs: u32,
    /// `ScalingConfig.MaximumConcurrency`: invocations at once.
    pub concurrency_max: Option<u32>,
    /// Whether `FunctionResponseTypes` has `ReportBatchItemFailures`.
    pub reports_failures: bool,
    /// The line of the file where it is described.
    pub line: usize,
}
