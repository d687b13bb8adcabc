//! Measures how fast the chat is, each thing beside what it can be compared with in the same run. `cargo xtask bench` builds
//! what is measured, runs this, and makes tables and charts of what it writes.
//!
//! `functions` and `posts` are about the functions as Lambda runs them, `deliveries`, `connections` and `requests` about
//! local-dev, `fan_out` about the functions on a simulated AWS. What is compared with: `hello` and `hello-postgres`, crates
//! of their own; `bare`, a chat; plain HTTP; bcrypt alone.

mod aws;
mod bare;
mod chat;
mod connections;
mod deliveries;
mod fan_out;
mod functions;
mod machine;
mod postgres;
mod posts;
mod process;
mod requests;
mod room;
mod runtime_api;
mod sink;
mod socket;
mod wire;

use std::{
    env, fs,
    io::{Write, stderr, stdout},
    path::PathBuf,
    process::{Command, ExitCode},
    sync::{Mutex, MutexGuard, PoisonError},
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use report::{Assumptions, Results, Row};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use crate::{functions::Functions, postgres::Postgres};

/// What goes wrong here is only shown.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What Lambda sets in a function's environment. The credentials are nobody's.
const OF_LAMBDA: [(&str, &str); 3] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
];

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure, and write what came out
    Measure(Box<Plan>),
    /// Run the chat that local-dev is compared with
    Bare(bare::Bare),
    /// Post, and say what it has cost
    Posts(posts::Posts),
    /// Run a server that takes every post
    Sink,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// Starts of functions, and their first answers
    ColdStart,
    /// Processor time of their further events
    Warm,
    /// What a post of a fan-out costs its function
    Post,
    /// What people in a room are shown
    Deliveries,
    /// Many who connect at once
    Storm,
    /// Pages of a long history
    History,
    /// Memory of those who say nothing
    Idle,
    /// Logins at the same time
    Login,
    /// A message to very many, on a simulated AWS
    FanOut,
}

/// What to measure, how thoroughly, and where things are.
#[derive(Args)]
struct Plan {
    /// Only this; may be repeated
    #[arg(long, value_name = "MEASUREMENT")]
    only: Vec<Measurement>,

    /// Little of everything, to see that it can be measured at all
    #[arg(long)]
    quick: bool,

    /// The program local-dev
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    local_dev: PathBuf,

    /// Folder of the compiled functions; without it, what needs them is skipped
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    functions: Option<PathBuf>,

    /// The function that does nothing, with which starts are compared
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    hello: PathBuf,

    /// The function that reads one row, with which first answers are compared
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    hello_postgres: PathBuf,

    /// The JSON to write
    #[arg(long, value_name = "FILE")]
    json: PathBuf,

    #[command(flatten)]
    assumptions: Assumptions,
}

fn main() -> ExitCode {
    match Cli::parse().task.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("bench: {failure}"));
            ExitCode::FAILURE
        }
    }
}

impl Task {
    fn run(self) -> Result<(), Failure> {
        let one_thread = Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::Measure(plan) => plan.run(&one_thread),
            Self::Bare(bare) => Runtime::new()?.block_on(bare.run()),
            // As a function does.
            Self::Posts(posts) => one_thread.block_on(posts.run()),
            Self::Sink => {
                tell(&format!("listening on http://{}", sink::Sink::start()?.address))?;
                loop {
                    std::thread::park();
                }
            }
        }
    }
}

impl Plan {
    fn run(&self, runtime: &Runtime) -> Result<(), Failure> {
        allow_many_files()?;
        let mut results = Results {
            machine: machine::describe(),
            rows: Vec::new(),
            sizes: Vec::new(),
            curve: None,
            skipped: Vec::new(),
        };
        self.functions(runtime, &mut results)?;
        let mut measure =
            |what, rows: &dyn Fn() -> Result<Vec<Row>, Failure>| -> Result<(), Failure> {
                if self.asks_for(what) {
                    results.rows.extend(rows()?);
                }
                Ok(())
            };
        measure(Measurement::Post, &|| posts::measure(self))?;
        measure(Measurement::Storm, &|| {
            runtime.block_on(connections::storm(self, &self.local_dev))
        })?;
        measure(Measurement::History, &|| {
            runtime.block_on(requests::history(self, &self.local_dev))
        })?;
        measure(Measurement::Idle, &|| runtime.block_on(connections::idle(self, &self.local_dev)))?;
        measure(Measurement::Login, &|| requests::login(self, &self.local_dev))?;
        if self.asks_for(Measurement::FanOut) {
            let curve = fan_out::curve(&self.assumptions, self.of(100_000, 100));
            let (curve, rows) = Runtime::new()?.block_on(curve)?;
            results.curve = Some(curve);
            results.rows.extend(rows);
        }
        fs::write(&self.json, format!("{}\n", serde_json::to_string_pretty(&results)?))?;
        Ok(())
    }

    /// What compiled functions have a part in.
    fn functions(&self, runtime: &Runtime, results: &mut Results) -> Result<(), Failure> {
        use Measurement::{ColdStart, Deliveries, Warm};
        if ![ColdStart, Warm, Deliveries].into_iter().any(|what| self.wants(what)) {
            return Ok(());
        }
        let postgres = runtime.block_on(Postgres::start())?;
        let compiled = self.functions.as_deref().zip(postgres.as_ref());
        if self.functions.is_some() && compiled.is_none() {
            results.skipped.push(format!("compiled functions: {}", pg_cluster::REMEDY));
        }
        if let Some((folder, postgres)) = compiled {
            let mut functions = runtime.block_on(Functions::new(folder, self, postgres))?;
            results.sizes = functions.sizes()?;
            if self.asks_for(ColdStart) {
                results.rows.extend(runtime.block_on(functions.cold_starts())?);
            }
            if self.asks_for(Warm) {
                results.rows.extend(runtime.block_on(functions.warm())?);
            }
        }
        if self.asks_for(Deliveries) {
            let rows = deliveries::measure(self, &self.local_dev, compiled);
            results.rows.extend(runtime.block_on(rows)?);
        }
        Ok(())
    }

    fn wants(&self, what: Measurement) -> bool {
        self.only.is_empty() || self.only.contains(&what)
    }

    /// The same, and tells of it.
    fn asks_for(&self, what: Measurement) -> bool {
        let wants = self.wants(what);
        if wants {
            say(&format!(
                "measuring {}",
                what.to_possible_value().expect("none is hidden").get_name()
            ));
        }
        wants
    }

    /// A number of things, or of fewer things.
    fn of(&self, thorough: usize, quick: usize) -> usize {
        if self.quick { quick } else { thorough }
    }
}

/// Thousands of sockets are open at both ends; what is started inherits the limit.
fn allow_many_files() -> Result<(), Failure> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// A path that stands, wherever a program runs.
fn absolute(path: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

/// This program.
fn program() -> Result<Command, Failure> {
    Ok(Command::new(env::current_exe()?))
}

/// A count for arithmetic.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

/// What a mutex guards, also after somebody has panicked with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells whoever has started this.
fn tell(line: &str) -> Result<(), Failure> {
    let mut stdout = stdout();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

/// Tells of progress.
fn say(line: &str) {
    // If standard error is gone, there is nobody to tell.
    writeln!(stderr(), "{line}").ok();
}
