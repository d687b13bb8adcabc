//! What its user types: lines, read by a thread of their own, since nobody knows when the next one comes.

use std::{
    io::{BufRead, IsTerminal, stdin},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use rustyline::{DefaultEditor, ExternalPrinter, error::ReadlineError};

const PROMPT: &str = "> ";

/// Something from the user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// To be sent.
    Say(String),
    /// To be told what there is to type.
    Help,
    /// A command that there isn't.
    Unknown(String),
    /// There is no more: what was said is still to be sent.
    End,
}

/// Writes above the line that is being typed.
pub(super) type Above = Box<dyn FnMut(String) + Send>;

impl Input {
    /// A line, if there is something in it.
    fn read(line: &str) -> Option<Self> {
        let line = line.trim_end_matches(['\r', '\n']);
        match line.strip_prefix('/') {
            _ if line.trim().is_empty() => None,
            None => Some(Self::Say(line.to_owned())),
            Some("quit") => Some(Self::End),
            Some("help") => Some(Self::Help),
            // A text that begins with a stroke.
            Some(text) if text.starts_with('/') => Some(Self::Say(text.to_owned())),
            Some(_) => Some(Self::Unknown(line.to_owned())),
        }
    }
}

/// How the terminal was before lines were edited in it, and is again when this is dropped, wherever the editor has got to.
pub(super) struct Terminal {
    #[cfg(unix)]
    was: Option<rustix::termios::Termios>,
}

impl Terminal {
    /// Remembers how it is.
    pub(super) fn remember() -> Self {
        Self {
            #[cfg(unix)]
            was: rustix::termios::tcgetattr(stdin()).ok(),
        }
    }
}

#[cfg(unix)]
impl Drop for Terminal {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};

        if let Some(was) = &self.was {
            // A terminal that is gone needs nothing.
            tcsetattr(stdin(), OptionalActions::Now, was).ok();
        }
    }
}

/// Begins to read. In a terminal, lines can be edited, and there is a way to write above them.
pub(super) fn start() -> Result<(Receiver<Input>, Option<Above>), String> {
    let (sender, inputs) = channel();
    if !stdin().is_terminal() {
        thread::spawn(move || read_lines(&sender));
        return Ok((inputs, None));
    }
    let told = |error: ReadlineError| format!("the terminal cannot be used: {error}");
    let mut editor = DefaultEditor::new().map_err(told)?;
    let mut printer = editor.create_external_printer().map_err(told)?;
    thread::spawn(move || edit_lines(&mut editor, &sender));
    // Without a terminal there is nobody to tell.
    Ok((inputs, Some(Box::new(move |text| drop(printer.print(text))))))
}

fn read_lines(sender: &Sender<Input>) {
    let lines = stdin().lock().lines().map_while(Result::ok);
    for input in lines.filter_map(|line| Input::read(&line)) {
        // Nobody may listen any more.
        if sender.send(input).is_err() {
            return;
        }
    }
    sender.send(Input::End).ok();
}

fn edit_lines(editor: &mut DefaultEditor, sender: &Sender<Input>) {
    // Ctrl-C, Ctrl-D, or no more terminal.
    while let Ok(line) = editor.readline(PROMPT) {
        editor.add_history_entry(&line).ok();
        if let Some(input) = Input::read(&line) {
            let is_end = input == Input::End;
            if sender.send(input).is_err() || is_end {
                return;
            }
        }
    }
    sender.send(Input::End).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_or_commands() {
        let say = |text: &str| Some(Input::Say(text.to_owned()));
        for (line, input) in [
            ("Hello!\n", say("Hello!")),
            ("  kept as it is \r\n", say("  kept as it is ")),
            ("/quit", Some(Input::End)),
            ("/help", Some(Input::Help)),
            ("//etc/hosts", say("/etc/hosts")),
            ("/qiut", Some(Input::Unknown("/qiut".to_owned()))),
            ("", None),
            (" \t", None),
        ] {
            assert_eq!(Input::read(line), input, "{line:?}");
        }
    }
}
