//! The management API from AWS's own clients, unchanged. Each of them is told the same stories.
//!
//! What a client needs and the machine doesn't have is said in the lines of its stories (`[needs …] … ignored`); with
//! `CI` set nothing may be missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
mod stories;
mod wire;
mod world;

use std::{pin::Pin, process::ExitCode, time::Duration};

use client::Client;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{runtime::Runtime, time::timeout};

/// The longest that any one story may take.
const STORY_TIMEOUT: Duration = Duration::from_mins(2);

/// One test, told with any client.
pub(crate) struct Story {
    name: &'static str,
    tell: fn(Client) -> Pin<Box<dyn Future<Output = ()>>>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let clients = Runtime::new().unwrap().block_on(Client::find_all());
    let trials = clients.into_iter().flat_map(|(name, client)| {
        stories::all().into_iter().map(move |story| trial(&story, name, client.clone()))
    });
    let wire = [
        Trial::test("wire::refusals_have_api_gateways_headers", || {
            run(wire::refusals_have_api_gateways_headers())
        }),
        Trial::test("wire::a_body_that_was_not_read_leads_to_nothing", || {
            run(wire::a_body_that_was_not_read_leads_to_nothing())
        }),
    ];
    let trials: Vec<Trial> = trials.chain(wire).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(story: &Story, client_name: &str, client: Result<Client, &'static str>) -> Trial {
    let name = format!("{client_name}::{}", story.name);
    let tell = story.tell;
    match client {
        Ok(client) => Trial::test(name, move || run(tell(client))),
        Err(hint) => {
            let must_run = std::env::var_os("CI").is_some();
            let fail = move || Err(Failed::from(format!("this test {hint}")));
            Trial::test(name, fail).with_kind(hint).with_ignored_flag(!must_run)
        }
    }
}

fn run(story: impl Future<Output = ()>) -> Result<(), Failed> {
    let told = async { timeout(STORY_TIMEOUT, story).await };
    let told = Runtime::new().unwrap().block_on(told);
    told.map_err(|_elapsed| Failed::from("it takes too long"))
}
