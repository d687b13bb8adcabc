//! What takes more than one cargo command: `cargo xtask --help`.

mod build;
mod check;
mod contract;
mod cost;
mod fuzz;
mod screenshot;

use std::{
    io::{Write, stderr},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::{Parser, Subcommand};

/// Tasks of lambda-chat's developers.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build every function as Lambda runs it: target/lambda/NAME/bootstrap
    Build(build::Build),
    /// Run the checker: random schedules of clients under faults, and the promises held against what they saw
    Check(check::Check),
    /// Hold what clients are promised against a chat that runs somewhere
    Contract(contract::Contract),
    /// Reckon what a month on AWS costs, and which limit binds first
    Cost(Box<cost::Cost>),
    /// Feed hostile input to what reads it, for a while
    Fuzz(fuzz::Fuzz),
    /// Take the README's picture of the chat anew: docs/chat.png
    Screenshot,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Build(build) => build.run(),
        Task::Check(check) => check.run(),
        Task::Contract(contract) => contract.run(),
        Task::Cost(cost) => cost.run(),
        Task::Fuzz(fuzz) => fuzz.run(),
        Task::Screenshot => screenshot::take(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // If standard error is gone, there is nobody to tell.
            writeln!(stderr(), "xtask: {problem}").ok();
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Cargo, run in the workspace's folder.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}
