//! `cargo xtask doctor`: examines a deployment from the stack to the page. Each finding that is not well says how to
//! mend it.

mod account;
mod functions;
mod page;

use clap::Args;
use serde_json::Value;

use crate::{
    aws::{Aws, AwsError, Target},
    say,
    stack::{Next, Stack},
    tools,
};

/// Which deployment to examine.
#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    target: Target,
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    well: usize,
    broken: usize,
    doubtful: usize,
}

impl Findings {
    fn well(&mut self, what: &str) {
        self.well += 1;
        say(&format!("well    {what}"));
    }

    /// It works, but may not for long, or not for many.
    fn doubtful(&mut self, what: &str, fix: &str) {
        self.doubtful += 1;
        say(&format!("doubt   {what}\n        fix: {fix}"));
    }

    fn broken(&mut self, what: &str, fix: &str) {
        self.broken += 1;
        say(&format!("BROKEN  {what}\n        fix: {fix}"));
    }

    /// One could not look.
    fn unknown(&mut self, what: &str, error: &AwsError) {
        self.doubtful += 1;
        say(&format!(
            "doubt   {what}: can't be looked at\n        {}",
            indented(&error.to_string())
        ));
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n        ")
}

/// An id as connections have them, of a connection that has never been: API Gateway answers 410, Gone.
const NO_CONNECTION: &str = "L0SM9cOFvHcCIhw=";

impl Doctor {
    pub(crate) fn run(&self) -> Result<(), String> {
        tools::check(&[tools::AWS])?;
        let region = crate::deploy::region(&Aws::new(&self.target), &self.target)?;
        let aws = Aws::new(&Target { region: Some(region.clone()), ..self.target.clone() });
        let name = &self.target.stack;
        aws.account()?;
        let stack = Stack::find(&aws, name)?.ok_or_else(|| {
            format!(
                "there is no stack {name} in {region}. Is it in another region or account (--region, \
                 --profile)? cargo xtask deploy --stack {name} --region {region} makes it"
            )
        })?;
        let mut findings = Findings::default();
        state(&mut findings, &stack);
        functions::examine(&mut findings, &aws, &stack);
        database(&mut findings, &aws, &stack);
        callback(&mut findings, &aws, &stack);
        page::examine(&mut findings, &stack);
        account::examine(&mut findings, &aws, &stack);

        let Findings { well, broken, doubtful } = findings;
        match (broken, doubtful) {
            (0, 0) => say(&format!("All {well} are well.")),
            (0, _) => say(&format!("It works; {doubtful} in doubt.")),
            _ => {
                return Err(format!(
                    "{broken} broken, {doubtful} in doubt, {well} well; the fixes are said above"
                ));
            }
        }
        Ok(())
    }
}

fn state(findings: &mut Findings, stack: &Stack) {
    let what = format!("stack {}: {}", stack.name, stack.state());
    match stack.next() {
        Next::Update if stack.status.contains("ROLLBACK") => findings.doubtful(
            &what,
            &format!(
                "its last update was taken back; deploy again: cargo xtask deploy --stack {}",
                stack.name
            ),
        ),
        Next::Update => findings.well(&what),
        Next::Wait => findings.doubtful(&what, "somebody is at work on it; wait, then look again"),
        Next::Create | Next::DeleteAndCreate => findings
            .broken(&what, &format!("deploy again: cargo xtask deploy --stack {}", stack.name)),
        Next::Stuck(fix) => findings.broken(&what, &fix),
    }
}

/// Asks the function that knows all migrations.
fn database(findings: &mut Findings, aws: &Aws, stack: &Stack) {
    let Some(function) = stack.output("MigrateFunction") else {
        return missing_output(findings, stack, "MigrateFunction");
    };
    match functions::invoke(aws, function, r#"{"action":"status"}"#) {
        Ok(answer) if answer["steps"].is_u64() => {
            judge_database(findings, stack, function, &answer);
        }
        Ok(answer) => {
            // An error of a function is text of its own making, without secrets.
            let said =
                answer["errorMessage"].as_str().unwrap_or("its answer has no number of steps");
            findings.broken(
                &format!("database: {function} can't tell: {said}"),
                &format!(
                    "see its log: aws logs tail /aws/lambda/{}-migrate --since 10m. With Aurora DSQL: is the \
                     cluster ACTIVE (aws dsql list-clusters)? With a database of your own: does it run, \
                     and is its URL right (cargo xtask deploy --database-url-from FILE)?",
                    stack.name
                ),
            );
        }
        Err(error) => findings.unknown("database", &error),
    }
}

fn judge_database(findings: &mut Findings, stack: &Stack, function: &str, answer: &Value) {
    let kind = answer["database"].as_str().unwrap_or("unknown");
    match (answer["steps"].as_u64(), answer["steps_pending"].as_u64()) {
        (Some(steps), Some(0)) => {
            findings.well(&format!("database: {kind}, all {steps} steps of its migrations done"));
        }
        (Some(steps), pending) => findings.broken(
            &format!("database: {kind}, {} of {steps} steps are not done", pending.unwrap_or(steps)),
            &format!(
                "deploy again (cargo xtask deploy --stack {}), or: aws lambda invoke --function-name \
                 {function} /dev/stdout",
                stack.name
            ),
        ),
        (None, _) => {}
    }
    if let Some(now) = answer["now"].as_i64() {
        page::judge_clock(findings, "the database's function", now / 1000);
    }
}

/// Whether `@connections` is where functions look for it.
fn callback(findings: &mut Findings, aws: &Aws, stack: &Stack) {
    let Some(endpoint) = stack.output("ConnectionsEndpoint") else {
        return missing_output(findings, stack, "ConnectionsEndpoint");
    };
    let get = ["apigatewaymanagementapi", "get-connection", "--connection-id", NO_CONNECTION];
    match aws.call(&[&get[..], &["--endpoint-url", endpoint]].concat()) {
        Err(error) if error.code() == "GoneException" || error.code() == "410" => {
            findings.well(&format!("callback URL: {endpoint} answers"));
        }
        Err(error) if error.is_denied() => findings.doubtful(
            &format!("callback URL: {endpoint} answers 403"),
            "either your own credentials lack execute-api:ManageConnections, or the URL is wrong: it is \
             https://API.execute-api.REGION.amazonaws.com/ws (see CONNECTIONS_ENDPOINT)",
        ),
        Err(error) => findings.broken(
            &format!("callback URL: {endpoint} does not answer as API Gateway does"),
            &format!("is there a stage named ws? {}", indented(&error.to_string())),
        ),
        Ok(_) => findings.broken(
            &format!("callback URL: {endpoint} knows a connection that never was"),
            "it is not API Gateway that answers there; deploy again",
        ),
    }
}

fn missing_output(findings: &mut Findings, stack: &Stack, name: &str) {
    findings.broken(
        &format!("stack {} has no output {name}", stack.name),
        &format!("it is older than this version: cargo xtask deploy --stack {}", stack.name),
    );
}
