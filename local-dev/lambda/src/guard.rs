//! Instances die with this process, however it ends.
//!
//! A process that is killed can't clean up, so a shell does it: it is told which process groups there are, and kills them
//! when the pipe through which it is told breaks. It costs about 1 MB and starts with the first instance. Where there is
//! no shell, a killed host leaves behind what is busy, until it next asks for an event.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Kills process groups when this process ends. Clones are the same guard.
#[derive(Clone, Default)]
pub(crate) struct Guard(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    shell: Option<Child>,
    groups: BTreeSet<u32>,
}

/// A process group that is guarded until this is dropped.
pub(crate) struct Guarded {
    pub(crate) group: u32,
    guard: Guard,
}

/// Keeps the latest line, which lists all groups, until there are no more lines.
const SCRIPT: &str =
    r#"while read -r line; do latest=$line; done; [ -z "$latest" ] || kill -KILL $latest"#;

impl Guard {
    /// Guards a process group.
    pub(crate) fn watch(&self, group: u32) -> Guarded {
        let mut state = self.lock();
        if state.shell.is_none() {
            match start_shell() {
                Ok(shell) => state.shell = Some(shell),
                Err(error) => {
                    tracing::warn!(%error, "instances may outlive a kill of this process");
                }
            }
        }
        state.groups.insert(group);
        state.tell();
        Guarded { group, guard: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells the shell which groups there are.
    fn tell(&mut self) {
        let groups: Vec<_> = self.groups.iter().map(|group| format!("-{group}")).collect();
        if let Some(pipe) = self.shell.as_mut().and_then(|shell| shell.stdin.as_mut()) {
            // A line is far smaller than a pipe, and the shell does nothing but read. Somebody may have killed it.
            writeln!(pipe, "{}", groups.join(" ")).ok();
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(shell) = &mut self.shell {
            shell.kill().ok();
            shell.wait().ok();
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let mut state = self.guard.lock();
        state.groups.remove(&self.group);
        state.tell();
    }
}

/// Starts the shell in a group of its own, so that Ctrl-C doesn't end it before us.
#[cfg(unix)]
fn start_shell() -> io::Result<Child> {
    use std::os::unix::process::CommandExt;

    Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Elsewhere there are no process groups.
#[cfg(not(unix))]
fn start_shell() -> io::Result<Child> {
    Err(io::ErrorKind::Unsupported.into())
}
