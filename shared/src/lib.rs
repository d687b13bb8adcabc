//! What every function of lambda-chat is made of.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`lambda`] | the two kinds of function, and how each is handed to the Lambda runtime |
//! | [`settings`] | the environment, read once; every bad setting named at start |
//! | [`error`] | what a client may be told, and the one place that turns it into an answer |
//! | [`http`] | reading requests of the HTTP API, writing its answers |
//! | [`websocket`] | reading events of the WebSocket API, writing its answers |
//! | [`account`], [`chat`] | parsed values: an invalid one cannot exist |
//! | [`frame`] | what a socket carries, in both protocols |
//! | [`password`], [`token`], [`session`] | bcrypt and JWT |
//! | [`rate`], [`source`] | how much one user may say, and where requests come from |
//! | [`store`] | all SQL, over PostgreSQL, Aurora DSQL and SQLite |
//! | [`management`], [`broadcast`], [`presence`], [`revocation`] | the `@connections` client and its uses |
//! | [`queue`], [`shard`] | what `message` leaves to `broadcast` |
//! | [`invocation`], [`metrics`], [`xray`] | the event at hand: what the log says of it, what is measured |
//! | [`aws`], [`clock`], [`json`], [`logging`] | access to AWS, the time, words about JSON, the log |
//!
//! Parsed values know nothing of the store, the store knows nothing of HTTP, and nothing here knows what runs it, AWS or
//! local-dev.

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("shared needs a database: enable the feature `postgres`, `sqlite` or both");

pub mod account;
pub mod aws;
mod backoff;
pub mod broadcast;
pub mod chat;
pub mod clock;
pub mod error;
pub mod frame;
mod hs256;
pub mod http;
pub mod invocation;
pub mod json;
pub mod lambda;
pub mod logging;
pub mod management;
pub mod metrics;
mod operations;
pub mod password;
pub mod presence;
pub mod queue;
pub mod rate;
pub mod revocation;
pub mod session;
pub mod settings;
pub mod shard;
pub mod sigv4;
pub mod source;
pub mod store;
pub mod token;
pub mod websocket;
pub mod xray;

pub use error::{Error, Result};
