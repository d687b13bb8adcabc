//! What was measured on.

use std::{fs, process::Command};

use serde_json::{Value, json};

/// Where something was measured, and of what.
pub(crate) fn describe() -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os = os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    json!({
        "cores": cores,
        "cpu": model.map_or("unknown", |(_, model)| model),
        "os": os.map_or("unknown", |name| name.trim_matches('"')),
        "kernel": first_line(Command::new("uname").arg("-r")),
        "date": first_line(Command::new("date").args(["-u", "+%Y-%m-%d"])),
        "commit": first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"])),
    })
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}
