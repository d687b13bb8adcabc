//! The suite against a URL, which is how it is run against what is deployed: `cargo xtask contract`. Here the target is
//! local-dev as a program, and the suite is started once more, as whoever runs it would.

use std::{
    io::{Write, stderr},
    path::PathBuf,
    process::{ExitCode, Output, Stdio},
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{net::TcpListener, process::Command, task::JoinHandle, time::timeout};

use crate::{
    Needs, STORY_TIMEOUT, Story, Tell,
    support::{
        World,
        forger::Forger,
        leaks::Hunt,
        process::{Launch, Process, page_for_a_cdn},
        proxy::Proxy,
        runtime,
        target::{Routes, Target},
    },
};

crate::stories! {
    Needs::Nothing;
    the_contract_holds_where_others_talk;
    Needs::Sqlite;
    only_the_seeds_routes_may_be_asked_for,
    a_broken_promise_fails_its_story,
    a_target_that_makes_no_sense_is_named
}

/// Of stories that need more than a URL.
const NEEDS_ITS_OWN: &str = "needs a chat of its own: its clock, settings, database or log";
const NEEDS_ALL_ROUTES: &str = "needs more than the seed's routes";
const NEEDS_PAGE: &str = "needs the page at the same URL";

/// Runs the stories that need nothing but a URL against a target; names the others, and why they are left out.
pub fn hold(mut arguments: Arguments, target: &Target) -> ExitCode {
    // One at a time: a target has limits, and others use it.
    arguments.test_threads.get_or_insert(1);
    let hunt = (!arguments.list).then(Hunt::start);
    if hunt.is_some()
        && let Err(problem) = runtime("the suite").block_on(target.is_there())
    {
        return refuse(&problem);
    }
    let trials = crate::all_stories().map(|story| trial(&story, target)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(hunt) = hunt {
        hunt.end(false);
    }
    conclusion.exit_code()
}

/// Says why nothing is run.
pub fn refuse(problem: &str) -> ExitCode {
    // If standard error is gone, there is nobody to tell.
    writeln!(stderr(), "{problem}").ok();
    ExitCode::FAILURE
}

fn trial(story: &Story, target: &Target) -> Trial {
    let name: &'static str = format!("url::{}", story.name).leak();
    let left_out = |why: &str| Trial::test(name, || Ok(())).with_kind(why).with_ignored_flag(true);
    let Tell::Room(tell) = story.tell else { return left_out(NEEDS_ITS_OWN) };
    if story.needs != Needs::SeedRoutes && target.routes == Routes::Seed {
        return left_out(NEEDS_ALL_ROUTES);
    }
    if story.needs == Needs::Page && !target.has_page {
        return left_out(NEEDS_PAGE);
    }
    let room = target.room();
    Trial::test(name, move || {
        let told = runtime(name).block_on(async { timeout(STORY_TIMEOUT, tell(room)).await });
        told.map_err(|_elapsed| Failed::from("it takes too long"))
    })
}

/// How long all stories together may take.
const PATIENCE: Duration = Duration::from_mins(4);

/// How often the bystander says something: more than 30 messages in ten seconds are refused.
const PAUSE: Duration = Duration::from_millis(400);

/// Runs the suite against a target, with more settings.
async fn run(url: &str, filter: &str, settings: &[(&str, &str)]) -> Output {
    let child = Command::new(std::env::current_exe().unwrap())
        .arg(filter)
        .env("CHAT_URL", url)
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    timeout(PATIENCE, child.wait_with_output()).await.expect("the suite ends").unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Names of the stories that ended this way, in order.
fn stories_that(output: &Output, end: &str) -> Vec<String> {
    let lines = text(&output.stdout);
    let mut names: Vec<String> = lines
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(end))
        .filter_map(|line| line.split_once(" ...").map(|(name, _)| name.trim().to_owned()))
        .collect();
    names.sort_unstable();
    names
}

/// Names of all stories of this kind, in order.
fn names_of(is_so: impl Fn(&Story) -> bool) -> Vec<String> {
    let stories = crate::all_stories().filter(is_so);
    let mut names: Vec<String> = stories.map(|story| format!("url::{}", story.name)).collect();
    names.sort_unstable();
    names
}

/// Somebody who talks all the time.
fn bystander(target: &Process, token: &str) -> JoinHandle<()> {
    let handshake = target.plain_handshake(token);
    tokio::spawn(async move {
        let mut socket = handshake.open().await.unwrap();
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            socket.send("And another thing:").await;
            while socket.next_text().await != "bystander: And another thing:" {}
        }
    })
}

async fn the_contract_holds_where_others_talk(world: World) {
    let mut launch = Launch::of(&world);
    let own_directory = world.directory().to_str().unwrap().to_owned();
    // With compiled functions by TLS; on PostgreSQL with its sockets elsewhere; on SQLite with the page as a CDN has it.
    let by_tls = world.compiled_functions().is_some();
    let split = !by_tls && world.database_url().starts_with("postgres");
    if !by_tls && !split {
        launch = launch.with_page(page_for_a_cdn(&world).await);
    }
    // A page whose sockets are elsewhere is named beforehand.
    let port = if split { free_port().await } else { 0 };
    let page = format!("http://127.0.0.1:{port}");
    let mut settings = vec![("MESSAGE_RATE_LIMIT", "30/10"), ("TMPDIR", own_directory.as_str())];
    if split {
        settings.push(("ALLOWED_ORIGINS", &page));
    }
    let target = launch.start(port, &settings, []).await;
    let origin = target.base_url();
    let speaker = target.user("bystander").await;
    let talking = bystander(&target, &speaker.access);

    let (url, settings, _proxy) = if by_tls {
        let certificate = bundle(&world).to_str().unwrap().to_owned();
        (origin.replace("http:", "https:"), vec![("SSL_CERT_FILE", certificate)], None)
    } else if split {
        let proxy = Proxy::before(&origin).await;
        let sockets = proxy.url().replacen("http", "ws", 1) + "ws";
        let settings = vec![("CHAT_WS_URL", sockets), ("CHAT_PAGE", "off".to_owned())];
        (origin.clone(), settings, Some(proxy))
    } else {
        (origin.clone(), vec![], None)
    };
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let output = run(&url, "url::", &settings).await;
    let lines = text(&output.stdout);
    assert!(output.status.success(), "{lines}{}", text(&output.stderr));
    let told = |story: &Story| story.runs_anywhere() && !(split && story.needs == Needs::Page);
    assert_eq!(stories_that(&output, "ok"), names_of(told));
    // Those that are left out are named, with the reason.
    assert!(lines.contains("[needs a chat of its own"), "{lines}");
    assert!(!talking.is_finished(), "the bystander has talked to the end");
    talking.abort();
    assert!(target.pages(&speaker).await.len() > 100);
    target.stop().await;
}

/// A port that nobody had a moment ago.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// The file with the certificate of the local-dev that runs in this world's folder.
fn bundle(world: &World) -> PathBuf {
    let mut files = std::fs::read_dir(world.directory()).unwrap().map(|file| file.unwrap().path());
    files
        .find(|file| file.to_str().unwrap().contains("local-dev-certificates-"))
        .expect("it is kept in the folder for temporary files")
}

async fn only_the_seeds_routes_may_be_asked_for(world: World) {
    let target = Process::start(&world, &[]).await;
    let output = run(&target.base_url(), "url::", &[("CHAT_ROUTES", "seed")]).await;
    let lines = text(&output.stdout);
    assert!(output.status.success(), "{lines}{}", text(&output.stderr));
    assert_eq!(stories_that(&output, "ok"), names_of(|story| story.needs == Needs::SeedRoutes));
    assert!(lines.contains("[needs more than the seed's routes]"), "{lines}");
    target.stop().await;
}

async fn a_broken_promise_fails_its_story(world: World) {
    let target = Process::start(&world, &[]).await;
    let accounts = [
        "url::accounts::a_username_is_given_once",
        "url::accounts::of_two_registrations_at_once_one_wins",
    ];
    for (truth, lie, filter, broken) in [
        ("409 Conflict", "201 Conflict", "accounts::", &accounts[..]),
        (
            "rel=\"next\"",
            "rel=\"nest\"",
            "history::",
            &["url::history::pages_lead_through_the_whole_history"],
        ),
        (
            ": Hi, alice",
            ": Hi, clive",
            "chat::plain",
            &["url::chat::plain_and_chat_v1_share_one_room"],
        ),
        (
            "text_blank",
            "text_black",
            "bad_input::",
            &["url::bad_input::frames_that_make_no_sense_are_refused"],
        ),
        ("nosniff", "no-snif", "page::", &["url::page::the_page_comes_with_its_security_headers"]),
        (
            ": Hello!",
            ": Hallo!",
            "seed::",
            &["url::seed::a_plain_message_reaches_everybody_and_is_stored"],
        ),
    ] {
        let forger = Forger::before(&target.base_url(), truth, lie).await;
        let output = run(forger.url(), filter, &[]).await;
        let lines = text(&output.stdout);
        assert!(!output.status.success(), "{truth:?} has become {lie:?}: {lines}");
        assert_eq!(
            stories_that(&output, "FAILED"),
            broken,
            "{truth:?} has become {lie:?}: {lines}"
        );
    }
    target.stop().await;
}

async fn a_target_that_makes_no_sense_is_named(world: World) {
    let own = world.base_url();
    let nothing = format!("{own}/nothing");
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    for (url, setting, problem) in [
        ("chat.example.com", None, "CHAT_URL is not a URL of a chat"),
        ("ftp://chat.example.com", None, "its scheme is ftp, not https or http"),
        ("https://chat.example.com/?a=b", None, "it has a query or a fragment"),
        (
            &own,
            Some(("CHAT_WS_URL", "https://chat.example.com/ws")),
            "its scheme is https, not wss or ws",
        ),
        (&own, Some(("CHAT_ROUTES", "some")), "it is all or seed"),
        (&own, Some(("CHAT_PAGE", "yes")), "it is on or off"),
        (&nobody, None, "cannot reach"),
        (&nothing, None, "there is no chat at"),
    ] {
        let output = run(url, "", setting.as_slice()).await;
        assert!(!output.status.success(), "{url}");
        assert_eq!(text(&output.stdout), "", "{url}");
        let told = text(&output.stderr);
        assert!(told.contains(problem), "{url}: {told}");
        assert_eq!(told.lines().count(), 1, "{url}: {told}");
    }
}
