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
#[derive(Deserialize)]
enum RequestType {
    /// It is new.
    Create,
    /// It has other properties.
    Update,
    /// It is no longer wanted. The data is kept.
    Delete,
}

/// A request.
pub(crate) struct Request {
    /// Where the answer goes. Who has it can answer.
    pub(crate) response_url: String,
    stack_id: String,
    id: String,
    logical_resource_id: String,
    /// Or what is wrong with the properties. Nothing is wished for when the resource is to go: the data is kept.
    pub(crate) wish: Result<Option<Wish>, String>,
}

/// What the properties ask for.
pub(crate) enum Wish {
    /// Before functions are updated: the schema, and on Aurora DSQL roles that IAM's roles of the functions may take on.
    Schema {
        /// Needed on Aurora DSQL only.
        roles: Option<RoleArns>,
        /// Those of the deployment before, whose functions run until they are updated.
        roles_before: Option<RoleArns>,
    },
    /// After all functions are updated: what roles may no longer do is taken from them.
    Tidiness,
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
#[derive(Default, Deserialize)]
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
        let wish = match envelope.request_type {
            RequestType::Delete => Ok(None),
            RequestType::Create | RequestType::Update => {
                Wish::read(&envelope.resource_properties, &envelope.old_resource_properties)
                    .map(Some)
            }
        };
        Ok(Self {
            response_url: envelope.response_url,
            stack_id: envelope.stack_id,
            id: envelope.request_id,
            logical_resource_id: envelope.logical_resource_id,
            wish,
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

impl Wish {
    fn read(properties: &Value, before: &Value) -> Result<Self, String> {
        let Properties { roles, tidy, .. } = Properties::read(properties)?;
        match tidy.as_deref() {
            None => {
                let before = Properties::read(before).and_then(|before| role_arns(before.roles));
                Ok(Self::Schema { roles: role_arns(roles)?, roles_before: before.ok().flatten() })
            }
            Some("true") => Ok(Self::Tidiness),
            Some(_) => Err("The property Tidy is something else than true.".to_owned()),
        }
    }

    /// What is wrong with it for such a database.
    pub(crate) fn problem_on(&self, database: Database) -> Option<String> {
        match (database, self) {
            (Database::Dsql, Self::Schema { roles: None, .. }) => Some(
                "The property Roles is missing: Aurora DSQL takes the ARN of each function's IAM role by the name of the \
                 function."
                    .to_owned(),
            ),
            (Database::Dsql, _) | (_, Self::Schema { roles: None, .. }) => None,
            (Database::Postgres | Database::Sqlite, _) => Some(
                "The property Roles is of use on Aurora DSQL only; without it, all functions connect by DATABASE_URL as it \
                 is. Leave it out."
                    .to_owned(),
            ),
        }
    }
}

impl Properties {
    fn read(properties: &Value) -> Result<Self, String> {
        if properties.is_null() {
            return Ok(Self::default());
        }
        Self::deserialize(properties).map_err(|error| {
            format!("The properties cannot be read, they are Revision and Roles, or Revision and Tidy: {error}.")
        })
    }
}

fn role_arns(roles: Option<BTreeMap<String, String>>) -> Result<Option<RoleArns>, String> {
    let roles = roles.map(RoleArns::new).transpose();
    roles.map_err(|problem| format!("The property Roles {problem}."))
}
