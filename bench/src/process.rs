//! Processes that are measured, and what the system says of them in `/proc`: Linux only.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// Units of processor time per second in `/proc`. Source: proc(5); it is 100 on every processor that runs this.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process that ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// When it can't be.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, Failure> {
        let child = command.spawn();
        Ok(Self(
            child.map_err(|error| {
                format!("cannot run {}: {error}", command.get_program().display())
            })?,
        ))
    }

    /// Starts a server, and waits until it says where it listens: `listening on http://127.0.0.1:3000`.
    ///
    /// # Errors
    /// When it ends without.
    pub(crate) fn serve(command: &mut Command) -> Result<(Self, SocketAddr), Failure> {
        let mut process = Self::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let mut line = String::new();
        if let Some(stdout) = process.0.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            stdout.read_line(&mut line)?;
            // It may go on to write there.
            std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        }
        let address = line.trim().rsplit('/').next().and_then(|address| address.parse().ok());
        let program = command.get_program().display();
        Ok((process, address.ok_or_else(|| format!("{program} doesn't start: {line}"))?))
    }

    /// The first line that it writes to standard output, which must be a pipe.
    ///
    /// # Errors
    /// When it is none, or the process ends without.
    pub(crate) fn line(&mut self) -> Result<String, Failure> {
        let stdout = self.0.stdout.take().ok_or("nothing of the process can be read")?;
        let mut line = String::new();
        match BufReader::new(stdout).read_line(&mut line)? {
            0 => Err("the process ends, and has written nothing".into()),
            _ => Ok(line),
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end_in_order(&mut self) {
        if let Some(id) = Pid::from_raw(self.0.id().cast_signed()) {
            // It may have ended by itself.
            kill_process(id, Signal::INT).ok();
        }
        self.0.wait().ok();
    }

    /// Seconds of processor time of the process and all that it has started, in hundredths.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        cpu_seconds(self.0.id())
    }

    /// Seconds of it since then: at least a hundredth, since less can't be told from nothing.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub(crate) fn cpu_seconds_since(&self, before: f64) -> Result<f64, Failure> {
        Ok((self.cpu_seconds()? - before).max(1.0 / TICKS_PER_SECOND))
    }

    /// Bytes of memory that are its own or shared.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub(crate) fn resident_bytes(&self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        Ok(kilobytes.ok_or("/proc says nothing of the memory")? * 1024.0)
    }
}

/// The same of any process.
///
/// # Errors
/// Where there is no `/proc`.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64, Failure> {
    let mut parents = BTreeMap::new();
    let mut ticks = BTreeMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(id) = id
            && let Ok(stat) = fs::read_to_string(entry.path().join("stat"))
            && let Some((parent, used)) = parent_and_ticks(&stat)
        {
            parents.insert(id, parent);
            ticks.insert(id, used);
        }
    }
    let is_of_it = |mut id: u32| loop {
        if id == process {
            return true;
        }
        match parents.get(&id) {
            Some(parent) => id = *parent,
            None => return false,
        }
    };
    let used: u32 = ticks.iter().filter(|(id, _)| is_of_it(**id)).map(|(_, used)| used).sum();
    Ok(f64::from(used) / TICKS_PER_SECOND)
}

/// Of `/proc/PID/stat`: who has started the process, and its processor time, with that of children it has waited for.
fn parent_and_ticks(stat: &str) -> Option<(u32, u32)> {
    // The name stands in parentheses and may have any in it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some((number(1)?, number(11)? + number(12)? + number(13)? + number(14)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_confuse_nobody() {
        let stat = "42 (a) b (1 2) S 7 42 42 0 -1 4194304 98 0 0 0 10 20 3 4 20 0 1 0 1433690 0 0";
        assert_eq!(parent_and_ticks(stat), Some((7, 37)));
        assert_eq!(parent_and_ticks("42 (a) S 7"), None);
    }
}
