//! One line for each invocation that has ended, and at most so many a second: a terminal takes longer to show a line than most
//! functions to answer.

use std::{
    fmt::Write as _,
    io::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use gateway::{Ended, Watcher};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::set_apart;

/// How many lines a second are shown of those that went well, and as many of those that failed.
const LINES_MAX: u32 = 20;

const SECOND: Duration = Duration::from_secs(1);

/// The start of a connection's id: enough to tell it from others.
const ID_CHARS: usize = 6;

const ASIDE: Style = Style::new().dimmed();
const REFUSED: Style = AnsiColor::Yellow.on_default();
const FAILED: Style = AnsiColor::Red.on_default().bold();

/// Shows invocations in the terminal.
#[derive(Clone)]
pub struct Invocations {
    shared: Arc<Shared>,
}

struct Shared {
    second: Mutex<Second>,
    /// Told when the first line of a second is left out.
    left_out: Notify,
}

/// What has been shown of a second, and what has not.
struct Second {
    began: Instant,
    lines: u32,
    failures: u32,
    left_out: u64,
    left_out_failures: u64,
}

impl Second {
    fn beginning_at(began: Instant) -> Self {
        Self { began, lines: 0, failures: 0, left_out: 0, left_out_failures: 0 }
    }

    /// Whether there is room for one more line.
    fn admits(&mut self, has_failed: bool) -> bool {
        let lines = if has_failed { &mut self.failures } else { &mut self.lines };
        if *lines < LINES_MAX {
            *lines += 1;
            return true;
        }
        self.left_out += 1;
        self.left_out_failures += u64::from(has_failed);
        false
    }

    /// What is said of those that were left out.
    fn summary(&self) -> String {
        let failures = match self.left_out_failures {
            0 => String::new(),
            failures => format!(", {FAILED}{} of them failed{FAILED:#}", set_apart(failures)),
        };
        let left_out = set_apart(self.left_out);
        format!("{ASIDE}          … and {left_out} more in the last second{ASIDE:#}{failures}")
    }
}

impl Invocations {
    /// Begins to show them. Must be called where tasks can be spawned.
    pub fn start() -> Self {
        let second = Mutex::new(Second::beginning_at(Instant::now()));
        let shared = Arc::new(Shared { second, left_out: Notify::new() });
        tokio::spawn(summarise(Arc::clone(&shared)));
        Self { shared }
    }

    /// What the gateway tells of them.
    pub fn watcher(&self) -> Watcher {
        let shared = Arc::clone(&self.shared);
        Arc::new(move |ended| shared.show(ended))
    }
}

/// Says at the end of a second what was left out in it.
async fn summarise(shared: Arc<Shared>) {
    loop {
        shared.left_out.notified().await;
        let ends = shared.second().began + SECOND;
        sleep_until(ends).await;
        let second = std::mem::replace(&mut *shared.second(), Second::beginning_at(Instant::now()));
        write(&second.summary());
    }
}

impl Shared {
    fn second(&self) -> MutexGuard<'_, Second> {
        // It is whole between any two statements.
        self.second.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, ended: &Ended<'_>) {
        let is_shown = {
            let mut second = self.second();
            // What was left out is yet to be told.
            if second.left_out == 0 && second.began.elapsed() >= SECOND {
                *second = Second::beginning_at(Instant::now());
            }
            let is_shown = second.admits(ended.has_failed());
            if second.left_out == 1 {
                self.left_out.notify_one();
            }
            is_shown
        };
        if is_shown {
            write(&line(ended));
        }
    }
}

/// `18:46:15Z  message  $default  200  3.4 ms  QkT3rf…`
fn line(ended: &Ended<'_>) -> String {
    let began_at = ended.began_at();
    let time = began_at.get(11..19).unwrap_or_default();
    let (status, style) = match ended.status() {
        _ if ended.has_failed() => ("failed".to_owned(), FAILED),
        Some(status) if status >= 500 => (status.to_string(), FAILED),
        Some(status) if status >= 400 => (status.to_string(), REFUSED),
        Some(status) => (status.to_string(), Style::new()),
        None => ("ok".to_owned(), Style::new()),
    };
    let mut line = format!(
        "{ASIDE}{time}Z{ASIDE:#} {:<12} {:<20} {style}{status:<6}{style:#} {:>8}",
        ended.function(),
        ended.cause(),
        duration(ended.duration()),
    );
    let mut add = |text: std::fmt::Arguments<'_>| {
        line.write_fmt(text).expect("text can be written to a string");
    };
    if ended.was_cold() {
        add(format_args!(" {ASIDE}cold{ASIDE:#}"));
    }
    if let Some(id) = ended.connection_id() {
        let start: String = id.chars().take(ID_CHARS).collect();
        add(format_args!("  {ASIDE}{start}…{ASIDE:#}"));
    }
    if let Some(error) = ended.error() {
        // What a function says of its failure may have lines.
        add(format_args!("  {FAILED}{}{FAILED:#}", error.escape_debug()));
    }
    line
}

/// `0.42 ms`, `27.1 ms`, `251 ms`, `1.20 s`.
fn duration(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.2} ms"),
        ..100.0 => format!("{millis:.1} ms"),
        ..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.2} s", millis / 1000.0),
    }
}

fn write(line: &str) {
    // If standard error is gone, there is nobody to tell.
    writeln!(anstream::stderr(), "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        for (micros, text) in [
            (423, "0.42 ms"),
            (9_876, "9.88 ms"),
            (27_140, "27.1 ms"),
            (251_400, "251 ms"),
            (29_000_000, "29.00 s"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn a_second_has_room_for_some_lines_and_for_failures_beside_them() {
        let mut second = Second::beginning_at(Instant::now());
        let shown = (0..2000).filter(|_| second.admits(false)).count();
        assert_eq!(shown, LINES_MAX as usize);
        let shown = (0..25).filter(|_| second.admits(true)).count();
        assert_eq!(shown, LINES_MAX as usize);
        let summary = anstream::adapter::strip_str(&second.summary()).to_string();
        assert_eq!(summary.trim(), "… and 1,985 more in the last second, 5 of them failed");
    }
}
