//! Stories that need local-dev, which the same build makes.

use std::{
    env::consts::EXE_SUFFIX,
    path::{Path, PathBuf},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Failed, Trial};

const HINT: &str = "needs local-dev: cargo test --workspace";

/// The program.
pub fn local_dev() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name(format!("local-dev{EXE_SUFFIX}"))
}

/// Runs stories as the command line says. Where the program is missing, they are skipped in plain sight, but not in CI.
pub fn run(stories: &[(&str, fn())]) -> ExitCode {
    let trials = stories.iter().map(|&(name, story)| {
        if local_dev().is_file() {
            return Trial::test(name, move || {
                story();
                Ok(())
            });
        }
        let must_run = std::env::var_os("CI").is_some();
        let fail = || Err(Failed::from(format!("this test {HINT}")));
        Trial::test(name, fail).with_kind(HINT).with_ignored_flag(!must_run)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
