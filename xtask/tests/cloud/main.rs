//! The commands for the cloud, run as one runs them: against moto in place of AWS, with each error that AWS can answer put
//! in between, and with local-dev in place of the deployed chat.
//!
//! What a story needs and the machine doesn't have is said in its line (`[needs …] … ignored`); with `CI` set nothing may be
//! missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "nobody uses this crate from outside")]
#![expect(
    clippy::disallowed_methods,
    reason = "the suite finds its programs through the environment"
)]

mod aws;
#[expect(dead_code, reason = "of documents, only what they show is of interest here")]
#[path = "../documents/document.rs"]
mod document;
mod errors;
mod lives;
mod missing;
mod operations;
mod operator;
mod postgres;
mod proxy;
mod site;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::site::root;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(3);
    let missing = site::missing();
    let _aws = missing.is_none().then(aws::serve);
    let all = |stories: &[(&'static str, fn())], missing| {
        stories.iter().map(move |(name, story)| trial(name, *story, missing)).collect::<Vec<_>>()
    };
    // The longest first.
    let trials = [
        all(operations::STORIES, missing.or_else(postgres::missing)),
        all(lives::STORIES, missing),
        all(errors::STORIES, missing),
        all(missing::STORIES, missing),
        all(lives::OF_BUILT, missing.or_else(site::not_built)),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

fn trial(name: &str, story: fn(), missing: Option<&'static str>) -> Trial {
    match missing {
        None => Trial::test(name, move || {
            story();
            Ok(())
        }),
        Some(hint) => {
            let must_run = std::env::var_os("CI").is_some();
            let fail = move || Err(Failed::from(format!("this test {hint}")));
            Trial::test(name, fail).with_kind(hint).with_ignored_flag(!must_run)
        }
    }
}
