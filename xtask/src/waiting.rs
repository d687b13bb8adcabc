//! Shows in a terminal that something takes a while, and how long it has taken. Elsewhere nothing is shown.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);

/// Stands in the terminal until it is dropped. Nothing else may be written meanwhile.
pub(crate) struct Waiting(ProgressBar);

impl Waiting {
    /// Begins to wait.
    pub(crate) fn begin(what: &str) -> Self {
        Self::since(Instant::now(), what)
    }

    /// Goes on waiting for what has begun earlier.
    pub(crate) fn since(began: Instant, what: &str) -> Self {
        let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed}");
        let style = style.expect("the template is well-formed");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
        let bar = bar.with_elapsed(began.elapsed());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
