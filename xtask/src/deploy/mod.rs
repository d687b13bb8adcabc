//! `cargo xtask deploy`: from a clone to a running chat. Every step can be repeated, so whatever stops it, the same
//! command goes on from there.

mod commands;
mod settings;
mod template;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    aws::{Aws, Target},
    build::Build,
    destroy, root, say, site, smoke,
    stack::{Next, Stack, Watch},
    tools,
};
use commands::Names;
pub(crate) use commands::uploads_bucket;
use settings::{Setting, Settings};
use template::Template;

/// What to deploy, where, and how.
#[derive(Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    settings: Settings,

    /// Say what would be done, command by command, and do nothing; needs no credentials
    #[arg(long)]
    dry_run: bool,

    /// For Lambda on Intel instead of Graviton (arm64)
    #[arg(long)]
    x86_64: bool,

    /// Deploy the functions of this folder, which cargo xtask build has made, instead of building them
    #[arg(long, value_name = "FOLDER")]
    built: Option<PathBuf>,

    /// Don't try the chat afterwards; the trial leaves a user and a message behind
    #[arg(long)]
    no_smoke: bool,

    /// How long a new name may take until it is known everywhere, in seconds
    #[arg(long, default_value_t = 180, hide = true)]
    patience: u64,

    /// Another template
    #[arg(long, hide = true)]
    template: Option<PathBuf>,
}

/// Shows where it is.
struct Progress {
    step: usize,
}

const STEPS: usize = 8;

impl Progress {
    fn next(&mut self, title: &str) {
        self.step += 1;
        say(&format!("[{}/{STEPS}] {title}", self.step));
    }
}

impl Deploy {
    pub(crate) fn run(&self) -> Result<(), String> {
        let template = Template::read(self.template.as_deref())?;
        let settings = self.settings.read(&template.parameters(), self.dry_run)?;
        if self.dry_run {
            return self.tell_plan(&template, &settings);
        }
        let mut progress = Progress { step: 0 };
        progress.next("Tools and credentials");
        let (aws, mut names) = self.begin()?;

        progress.next("Functions");
        let built = self.functions()?;

        progress.next("The state of the stack");
        let stack = self.settle(&aws)?;
        if let Some(stack) = &stack {
            self.settings.keep_database(stack, &settings)?;
        }

        progress.next("Uploading functions and template");
        names.revision = template.write(&names.work, &built, self.x86_64)?;
        Self::upload(&aws, &names)?;

        progress.next("The stack (the first time, its CDN takes five to ten minutes)");
        let stack = self.bring_up(&aws, &mut names, stack, &template, settings)?;

        progress.next("The page");
        let page = names.work.join("site");
        site::prepare(&root().join("static"), &page)?;
        output(&stack, "SiteBucket")?.clone_into(&mut names.page);
        for command in names.upload_page() {
            aws.call(&command)?;
        }

        progress.next("Telling the CDN");
        match stack.output("DistributionId") {
            Some(id) => aws.call(&commands::invalidate(id)).map(drop)?,
            None => say("  skipped: this stack has none"),
        }

        let url = output(&stack, "Url")?;
        let record = record_to_set(&stack);
        if let Some(record) = &record {
            say(&format!(
                "  set this record where the domain's DNS is, if it isn't there: {record}"
            ));
        }
        progress.next("Trying the chat");
        if self.no_smoke {
            say("  skipped: --no-smoke");
        } else {
            let patience = Duration::from_secs(self.patience);
            smoke::test_new(url, patience)
                .map_err(|problem| self.does_not_work(url, &problem, record.as_deref()))?;
        }
        say(&format!("\nThe chat is at {url}"));
        Ok(())
    }

    fn does_not_work(&self, url: &str, problem: &str, record: Option<&str>) -> String {
        let Target { stack, .. } = &self.target;
        let record =
            record.map(|record| format!("\nIs this record set? {record}")).unwrap_or_default();
        format!(
            "everything is deployed, but the chat at {url} doesn't work: {problem}{record}\nSee what is wrong: \
             cargo xtask doctor --stack {stack}. To try again: cargo xtask smoke --url {url}"
        )
    }

    /// Who, where.
    fn begin(&self) -> Result<(Aws, Names), String> {
        tools::check(if self.built.is_some() {
            &[tools::AWS]
        } else {
            &[tools::CARGO_LAMBDA, tools::AWS]
        })?;
        let region = region(&Aws::new(&self.target), &self.target)?;
        let target = Target { region: Some(region.clone()), ..self.target.clone() };
        let aws = Aws::new(&target);
        let identity = aws.call(&commands::identity())?;
        let account = identity["Account"].as_str().unwrap_or_default();
        say(&format!("  account {account}, region {region}"));
        Ok((aws, Names::new(&target.stack, &region, account)))
    }

    /// The folder of the compiled functions.
    fn functions(&self) -> Result<PathBuf, String> {
        if let Some(built) = &self.built {
            say(&format!("  skipped: those in {} are taken", built.display()));
            return Ok(built.clone());
        }
        Build::for_lambda(self.x86_64).run()?;
        Ok(root().join("target/lambda"))
    }

    /// Waits until the stack can be worked on, and clears away what a failed first deployment has left. `None` if it
    /// has to be made.
    fn settle(&self, aws: &Aws) -> Result<Option<Stack>, String> {
        let name = &self.target.stack;
        let mut found = Stack::find(aws, name)?;
        loop {
            let Some(stack) = found else {
                say(&format!("  there is no {name} yet"));
                return Ok(None);
            };
            say(&format!("  {}", stack.state()));
            match stack.next() {
                Next::Update => return Ok(Some(stack)),
                Next::Create => return Ok(None),
                Next::Stuck(what) => {
                    return Err(format!("the stack {name} is stuck: {}.\n{what}", stack.state()));
                }
                Next::Wait => {
                    say("  somebody is at work on it; waiting until that is done …");
                    let watch = Watch::start(aws, &stack.id, self.target.poll_ms)?;
                    found = watch.until_at_rest(false)?.0;
                }
                Next::DeleteAndCreate => {
                    say("  its first deployment has failed; deleting what is left of it …");
                    destroy::remove(aws, &stack, self.target.poll_ms)?;
                    found = None;
                }
            }
        }
    }

    fn upload(aws: &Aws, names: &Names) -> Result<(), String> {
        match aws.call(&names.find_uploads()) {
            Ok(_) => {}
            Err(error) if error.code() == "404" => {
                say(&format!("  making the bucket {}", names.uploads()));
                aws.call(&names.make_uploads())?;
            }
            Err(error) if error.code() == "403" => {
                return Err(format!(
                    "the bucket {} belongs to somebody else, or the credentials may not use it.\n{error}",
                    names.uploads()
                ));
            }
            Err(error) => return Err(error.into()),
        }
        aws.call(&names.package())?;
        aws.call(&names.upload_template())?;
        Ok(())
    }

    /// Makes the stack or brings it up to date.
    fn bring_up(
        &self,
        aws: &Aws,
        names: &mut Names,
        stack: Option<Stack>,
        template: &Template,
        mut settings: Vec<Setting>,
    ) -> Result<Stack, String> {
        names.kind = if stack.is_some() { "UPDATE" } else { "CREATE" };
        settings.push(Setting::new("Revision", &names.revision));
        let chosen = settings.iter().any(|setting| setting.key == "JwtSecretVersion");
        let secret = stack.as_ref().and_then(|stack| stack.output("JwtSecretArn"));
        if let (Some(secret), false) = (secret, chosen) {
            settings.extend(current_version(aws, secret)?);
        }
        let before: Vec<&str> =
            stack.iter().flat_map(|stack| stack.parameters.keys()).map(String::as_str).collect();
        let parameters = settings::parameters(&template.parameters(), &settings, &before);
        // The database's URL is on no command line, and not on the disk any longer than needed.
        let file = private_file(&parameters)?;
        let command = names.make_change_set(&format!("file://{}", file.path().display()));
        let made = aws.call(&command).map_err(|error| {
            let error = error.to_string();
            known_cause(&error).map_or(error.clone(), |cause| format!("{error}\n{cause}"))
        })?;
        drop(file);
        let id = made["StackId"].as_str().unwrap_or(&names.stack).to_owned();
        if !self.has_changes(aws, names)? {
            say("  is up to date already");
            aws.call(&names.drop_change_set())?;
            return stack.ok_or_else(|| "the template has nothing to make".to_owned());
        }
        let watch = Watch::start(aws, &id, self.target.poll_ms)?;
        aws.call(&names.carry_out())?;
        let (after, failed) = watch.until_at_rest(true)?;
        let Some(after) = after else {
            return Err("somebody has deleted the stack meanwhile; deploy again".to_owned());
        };
        match after.status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" => Ok(after),
            _ => Err(failure(&after, &failed)),
        }
    }

    /// Waits for CloudFormation to find out what there is to do.
    fn has_changes(&self, aws: &Aws, names: &Names) -> Result<bool, String> {
        loop {
            let change_set = aws.call(&names.look_at_change_set())?;
            let reason = change_set["StatusReason"].as_str().unwrap_or_default();
            match change_set["Status"].as_str().unwrap_or_default() {
                "CREATE_COMPLETE" => return Ok(true),
                "FAILED" if is_nothing_to_do(reason) => return Ok(false),
                "FAILED" => {
                    // The refusal is what matters.
                    aws.call(&names.drop_change_set()).ok();
                    let fix = known_cause(reason).unwrap_or(
                        "Put that right (cargo xtask deploy --help has the settings), then deploy again",
                    );
                    return Err(format!(
                        "CloudFormation refuses the template or its parameters: {reason}\nNothing has been \
                         changed. {fix}"
                    ));
                }
                _ => thread::sleep(Duration::from_millis(self.target.poll_ms)),
            }
        }
    }

    /// Names as a plan has them: what only AWS knows stands in angle brackets.
    fn unknown_names(&self) -> (Aws, Names) {
        let region = self.target.region.clone().unwrap_or_else(|| "<region>".to_owned());
        let mut names = Names::new(&self.target.stack, &region, "<account>");
        "<revision>".clone_into(&mut names.revision);
        "<SiteBucket>".clone_into(&mut names.page);
        names.kind = "<CREATE or UPDATE>";
        "deploy-<random>".clone_into(&mut names.change_set);
        (Aws::new(&Target { region: Some(region), ..self.target.clone() }), names)
    }

    /// The commands of [`Self::run`], in their order.
    fn tell_plan(&self, template: &Template, settings: &[Setting]) -> Result<(), String> {
        let (aws, names) = self.unknown_names();
        let mut progress = Progress { step: 0 };
        let tell = |commands: &[Vec<String>]| {
            for command in commands {
                say(&format!("  $ {}", aws.line(command)));
            }
        };
        say("This would be done, and nothing of it is done now:");
        progress.next("Tools and credentials");
        if self.built.is_none() {
            say("  $ cargo-lambda --version");
        }
        say("  $ aws --version");
        tell(&[commands::identity()]);
        progress.next("Functions");
        match &self.built {
            Some(built) => say(&format!("  those in {} are taken", built.display())),
            None => {
                say(&format!(
                    "  $ cargo {}",
                    Build::for_lambda(self.x86_64).arguments()?.join(" ")
                ));
            }
        }
        progress.next("The state of the stack");
        tell(&[names.look()]);
        say(
            "  a stack at work is waited for; what is left of a failed first deployment is deleted",
        );
        progress.next("Uploading functions and template");
        say(&format!("  {} with the functions of target/lambda", template.path().display()));
        tell(&[names.find_uploads()]);
        say("  and if there is none:");
        tell(&[names.make_uploads(), names.package(), names.upload_template()]);
        progress.next("The stack (the first time, its CDN takes five to ten minutes)");
        say(
            "  with these parameters, in a file that nobody else may read; others keep their values:",
        );
        for setting in settings.iter().chain([&Setting::new("Revision", "<revision>")]) {
            say(&format!("    {}={}", setting.key, setting.shown()));
        }
        if !settings.iter().any(|setting| setting.key == "JwtSecretVersion") {
            say("    JwtSecretVersion=<the secret's current version>, on an update, from:");
            tell(&[commands::secret_versions("<JwtSecretArn>")]);
        }
        tell(&[
            names.make_change_set("file://<parameters>"),
            names.look_at_change_set(),
            names.carry_out(),
            names.look(),
        ]);
        progress.next("The page");
        say(&format!(
            "  static/ without its tests is made ready in {}",
            names.work.join("site").display()
        ));
        tell(&names.upload_page());
        progress.next("Telling the CDN");
        tell(&[commands::invalidate("<DistributionId>")]);
        progress.next("Trying the chat");
        say(if self.no_smoke {
            "  skipped: --no-smoke"
        } else {
            "  $ cargo xtask smoke --url <Url>"
        });
        Ok(())
    }
}

/// The region that the AWS CLI takes, from whatever it is set up with.
pub(crate) fn region(aws: &Aws, target: &Target) -> Result<String, String> {
    if let Some(region) = &target.region {
        return Ok(region.clone());
    }
    let said = aws.text(&["configure", "list"])?;
    let line = said.lines().find_map(|line| line.trim_start().strip_prefix("region"));
    let words = line.map(|line| line.split_whitespace().filter(|word| *word != ":"));
    let region = words.and_then(|mut words| words.next()).filter(|word| !word.starts_with('<'));
    // `None` is how version 1 of the CLI says that there is none.
    region.filter(|word| *word != "None").map(str::to_owned).ok_or_else(|| {
        "no region is set. Name one: --region eu-central-1, or aws configure set region eu-central-1"
            .to_owned()
    })
}

fn output<'a>(stack: &'a Stack, name: &str) -> Result<&'a str, String> {
    stack.output(name).ok_or_else(|| {
        format!(
            "the stack {} has no output {name}; it was not made by this version's template. Deploy again \
             from an unchanged infra/template.yaml",
            stack.name
        )
    })
}

/// The version of the secret that is to be used from now on.
fn current_version(aws: &Aws, secret: &str) -> Result<Option<Setting>, String> {
    let answer = aws.call(&commands::secret_versions(secret))?;
    let versions = answer["VersionIdsToStages"].as_object();
    let is_current = |stages: &Value| {
        stages.as_array().is_some_and(|stages| stages.iter().any(|stage| stage == "AWSCURRENT"))
    };
    let mut versions = versions.into_iter().flatten();
    let current = versions.find(|(_, stages)| is_current(stages));
    Ok(current.map(|(version, _)| Setting::new("JwtSecretVersion", version)))
}

fn private_file(parameters: &[Value]) -> Result<tempfile::NamedTempFile, String> {
    // Only its owner may read a file that tempfile makes.
    let write = |file: tempfile::NamedTempFile| {
        fs::write(file.path(), json!(parameters).to_string()).map(|()| file)
    };
    tempfile::NamedTempFile::new()
        .and_then(write)
        .map_err(|error| format!("cannot write a temporary file: {error}"))
}

/// What CloudFormation says of a change set without changes, in two ways.
fn is_nothing_to_do(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

fn failure(stack: &Stack, failed: &[String]) -> String {
    let what = match stack.next() {
        Next::Stuck(what) => what,
        Next::DeleteAndCreate => {
            "Put right what is named above, then run the same command: it clears away what is left and \
             begins anew"
                .to_owned()
        }
        _ => "The update was taken back: the chat runs as before. Put right what is named above, then \
              run the same command"
            .to_owned(),
    };
    let failed = failed.join("\n  ");
    let cause = known_cause(&failed).map(|cause| format!("\n{cause}")).unwrap_or_default();
    format!("the deployment has failed: {}.\n  {failed}{cause}\n{what}", stack.state())
}

/// What to do about refusals that nobody can guess the meaning of.
fn known_cause(said: &str) -> Option<&'static str> {
    if said.contains("account must be verified") {
        Some(
            "AWS lets new accounts have no CDN until it has looked at them: open a case in AWS's Support Center \
             (\"Account and billing\", which is free) and ask for CloudFront; then deploy again",
        )
    } else if said.contains("Unrecognized resource types") && said.contains("AWS::DSQL::Cluster") {
        Some(
            "This region doesn't have Aurora DSQL. Deploy to one that has: --region us-east-1 or eu-west-1, for \
             example. --database-url-from doesn't help here: the template names the cluster all the same",
        )
    } else {
        None
    }
}

/// The record that leads the chat's own name to the CDN, where the stack doesn't set it itself.
fn record_to_set(stack: &Stack) -> Option<String> {
    let parameter = |name: &str| stack.parameters.get(name).filter(|value| !value.is_empty());
    if parameter("HostedZoneId").is_some() {
        return None;
    }
    Some(format!("{} CNAME {}", parameter("Domain")?, stack.output("DistributionDomain")?))
}

/// Where a stack's files are put together.
fn work_folder(stack: &str) -> PathBuf {
    Path::new("target/deploy").join(stack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_new_accounts_and_regions_are_explained() {
        for (said, expected) in [
            (
                "Distribution (AWS::CloudFront::Distribution): Access denied: Your account must be verified \
                 before you can add new CloudFront resources",
                Some("Support Center"),
            ),
            (
                "Template format error: Unrecognized resource types: [AWS::DSQL::Cluster]",
                Some("--region"),
            ),
            ("Unrecognized resource types: [AWS::Other::Thing]", None),
        ] {
            match (known_cause(said), expected) {
                (None, None) => {}
                (Some(cause), Some(expected)) => assert!(cause.contains(expected), "{cause}"),
                (other, _) => panic!("{said}: {other:?}"),
            }
        }
    }
}
