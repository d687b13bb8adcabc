//! The request of a custom resource, and the answer to it.
//! Source: CloudFormation's "custom resource request and response reference".

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    Error, Result,
    store::{Database, RoleArns},
};

use crate::Migrated;

/// There is one schema, so one resource, whatever is updated: another id would have this one deleted.
const PHYSICAL_ID: &str = "schema";

/// The longest answer that CloudFormation takes, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// What is to happen to the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum RequestType {
    /// It is new.
    Create,
    /// It has other properties.
    Update,
    /// It is no longer wanted. The data is kept.
    Delete,
}

/// A request.
pub(crate) struct Request {
    pub(crate) kind: RequestType,
    /// Where the answer goes. Who has it can answer.
    pub(crate) response_url: String,
    stack_id: String,
    id: String,
    logical_resource_id: String,
    /// Or what is wrong with them.
    pub(crate) properties: Result<Roles, String>,
}

/// IAM's roles of the functions, which are needed on Aurora DSQL only.
#[derive(Default)]
pub(crate) struct Roles {
    pub(crate) now: Option<RoleArns>,
    /// Those of the deployment before, whose functions run until they are updated.
    pub(crate) before: Option<RoleArns>,
    /// All functions are updated: what roles may no longer do is to be taken from them, and nothing else is to be done.
    pub(crate) tidy: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    request_type: RequestType,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    #[serde(default)]
    resource_properties: Value,
    #[serde(default)]
    old_resource_properties: Value,
}

/// `ServiceToken` is CloudFormation's, and changes of `Revision` just make it ask.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Properties {
    #[serde(rename = "ServiceToken")]
    _service_token: Option<String>,
    #[serde(rename = "ServiceTimeout")]
    _service_timeout: Option<Value>,
    #[serde(rename = "Revision")]
    _revision: Option<Value>,
    roles: Option<BTreeMap<String, String>>,
    /// CloudFormation makes texts of everything.
    #[serde(default)]
    tidy: Option<String>,
}

impl Request {
    /// Reads what must be there to answer at all; other mistakes are part of the answer.
    ///
    /// # Errors
    /// When there is nobody to answer.
    pub(crate) fn read(event: &Value) -> Result<Self> {
        let envelope = Envelope::deserialize(event).map_err(|error| {
            Error::Malformed(format!("The event is not the request of a custom resource: {error}."))
        })?;
        let properties = match envelope.request_type {
            RequestType::Delete => Ok(Roles::default()),
            _ => Roles::read(&envelope.resource_properties).map(|roles| {
                let before = Roles::read(&envelope.old_resource_properties).ok();
                Roles { before: before.and_then(|roles| roles.now), ..roles }
            }),
        };
        Ok(Self {
            kind: envelope.request_type,
            response_url: envelope.response_url,
            stack_id: envelope.stack_id,
            id: envelope.request_id,
            logical_resource_id: envelope.logical_resource_id,
            properties,
        })
    }

    /// What CloudFormation is told, in JSON.
    pub(crate) fn answer(&self, outcome: &Result<Option<Migrated>, String>) -> String {
        let mut reason = outcome.as_ref().err().cloned().unwrap_or_default();
        loop {
            let mut answer = json!({
                "Status": if outcome.is_ok() { "SUCCESS" } else { "FAILED" },
                "PhysicalResourceId": PHYSICAL_ID,
                "StackId": self.stack_id,
                "RequestId": self.id,
                "LogicalResourceId": self.logical_resource_id,
            });
            match outcome {
                Ok(None) => {}
                Ok(Some(migrated)) => answer["Data"] = json!(migrated),
                Err(_) => answer["Reason"] = json!(reason),
            }
            let answer = answer.to_string();
            if answer.len() <= ANSWER_BYTES_MAX || reason.is_empty() {
                return answer;
            }
            // What is escaped in JSON is longer there.
            let keep = reason.chars().count() * 3 / 4;
            reason = reason.chars().take(keep).collect();
        }
    }
}

impl Roles {
    fn read(properties: &Value) -> Result<Self, String> {
        if properties.is_null() {
            return Ok(Self::default());
        }
        let properties = Properties::deserialize(properties).map_err(|error| {
            format!("The properties cannot be read, they are Revision and Roles, or Revision and Tidy: {error}.")
        })?;
        let tidy = match properties.tidy.as_deref() {
            None => false,
            Some("true") => true,
            Some(_) => return Err("The property Tidy is something else than true.".to_owned()),
        };
        let now = properties.roles.map(RoleArns::new).transpose();
        let now = now.map_err(|problem| format!("The property Roles {problem}."))?;
        Ok(Self { now, before: None, tidy })
    }

    /// What is wrong with these roles for such a database.
    pub(crate) fn problem_on(&self, database: Database) -> Option<String> {
        match (database, &self.now) {
            (Database::Dsql, _) if self.tidy => None,
            (Database::Dsql, None) => Some(
                "The property Roles is missing: Aurora DSQL takes the ARN of each function's IAM role by the name of the \
                 function."
                    .to_owned(),
            ),
            (Database::Postgres | Database::Sqlite, roles) if self.tidy || roles.is_some() => Some(
                "The property Roles is of use on Aurora DSQL only; without it, all functions connect by DATABASE_URL as it \
                 is. Leave it out."
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
