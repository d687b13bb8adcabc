//! What a deployment makes of `infra/template.yaml`: SAM's own translator expands it, and its meaning is held against the
//! code. Nothing here proves that AWS takes it; that much only a deployment does.
//!
//! It is skipped in plain sight where the SAM CLI is not installed; with `CI` set it must be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apis;
mod cdn;
mod functions;
mod operations;
mod permissions;
mod stack;
mod whole;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

use libtest_mimic::{Arguments, Failed, Trial};
use stack::Template;

/// A claim, and what shows it.
type Test = (&'static str, fn(&Template));

const SAM_HINT: &str = "needs the SAM CLI: pip install aws-sam-cli";
const NODE_HINT: &str = "needs Node: apt install nodejs";

/// Where CI puts the SAM CLI.
const VENV: &str = "../target/ci-sam/bin/python";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let template = find_python().map(|python| Arc::new(Template::expand(&python)));
    let template = template.ok_or(SAM_HINT);
    let with_node = if runs("node", &["--version"]) { template.clone() } else { Err(NODE_HINT) };
    let tests = [
        apis::TESTS,
        cdn::TESTS,
        functions::TESTS,
        operations::TESTS,
        permissions::TESTS,
        whole::TESTS,
    ];
    let trials = tests.into_iter().flatten().map(|test| trial(test, template.clone()));
    let with_node = cdn::NODE_TESTS.iter().map(|test| trial(test, with_node.clone()));
    libtest_mimic::run(&arguments, trials.chain(with_node).collect()).exit_code()
}

fn trial((name, test): &Test, template: Result<Arc<Template>, &'static str>) -> Trial {
    let test = *test;
    match template {
        Ok(template) => Trial::test(*name, move || {
            test(&template);
            Ok(())
        }),
        Err(hint) => Trial::test(*name, move || Err(Failed::from(format!("this test {hint}"))))
            .with_kind(hint)
            .with_ignored_flag(std::env::var_os("CI").is_none()),
    }
}

/// A Python that has SAM's translator: CI's, or that of the machine.
fn find_python() -> Option<PathBuf> {
    let in_venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(VENV);
    let mut pythons = [in_venv, PathBuf::from("python3")].into_iter();
    pythons.find(|python| runs(python, &["-c", "import samtranslator, samcli"]))
}

/// Whether a program is there and does that.
fn runs(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let command = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
