//! Probes an emulation of API Gateway and Lambda, or AWS itself, from outside.
//!
//! The templates beside this crate, `template.yaml` and `named-stage.yaml`, deploy one function, the [`fixture`],
//! behind every kind of route. Each [`Probe`] does something to these APIs over HTTP, a WebSocket or `@connections`,
//! and compares what comes back with what AWS does. Nothing is looked at but what comes out of the target, so a target
//! can be any program, and AWS.
//!
//! Against an emulator on this machine that runs the template, with the fixture at `DIR/fixture/bootstrap`:
//!
//! ```text
//! conformance --http http://localhost:3000 --websocket ws://localhost:3000/conformance \
//!     --websocket-bare ws://localhost:3000/bare --websocket-authorized ws://localhost:3000/authorized
//! ```
//!
//! Against AWS, each of these addresses is an output of the stack.
//!
//! - `probes` are the facts, a file for each area; `source` says where they are known from.
//! - `target` is what probes have in common: opening sockets, calling functions, signing. `wire` and `socket` are HTTP
//!   and WebSocket, bit by bit.
//! - `run` tries probes, `report` says what came of them.

pub mod fixture;
mod posting;
mod probe;
mod probes;
pub mod report;
mod run;
mod socket;
mod source;
mod target;
mod wire;

pub use self::{
    probe::{Evidence, Outcome, Probe, Source},
    probes::all,
    run::run,
    target::Target,
};
