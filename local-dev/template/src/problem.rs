//! What is wrong with a template, or in it and not done here.

use std::fmt;

/// One thing that a template asks for, where it does, and what is wrong with it. Shown as
/// `Connect.Runtime (line 12): "nodejs22.x" …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The resource and the way to the property in it, for example `Connect.Events.Open.Path`; empty for the whole file.
    pub path: String,
    /// The line of the file, from 1.
    pub line: usize,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(path: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.into(), line, message: message.into() }
    }

    /// The same, found on the way to `path` by something that doesn't know where it is.
    pub(crate) fn within(mut self, path: &str) -> Self {
        if self.path.is_empty() {
            path.clone_into(&mut self.path);
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(formatter, "line {}: {}", self.line, self.message)
        } else {
            write!(formatter, "{} (line {}): {}", self.path, self.line, self.message)
        }
    }
}

/// Why a template can't be run here: everything that was found, in the order of the file. Shown as a line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TemplateError {
    /// What was found; at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            problem.fmt(formatter)?;
        }
        Ok(())
    }
}

impl From<Problem> for TemplateError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}
