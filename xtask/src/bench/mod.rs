//! `cargo xtask bench`: builds what is measured and what it is compared with, measures, and makes tables and charts of it.

mod chart;
mod dollars;
mod page;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use report::Results;

use crate::{
    build::{Build, lambda_cargo},
    cargo, root, run, say, tools, waiting,
};

/// What is deployed is not built for this machine; what is measured is.
const IS_X86_64: bool = cfg!(target_arch = "x86_64");

/// The functions that do next to nothing, by which the chat's are measured.
const COMPARED_WITH: [&str; 2] = ["hello", "hello-postgres"];

/// How much, and where to.
#[derive(Args)]
pub(crate) struct Bench {
    /// Only this; may be repeated. Writes nothing unless --out is given
    #[arg(long, value_name = "MEASUREMENT", value_parser = page::HEADINGS.map(|(name, _)| name))]
    only: Vec<String>,

    /// Little of everything and unoptimised, to see that it can be measured at all. Writes nothing unless --out is given
    #[arg(long)]
    quick: bool,

    /// Folder for what is measured [default: docs/benchmarks, and the tables of README.md and docs/scaling.md]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Make tables and charts of what was measured last
    #[arg(long, conflicts_with_all = ["only", "quick", "out"])]
    write_doc: bool,

    /// Folder of bench, local-dev and what is compared with, if they are not to be built
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<(), String> {
        if self.write_doc {
            return write(&read(&page::folder().join(page::RESULTS))?);
        }
        if !cfg!(target_os = "linux") {
            return Err(
                "processor time and memory are read from /proc, which only Linux has".to_owned()
            );
        }
        let results = self.measure()?;
        say(&page::everything(&results));
        match &self.out {
            Some(folder) => write_results(folder, &results),
            None if self.quick || !self.only.is_empty() => Ok(()),
            None => write(&results),
        }
    }

    fn measure(&self) -> Result<Results, String> {
        let told = |error| format!("no folder for what is measured: {error}");
        let folder = tempfile::tempdir().map_err(told)?;
        let json = folder.path().join(page::RESULTS);
        let programs = self.programs()?;
        let missing = self.functions()?;
        let mut command = std::process::Command::new(programs.join("bench"));
        command.arg("measure").arg("--json").arg(&json).current_dir(root());
        command.arg("--local-dev").arg(programs.join("local-dev"));
        if self.quick {
            command.arg("--quick");
        }
        for name in COMPARED_WITH {
            command.arg(format!("--{name}")).arg(if self.quick {
                programs.join(name)
            } else {
                target_lambda().join(name).join("bootstrap")
            });
        }
        for measurement in &self.only {
            command.args(["--only", measurement]);
        }
        if missing.is_none() {
            command.arg("--functions").arg(target_lambda());
        }
        waiting::run(&mut command, "measuring")?;
        let mut results = read(&json)?;
        results.skipped.extend(missing);
        Ok(results)
    }

    /// Where the programs are, when they are built.
    fn programs(&self) -> Result<PathBuf, String> {
        if let Some(folder) = &self.programs {
            return std::path::absolute(folder)
                .map_err(|error| format!("cannot find {}: {error}", folder.display()));
        }
        let mut build = cargo(&["build", "--package", "local-dev", "--package", "bench"]);
        let folder = if self.quick {
            build.args(COMPARED_WITH.map(|name| format!("--package={name}")));
            "debug"
        } else {
            build.arg("--release");
            "release"
        };
        run(&mut build)?;
        Ok(root().join("target").join(folder))
    }

    /// Builds the functions, and those that they are compared with, if they are asked for. Returns what is not measured
    /// because they can't be built here, and how they could.
    fn functions(&self) -> Result<Option<String>, String> {
        const WHAT: &str =
            "starts, first answers and warm events of functions, and rooms with compiled functions";
        let has_part =
            |name: &String| ["cold-start", "warm", "deliveries"].contains(&name.as_str());
        if !self.only.is_empty() && !self.only.iter().any(has_part) {
            return Ok(None);
        }
        let processor = if IS_X86_64 { "--x86-64" } else { "--arm64" };
        if self.quick {
            let is_there = target_lambda().join("message/bootstrap").is_file();
            let remedy = if IS_X86_64 { "cargo xtask build --x86-64" } else { "cargo xtask build" };
            return Ok((!is_there).then(|| format!("{WHAT}: {remedy}")));
        }
        if let Err(remedy) = tools::check(&[tools::CARGO_LAMBDA]) {
            return Ok(Some(format!("{WHAT}: {remedy}")));
        }
        Build::for_lambda(IS_X86_64).run()?;
        for name in COMPARED_WITH {
            // By itself, so that it has no more in it than it asks for.
            let build = ["lambda", "build", "--profile", "lambda", "--package", name, processor];
            run(lambda_cargo().args(build))?;
        }
        Ok(None)
    }
}

/// Where compiled functions are.
fn target_lambda() -> PathBuf {
    root().join("target/lambda")
}

/// What was measured, and what that costs by today's prices.
fn read(file: &Path) -> Result<Results, String> {
    let told = |error: &dyn std::error::Error| format!("{}: {error}", file.display());
    let text = fs::read(file).map_err(|error| told(&error))?;
    let mut results = serde_json::from_slice(&text).map_err(|error| told(&error))?;
    dollars::add(&mut results);
    Ok(results)
}

/// Writes the JSON and the charts.
fn write_results(folder: &Path, results: &Results) -> Result<(), String> {
    let told = |error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(told)?;
    let json = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
    fs::write(folder.join(page::RESULTS), format!("{json}\n")).map_err(told)?;
    for (name, chart) in page::charts(results) {
        fs::write(folder.join(name), chart).map_err(told)?;
    }
    Ok(())
}

/// Writes all that the project says of the results.
fn write(results: &Results) -> Result<(), String> {
    write_results(&page::folder(), results)?;
    for (file, part) in page::parts(results) {
        let path = root().join(file);
        let told = |error| format!("{file}: {error}");
        let document = fs::read_to_string(&path).map_err(told)?;
        let document = page::renewed(&document, file, &part)?;
        fs::write(&path, document).map_err(told)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_charts_are_those_of_the_results() {
        let results = read(&page::folder().join(page::RESULTS)).unwrap();
        let stale = "is stale: cargo xtask bench --write-doc";
        for (file, part) in page::parts(&results) {
            let document = fs::read_to_string(root().join(file)).unwrap();
            let renewed = page::renewed(&document, file, &part).unwrap();
            assert!(document == renewed, "{file} {stale}");
        }
        for (name, chart) in page::charts(&results) {
            let drawn = fs::read_to_string(page::folder().join(name)).unwrap();
            assert!(drawn == chart, "docs/benchmarks/{name} {stale}");
        }
    }
}
