//! The commands of a deployment. A plan shows the same ones that a deployment runs.

use std::path::PathBuf;

use super::work_folder;
use crate::{root, site};

/// What the commands are about.
pub(super) struct Names {
    pub(super) stack: String,
    region: String,
    account: String,
    /// The folder in which files are put together.
    pub(super) work: PathBuf,
    /// What is deployed.
    pub(super) revision: String,
    /// The bucket of the page.
    pub(super) page: String,
    /// `CREATE` or `UPDATE`.
    pub(super) kind: &'static str,
    pub(super) change_set: String,
}

/// The bucket that functions and templates go to on their way. All deployments of an account in a region share it.
pub(crate) fn uploads_bucket(account: &str, region: &str) -> String {
    format!("lambda-chat-deploy-{account}-{region}")
}

/// A secret's versions, without their values.
pub(super) fn secret_versions(secret: &str) -> Vec<String> {
    words(&["secretsmanager", "describe-secret", "--secret-id", secret])
}

/// Assets need none: their names are new.
pub(super) fn invalidate(distribution: &str) -> Vec<String> {
    let paths = ["--paths", "/", "/index.html", "/config.js"];
    let id = ["--distribution-id", distribution];
    words(&[&["cloudfront", "create-invalidation"][..], &id, &paths].concat())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Names {
    pub(super) fn new(stack: &str, region: &str, account: &str) -> Self {
        Self {
            stack: stack.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            work: root().join(work_folder(stack)),
            revision: String::new(),
            page: String::new(),
            kind: "CREATE",
            change_set: format!("deploy-{}", hex::encode(rand::random::<[u8; 6]>())),
        }
    }

    pub(super) fn uploads(&self) -> String {
        uploads_bucket(&self.account, &self.region)
    }

    fn template_key(&self) -> String {
        format!("{}/template-{}.yaml", self.stack, self.revision)
    }

    fn file(&self, name: &str) -> String {
        self.work.join(name).display().to_string()
    }

    pub(super) fn look(&self) -> Vec<String> {
        words(&["cloudformation", "describe-stacks", "--stack-name", &self.stack])
    }

    pub(super) fn find_uploads(&self) -> Vec<String> {
        let owner = ["--expected-bucket-owner", &self.account];
        words(&[&["s3api", "head-bucket", "--bucket", &self.uploads()][..], &owner].concat())
    }

    pub(super) fn make_uploads(&self) -> Vec<String> {
        let mut command = words(&["s3api", "create-bucket", "--bucket", &self.uploads()]);
        // The one region that must not be named.
        if self.region != "us-east-1" {
            command.push("--create-bucket-configuration".to_owned());
            command.push(format!("LocationConstraint={}", self.region));
        }
        command
    }

    /// Zips each function and uploads those that have changed: their names are the hashes of what they hold.
    pub(super) fn package(&self) -> Vec<String> {
        let (template, packaged) = (self.file("template.yaml"), self.file("packaged.yaml"));
        let (from, to) = (["--template-file", &template], ["--output-template-file", &packaged]);
        let bucket = self.uploads();
        let bucket = ["--s3-bucket", &bucket, "--s3-prefix", &self.stack];
        words(&[&["cloudformation", "package"][..], &from, &bucket, &to].concat())
    }

    /// A template of this size is taken from a bucket only.
    pub(super) fn upload_template(&self) -> Vec<String> {
        let to = format!("s3://{}/{}", self.uploads(), self.template_key());
        words(&["s3", "cp", "--only-show-errors", &self.file("packaged.yaml"), &to])
    }

    pub(super) fn make_change_set(&self, parameters: &str) -> Vec<String> {
        let (bucket, region, key) = (self.uploads(), &self.region, self.template_key());
        let url = format!("https://{bucket}.s3.{region}.amazonaws.com/{key}");
        let mut command = self.change_set("create-change-set");
        command.extend(words(&["--change-set-type", self.kind, "--template-url", &url]));
        command.extend(words(&["--parameters", parameters]));
        command.extend(words(&["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]));
        command.extend(words(&["--tags", "Key=application,Value=lambda-chat"]));
        command
    }

    pub(super) fn look_at_change_set(&self) -> Vec<String> {
        self.change_set("describe-change-set")
    }

    pub(super) fn carry_out(&self) -> Vec<String> {
        self.change_set("execute-change-set")
    }

    pub(super) fn drop_change_set(&self) -> Vec<String> {
        self.change_set("delete-change-set")
    }

    fn change_set(&self, verb: &str) -> Vec<String> {
        let names = ["--stack-name", &self.stack, "--change-set-name", &self.change_set];
        words(&[&["cloudformation", verb][..], &names].concat())
    }

    /// What never changes first, what names it last: whoever gets the new index finds all that it names. Old files stay
    /// for windows that are open; all of a page is 100 KB.
    pub(super) fn upload_page(&self) -> Vec<Vec<String>> {
        let folder = self.work.join("site");
        let copy = |name: &str, rest: &[&str], content_type: &str, cache: &str| {
            let from = folder.join(name).display().to_string();
            let to = format!("s3://{}/{name}", self.page);
            let headers = ["--content-type", content_type, "--cache-control", cache];
            let copy = ["s3", "cp", "--only-show-errors", &from, &to];
            words(&[&copy[..], rest, &headers].concat())
        };
        let assets =
            site::TYPES.iter().filter(|(end, _)| *end != "html").map(|(end, content_type)| {
                let like = format!("*.{end}");
                let rest = ["--recursive", "--exclude", "*", "--include", &like];
                copy("assets", &rest, content_type, site::KEEP)
            });
        let fixed = site::FIXED.iter().map(|name| {
            copy(name, &[], site::content_type(name).expect("its type is known"), site::ASK)
        });
        assets.chain(fixed).collect()
    }
}
