//! What takes more than one cargo command: `cargo xtask --help`.

mod aws;
mod bench;
mod build;
mod chat;
mod check;
mod contract;
mod cost;
mod deploy;
mod destroy;
mod doctor;
mod document;
mod fidelity;
mod fuzz;
mod screenshot;
mod site;
mod smoke;
mod stack;
mod tools;
mod waiting;
mod web;

use std::{
    io::{self, Write, stderr, stdout},
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus},
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// Tasks of lambda-chat's developers.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure how fast the chat is, each thing beside what it can be compared with: docs/benchmarks
    Bench(bench::Bench),
    /// Build every function as Lambda runs it: target/lambda/NAME/bootstrap
    Build(build::Build),
    /// Chat in this terminal
    Chat(chat::Chat),
    /// Run the checker: random schedules of clients under faults, and the promises held against what they saw
    Check(check::Check),
    /// Print what makes a shell complete these tasks, for whoever calls `cargo xtask` by the name of xtask
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Hold what clients are promised against a chat that runs somewhere
    Contract(contract::Contract),
    /// Reckon what a month on AWS costs, and which limit binds first
    Cost(Box<cost::Cost>),
    /// Bring the chat into an AWS account, or up to date there
    Deploy(Box<deploy::Deploy>),
    /// Take a deployment away, with its data; asks first
    Destroy(destroy::Destroy),
    /// Examine a deployment, and say how to mend what is wrong
    Doctor(doctor::Doctor),
    /// Probe local-dev with the conformance suite, and write the README's table of what came of it
    Fidelity,
    /// Feed hostile input to what reads it, for a while
    Fuzz(fuzz::Fuzz),
    /// Take the README's pictures of the chat and of the inspector anew: docs/*.png
    Screenshot,
    /// Make the page for a CDN: names with hashes, so that browsers may keep the files
    Site(site::Site),
    /// Try a running chat: register, log in, two sockets, one message, who is online
    Smoke(smoke::Smoke),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Bench(bench) => bench.run(),
        Task::Build(build) => build.run(),
        Task::Chat(chat) => chat.run(),
        Task::Check(check) => check.run(),
        Task::Completions { shell } => complete(shell),
        Task::Contract(contract) => contract.run(),
        Task::Cost(cost) => cost.run(),
        Task::Deploy(deploy) => deploy.run(),
        Task::Destroy(destroy) => destroy.run(),
        Task::Doctor(doctor) => doctor.run(),
        Task::Fidelity => fidelity::write(),
        Task::Fuzz(fuzz) => fuzz.run(),
        Task::Screenshot => screenshot::take(),
        Task::Site(site) => site.run(),
        Task::Smoke(smoke) => smoke.run(),
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

fn complete(shell: Shell) -> Result<(), String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xtask", &mut script);
    stdout().write_all(&script).map_err(|error| format!("cannot write: {error}"))
}

/// Tells of progress, at once.
fn say(line: &str) {
    // If standard output is gone, there is nobody to tell, and the work goes on.
    writeln!(stdout(), "{line}").ok();
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is a member").to_owned()
}

/// Cargo, run in the workspace's folder.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status();
    ended(command, status)
}

/// What became of a command.
fn ended(command: &Command, status: io::Result<ExitStatus>) -> Result<(), String> {
    let status = status.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}
