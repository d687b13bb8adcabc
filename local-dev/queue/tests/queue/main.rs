//! The queues from outside: by AWS's SDK for Rust and by boto3, over a port of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod boto3;
mod event_source;
mod fifo;
mod standard;
mod support;
