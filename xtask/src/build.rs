//! `cargo xtask build`: cargo-lambda over all functions, and nothing but the functions.

use std::{fs, io, process::Command};

use clap::Args;

use crate::{cargo, root, run, say, tools, waiting::Waiting};

/// What a function may weigh, in bytes. Lambda fetches it before it starts it, and reads most of it at a cold start; what
/// makes it grow is a dependency, most often, that can do more than is asked of it.
const BYTES_MAX: u64 = 7_000_000;

/// The same of those that a socket waits for.
const WEBSOCKET_BYTES_MAX: u64 = 6_500_000;

const WEBSOCKET_FUNCTIONS: [&str; 3] = ["connect", "message", "disconnect"];

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
            refuse_sqlite(&packages()?)?;
        }
        // What cargo has against the code stands above.
        run(lambda_cargo().args(self.arguments()?))
            .map_err(|problem| format!("the functions can't be built: {problem}"))?;
        if self.sqlite { Ok(()) } else { weigh(&functions()?) }
    }

    /// Cargo's arguments.
    pub(crate) fn arguments(&self) -> Result<Vec<String>, String> {
        let mut arguments: Vec<String> =
            ["lambda", "build", "--profile", "lambda"].map(str::to_owned).into();
        arguments.extend(packages()?);
        arguments.push(if self.x86_64 { "--x86-64" } else { "--arm64" }.to_owned());
        if self.sqlite {
            arguments.extend(["--features", "sqlite"].map(str::to_owned));
        }
        Ok(arguments)
    }
}

/// What starts on Lambda is built for a fixed address, as Go's programs are. Otherwise each start would adjust fourteen thousand
/// pointers to where the program happens to lie. Stack, heap and libraries lie anywhere all the same, and the code that is not
/// checked by the compiler is little. It takes the place of the flags in `.cargo/config.toml`, which are for local-dev.
pub(crate) const RUSTFLAGS: &str = "-C relocation-model=static";

/// Cargo, for what starts on Lambda.
pub(crate) fn lambda_cargo() -> Command {
    let mut command = cargo(&[]);
    command.env("RUSTFLAGS", RUSTFLAGS);
    command
}

/// The functions' names, in order.
fn functions() -> Result<Vec<String>, String> {
    let folder = root().join("functions");
    let entries = folder.read_dir().and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    Ok(names)
}

/// Options that choose the functions, and not what would put its own features into them.
fn packages() -> Result<Vec<String>, String> {
    Ok(functions()?.into_iter().map(|name| format!("--package={name}")).collect())
}

/// Lists what each function weighs, and fails if one weighs too much.
fn weigh(functions: &[String]) -> Result<(), String> {
    let mut too_heavy = Vec::new();
    for name in functions {
        let bootstrap = root().join("target/lambda").join(name).join("bootstrap");
        let bytes = fs::metadata(&bootstrap)
            .map_err(|error| format!("cannot look at {}: {error}", bootstrap.display()))?
            .len();
        let is_websocket = WEBSOCKET_FUNCTIONS.contains(&name.as_str());
        let bytes_max = if is_websocket { WEBSOCKET_BYTES_MAX } else { BYTES_MAX };
        say(&format!("{name:<12}{}", megabytes(bytes)));
        if bytes > bytes_max {
            too_heavy.push(format!(
                "{name} takes {}, of {} that it may",
                megabytes(bytes),
                megabytes(bytes_max)
            ));
        }
    }
    if too_heavy.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}; cargo tree --edges normal --package NAME shows what is in it",
        too_heavy.join("; ")
    ))
}

fn megabytes(bytes: u64) -> String {
    let hundredths = bytes.div_ceil(10_000);
    format!("{}.{:02} MB", hundredths / 100, hundredths % 100)
}

/// A function on Lambda talks to PostgreSQL. One careless feature would put all of SQLite into each of them.
fn refuse_sqlite(functions: &[String]) -> Result<(), String> {
    let _waiting = Waiting::begin("cargo tree");
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
