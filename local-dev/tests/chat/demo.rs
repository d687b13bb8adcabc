//! `--demo`: users who have talked for some days.

use std::{collections::BTreeSet, time::Duration};

use local_dev::demo::{PASSWORD, USERNAMES};
use serde_json::{Value, json};
use shared::clock::Clock;

use crate::{
    Needs,
    support::{
        World, leaks,
        process::{Launch, Process},
        room::User,
    },
};

crate::stories! {
    Needs::Nothing;
    the_demo_is_said_once_and_the_chat_goes_on_behind_it,
    the_demo_leaves_others_alone,
}

/// A local-dev with the demo in the database at `url`.
pub async fn start(world: &World, url: &str) -> Process {
    Launch::of(world).start(0, &[("DATABASE_URL", url)], ["--demo"]).await
}

/// One of the demo's users.
pub async fn log_in(process: &Process, username: &str) -> User {
    let login = json!({"username": username, "password": PASSWORD});
    let answer = process.http.post("/auth/login", &login).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = |name: &str| answer.body[name].as_str().unwrap().to_owned();
    User {
        username: username.to_owned(),
        access: token("access_token"),
        refresh: token("refresh_token"),
    }
}

fn texts<'a>(messages: &'a [Value], name: &str) -> Vec<&'a str> {
    messages.iter().map(|message| message[name].as_str().unwrap()).collect()
}

async fn the_demo_is_said_once_and_the_chat_goes_on_behind_it(world: World) {
    let url = world.empty_database().await;
    let process = start(&world, &url).await;
    let mut users = Vec::new();
    for username in USERNAMES {
        users.push(log_in(&process, username).await);
    }
    let messages = process.pages(&users[0]).await;
    let ids: Vec<_> = messages.iter().map(|message| message["id"].as_u64().unwrap()).collect();
    // More than a page shows at first.
    assert!(ids.len() > 50, "{}", ids.len());
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    let speakers: BTreeSet<_> = texts(&messages, "username").into_iter().collect();
    assert_eq!(speakers, BTreeSet::from(USERNAMES));
    // RFC 3339 in one zone is in order when its texts are.
    let times = texts(&messages, "sent_at");
    assert!(times.is_sorted());
    let ago = |days: u64| {
        let then = Clock::system().now().minus(Duration::from_hours(24 * days));
        serde_json::to_value(then).unwrap().as_str().unwrap().to_owned()
    };
    assert!(times[0] < ago(3).as_str() && times[0] > ago(7).as_str(), "{}", times[0]);
    let last = *times.last().unwrap();
    assert!(last > ago(1).as_str() && last < ago(0).as_str(), "{last}");
    // None of its users is connected.
    let mut socket = process.connect(&users[1]).await;
    socket.say("And now for real.", "now").await;
    let said = socket.next_frame().await;
    assert_eq!(said["id"], ids.len() + 1);
    process.stop().await;

    let process = start(&world, &url).await;
    assert_eq!(process.pages(&users[0]).await.len(), ids.len() + 1);
    log_in(&process, USERNAMES[0]).await;
    process.stop().await;
    let log = leaks::log_of_this_story("local-dev");
    let offer = format!("demo sign in as {}", USERNAMES.join(", "));
    assert_eq!(log.matches(&offer).count(), 2, "{offer}");
    world.drop_database(&url).await;
}

async fn the_demo_leaves_others_alone(world: World) {
    let url = world.empty_database().await;
    let process = Launch::of(&world).start(0, &[("DATABASE_URL", &url)], []).await;
    let mira = process.user(USERNAMES[0]).await;
    process.stop().await;

    let process = start(&world, &url).await;
    assert_eq!(process.pages(&mira).await, Vec::<Value>::new());
    process.log_in(USERNAMES[0]).await;
    process.stop().await;
    let log = leaks::log_of_this_story("local-dev");
    assert!(log.contains("demo left out: the database has users of its own"));
    world.drop_database(&url).await;
}
