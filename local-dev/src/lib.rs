//! lambda-chat on one machine: an emulation of API Gateway, Lambda and SQS around the functions that run on AWS.
//!
//! The crate `gateway` is API Gateway, `lambda` runs compiled functions, `queue` is SQS, `template` reads SAM templates; none
//! of them knows of the chat or of each other. This crate puts them together, from the command line ([`cli`]) to APIs with
//! functions behind them ([`setup`]).

pub mod apis;
pub mod bootstraps;
pub mod certificate;
pub mod chat;
pub mod cli;
pub mod database;
pub mod demo;
pub mod environment;
pub mod functions;
pub mod in_memory;
pub mod in_process;
pub mod invocation;
mod priority;
pub mod push;
pub mod queues;
pub mod settings;
pub mod setup;
mod statement;
pub mod static_files;
pub mod terminal;
