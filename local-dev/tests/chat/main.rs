//! The chat from outside: over HTTP, over sockets, in a browser, as a process. Every story runs over SQLite and over
//! PostgreSQL, with the functions in this process, and over PostgreSQL with the functions as Lambda runs them.
//!
//! A story is an async function that is given a running [`World`], or only a [`Room`] in it. What a story needs and the
//! machine doesn't have is said in its line (`[needs …] … ignored`); with `CI` set nothing may be missing.
//!
//! Stories of a room also run against any chat whose URL is in `CHAT_URL`: `cargo xtask contract`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "nobody uses this crate from outside")]
#![expect(clippy::print_stdout, reason = "long runs say what they have done")]
#![expect(
    clippy::disallowed_methods,
    reason = "the suite finds its servers through the environment"
)]

/// Lists a module's stories, and what they need.
macro_rules! stories {
    ($($needs:expr; $($story:ident),+ $(,)?);+) => {
        pub fn stories() -> Vec<crate::Story> {
            vec![$($(crate::Story {
                name: concat!(module_path!(), "::", stringify!($story)).split_once("::").unwrap().1,
                needs: $needs,
                tell: crate::Tell::World(|world| Box::pin($story(world))),
            }),+),+]
        }
    };
}
pub(crate) use stories;

/// Lists a module's stories that need nothing but a chat's URL. Others may talk there while they run.
macro_rules! anywhere {
    ($needs:expr; $($story:ident),+ $(,)?) => {
        pub fn anywhere() -> Vec<crate::Story> {
            vec![$(crate::Story {
                name: concat!(module_path!(), "::", stringify!($story)).split_once("::").unwrap().1,
                needs: $needs,
                tell: crate::Tell::Room(|room| Box::pin($story(room))),
            }),+]
        }
    };
}
pub(crate) use anywhere;

mod accounts;
mod attacks;
mod bad_input;
mod bootstraps;
mod broadcasts;
mod browser;
mod browser_access;
mod browser_line;
mod browser_presence;
mod browser_reading;
mod chat;
mod checker;
mod concurrency;
mod contract;
mod day;
mod demo;
mod deployments;
mod described;
mod dsql;
mod floods;
mod handshakes;
mod history;
mod inspector;
mod leaks;
mod local_queue;
mod modules;
mod operations;
mod outages;
mod page;
mod pictures;
mod presence;
mod processes;
mod roles;
mod seed;
mod session_properties;
mod sessions;
mod storage;
mod support;
mod unicode;

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    process::ExitCode,
    sync::{Arc, mpsc},
    time::Duration,
};

use futures_util::FutureExt;
use libtest_mimic::{Arguments, Failed, Trial};
use support::{
    Backend, World, bootstraps as compiled,
    browser::Chromium,
    leaks::Hunt,
    postgres::Postgres,
    room::Room,
    runtime,
    target::Target,
    times::{self, Measured},
};

/// The longest that any one story may take.
const STORY_TIMEOUT: Duration = Duration::from_mins(5);

/// One test.
pub struct Story {
    /// `module::function`.
    name: &'static str,
    needs: Needs,
    tell: Tell,
}

type Telling = Pin<Box<dyn Future<Output = ()>>>;

/// A story, by what it is given.
#[derive(Clone, Copy)]
enum Tell {
    /// A chat of its own, with its clock, settings and database.
    World(fn(World) -> Telling),
    /// A chat's URL.
    Room(fn(Room) -> Telling),
}

impl Tell {
    async fn on(self, world: World) {
        match self {
            Self::World(tell) => tell(world).await,
            Self::Room(tell) => tell(world.room()).await,
        }
    }
}

impl Story {
    /// Whether it needs nothing but a URL.
    fn runs_anywhere(&self) -> bool {
        matches!(self.tell, Tell::Room(_))
    }
}

/// What a story needs beside a database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Functions in this process, not compiled ones.
    InProcess,
    /// Functions in a process of their own, whose time can be made to fly.
    FakeTime,
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// What makes PostgreSQL Aurora DSQL.
    Dsql,
    /// A browser.
    Chromium,
    /// A browser, for what is the page's or the gateway's own affair: one database will do.
    ChromiumAlone,
    /// A browser, and axe to look at the page in it.
    Axe,
    /// The functions as `cargo xtask build` makes them, for PostgreSQL.
    Bootstraps,
    /// Node, and no database.
    Node,
    /// A queue.
    Queue,
    /// Of the routes only those that the chat's ancestor had.
    SeedRoutes,
    /// The page at `/`.
    Page,
}

/// The modules whose stories run in roles on Aurora DSQL, too, or what stands for it.
const ON_DSQL: [&str; 7] = [
    "accounts::",
    "bad_input::",
    "chat::",
    "handshakes::",
    "history::",
    "presence::",
    "sessions::",
];

fn all_stories() -> impl Iterator<Item = Story> {
    [
        seed::anywhere(),
        page::anywhere(),
        accounts::anywhere(),
        accounts::stories(),
        bad_input::anywhere(),
        sessions::anywhere(),
        sessions::stories(),
        session_properties::stories(),
        handshakes::anywhere(),
        handshakes::stories(),
        history::anywhere(),
        history::stories(),
        presence::anywhere(),
        presence::stories(),
        chat::anywhere(),
        chat::stories(),
        storage::stories(),
        dsql::stories(),
        roles::stories(),
        deployments::stories(),
        floods::stories(),
        outages::stories(),
        broadcasts::stories(),
        local_queue::stories(),
        operations::stories(),
        checker::stories(),
        day::stories(),
        demo::stories(),
        concurrency::stories(),
        leaks::stories(),
        processes::stories(),
        contract::stories(),
        bootstraps::stories(),
        modules::stories(),
        browser::stories(),
        browser_access::stories(),
        browser_line::stories(),
        browser_presence::stories(),
        browser_reading::stories(),
        inspector::stories(),
        pictures::stories(),
        attacks::stories(),
        unicode::stories(),
    ]
    .into_iter()
    .flatten()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    match Target::from_environment() {
        Ok(None) => {}
        Ok(Some(target)) => return contract::hold(arguments, &target),
        Err(problem) => return contract::refuse(&problem),
    }
    // Stories wait more than they compute.
    arguments.test_threads.get_or_insert(4);
    let hunt = (!arguments.list).then(Hunt::start);
    // Who only lists the stories needs no database.
    let postgres = hunt.as_ref().and_then(|_| runtime("the suite").block_on(Postgres::start()));
    let postgres = postgres.map(Arc::new);

    let trials = all_stories().flat_map(|story| {
        let on_sqlite = || trial(&story, "sqlite", Some(Backend::Sqlite));
        let on_postgres = || trial(&story, "postgres", postgres.clone().map(Backend::Postgres));
        let on_bootstraps =
            || trial(&story, "bootstraps", postgres.clone().map(Backend::Bootstraps));
        let on_dsql = || trial(&story, "dsql", postgres.clone().map(Backend::Dsql));
        match story.needs {
            Needs::Nothing if ON_DSQL.iter().any(|module| story.name.starts_with(module)) => {
                vec![on_sqlite(), on_postgres(), on_bootstraps(), on_dsql()]
            }
            Needs::Dsql => vec![on_dsql()],
            Needs::Nothing | Needs::Chromium | Needs::Queue | Needs::SeedRoutes | Needs::Page => {
                vec![on_sqlite(), on_postgres(), on_bootstraps()]
            }
            Needs::InProcess | Needs::FakeTime => vec![on_sqlite(), on_postgres()],
            Needs::Postgres => vec![on_postgres(), on_bootstraps()],
            Needs::Bootstraps => vec![on_postgres()],
            Needs::Sqlite | Needs::Node | Needs::ChromiumAlone | Needs::Axe => {
                vec![on_sqlite()]
            }
        }
    });
    let trials: Vec<Trial> = trials.collect();
    let whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(report) = times::report() {
        println!("{report}");
    }

    if let Some(postgres) = postgres.and_then(Arc::into_inner) {
        postgres.stop();
    }
    let whole = whole && !conclusion.has_failed() && conclusion.num_ignored == 0;
    if whole {
        described::everything_described_has_been_seen();
    }
    if let Some(hunt) = hunt {
        hunt.end(whole);
    }
    conclusion.exit_code()
}

fn trial(story: &Story, database: &str, backend: Option<Backend>) -> Trial {
    // Whatever is written until the end of the suite is filed under it.
    let name: &'static str = format!("{database}::{}", story.name).leak();
    let runs_bootstraps =
        story.needs == Needs::Bootstraps || matches!(backend, Some(Backend::Bootstraps(_)));
    let missing = match story.needs {
        Needs::Chromium | Needs::ChromiumAlone | Needs::Axe if Chromium::installed().is_none() => {
            Some(support::browser::HINT)
        }
        Needs::Axe if !browser_access::axe_installed() => Some(browser_access::AXE_HINT),
        Needs::Node if !modules::node_installed() => Some(modules::HINT),
        Needs::Queue if support::sqs::installed().is_none() => Some(support::sqs::HINT),
        _ if backend.is_none() => Some(pg_cluster::REMEDY),
        _ if runs_bootstraps && compiled::directory().is_none() => Some(compiled::HINT),
        _ if (runs_bootstraps || story.needs == Needs::FakeTime)
            && compiled::fake_time_library().is_none() =>
        {
            Some(compiled::FAKE_TIME_HINT)
        }
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
        let _measured = Measured::begin(name);
        runtime(name).block_on(async {
            let (after, over) = mpsc::channel();
            let world = World::start(backend.clone(), after).await;
            let database_url = world.database_url().to_owned();
            let story = AssertUnwindSafe(tell.on(world)).catch_unwind();
            let patience =
                if checker::Extent::was_asked_for() { Duration::MAX } else { STORY_TIMEOUT };
            let told = tokio::time::timeout(patience, story).await;
            for world in over.try_iter() {
                world.keep_inspector().await;
            }
            backend.clean_up(&database_url).await;
            match told.map_err(|_elapsed| Failed::from("it takes too long"))? {
                Ok(()) => Ok(()),
                Err(panic) => resume_unwind(panic),
            }
        })
    })
}
