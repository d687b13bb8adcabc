//! Runs compiled Lambda functions as processes over the Lambda Runtime API, as Lambda does.
//!
//! A [`Function`] is a program, `bootstrap`, that asks `http://$AWS_LAMBDA_RUNTIME_API` for one event after the other and
//! posts an answer to each; in which language it is written doesn't matter. [`Function::invoke`] gives an event to an
//! instance of it: to one that is free, or to a new one if all are busy. Between events instances are frozen.
//!
//! From the outside in: `function` is what callers see, `pool` knows which instances are free, `instance` is the life of
//! one instance, `sandbox` what that life consists of: a `process` with its `environment`, a `runtime_api` of its own,
//! and the `log` of what it writes. `guard` sees to it that no instance outlives this process, even if that is killed;
//! only what an instance has started in a session or process group of its own may.
//!
//! Not as on Lambda: memory and CPU are not limited, and an instance whose start fails is not started a second time for
//! the same event. Extensions can register, but are shown no events.
//!
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API" and "Understanding the Lambda execution environment
//! lifecycle"; for what these leave open, the answers of AWS's Runtime Interface Emulator.

mod account;
mod config;
mod environment;
mod error;
mod function;
mod guard;
mod instance;
mod log;
mod pool;
mod process;
mod runtime_api;
mod sandbox;

pub use self::{
    account::Account,
    config::{Config, ConfigError},
    error::{FunctionError, InvokeError},
    function::{Function, Invocation, Outcome},
    log::{Entry, LogSink, Record, Report, Stream},
};
