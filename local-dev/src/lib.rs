//! lambda-chat on one machine: an emulation of API Gateway around the same functions that run on AWS Lambda.
//!
//! The crate `gateway` is the emulation and knows nothing of the chat, [`chat`] is the functions and knows nothing of the
//! emulation's inside. Tests run it all in their own process.

pub mod chat;
pub mod cli;
pub mod settings;
pub mod static_files;
