//! A process, with what it has started itself: on Unix they are one process group, which is stopped, continued and killed
//! as a whole.

use std::{io, process::ExitStatus};

use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::guard::{Guard, Guarded};

/// A process. Dropping it kills its group.
pub(crate) struct Process {
    child: Child,
    /// The process group, which has the number of the process; none when that has ended and the number is free again.
    group: Option<Guarded>,
}

impl Process {
    /// Starts `command`; what it writes is to be read.
    pub(crate) fn spawn(
        mut command: Command,
        guard: &Guard,
    ) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.kill_on_drop(true).spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        Ok((Self { group: child.id().map(|group| guard.watch(group)), child }, stdout, stderr))
    }

    /// Waits until the process ends, kills what it leaves behind, and says how it ended; none is success.
    pub(crate) async fn exited(&mut self) -> Option<String> {
        let status = self.child.wait().await;
        if let Some(guarded) = self.group.take() {
            signals::kill(guarded.group);
        }
        match status {
            Ok(status) if status.success() => None,
            Ok(status) => Some(describe(status)),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Whether the process has ended by now, even if nobody has been told of it yet.
    pub(crate) fn has_exited(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Stops the group until it is thawed.
    pub(crate) fn freeze(&self) {
        if let Some(Guarded { group, .. }) = self.group {
            signals::stop(group);
        }
    }

    /// Lets the group go on.
    pub(crate) fn thaw(&self) {
        if let Some(Guarded { group, .. }) = self.group {
            signals::go_on(group);
        }
    }

    /// Asks the group to end, frozen or not.
    pub(crate) fn terminate(&self) {
        if let Some(Guarded { group, .. }) = self.group {
            signals::terminate(group);
            signals::go_on(group);
        }
    }

    /// Kills the group, frozen or not.
    pub(crate) fn kill(&mut self) {
        if let Some(Guarded { group, .. }) = self.group {
            signals::kill(group);
            // Where there are no groups.
            self.child.start_kill().ok();
        }
    }

    /// The most memory that the process had so far, in KiB, where that can be known.
    pub(crate) fn memory_used_max_kib(&self) -> Option<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.group.as_ref()?.group)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a process failed, in the words that Lambda uses, which are Go's.
#[cfg(unix)]
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;

    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal: {}", signals::name(signal)),
        (None, None) => status.to_string(),
    }
}

#[cfg(not(unix))]
fn describe(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}"))
}

/// Signals to a process group. One that is gone gets none, which is as good.
#[cfg(unix)]
mod signals {
    use rustix::process::{Pid, Signal, kill_process_group};

    pub(super) fn stop(group: u32) {
        send(group, Signal::STOP);
    }

    pub(super) fn go_on(group: u32) {
        send(group, Signal::CONT);
    }

    pub(super) fn terminate(group: u32) {
        send(group, Signal::TERM);
    }

    pub(super) fn kill(group: u32) {
        send(group, Signal::KILL);
    }

    fn send(group: u32, signal: Signal) {
        if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
            kill_process_group(group, signal).ok();
        }
    }

    /// What Go calls a signal.
    pub(super) fn name(signal: i32) -> String {
        let name = match Signal::from_named_raw(signal) {
            Some(Signal::HUP) => "hangup",
            Some(Signal::INT) => "interrupt",
            Some(Signal::QUIT) => "quit",
            Some(Signal::ILL) => "illegal instruction",
            Some(Signal::TRAP) => "trace/breakpoint trap",
            Some(Signal::ABORT) => "aborted",
            Some(Signal::BUS) => "bus error",
            Some(Signal::FPE) => "floating point exception",
            Some(Signal::KILL) => "killed",
            Some(Signal::SEGV) => "segmentation fault",
            Some(Signal::PIPE) => "broken pipe",
            Some(Signal::TERM) => "terminated",
            _ => return format!("signal {signal}"),
        };
        name.to_owned()
    }
}

/// Elsewhere there are no groups and nothing freezes.
#[cfg(not(unix))]
mod signals {
    pub(super) fn stop(_group: u32) {}
    pub(super) fn go_on(_group: u32) {}
    pub(super) fn terminate(_group: u32) {}
    pub(super) fn kill(_group: u32) {}
}
