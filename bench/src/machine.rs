//! What was measured on.

use std::{fs, process::Command};

use report::Machine;

/// Where something was measured, and of what.
pub(crate) fn describe() -> Machine {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os = os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Machine {
        cpu: model.map_or("unknown", |(_, model)| model).to_owned(),
        cores,
        os: os.map_or("unknown", |name| name.trim_matches('"')).to_owned(),
        kernel: first_line(Command::new("uname").arg("-r")),
        date: first_line(Command::new("date").args(["-u", "+%Y-%m-%d"])),
        commit: first_line(Command::new("git").args(["describe", "--always", "--dirty"])),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
    }
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}
