//! Functions run as processes: a fixture in Rust that does what it is told, and others in Python and in shell.

// How processes are doing is read from /proc.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that fails says so")]

mod concurrency;
mod environment;
mod events;
mod failures;
mod freezing;
mod languages;
mod lifetime;
mod logging;
mod support;
