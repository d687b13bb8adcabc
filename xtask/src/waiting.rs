//! Shows in a terminal that something takes a while, and how long it has taken. Elsewhere nothing is shown.

use std::{
    io::{BufRead, BufReader, IsTerminal, Read, Write, stderr, stdout},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::ended;

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

    /// Hands on what somebody says, above the line that moves.
    fn hand_on(&self, said: impl Read, mut to: impl Write) {
        for line in BufReader::new(said).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            // If there is nobody to tell, the work goes on.
            self.0.suspend(|| writeln!(to, "{}", line.trim_end_matches('\r'))).ok();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Runs a command that says little while it works. In a terminal, one sees that it does.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<(), String> {
    if !stderr().is_terminal() {
        return crate::run(command);
    }
    let mut child = match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return ended(command, Err(error)),
    };
    let (output, problems) = (child.stdout.take(), child.stderr.take());
    let waiting = Waiting::begin(what);
    thread::scope(|scope| {
        scope.spawn(|| output.map(|output| waiting.hand_on(output, stdout())));
        problems.map(|problems| waiting.hand_on(problems, stderr()))
    });
    ended(command, child.wait())
}
