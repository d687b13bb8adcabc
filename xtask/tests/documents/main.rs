//! What documents say, tried: each command of ours has the options that it is shown with, what the README shows a new user is run
//! as it stands, shell is shell, links lead somewhere.
//!
//! Commands that need an account or minutes are run by other tests: `cloud` runs `deploy`, `doctor`, `destroy`, `site`,
//! `cargo lambda deploy` and all of `docs/operations.md`, the tests `smoke` and `chat` the tasks of these names, bench's own test
//! `bench --quick`, `.ci/run` runs `build`, `fuzz` and the tests, local-dev's own tests its options.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "nobody uses this crate from outside")]

mod commands;
mod document;
mod extending;
mod links;
mod new_user;
#[cfg(unix)]
mod others;
#[cfg(unix)]
mod suite;

use std::{
    env::consts::EXE_SUFFIX,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = vec![
        trial("links_lead_somewhere", None, links::lead_somewhere),
        trial("shell_is_shell", lacks("bash"), commands::are_shell),
        trial(
            "commands_have_the_options_that_they_are_shown_with",
            no_local_dev(),
            commands::exist,
        ),
        trial(
            "a_new_user_does_what_the_readme_says",
            no_local_dev().or_else(|| lacks("bash")).or_else(|| lacks("curl")),
            new_user::follows_the_readme,
        ),
        #[cfg(unix)]
        trial(
            "local_dev_is_installed",
            lacks("bash").or_else(|| lacks("curl")),
            others::local_dev_is_installed,
        ),
        #[cfg(unix)]
        trial(
            "one_function_is_tried_by_itself",
            no_local_dev().or_else(|| lacks("bash")).or_else(|| lacks("cargo-lambda")),
            others::one_function_is_tried_by_itself,
        ),
        #[cfg(unix)]
        trial(
            "the_suite_is_run_as_shown",
            no_local_dev().or_else(|| lacks("bash")),
            suite::is_run_as_shown,
        ),
        #[cfg(unix)]
        trial(
            "a_socket_is_posted_to_by_the_aws_cli",
            no_local_dev().or_else(|| lacks("bash")).or_else(|| lacks("aws")),
            others::a_socket_is_posted_to,
        ),
        trial("extending_the_chat_is_done_as_written", lacks("git"), extending::is_followed),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test; one that the machine lacks something for is skipped in plain sight, but not in CI.
fn trial(name: &str, lacking: Option<&'static str>, test: fn()) -> Trial {
    let Some(hint) = lacking else {
        return Trial::test(name, move || {
            test();
            Ok(())
        });
    };
    let must_run = std::env::var_os("CI").is_some();
    let fail = move || Err(Failed::from(format!("this test {hint}")));
    Trial::test(name, fail).with_kind(hint).with_ignored_flag(!must_run)
}

fn lacks(program: &'static str) -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let hint = match program {
        "aws" => "needs the AWS CLI: pip install awscli",
        "cargo-lambda" => "needs cargo-lambda: pip install cargo-lambda",
        "curl" => "needs curl",
        "git" => "needs git",
        _ => "needs bash",
    };
    (!is_there).then_some(hint)
}

fn no_local_dev() -> Option<&'static str> {
    (!local_dev().is_file()).then_some("needs local-dev: cargo build")
}

/// Takes from a command what this test's cargo says of its package: another cargo would build dependencies anew for it.
pub fn without_cargos_own(command: &mut Command) {
    let of_package = |name: &String| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| name.starts_with(start))
    };
    for name in std::env::vars().map(|(name, _)| name).filter(of_package) {
        command.env_remove(name);
    }
}

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The program local-dev, which `cargo test --workspace` builds.
pub fn local_dev() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name(format!("local-dev{EXE_SUFFIX}"))
}
