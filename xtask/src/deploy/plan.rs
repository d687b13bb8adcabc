//! What a deployment would do, command by command.

use super::{
    Deploy,
    commands::{self, Names},
    progress::{self, Progress},
    settings::Setting,
    template::Template,
};
use crate::{
    aws::{Aws, IDENTITY, Target},
    build::{Build, RUSTFLAGS},
    say, tools,
};

impl Deploy {
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
    pub(super) fn tell_plan(
        &self,
        template: &Template,
        settings: &[Setting],
    ) -> Result<(), String> {
        let (aws, names) = self.unknown_names();
        let mut progress = Progress::default();
        let tell = |commands: &[Vec<String>]| {
            for command in commands {
                say(&format!("  $ {}", aws.line(command)));
            }
        };
        say("This would be done, and nothing of it is done now:");
        progress.next(progress::TOOLS);
        if self.built.is_none() {
            say(&format!("  $ {}", tools::CARGO_LAMBDA.probe()));
        }
        say(&format!("  $ {}", tools::AWS.probe()));
        tell(&[IDENTITY.map(str::to_owned).into()]);
        progress.next(progress::FUNCTIONS);
        match &self.built {
            Some(built) => say(&format!("  those in {} are taken", built.display())),
            None => {
                say(&format!(
                    "  $ RUSTFLAGS='{RUSTFLAGS}' cargo {}",
                    Build::for_lambda(self.x86_64).arguments()?.join(" ")
                ));
            }
        }
        progress.next(progress::STATE);
        tell(&[names.look()]);
        say(
            "  a stack at work is waited for; what is left of a failed first deployment is deleted",
        );
        progress.next(progress::UPLOAD);
        say(&format!("  {} with the functions of target/lambda", template.path().display()));
        tell(&[names.find_uploads()]);
        say("  and if there is none:");
        tell(&[names.make_uploads(), names.package(), names.upload_template()]);
        progress.next(progress::STACK);
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
        progress.next(progress::PAGE);
        say(&format!(
            "  static/ without its tests is made ready in {}",
            names.work.join("site").display()
        ));
        tell(&names.upload_page());
        progress.next(progress::CDN);
        tell(&[commands::invalidate("<DistributionId>")]);
        progress.next(progress::TRIAL);
        say(if self.no_smoke {
            "  skipped: --no-smoke"
        } else {
            "  $ cargo xtask smoke --url <Url>"
        });
        Ok(())
    }
}
