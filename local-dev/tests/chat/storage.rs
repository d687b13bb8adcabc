//! The store from beside: several programs on one database.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use shared::{
    chat::{ClientId, Draft, Text},
    clock::Clock,
    store::{Drafts, Outcome, Store},
};

use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::{Needs, support::World};

crate::stories! {
    Needs::Nothing;
    migrations_may_run_twice_at_once,
    a_migration_that_died_halfway_is_run_again,
    stores_append_side_by_side_without_gaps,
    what_comes_at_once_is_stored_as_if_it_came_alone,
    one_that_cannot_be_stored_takes_no_others_with_it,
}

/// The migrations there are.
pub const STEPS: usize = 10;

async fn migrations_may_run_twice_at_once(world: World) {
    let url = world.empty_database().await;
    let migrations = (0..8).map(|_| {
        let store = Store::open(&url, 1).unwrap();
        tokio::spawn(async move { store.migrate(&Clock::system()).await.unwrap() })
    });
    let mut applied = 0;
    for migration in migrations.collect::<Vec<_>>() {
        applied += migration.await.unwrap();
    }
    assert!(applied >= STEPS, "{applied} steps were applied in all");
    let store = Store::open(&url, 1).unwrap();
    assert_eq!(store.migrate(&Clock::system()).await.unwrap(), 0);
    store.close().await;
    world.drop_database(&url).await;
}

async fn a_migration_that_died_halfway_is_run_again(world: World) {
    let url = world.empty_database().await;
    let store = Store::open(&url, 1).unwrap();
    assert_eq!(store.migrate(&Clock::system()).await.unwrap(), STEPS);
    // It did its work and died before it could note that down.
    execute(&url, "delete from schema_migrations").await;
    assert_eq!(store.migrate(&Clock::system()).await.unwrap(), STEPS);
    execute(&url, "update message_sequence set last_id = 41 where last_id = 0").await;
    store.close().await;
    world.drop_database(&url).await;
}

/// Runs a statement that must change something.
async fn execute(url: &str, sql: &'static str) {
    assert_ne!(run(url, sql).await, 0, "{sql}");
}

/// Runs a statement, and says how many rows it has changed.
pub async fn run(url: &str, sql: &'static str) -> u64 {
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
    }
}

async fn stores_append_side_by_side_without_gaps(world: World) {
    let alice = world.user("alice").await;
    let _socket = world.connect(&alice).await;
    let connection_id = world.connection_ids().await.remove(0);
    let writers = (0..8).map(|writer| {
        let (url, clock) = (world.database_url().to_owned(), world.clock.clock());
        let connection_id = connection_id.clone();
        tokio::spawn(async move {
            let store = Store::open(&url, 1).unwrap();
            let mut ids = Vec::new();
            for number in 0..25 {
                let text = Text::parse(&format!("{writer} {number}")).unwrap();
                let draft = Draft { text, client_id: None };
                let drafts = Drafts { plain: None, chat_v1: Some(&draft) };
                let now = clock.now();
                let appended = store.append_message(&connection_id, drafts, None, now).await;
                let Outcome::Stored(message) = appended.unwrap().unwrap().outcome else { panic!() };
                ids.push(message.id);
            }
            store.close().await;
            ids
        })
    });
    let mut ids = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        let own = writer.await.unwrap();
        assert!(own.is_sorted(), "{own:?}");
        ids.extend(own);
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
}

async fn what_comes_at_once_is_stored_as_if_it_came_alone(world: World) {
    let alice = world.user("alice").await;
    let _socket = world.connect(&alice).await;
    let connection_id = world.connection_ids().await.remove(0);
    let (store, now) = (Store::open(world.database_url(), 4).unwrap(), world.clock.clock().now());
    let text = |number: usize| Text::parse(&format!("number {number}")).unwrap();
    let client_id = || Some(ClientId::parse("the-same").unwrap());
    // More than fit into one transaction.
    let mut drafts: Vec<Draft> =
        (0..50).map(|number| Draft { text: text(number), client_id: None }).collect();
    drafts[3].client_id = client_id();
    drafts[4].client_id = client_id();

    let said = drafts.iter().map(|draft| {
        let drafts = Drafts { plain: None, chat_v1: Some(draft) };
        store.append_message(&connection_id, drafts, None, now)
    });
    let nothing_said = Drafts { plain: Some(&drafts[0]), chat_v1: None };
    let said_by_nobody = Drafts { plain: Some(&drafts[0]), chat_v1: Some(&drafts[0]) };
    let (said, nothing_said, said_by_nobody) = tokio::join!(
        join_all(said),
        store.append_message(&connection_id, nothing_said, None, now),
        store.append_message("nobody=", said_by_nobody, None, now),
    );
    assert_eq!(nothing_said.unwrap().unwrap().outcome, Outcome::NoDraft);
    assert!(said_by_nobody.unwrap().is_none());

    let mut ids = BTreeSet::new();
    for (number, appended) in said.into_iter().enumerate() {
        let Outcome::Stored(message) = appended.unwrap().unwrap().outcome else { panic!() };
        assert!(message.text == text(number) || number == 3 || number == 4, "{message:?}");
        ids.insert(message.id);
    }
    assert!(ids.into_iter().eq(1..=49));
    store.close().await;
}

async fn one_that_cannot_be_stored_takes_no_others_with_it(world: World) {
    let alice = world.user("alice").await;
    let _socket = world.connect(&alice).await;
    let connection_id = world.connection_ids().await.remove(0);
    let (store, now) = (Store::open(world.database_url(), 4).unwrap(), world.clock.clock().now());
    run(world.database_url(), "create unique index nothing_twice on messages (text)").await;
    let drafts = ["one", "two", "two", "three", "four"]
        .map(|text| Draft { text: Text::parse(text).unwrap(), client_id: None });
    let said = drafts.iter().map(|draft| {
        let drafts = Drafts { plain: None, chat_v1: Some(draft) };
        store.append_message(&connection_id, drafts, None, now)
    });
    let said = join_all(said).await;
    let mut ids = BTreeSet::new();
    let mut failed = 0;
    for appended in said {
        match appended.map(|appended| appended.unwrap().outcome) {
            Ok(Outcome::Stored(message)) => assert!(ids.insert(message.id)),
            Ok(other) => panic!("{other:?}"),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 1);
    assert!(ids.into_iter().eq(1..=4));
    store.close().await;
}
