//! `cargo xtask bench`: how long a message takes to everybody, on a simulated AWS.

use std::{fs, path::PathBuf};

use clap::Args;

use crate::{cargo, root, run};

/// How much, and where to.
#[derive(Args)]
pub(crate) struct Bench {
    /// Few connections, unoptimised, to see that it can be measured at all; writes nothing unless --out is given
    #[arg(long)]
    quick: bool,

    /// Folder for what is measured [default: docs/benchmarks]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<(), String> {
        let told = |error| format!("no folder for what is measured: {error}");
        let nowhere = tempfile::tempdir().map_err(told)?;
        let folder = match &self.out {
            Some(folder) => std::path::absolute(folder).map_err(told)?,
            None if self.quick => nowhere.path().to_owned(),
            None => root().join("docs/benchmarks"),
        };
        fs::create_dir_all(&folder).map_err(told)?;
        let mut command = cargo(&["run", "--quiet", "--package", "bench"]);
        if !self.quick {
            command.arg("--release");
        }
        command.args(["--", "--connections", if self.quick { "1000" } else { "100000" }]);
        run(command.arg("--json").arg(folder.join("fan-out.json")))
    }
}
