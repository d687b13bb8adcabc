//! What its user sees: messages on standard output, all else on standard error. In a terminal both stand above the line that is
//! being typed.

use std::io::{Write, stderr, stdout};

use anstream::{AutoStream, ColorChoice, adapter::strip_str};
use anstyle::Style;

use super::{frame::Message, input::Above};

const ASIDE: Style = Style::new().dimmed();
const NAME: Style = Style::new().bold();

/// Where things are shown.
pub(super) struct Screen {
    above: Option<Above>,
    has_colour: bool,
    /// The day of the last message.
    day: String,
}

impl Screen {
    /// Shows things by `above`, if there is a line to be kept whole.
    pub(super) fn new(above: Option<Above>) -> Self {
        let choice = AutoStream::choice(&stdout());
        Self { above, has_colour: choice != ColorChoice::Never, day: String::new() }
    }

    /// Shows a message: `10:15 alice: Hello!`, and its day if that is another one than before.
    pub(super) fn message(&mut self, message: &Message) {
        let (day, time) = message.sent_at.split_once('T').unwrap_or_default();
        let time = time.get(..5).unwrap_or_default();
        if self.day != day {
            day.clone_into(&mut self.day);
            self.note(&format!("{} (UTC)", harmless(day)));
        }
        let name = harmless(&message.username);
        // Further lines are under the first.
        let text = harmless(&message.text).replace('\n', "\n      ");
        let time = harmless(time);
        self.show(&format!("{ASIDE}{time}{ASIDE:#} {NAME}{name}:{NAME:#} {text}"));
    }

    /// Shows something that nobody has said.
    pub(super) fn note(&mut self, text: &str) {
        let line = format!("{ASIDE}* {text}{ASIDE:#}");
        if self.above.is_some() {
            self.show(&line);
            return;
        }
        // If standard error is gone, there is nobody to tell.
        writeln!(stderr(), "{}", strip_str(&line)).ok();
    }

    fn show(&mut self, line: &str) {
        let line =
            if self.has_colour { format!("{line}\n") } else { format!("{}\n", strip_str(line)) };
        match &mut self.above {
            Some(above) => above(line),
            // If standard output is gone, there is nobody to tell.
            None => drop(stdout().write_all(line.as_bytes()).and_then(|()| stdout().flush())),
        }
    }
}

/// What others have written, without what would steer the terminal.
pub(super) fn harmless(text: &str) -> String {
    let is_harmful = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    text.chars()
        .map(|character| if is_harmful(character) { '\u{FFFD}' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\tb\nc 🦀"), "a\tb\nc 🦀");
        assert_eq!(harmless("\x1b[2Jgone\r\u{9b}31m"), "\u{FFFD}[2Jgone\u{FFFD}\u{FFFD}31m");
    }
}
