//! The chat from outside: over HTTP, over sockets, in a browser, as a process. Every story runs over SQLite and over
//! PostgreSQL.
//!
//! A story is an async function that is given a running [`World`]. What a story needs and the machine doesn't have is
//! said in its line (`[needs …] … ignored`); with `CI` set nothing may be missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "nobody uses this crate from outside")]
#![expect(
    clippy::disallowed_methods,
    reason = "the suite finds its servers through the environment"
)]

mod accounts;
mod bad_input;
mod bootstraps;
mod browser;
mod chat;
mod described;
mod handshakes;
mod history;
mod modules;
mod processes;
mod sessions;
mod storage;
mod support;

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use libtest_mimic::{Arguments, Failed, Trial};
use support::{Backend, World, browser::Chromium, postgres::Postgres, runtime};

/// The longest that any one story may take.
const STORY_TIMEOUT: Duration = Duration::from_mins(3);

/// Names stories, as `module::function`, with the module's requirement.
macro_rules! stories {
    ($($module:ident: $($story:ident),+ $(,)?;)+) => {
        vec![$($(Story {
            name: concat!(stringify!($module), "::", stringify!($story)),
            needs: $module::NEEDS,
            tell: |world| Box::pin($module::$story(world)),
        }),+),+]
    };
}

struct Story {
    name: &'static str,
    needs: Needs,
    tell: fn(World) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// What a story needs beside a database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A browser.
    Chromium,
    /// The functions as `cargo xtask build` makes them, for PostgreSQL.
    Bootstraps,
    /// Node, and no database.
    Node,
}

fn all_stories() -> Vec<Story> {
    stories! {
        accounts:
            a_user_registers_and_logs_in,
            a_username_is_given_once,
            of_two_registrations_at_once_one_wins,
            a_wrong_password_and_an_unknown_user_are_the_same_answer,
            ten_failures_lock_a_login_until_the_window_has_passed,
            failures_in_parallel_do_not_slip_through,
            a_login_renews_a_hash_of_another_cost;
        bad_input:
            usernames_and_passwords_that_break_the_rules_are_named,
            a_body_that_is_no_json_object_is_refused,
            a_body_of_11_megabytes_is_refused,
            unknown_routes_are_the_gateways_404,
            pages_that_make_no_sense_are_refused,
            frames_that_make_no_sense_are_refused;
        sessions:
            a_refresh_rotates_the_token,
            the_previous_token_leads_to_the_same_successor_for_30_seconds,
            two_refreshes_at_once_get_the_same_successor,
            a_replayed_token_ends_the_session,
            a_logout_ends_the_session_and_closes_its_sockets,
            a_session_ends_with_its_refresh_token,
            tokens_that_are_no_good_are_refused,
            a_new_secret_signs_and_the_old_one_still_verifies;
        handshakes:
            chat_v1_takes_its_token_as_a_subprotocol,
            plain_takes_its_token_from_the_query,
            a_bad_token_is_refused_with_401,
            a_foreign_page_is_refused_with_403,
            listed_origins_may_connect;
        history:
            pages_lead_through_the_whole_history,
            an_empty_history_is_an_empty_array,
            texts_are_kept_exactly;
        chat:
            plain_and_chat_v1_share_one_room,
            a_message_is_stored_before_it_is_shown,
            ids_count_without_gaps_however_many_send_at_once,
            a_repeated_send_is_the_same_message,
            the_same_send_on_two_connections_at_once_is_one_message,
            nobody_speaks_for_another,
            a_ping_is_answered,
            gone_connections_are_forgotten_and_harm_nobody,
            a_connection_in_its_handshake_is_not_taken_for_gone,
            rows_older_than_a_connection_lives_are_removed_in_passing,
            a_client_that_does_not_read_holds_up_nobody,
            a_connection_without_a_row_is_closed,
            a_disconnect_forgets_the_connection;
        storage:
            migrations_may_run_twice_at_once,
            stores_append_side_by_side_without_gaps;
        processes:
            messages_survive_kill_9,
            sigterm_closes_sockets_and_ends_in_time,
            the_secret_is_kept_beside_the_database,
            bad_settings_stop_the_program_with_one_line;
        bootstraps:
            every_bootstrap_answers_its_sample_event;
        modules:
            the_pages_modules_pass_their_own_tests;
        browser:
            two_windows_chat,
            two_windows_chat_at_320_pixels,
            a_script_tag_stays_text,
            an_expired_token_is_renewed_unseen,
            a_restart_loses_and_doubles_nothing,
            history_scrolls_back;
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Stories wait more than they compute.
    arguments.test_threads.get_or_insert(6);
    let postgres = if arguments.list { None } else { runtime().block_on(Postgres::start()) };
    let postgres = postgres.map(Arc::new);

    let trials = all_stories().into_iter().flat_map(|story| {
        let on_sqlite = || trial(&story, "sqlite", Some(Backend::Sqlite));
        let on_postgres = || trial(&story, "postgres", postgres.clone().map(Backend::Postgres));
        match story.needs {
            Needs::Nothing | Needs::Chromium => vec![on_sqlite(), on_postgres()],
            Needs::Bootstraps => vec![on_postgres()],
            Needs::Node => vec![on_sqlite()],
        }
    });
    let trials: Vec<Trial> = trials.collect();
    let whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    let conclusion = libtest_mimic::run(&arguments, trials);

    if let Some(postgres) = postgres.and_then(Arc::into_inner) {
        postgres.stop();
    }
    if whole && !conclusion.has_failed() && conclusion.num_ignored == 0 {
        described::everything_described_has_been_seen();
    }
    conclusion.exit_code()
}

fn trial(story: &Story, database: &str, backend: Option<Backend>) -> Trial {
    let name = format!("{database}::{}", story.name);
    let missing = match story.needs {
        Needs::Chromium if Chromium::installed().is_none() => Some(support::browser::HINT),
        Needs::Node if !modules::node_installed() => Some(modules::HINT),
        Needs::Bootstraps if bootstraps::directory().is_none() => Some(bootstraps::HINT),
        _ if backend.is_none() => Some(support::postgres::HINT),
        _ => None,
    };
    let tell = story.tell;
    if let Some(hint) = missing {
        let must_run = std::env::var_os("CI").is_some();
        let fail = move || Err(Failed::from(format!("this test {hint}")));
        return Trial::test(name, fail).with_kind(hint).with_ignored_flag(!must_run);
    }
    let backend = backend.expect("nothing is missing");
    Trial::test(name, move || {
        runtime().block_on(async {
            let world = World::start(backend.clone()).await;
            let database_url = world.database_url().to_owned();
            let story = AssertUnwindSafe(tell(world)).catch_unwind();
            let told = tokio::time::timeout(STORY_TIMEOUT, story).await;
            backend.clean_up(&database_url).await;
            match told.map_err(|_elapsed| Failed::from("it takes too long"))? {
                Ok(()) => Ok(()),
                Err(panic) => resume_unwind(panic),
            }
        })
    })
}
