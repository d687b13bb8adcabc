//! A terminal that nobody sits at, and what stands on it.

use std::{
    fs::File,
    io::Read,
    process::Stdio,
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// How long something may take to be shown.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Pseudoterminal {
    shown: Receiver<Vec<u8>>,
    text: String,
}

impl Pseudoterminal {
    /// A terminal, and what a program that runs in it writes to.
    pub(crate) fn open() -> (Self, Stdio) {
        let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&own).unwrap();
        unlockpt(&own).unwrap();
        let name = ptsname(&own, Vec::new()).unwrap().into_string().unwrap();
        let programs = File::options().read(true).write(true).open(name).unwrap();
        let (sender, shown) = channel();
        thread::spawn(move || {
            let (mut own, mut bytes) = (File::from(own), [0; 4096]);
            // When no program has it any more, reading fails.
            while let Ok(length @ 1..) = own.read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        (Self { shown, text: String::new() }, programs.into())
    }

    /// Waits until `text` stands there.
    pub(crate) fn until(&mut self, text: &str) {
        self.until_so(|shown| shown.contains(text));
    }

    /// Waits until what stands there `is_so`.
    pub(crate) fn until_so(&mut self, is_so: impl Fn(&str) -> bool) {
        while !is_so(&self.text) {
            let bytes = self.shown.recv_timeout(PATIENCE);
            let bytes = bytes.unwrap_or_else(|_| panic!("waited in vain: {}", self.text));
            self.text.push_str(&String::from_utf8(bytes).unwrap());
        }
    }

    /// All that stands there when the program has ended.
    pub(crate) fn all(mut self) -> String {
        while let Ok(bytes) = self.shown.recv_timeout(PATIENCE) {
            self.text.push_str(&String::from_utf8(bytes).unwrap());
        }
        self.text
    }
}
