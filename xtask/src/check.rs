//! `cargo xtask check`: the checker of the promises, for as long as one likes.

use clap::{Args, ValueEnum};

use crate::{cargo, run, waiting};

/// How long, on what.
#[derive(Args)]
pub(crate) struct Check {
    /// The database, and what runs the functions
    #[arg(long, value_enum, default_value_t = On::Sqlite)]
    on: On,

    /// How many random schedules
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    schedules: u64,

    /// As many schedules as so many minutes have room for
    #[arg(long, conflicts_with = "schedules", value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,

    /// Operations of each schedule
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(10..))]
    operations: u64,

    /// Seed of the first schedule, the next one's is one more [default: any]
    #[arg(long)]
    seed: Option<u64>,

    /// Schedules at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    parallel: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum On {
    /// SQLite, functions in local-dev's process
    Sqlite,
    /// PostgreSQL, functions in local-dev's process
    Postgres,
    /// PostgreSQL, functions as Lambda runs them
    Bootstraps,
}

impl Check {
    pub(crate) fn run(&self) -> Result<(), String> {
        let on = match self.on {
            On::Sqlite => "sqlite",
            On::Postgres => "postgres",
            On::Bootstraps => "bootstraps",
        };
        let suite = ["--package", "local-dev", "--test", "chat"];
        // By itself, so that cargo shows how far it has come.
        run(cargo(&["test", "--no-run"]).args(suite))?;
        let mut command = cargo(&["test", "--quiet"]);
        command
            .args(suite)
            .args(["--", "--exact", &format!("{on}::checker::random_schedules_keep_the_promises")])
            // What is missing must be said, not skipped.
            .env("CI", "true")
            .env("CHECKER_OPERATIONS", self.operations.to_string())
            .env("CHECKER_PARALLEL", self.parallel.to_string());
        match self.minutes {
            Some(minutes) => command.env("CHECKER_SECONDS", (minutes * 60).to_string()),
            None => command.env("CHECKER_SCHEDULES", self.schedules.to_string()),
        };
        if let Some(seed) = self.seed {
            command.env("CHECKER_SEED", seed.to_string());
        }
        waiting::run(&mut command, "checking")
    }
}
