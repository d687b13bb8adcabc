//! `cargo xtask build`: cargo-lambda over all functions, and nothing but the functions.

use std::io;

use clap::Args;

use crate::{cargo, root, run, tools};

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
    /// What is deployed.
    pub(crate) fn for_lambda(x86_64: bool) -> Self {
        Self { x86_64, sqlite: false }
    }

    pub(crate) fn run(&self) -> Result<(), String> {
        tools::check(&[tools::CARGO_LAMBDA])?;
        if !self.sqlite {
            refuse_sqlite(&functions()?)?;
        }
        // What cargo has against the code stands above.
        run(cargo(&[]).args(self.arguments()?))
            .map_err(|problem| format!("the functions can't be built: {problem}"))
    }

    /// Cargo's arguments.
    pub(crate) fn arguments(&self) -> Result<Vec<String>, String> {
        let mut arguments: Vec<String> = ["lambda", "build", "--release"].map(str::to_owned).into();
        arguments.extend(functions()?);
        arguments.push(if self.x86_64 { "--x86-64" } else { "--arm64" }.to_owned());
        if self.sqlite {
            arguments.extend(["--features", "sqlite"].map(str::to_owned));
        }
        Ok(arguments)
    }
}

/// Options that choose the functions, and not what would put its own features into them.
fn functions() -> Result<Vec<String>, String> {
    let folder = root().join("functions");
    let entries = folder.read_dir().and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut options: Vec<String> = names.map(|name| format!("--package={name}")).collect();
    options.sort_unstable();
    Ok(options)
}

/// A function on Lambda talks to PostgreSQL. One careless feature would put all of SQLite into each of them.
fn refuse_sqlite(functions: &[String]) -> Result<(), String> {
    let mut command = cargo(&["tree", "--quiet", "--edges", "normal", "--prefix", "none"]);
    let output = command
        .args(functions)
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
