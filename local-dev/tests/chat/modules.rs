//! The page's modules have tests of their own, for Node's test runner.

use std::process::Command;

use crate::{
    Needs,
    support::{World, static_dir},
};

crate::stories! {
    Needs::Node;
    the_pages_modules_pass_their_own_tests,
}
pub const HINT: &str = "needs Node 20 or newer: apt-get install nodejs";

/// Whether Node is there and new enough.
pub fn node_installed() -> bool {
    let version = Command::new("node").arg("--version").output();
    let major = version.ok().and_then(|output| {
        let version = String::from_utf8(output.stdout).ok()?;
        version.trim().strip_prefix('v')?.split('.').next()?.parse::<u32>().ok()
    });
    major.is_some_and(|major| major >= 20)
}

async fn the_pages_modules_pass_their_own_tests(_world: World) {
    let tests = std::fs::read_dir(static_dir().join("tests")).unwrap();
    let tests = tests.map(|entry| entry.unwrap().path());
    let tests = tests.filter(|path| path.to_str().unwrap().ends_with(".test.js"));
    let output = tokio::process::Command::new("node").arg("--test").args(tests).output().await;
    let output = output.unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
    assert!(!report.contains("# tests 0\n"), "{report}");
}
