//! `cargo xtask deploy`: from a clone to a running chat. Every step can be repeated, so whatever stops it, the same
//! command goes on from there.

mod commands;
mod failure;
mod plan;
mod progress;
mod settings;
mod template;

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::Value;

use crate::{
    aws::{Aws, Target, private_file},
    build::Build,
    destroy, root, say, site, smoke,
    stack::{Next, Stack, Watch},
    tools,
    waiting::Waiting,
};
use commands::Names;
pub(crate) use commands::uploads_bucket;
use failure::{failure, is_nothing_to_do, known_cause};
use progress::Progress;
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

impl Deploy {
    pub(crate) fn run(&self) -> Result<(), String> {
        let template = Template::read(self.template.as_deref())?;
        let settings = self.settings.read(&template.parameters(), self.dry_run)?;
        if self.dry_run {
            return self.tell_plan(&template, &settings);
        }
        let mut progress = Progress::default();
        progress.next(progress::TOOLS);
        let (aws, mut names) = self.begin()?;

        progress.next(progress::FUNCTIONS);
        let built = self.functions()?;

        progress.next(progress::STATE);
        let stack = self.settle(&aws)?;
        if let Some(stack) = &stack {
            self.settings.keep_database(stack, &settings)?;
        }

        progress.next(progress::UPLOAD);
        names.revision = template.write(&names.work, &built, self.x86_64)?;
        Self::upload(&aws, &names)?;

        progress.next(progress::STACK);
        let stack = self.bring_up(&aws, &mut names, stack, &template, settings)?;

        progress.next(progress::PAGE);
        let page = names.work.join("site");
        site::prepare(&root().join("static"), &page)?;
        output(&stack, "SiteBucket")?.clone_into(&mut names.page);
        for command in names.upload_page() {
            aws.call(&command)?;
        }

        progress.next(progress::CDN);
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
        progress.next(progress::TRIAL);
        if self.no_smoke {
            say("  skipped: --no-smoke");
        } else {
            let patience = Duration::from_secs(self.patience);
            smoke::test(url, patience)
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
        let account = aws.account()?;
        say(&format!("  account {account}, region {region}"));
        Ok((aws, Names::new(&target.stack, &region, &account)))
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
        let file = private_file(&parameters.into())?;
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
        let began = Instant::now();
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
                _ => {
                    let _waiting = Waiting::since(began, "waiting for the plan of changes");
                    thread::sleep(Duration::from_millis(self.target.poll_ms));
                }
            }
        }
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
