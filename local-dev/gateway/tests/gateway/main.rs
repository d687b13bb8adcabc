//! The gateway from outside: real sockets, functions that record their events.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod closing;
mod connections_api;
mod handshake;
mod http_api;
mod messages;
mod shutdown;
mod support;
