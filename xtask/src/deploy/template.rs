//! The template, made ready: each function's code is the folder that cargo-lambda has made.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};

use crate::root;

/// The text of a template.
pub(super) struct Template {
    path: PathBuf,
    text: String,
}

/// Where the template says that functions are, seen from itself.
const SOURCES: &str = "../functions/";

/// When all code was made, from 1970 on (2020-01-01): the same code makes the same zip.
const MADE: Duration = Duration::from_hours(438_288);

impl Template {
    /// The chat's own, or the one at `path`.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, String> {
        let path = path.map_or_else(|| root().join("infra/template.yaml"), Path::to_owned);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read the template {}: {error}", path.display()))?;
        Ok(Self { path, text })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of its parameters.
    pub(super) fn parameters(&self) -> Vec<String> {
        let after = self.text.lines().skip_while(|line| line.trim_end() != "Parameters:").skip(1);
        let block = after.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
        let names = block.filter_map(|line| line.strip_prefix("  ")?.split_once(':'));
        names
            .map(|(name, _)| name)
            .filter(|name| !name.is_empty() && name.chars().all(char::is_alphanumeric))
            .map(str::to_owned)
            .collect()
    }

    /// The names of the functions whose code it wants.
    fn functions(&self) -> BTreeSet<&str> {
        let after = self.text.split(SOURCES).skip(1);
        let name =
            |rest: &'_ str| rest.find(|sign: char| !sign.is_ascii_lowercase() && sign != '-');
        after.map(|rest| &rest[..name(rest).unwrap_or(rest.len())]).collect()
    }

    /// Writes template and code to `work`. The answer names what they hold: other code, another revision.
    pub(super) fn write(&self, work: &Path, built: &Path, x86_64: bool) -> Result<String, String> {
        let mut hasher = Sha256::new();
        for function in self.functions() {
            let from = built.join(function).join("bootstrap");
            let to = work.join("functions").join(function);
            hasher.update(function);
            hasher.update(copy(&from, &to, x86_64)?);
        }
        let mut text = self.text.replace(SOURCES, "functions/");
        if x86_64 {
            text = text.replace("Architectures: [arm64]", "Architectures: [x86_64]");
        }
        hasher.update(&text);
        let path = work.join("template.yaml");
        fs::create_dir_all(work)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(hex::encode(&hasher.finalize()[..8]))
    }
}

/// Copies a bootstrap into a folder of its own, and gives its hash.
fn copy(from: &Path, folder: &Path, x86_64: bool) -> Result<[u8; 32], String> {
    let contents = fs::read(from).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "{} is missing: build the functions with cargo xtask build, or leave out --built",
            from.display()
        ),
        _ => format!("cannot read {}: {error}", from.display()),
    })?;
    refuse_other(&contents, x86_64).map_err(|problem| format!("{}: {problem}", from.display()))?;
    let to = folder.join("bootstrap");
    let written = fs::create_dir_all(folder)
        // With the right to be run, which the zip takes along.
        .and_then(|()| fs::copy(from, &to))
        .and_then(|_| File::options().append(true).open(&to))
        .and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + MADE));
    written.map_err(|error| format!("cannot write {}: {error}", to.display()))?;
    Ok(Sha256::digest(&contents).into())
}

/// Lambda would say of a program for another processor that it is no program.
fn refuse_other(program: &[u8], x86_64: bool) -> Result<(), &'static str> {
    let is_elf = program.starts_with(b"\x7fELF");
    // `e_machine` of an ELF header.
    let machine = program.get(18..20).filter(|_| is_elf).map(|bytes| [bytes[0], bytes[1]]);
    match (machine.map(u16::from_le_bytes), x86_64) {
        (Some(62), false) => {
            Err("it is built for Intel (x86_64), and Graviton (arm64) is what is deployed. Deploy \
                                  it with --x86-64, or build it anew: cargo xtask build")
        }
        (Some(183), true) => Err(
            "it is built for Graviton (arm64), and --x86-64 is said. Leave that out, or build it \
                                  anew: cargo xtask build --x86-64",
        ),
        (Some(machine), _) if ![62, 183].contains(&machine) => Err(
            "it is built for a processor that Lambda doesn't have. Build it anew: cargo xtask build",
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_the_repository_is_deployed() {
        let template = Template::read(None).expect("it is there");
        let folder = root().join("functions");
        let entries = folder.read_dir().expect("it is a folder");
        let names = entries.map(|entry| entry.expect("it can be listed").file_name());
        let there: BTreeSet<String> =
            names.map(|name| name.to_string_lossy().into_owned()).collect();
        assert_eq!(template.functions(), there.iter().map(String::as_str).collect());
    }

    #[test]
    fn a_program_for_another_processor_is_refused() {
        let program = |machine: u8| [&b"\x7fELF"[..], &[0; 14], &[machine, 0]].concat();
        for (machine, x86_64, expected) in [
            (62, true, None),
            (183, false, None),
            (62, false, Some("with --x86-64,")),
            (183, true, Some("Leave that out")),
            (8, false, Some("Lambda doesn't have")),
        ] {
            match (refuse_other(&program(machine), x86_64), expected) {
                (Ok(()), None) => {}
                (Err(problem), Some(expected)) => assert!(problem.contains(expected), "{problem}"),
                (other, _) => panic!("{machine} {x86_64}: {other:?}"),
            }
        }
        assert_eq!(refuse_other(b"#!/bin/sh", false), Ok(()));
    }

    #[test]
    fn parameters_are_found() {
        let text = "A: 1\nParameters:\n  One:\n    Type: String\n    # Two:\n\n  Three: { Type: String }\n\
                    Resources:\n  Four:\n";
        let template = Template { path: PathBuf::new(), text: text.to_owned() };
        assert_eq!(template.parameters(), ["One", "Three"]);
    }
}
