//! The store from beside: several programs on one database.

use shared::{
    chat::{Draft, Text},
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
    let changed = if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
    };
    assert_ne!(changed, 0, "{sql}");
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
