//! What is collected while a template is read.

use std::collections::BTreeSet;

use crate::problem::Problem;

/// Everything that is to be said about a template. Readers go on after a problem where they can, so that one run names
/// them all.
#[derive(Default)]
pub(crate) struct Report {
    /// What keeps the template from running.
    pub(crate) errors: Vec<Problem>,
    /// What it asks for and doesn't get, without other answers for that.
    pub(crate) warnings: Vec<Problem>,
    /// What nobody would miss, each once.
    pub(crate) passed_over: BTreeSet<String>,
}

impl Report {
    pub(crate) fn warn(
        &mut self,
        path: impl Into<String>,
        line: usize,
        message: impl Into<String>,
    ) {
        self.warnings.push(Problem::new(path, line, message));
    }

    /// The result, if there is one; otherwise the problem is kept and the reader goes on.
    pub(crate) fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.errors.push(problem)).ok()
    }
}
