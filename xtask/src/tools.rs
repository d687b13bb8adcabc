//! The programs of others that the tasks need: whether they are there, and where they come from.

use std::process::Command;

use crate::waiting::Waiting;

/// A program.
pub(crate) struct Tool {
    name: &'static str,
    /// What it is asked, to see that it runs.
    probe: &'static [&'static str],
    /// The oldest version of each line that has all that is used, as major and minor. Empty: any.
    oldest: &'static [(u32, u32)],
    /// How to get it.
    pub(crate) remedy: &'static str,
}

/// Builds functions.
pub(crate) const CARGO_LAMBDA: Tool = Tool {
    name: "cargo-lambda",
    // It is a program of cargo, which calls it so.
    probe: &["lambda", "--version"],
    oldest: &[],
    remedy: "cargo-lambda builds the functions; it comes with: pip install cargo-lambda",
};

/// Talks to AWS. `aws dsql` came in December 2024.
pub(crate) const AWS: Tool = Tool {
    name: "aws",
    probe: &["--version"],
    oldest: &[(1, 37), (2, 23)],
    remedy: "The AWS CLI talks to AWS; it comes with: pip install --upgrade awscli, or from \
             https://aws.amazon.com/cli",
};

/// Refuses to begin while one of them is missing, and names all that are.
pub(crate) fn check(tools: &[Tool]) -> Result<(), String> {
    let problems: Vec<String> = tools.iter().filter_map(|tool| tool.check().err()).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

impl Tool {
    /// How it is asked whether it runs, as one would type it.
    pub(crate) fn probe(&self) -> String {
        format!("{} {}", self.name, self.probe.join(" "))
    }

    fn check(&self) -> Result<(), String> {
        let Self { name, remedy, .. } = self;
        let _waiting = Waiting::begin(&self.probe());
        let output = Command::new(name)
            .args(self.probe)
            .output()
            .map_err(|_not_there| format!("{name} is not on the PATH. {remedy}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{name} doesn't run: {}. {remedy}", said.trim()));
        }
        let said = String::from_utf8_lossy(&output.stdout);
        match version(&said) {
            Some(version) if self.is_too_old(version) => {
                Err(format!("{name} {}.{} is too old. {remedy}", version.0, version.1))
            }
            _ => Ok(()),
        }
    }

    fn is_too_old(&self, version: (u32, u32)) -> bool {
        self.oldest.iter().any(|oldest| oldest.0 == version.0 && version < *oldest)
    }
}

/// `(2, 23)` of `aws-cli/2.23.1 Python/3.12 …`.
fn version(said: &str) -> Option<(u32, u32)> {
    let first = said.split_whitespace().find(|word| word.contains('.'))?;
    let mut numbers = first.rsplit('/').next()?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_of_the_aws_cli_are_found_out() {
        let cases = [
            ("aws-cli/1.46.3 Python/3.11.2 Linux/6", false),
            ("aws-cli/1.36.40 Python/3.11.2", true),
            ("aws-cli/2.9.1 Python/3.9", true),
            ("aws-cli/2.31.0 Python/3.13", false),
        ];
        for (said, is_old) in cases {
            assert_eq!(AWS.is_too_old(version(said).expect("it has a version")), is_old, "{said}");
        }
        assert_eq!(version("cargo-lambda 1.9.2 (2026-01-01Z)"), Some((1, 9)));
        assert_eq!(version("something else"), None);
    }
}
