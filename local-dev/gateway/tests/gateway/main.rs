//! The gateway from outside: real sockets, functions that record their events.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod assumed;
mod authorizer;
mod bounds;
mod closing;
mod connections_api;
mod cors;
mod direct;
mod handshake;
mod hostile;
mod http_api;
mod http_responses;
mod http_routes;
mod inspector;
mod messages;
mod queues;
mod routes;
mod shutdown;
mod site;
mod support;
mod throttle;
mod tls;
