//! `cargo xtask destroy`: takes a deployment away, with all that it holds.

use std::{collections::BTreeSet, io, io::IsTerminal};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    aws::{Aws, AwsError, Target, private_file},
    deploy::uploads_bucket,
    say,
    stack::{Resource, Stack, Watch},
    tools,
};

/// Which deployment to take away.
#[derive(Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    target: Target,

    /// Don't ask
    #[arg(long)]
    yes: bool,
}

/// As many objects as S3 deletes at once.
const OBJECTS_MAX: usize = 1000;

impl Destroy {
    pub(crate) fn run(&self) -> Result<(), String> {
        tools::check(&[tools::AWS])?;
        let aws = Aws::new(&self.target);
        let name = &self.target.stack;
        let account = aws.account()?;
        match Stack::find(&aws, name)? {
            None => say(&format!("There is no stack {name} in account {account}.")),
            Some(stack) => {
                tell(&stack, &account);
                if !self.yes {
                    ask(name)?;
                }
                self.delete(&aws, stack)?;
            }
        }
        self.forget_uploads(&aws, &account)?;
        say(&format!(
            "{name} is gone. The role with which API Gateway writes logs stays: it is the account's now. \
             Secrets can be recovered for 30 days."
        ));
        Ok(())
    }

    fn delete(&self, aws: &Aws, mut stack: Stack) -> Result<(), String> {
        if stack.is_busy() {
            say(&format!("The stack is at work ({}). Waiting until it is done …", stack.status));
            match self.watch(aws, &stack)?.until_at_rest(false)? {
                (Some(rested), _) => stack = rested,
                // Its cluster may have stayed.
                (None, _) => {
                    return clusters(&[], &stack).iter().try_for_each(|id| forget(aws, id));
                }
            }
        }
        if stack.is_protected {
            say("Lifting the stack's own protection …");
            let lift = ["update-termination-protection", "--no-enable-termination-protection"];
            cloudformation(aws, &lift, &stack.id)?;
        }
        remove(aws, &stack, self.target.poll_ms)
    }

    fn watch<'a>(&self, aws: &'a Aws, stack: &Stack) -> Result<Watch<'a>, AwsError> {
        Watch::start(aws, &stack.id, self.target.poll_ms)
    }

    /// What deployments have uploaded, and the bucket for it once no other deployment needs it.
    fn forget_uploads(&self, aws: &Aws, account: &str) -> Result<(), String> {
        let bucket = uploads_bucket(account, &crate::deploy::region(aws, &self.target)?);
        let there = aws.call(&["s3api", "head-bucket", "--bucket", &bucket]);
        match there {
            Err(error) if error.code() == "404" => return Ok(()),
            other => other?,
        };
        empty(aws, &bucket, &format!("{}/", self.target.stack))?;
        let left =
            aws.call(&["s3api", "list-objects-v2", "--bucket", &bucket, "--max-items", "1"])?;
        if left["Contents"].as_array().is_none_or(Vec::is_empty) {
            say(&format!("Deleting the bucket of uploads, {bucket} …"));
            aws.call(&["s3api", "delete-bucket", "--bucket", &bucket])?;
        }
        Ok(())
    }
}

/// Deletes a stack with all that it holds, the cluster too, which outlives it.
pub(crate) fn remove(aws: &Aws, stack: &Stack, poll_ms: u64) -> Result<(), String> {
    // Outputs are what a stack shows when it was whole once; its resources are there in any state.
    let resources = resources(aws, stack)?;
    let clusters = clusters(&resources, stack);
    for cluster in &clusters {
        lift_protection(aws, cluster)?;
    }
    for bucket in resources.iter().filter(|one| one.kind == "AWS::S3::Bucket") {
        empty(aws, &bucket.id, "")?;
    }
    say(&format!("Deleting the stack {} (a CDN takes some minutes) …", stack.name));
    let watch = Watch::start(aws, &stack.id, poll_ms)?;
    cloudformation(aws, &["delete-stack"], &stack.id)?;
    if let (Some(left), failed) = watch.until_at_rest(true)? {
        return Err(still_there(&left, &failed));
    }
    clusters.iter().try_for_each(|cluster| forget(aws, cluster))
}

/// The ids of the stack's own clusters. One that the chat was moved away from is not the stack's any more.
fn clusters(resources: &[Resource], stack: &Stack) -> BTreeSet<String> {
    let there = resources.iter().filter(|one| one.kind == "AWS::DSQL::Cluster");
    there.map(|one| one.id.as_str()).chain(stack.output("ClusterId")).map(str::to_owned).collect()
}

/// Deletes a cluster that its stack has left behind.
fn forget(aws: &Aws, cluster: &str) -> Result<(), String> {
    say(&format!("Deleting the database, cluster {cluster} …"));
    match aws.call(&["dsql", "delete-cluster", "--identifier", cluster]) {
        Err(error) if error.code() == "ResourceNotFoundException" => Ok(()),
        Err(error) => Err(format!(
            "{error}\nThe stack is gone, but its database, cluster {cluster}, is still there and is billed. \
             Delete it: aws dsql update-cluster --no-deletion-protection-enabled --identifier {cluster}; aws \
             dsql delete-cluster --identifier {cluster}"
        )),
        Ok(_) => Ok(()),
    }
}

fn tell(stack: &Stack, account: &str) {
    say(&format!(
        "The stack {} in account {account} is in the state {}.",
        stack.name,
        stack.state()
    ));
    if let Some(url) = stack.output("Url") {
        say(&format!("It is the chat at {url}"));
    }
    say("This will be lost, and nobody can bring it back (but for the secret, for 30 days):");
    match stack.output("ClusterId") {
        Some(cluster) => say(&format!(
            "  - the database, Aurora DSQL cluster {cluster}: all users and all messages"
        )),
        None if stack.outputs.is_empty() => {
            say("  - an Aurora DSQL cluster of the stack, if there is one, with all that it holds");
        }
        None => say("  - not the database: it is outside the stack, and stays as it is"),
    }
    say("  - the secret that signs tokens: everybody is signed out");
    say("  - the page, the logs, the alarms and the dashboard");
}

/// Whoever has to type the name looks at it.
fn ask(name: &str) -> Result<(), String> {
    if !io::stdin().is_terminal() {
        return Err(format!(
            "nobody is there to be asked; cargo xtask destroy --stack {name} --yes does it unasked"
        ));
    }
    say(&format!("Type the stack's name ({name}) to delete it:"));
    let mut typed = String::new();
    io::stdin()
        .read_line(&mut typed)
        .map_err(|error| format!("cannot read what was typed: {error}"))?;
    if typed.trim() == name {
        Ok(())
    } else {
        Err("that is not its name; nothing was deleted".to_owned())
    }
}

fn cloudformation(aws: &Aws, what: &[&str], stack: &str) -> Result<Value, AwsError> {
    aws.call(&[&["cloudformation"], what, &["--stack-name", stack]].concat())
}

/// What the stack has and must be made ready to go.
fn resources(aws: &Aws, stack: &Stack) -> Result<Vec<Resource>, AwsError> {
    let mut resources = stack.resources(aws)?;
    let is_gone = |status: &str| ["DELETE_COMPLETE", "DELETE_SKIPPED"].contains(&status);
    resources.retain(|one| !one.id.is_empty() && !is_gone(&one.status));
    Ok(resources)
}

fn lift_protection(aws: &Aws, cluster: &str) -> Result<(), AwsError> {
    say(&format!("Lifting the protection of the database, cluster {cluster} …"));
    let update =
        ["dsql", "update-cluster", "--no-deletion-protection-enabled", "--identifier", cluster];
    match aws.call(&update) {
        Err(error) if error.code() == "ResourceNotFoundException" => Ok(()),
        other => other.map(drop),
    }
}

/// Deletes all objects below a prefix, with every version of them. A bucket that is gone is empty.
fn empty(aws: &Aws, bucket: &str, prefix: &str) -> Result<(), String> {
    loop {
        let max = OBJECTS_MAX.to_string();
        let mut list =
            vec!["s3api", "list-object-versions", "--bucket", bucket, "--max-items", &max];
        if !prefix.is_empty() {
            list.extend(["--prefix", prefix]);
        }
        let answer = match aws.call(&list) {
            Err(error) if error.code() == "NoSuchBucket" => return Ok(()),
            other => other?,
        };
        let entries =
            ["Versions", "DeleteMarkers"].into_iter().filter_map(|kind| answer[kind].as_array());
        let objects: Vec<Value> = entries
            .flatten()
            .map(|entry| json!({"Key": entry["Key"], "VersionId": entry["VersionId"]}))
            .take(OBJECTS_MAX)
            .collect();
        if objects.is_empty() {
            return Ok(());
        }
        say(&format!("Deleting {} objects of the bucket {bucket} …", objects.len()));
        let file = private_file(&json!({"Objects": objects, "Quiet": true}))?;
        let list = format!("file://{}", file.path().display());
        let done = aws.call(&["s3api", "delete-objects", "--bucket", bucket, "--delete", &list])?;
        if let Some(error) = done["Errors"].get(0) {
            return Err(format!(
                "{} of the bucket {bucket} can't be deleted: {}. Put that right, then run the same command",
                error["Key"], error["Message"]
            ));
        }
    }
}

fn still_there(stack: &Stack, failed: &[String]) -> String {
    let Stack { name, .. } = stack;
    format!(
        "the stack is still there: {}.\n  {}\nPut right what is named above, then run the same command: \
         it goes on where it stopped. What can't be deleted can be let go: aws cloudformation \
         delete-stack --stack-name {name} --retain-resources NAMES",
        stack.state(),
        failed.join("\n  "),
    )
}
