//! `cargo xtask build`: cargo-lambda over all functions, and nothing but the functions.

use clap::Args;

use crate::{cargo, run};

/// The functions, and not what would put its own features into them.
const ONLY_FUNCTIONS: [&str; 5] = ["--workspace", "--exclude", "local-dev", "--exclude", "xtask"];

/// What to build for.
#[derive(Args)]
pub(crate) struct Build {
    /// For Lambda on Intel instead of Graviton (arm64)
    #[arg(long)]
    x86_64: bool,

    /// With SQLite beside PostgreSQL, to run the bootstraps offline
    #[arg(long)]
    sqlite: bool,
}

impl Build {
    pub(crate) fn run(&self) -> Result<(), String> {
        if !self.sqlite {
            refuse_sqlite()?;
        }
        let mut command = cargo(&["lambda", "build", "--release"]);
        command.args(ONLY_FUNCTIONS).arg(if self.x86_64 { "--x86-64" } else { "--arm64" });
        if self.sqlite {
            command.args(["--features", "sqlite"]);
        }
        run(&mut command).map_err(|problem| {
            format!("{problem}; cargo-lambda comes with: pip install cargo-lambda")
        })
    }
}

/// A function on Lambda talks to PostgreSQL. One careless feature would put all of SQLite into each of them.
fn refuse_sqlite() -> Result<(), String> {
    let mut command = cargo(&["tree", "--quiet", "--edges", "normal", "--prefix", "none"]);
    let output = command
        .args(ONLY_FUNCTIONS)
        .output()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    match tree.lines().find(|line| line.starts_with("libsqlite3-sys ")) {
        Some(_) => Err("the functions contain SQLite: some crate among them enables the feature \
                        `sqlite` of `shared`"
            .to_owned()),
        None => Ok(()),
    }
}
