//! A stack of CloudFormation: what state it is in, what that means, and how it gets on.

use std::{
    collections::{BTreeMap, HashSet},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    aws::{Aws, AwsError},
    say,
    waiting::Waiting,
};

/// A stack that is there.
pub(crate) struct Stack {
    /// Finds it even when it is gone.
    pub(crate) id: String,
    pub(crate) name: String,
    /// `UPDATE_COMPLETE` and the like.
    pub(crate) status: String,
    reason: String,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) parameters: BTreeMap<String, String>,
    /// Whether CloudFormation refuses to delete it.
    pub(crate) is_protected: bool,
}

/// A part of a stack.
pub(crate) struct Resource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// `AWS::S3::Bucket` and the like.
    pub(crate) kind: String,
    /// Its own name or id; empty if it was never made.
    pub(crate) id: String,
    /// `CREATE_COMPLETE` and the like.
    pub(crate) status: String,
}

/// What a deployment does with a stack as it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Make it.
    Create,
    /// Bring it up to date.
    Update,
    /// It is at work: wait, and look again.
    Wait,
    /// A first deployment has failed, so nobody can have data there: delete what is left of it, then make it.
    DeleteAndCreate,
    /// Somebody has to decide. With what can be done.
    Stuck(String),
}

/// How often in a row looking at a stack may fail, for reasons that pass.
const FAILURES_MAX: u32 = 5;

impl Stack {
    /// The stack of that name or id, if there is one.
    pub(crate) fn find(aws: &Aws, name: &str) -> Result<Option<Self>, AwsError> {
        let answer = aws.call(&["cloudformation", "describe-stacks", "--stack-name", name]);
        match answer {
            Ok(answer) => Ok(answer["Stacks"].get(0).map(Self::read)),
            Err(error) if error.code() == "ValidationError" && error.says("does not exist") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read(stack: &Value) -> Self {
        let text = |name: &str| text(stack, name);
        let pairs = |list: &str, key: &str, value: &str| {
            let pair = |entry: &Value| {
                let part = |name: &str| Some(entry[name].as_str()?.to_owned());
                Some((part(key)?, part(value).unwrap_or_default()))
            };
            stack[list].as_array().into_iter().flatten().filter_map(pair).collect()
        };
        Self {
            id: text("StackId"),
            name: text("StackName"),
            status: text("StackStatus"),
            reason: text("StackStatusReason"),
            outputs: pairs("Outputs", "OutputKey", "OutputValue"),
            parameters: pairs("Parameters", "ParameterKey", "ParameterValue"),
            is_protected: stack["EnableTerminationProtection"] == true,
        }
    }

    /// Its parts, those that it had and has no more among them.
    pub(crate) fn resources(&self, aws: &Aws) -> Result<Vec<Resource>, AwsError> {
        let answer =
            aws.call(&["cloudformation", "list-stack-resources", "--stack-name", &self.id])?;
        let resources = answer["StackResourceSummaries"].as_array().into_iter().flatten();
        let read = |one: &Value| Resource {
            logical_id: text(one, "LogicalResourceId"),
            kind: text(one, "ResourceType"),
            id: text(one, "PhysicalResourceId"),
            status: text(one, "ResourceStatus"),
        };
        Ok(resources.map(read).collect())
    }

    /// One of its outputs.
    pub(crate) fn output(&self, name: &str) -> Option<&str> {
        self.outputs.get(name).map(String::as_str)
    }

    /// What to do with it.
    pub(crate) fn next(&self) -> Next {
        next(&self.status, &self.name)
    }

    /// Whether CloudFormation is at work on it.
    pub(crate) fn is_busy(&self) -> bool {
        self.next() == Next::Wait
    }

    /// A change set that is being carried out leaves its stack in review for a moment.
    fn is_at_rest(&self, must_move: bool) -> bool {
        let is_in_review = must_move && self.status == "REVIEW_IN_PROGRESS";
        !self.is_busy() && !is_in_review
    }

    /// Its state, and why it is in it if that is known.
    pub(crate) fn state(&self) -> String {
        if self.reason.is_empty() {
            self.status.clone()
        } else {
            format!("{} ({})", self.status, self.reason)
        }
    }
}

fn next(status: &str, name: &str) -> Next {
    match status {
        "CREATE_COMPLETE"
        | "UPDATE_COMPLETE"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "IMPORT_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE" => Next::Update,
        // A change set was made and never carried out.
        "REVIEW_IN_PROGRESS" | "DELETE_COMPLETE" => Next::Create,
        // The latter when a cluster was made already, which refuses to be deleted.
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" => Next::DeleteAndCreate,
        "UPDATE_ROLLBACK_FAILED" | "UPDATE_FAILED" => Next::Stuck(format!(
            "An update failed, and so did the way back. See what is in the way (the events above, or \
             aws cloudformation describe-stack-events --stack-name {name}) and put it right, then: \
             aws cloudformation continue-update-rollback --stack-name {name}. When that is done \
             (UPDATE_ROLLBACK_COMPLETE), deploy again"
        )),
        "CREATE_FAILED" | "DELETE_FAILED" | "IMPORT_ROLLBACK_FAILED" => Next::Stuck(format!(
            "Parts of it are left over and can't be used. Remove them: cargo xtask destroy --stack \
                 {name}, which says what is in the way. Then deploy again"
        )),
        busy if busy.ends_with("_IN_PROGRESS") => Next::Wait,
        _ => Next::Stuck(format!(
            "This state is not known here. Look at it in CloudFormation's console, or remove the \
             stack: cargo xtask destroy --stack {name}"
        )),
    }
}

/// Tells what happens to a stack.
pub(crate) struct Watch<'a> {
    aws: &'a Aws,
    began: Instant,
    id: String,
    seen: HashSet<String>,
    pause: Duration,
    failures: u32,
    /// Whether something has happened since the start.
    has_moved: bool,
    /// What has failed, and why.
    pub(crate) failed: Vec<String>,
}

impl<'a> Watch<'a> {
    /// From now on. What has happened before is not told.
    pub(crate) fn start(aws: &'a Aws, id: &str, poll_ms: u64) -> Result<Self, AwsError> {
        let pause = Duration::from_millis(poll_ms);
        let mut watch = Self {
            aws,
            began: Instant::now(),
            id: id.to_owned(),
            seen: HashSet::new(),
            pause,
            failures: 0,
            has_moved: false,
            failed: Vec::new(),
        };
        for event in watch.events()? {
            watch.seen.insert(text(&event, "EventId"));
        }
        Ok(watch)
    }

    /// Waits until the stack is at rest, and tells of each part that gets done or fails. `None` when it is gone. After
    /// an order (`must_move`) it isn't at rest before something has happened, and a state that was read before that is
    /// the one from before the order.
    pub(crate) fn until_at_rest(
        mut self,
        must_move: bool,
    ) -> Result<(Option<Stack>, Vec<String>), AwsError> {
        loop {
            let had_moved = self.has_moved;
            let looked = Stack::find(self.aws, &self.id).and_then(|stack| {
                self.tell()?;
                Ok(stack)
            });
            match looked {
                Ok(Some(stack)) if stack.status == "DELETE_COMPLETE" => {
                    return Ok((None, self.failed));
                }
                Ok(Some(stack)) if stack.is_at_rest(must_move) && (had_moved || !must_move) => {
                    return Ok((Some(stack), self.failed));
                }
                Ok(None) => return Ok((None, self.failed)),
                Ok(Some(_busy)) => self.failures = 0,
                Err(error) if error.is_transient() && self.failures < FAILURES_MAX => {
                    self.failures += 1;
                }
                Err(error) => return Err(error),
            }
            let _waiting = Waiting::since(self.began, "waiting for the stack");
            thread::sleep(self.pause);
        }
    }

    fn tell(&mut self) -> Result<(), AwsError> {
        for event in self.events()?.into_iter().rev() {
            if !self.seen.insert(text(&event, "EventId")) {
                continue;
            }
            self.has_moved = true;
            let (status, part) =
                (text(&event, "ResourceStatus"), text(&event, "LogicalResourceId"));
            let reason = text(&event, "ResourceStatusReason");
            if status.ends_with("_FAILED") {
                say(&format!("  {part}: {status}: {reason}"));
                // The others are given up because of the first.
                if !reason.contains("cancelled") {
                    self.failed
                        .push(format!("{part} ({}): {reason}", text(&event, "ResourceType")));
                }
            } else if !status.ends_with("_IN_PROGRESS") {
                say(&format!("  {part}: {status}"));
            }
        }
        Ok(())
    }

    /// The latest first. A stack that is being forgotten may have none.
    fn events(&self) -> Result<Vec<Value>, AwsError> {
        let command =
            ["cloudformation", "describe-stack-events", "--max-items", "200", "--stack-name"];
        match self.aws.call(&[&command[..], &[&self.id]].concat()) {
            Ok(mut answer) => match answer["StackEvents"].take() {
                Value::Array(events) => Ok(events),
                _ => Ok(Vec::new()),
            },
            Err(error) if error.says("does not exist") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn text(entry: &Value, name: &str) -> String {
    entry[name].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every status of a stack, as botocore's model of CloudFormation lists them (`StackStatus`), 2026-11-25.
    const STATUSES: &[&str] = &[
        "CREATE_IN_PROGRESS",
        "CREATE_FAILED",
        "CREATE_COMPLETE",
        "ROLLBACK_IN_PROGRESS",
        "ROLLBACK_FAILED",
        "ROLLBACK_COMPLETE",
        "DELETE_IN_PROGRESS",
        "DELETE_FAILED",
        "DELETE_COMPLETE",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_COMPLETE",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_FAILED",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
        "REVIEW_IN_PROGRESS",
        "IMPORT_IN_PROGRESS",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_IN_PROGRESS",
        "IMPORT_ROLLBACK_FAILED",
        "IMPORT_ROLLBACK_COMPLETE",
    ];

    #[test]
    fn every_state_of_a_stack_leads_somewhere() {
        for status in STATUSES {
            match next(status, "chat") {
                Next::Wait => assert!(status.ends_with("_IN_PROGRESS"), "{status}"),
                Next::Stuck(what) => {
                    assert!(status.ends_with("_FAILED"), "{status}");
                    assert!(
                        what.contains("--stack chat") || what.contains("--stack-name chat"),
                        "{what}"
                    );
                    assert!(!what.contains("not known"), "{status}");
                }
                Next::Create => assert!(["REVIEW_IN_PROGRESS", "DELETE_COMPLETE"].contains(status)),
                Next::DeleteAndCreate => {
                    assert!(["ROLLBACK_COMPLETE", "ROLLBACK_FAILED"].contains(status));
                }
                Next::Update => assert!(status.ends_with("_COMPLETE"), "{status}"),
            }
        }
        assert!(matches!(next("SOMETHING_NEW", "chat"), Next::Stuck(_)));
    }
}
