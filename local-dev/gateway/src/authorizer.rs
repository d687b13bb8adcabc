//! The Lambda authorizer of `$connect`, of type REQUEST.
//!
//! Source: API Gateway developer guide, "Control access to WebSocket APIs with AWS Lambda REQUEST authorizers".

use std::str::FromStr;

use axum::http::{StatusCode, request::Parts};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    RunningGateway,
    function::{Function, InvokeError},
    policy::{Decision, Policy},
    redaction::redact_text,
    refusal::Refusal,
    request::query_parameters,
    websocket_event::{self, Occasion},
};

/// The largest answer, in bytes. Source: WebSocket API quotas, AWS Lambda authorizer result size.
const RESULT_BYTES_MAX: usize = 8 * 1024;

/// A function that decides on who may connect, before `$connect` runs.
pub struct Authorizer {
    /// How the authorizer is called in the log.
    pub name: String,
    /// The function. It answers with an IAM policy.
    pub function: Function,
    /// What a handshake must have; without it, the answer is 401 and the function does not run.
    pub identity_sources: Vec<IdentitySource>,
}

/// Something in a handshake that tells who the client is: `route.request.header.NAME`,
/// `route.request.querystring.NAME`, `stageVariables.NAME` or `context.NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// A header.
    Header(String),
    /// A parameter of the query string.
    QueryString(String),
    /// A variable of the stage.
    StageVariable(String),
    /// A member of the event's `requestContext`, for example `identity.sourceIp`.
    Context(String),
}

/// An identity source that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no identity source; allowed are route.request.header.NAME, route.request.querystring.NAME, \
     stageVariables.NAME and context.NAME"
)]
pub struct IdentitySourceError(String);

impl FromStr for IdentitySource {
    type Err = IdentitySourceError;

    fn from_str(text: &str) -> Result<Self, IdentitySourceError> {
        type Kind = fn(String) -> IdentitySource;

        let kinds: [(&str, Kind); 4] = [
            ("route.request.header.", Self::Header),
            ("route.request.querystring.", Self::QueryString),
            ("stageVariables.", Self::StageVariable),
            ("context.", Self::Context),
        ];
        let mut kinds = kinds.iter();
        let source = kinds.find_map(|(prefix, kind)| Some((text.strip_prefix(prefix)?, kind)));
        source
            .filter(|(name, _kind)| !name.is_empty())
            .map(|(name, kind)| kind(name.to_owned()))
            .ok_or_else(|| IdentitySourceError(text.to_owned()))
    }
}

/// What an authorizer answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    principal_id: String,
    policy_document: Policy,
    #[serde(default)]
    context: Option<Map<String, Value>>,
}

/// Why a client may not connect.
#[derive(Debug, PartialEq, Eq)]
enum NoAccess {
    /// The client hasn't said who it is, or the authorizer says that it is nobody.
    Unauthorized,
    /// The policy doesn't allow it.
    Forbidden,
    /// The authorizer failed.
    Failed(String),
}

/// Asks the API's authorizer, if there is one. Remembers what it says of the client; `Err` holds the refusal's status.
pub(crate) async fn authorize(
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    request: &Parts,
) -> Result<(), StatusCode> {
    let Some(authorizer) = &occasion.connection.api.authorizer else { return Ok(()) };
    let refused = |refusal, status| {
        gateway.refuse(refusal, occasion.connection.id, Some(occasion.request_id));
        Err(status)
    };
    match ask(authorizer, gateway, occasion, request).await {
        Ok(context) => {
            occasion.connection.authorizer.set(context).expect("a connection asks once");
            Ok(())
        }
        Err(NoAccess::Unauthorized) => refused(Refusal::Unauthorized, StatusCode::UNAUTHORIZED),
        Err(NoAccess::Forbidden) => refused(Refusal::Denied, StatusCode::FORBIDDEN),
        Err(NoAccess::Failed(problem)) => {
            let request_id = occasion.request_id;
            // It may repeat a part of the answer.
            let problem = redact_text(&problem);
            tracing::warn!(authorizer = authorizer.name, %request_id, %problem, "authorizer failed");
            // Not published: inferred.
            refused(Refusal::AuthorizerFailed, StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

async fn ask(
    authorizer: &Authorizer,
    gateway: &RunningGateway,
    occasion: Occasion<'_>,
    request: &Parts,
) -> Result<Map<String, Value>, NoAccess> {
    if !authorizer.identity_sources.iter().all(|source| source.is_in(occasion, request)) {
        return Err(NoAccess::Unauthorized);
    }
    let method_arn = websocket_event::method_arn(&occasion.connection.api, gateway.region());
    let event = websocket_event::authorize(occasion, request, &method_arn);
    let started = Instant::now();
    let time_max = gateway.limits.integration_timeout;
    let function = &authorizer.function;
    let invoked =
        gateway.invoker.invoke(function, "$connect", occasion.request_id, event, time_max).await;
    let answer = invoked.map_err(|error| match error {
        InvokeError::Failed(message) if message == "Unauthorized" => NoAccess::Unauthorized,
        error => NoAccess::Failed(format!("{error:?}")),
    })?;
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    judge(&answer, &method_arn, latency_ms)
}

/// Reads an authorizer's answer: the client's context if the policy allows the connection.
fn judge(answer: &[u8], method_arn: &str, latency_ms: u64) -> Result<Map<String, Value>, NoAccess> {
    if answer.len() > RESULT_BYTES_MAX {
        let bytes = answer.len();
        return Err(NoAccess::Failed(format!("its answer has {bytes} bytes, more than 8 KB")));
    }
    let verdict: Verdict =
        serde_json::from_slice(answer).map_err(|error| NoAccess::Failed(error.to_string()))?;
    let mut context = Map::from_iter([("principalId".to_owned(), verdict.principal_id.into())]);
    for (name, value) in verdict.context.unwrap_or_default() {
        let text = match value {
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let problem = format!("context.{name} is not a string, a number or a boolean");
                return Err(NoAccess::Failed(problem));
            }
        };
        context.entry(name).or_insert(text.into());
    }
    context.insert("integrationLatency".to_owned(), latency_ms.into());
    match verdict.policy_document.decide("execute-api:Invoke", method_arn) {
        Decision::Allowed => Ok(context),
        Decision::Denied => Err(NoAccess::Forbidden),
    }
}

impl IdentitySource {
    /// Whether a handshake has it, and it is not empty.
    fn is_in(&self, occasion: Occasion<'_>, request: &Parts) -> bool {
        match self {
            Self::Header(name) => {
                request.headers.get(name.as_str()).is_some_and(|value| !value.is_empty())
            }
            Self::QueryString(name) => {
                let parameters = query_parameters(request.uri.query().unwrap_or_default());
                let values = parameters.get(name);
                values.is_some_and(|values| values.iter().any(|value| !value.is_empty()))
            }
            Self::StageVariable(name) => {
                let variables = &occasion.connection.api.stage_variables;
                variables.get(name).is_some_and(|value| !value.is_empty())
            }
            Self::Context(path) => websocket_event::context_value(occasion, path)
                .is_some_and(|value| value.as_str() != Some("")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:execute-api:us-east-1:123456789012:wsapi00000/ws/$connect";

    fn verdict(effect: &str, context: &Value) -> Vec<u8> {
        let statement =
            json!({ "Effect": effect, "Action": "execute-api:Invoke", "Resource": "*" });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
        let verdict = json!({ "principalId": "u-1", "policyDocument": policy, "context": context });
        verdict.to_string().into_bytes()
    }

    #[test]
    fn what_is_said_of_the_client_is_text() {
        let said = json!({ "role": "member", "level": 7, "half": 0.5, "admin": false });
        let context = judge(&verdict("Allow", &said), ARN, 87).unwrap();
        assert_eq!(
            serde_json::to_string(&context).unwrap(),
            r#"{"principalId":"u-1","role":"member","level":"7","half":"0.5","admin":"false","integrationLatency":87}"#
        );
        let without = judge(&verdict("Allow", &Value::Null), ARN, 0).unwrap();
        assert_eq!(Value::from(without), json!({ "principalId": "u-1", "integrationLatency": 0 }));
    }

    #[test]
    fn what_is_not_allowed_is_forbidden() {
        assert_eq!(judge(&verdict("Deny", &Value::Null), ARN, 0), Err(NoAccess::Forbidden));
    }

    #[test]
    fn a_malformed_answer_is_a_failure() {
        let problem = |answer: &[u8]| match judge(answer, ARN, 0) {
            Err(NoAccess::Failed(problem)) => problem,
            other => panic!("{other:?}"),
        };
        for (answer, part) in [
            ("", "EOF"),
            ("null", "invalid type"),
            ("true", "invalid type"),
            (r#"{"isAuthorized":true}"#, "principalId"),
            (r#"{"principalId":"u-1"}"#, "policyDocument"),
            (r#"{"principalId":1,"policyDocument":{"Statement":[]}}"#, "invalid type"),
        ] {
            assert!(
                problem(answer.as_bytes()).contains(part),
                "{answer}: {}",
                problem(answer.as_bytes())
            );
        }
        for value in [json!(null), json!([1]), json!({ "a": 1 })] {
            let said = json!({ "nested": value });
            assert!(problem(&verdict("Allow", &said)).contains("context.nested is not a string"));
        }
        let long = json!({ "long": "x".repeat(8 * 1024) });
        assert!(problem(&verdict("Allow", &long)).contains("more than 8 KB"));
    }

    #[test]
    fn identity_sources_are_named_as_in_a_template() {
        let parse = |text: &str| text.parse::<IdentitySource>();
        let header = IdentitySource::Header("X-Auth".to_owned());
        assert_eq!(parse("route.request.header.X-Auth"), Ok(header));
        let query = IdentitySource::QueryString("token".to_owned());
        assert_eq!(parse("route.request.querystring.token"), Ok(query));
        assert_eq!(parse("stageVariables.x"), Ok(IdentitySource::StageVariable("x".to_owned())));
        let context = IdentitySource::Context("identity.sourceIp".to_owned());
        assert_eq!(parse("context.identity.sourceIp"), Ok(context));
        for bad in
            ["", "token", "route.request.header.", "$request.header.X", "method.request.header.X"]
        {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains("allowed are route.request.header.NAME"), "{error}");
        }
    }
}
