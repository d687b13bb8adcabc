//! The steps of a deployment, which a plan has, too.

use crate::say;

pub(super) const TOOLS: &str = "Tools and credentials";
pub(super) const FUNCTIONS: &str = "Functions";
pub(super) const STATE: &str = "The state of the stack";
pub(super) const UPLOAD: &str = "Uploading functions and template";
pub(super) const STACK: &str = "The stack (the first time, its CDN takes five to ten minutes)";
pub(super) const PAGE: &str = "The page";
pub(super) const CDN: &str = "Telling the CDN";
pub(super) const TRIAL: &str = "Trying the chat";

const STEPS: usize = 8;

/// Shows where it is.
#[derive(Default)]
pub(super) struct Progress {
    step: usize,
}

impl Progress {
    pub(super) fn next(&mut self, title: &str) {
        self.step += 1;
        say(&format!("[{}/{STEPS}] {title}", self.step));
    }
}
