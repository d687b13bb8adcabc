//! Measures the fan-out of a message: the chat's own functions on a simulated AWS. `cargo xtask bench` builds it, runs it, and
//! makes a table and a chart of what it writes.

mod aws;
mod fan_out;
mod machine;
mod report;

use std::{
    fs,
    io::{Write, stderr},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use serde_json::json;

/// What goes wrong here is only shown.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about)]
struct Cli {
    /// Up to so many connections
    #[arg(long, default_value_t = 100_000)]
    connections: usize,

    /// The JSON to write
    #[arg(long)]
    json: PathBuf,

    #[command(flatten)]
    assumptions: aws::Assumptions,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("bench: {failure}"));
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    async fn run(self) -> Result<(), Failure> {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let points = fan_out::curve(&self.assumptions, self.connections, &say).await?;
        let document = json!({"machine": machine::describe(), "profile": profile,
                              "assumptions": self.assumptions, "points": points});
        fs::write(self.json, format!("{document:#}\n"))?;
        Ok(())
    }
}

/// Tells of progress.
fn say(line: &str) {
    // If standard error is gone, there is nobody to tell.
    writeln!(stderr(), "{line}").ok();
}
