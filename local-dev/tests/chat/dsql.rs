//! On Aurora DSQL, or what stands for it: what is refused there, conflicts, ends of sessions.

use std::time::Duration;

use serde_json::json;
use shared::{
    clock::{Clock, UnixMillis},
    store::{Page, PageRequest},
    token::SessionId,
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, error::DatabaseError};

use crate::{
    Needs,
    support::{World, dsql::Dsql, role_arns, role_arns_by_name, runtime},
};

crate::stories! {
    Needs::Dsql;
    what_dsql_lacks_is_refused_here,
    whoever_may_not_connect_is_turned_away,
    the_chat_says_nothing_that_is_refused,
    conflicts_lose_and_double_nothing,
    migrations_survive_conflicts,
    a_conflict_at_commit_undoes_the_transaction,
    sessions_that_end_cost_nobody_an_error,
    connections_are_given_up_after_50_minutes,
}

/// The stand-in itself: it would be of no use if it took everything.
async fn what_dsql_lacks_is_refused_here(world: World) {
    let mut admin = PgConnection::connect_with(&world.dsql().options("admin")).await.unwrap();
    for sql in [
        "truncate users",
        "create temp table t (id bigint)",
        "create temporary table t (id bigint)",
        "create unlogged table t (id bigint)",
        "create table t (id bigserial primary key)",
        "create table t (id bigint generated always as identity)",
        "create table t (id bigint) partition by range (id)",
        "create table t (id bigint) inherits (users)",
        "create table t as select 1",
        "create table t (id) as (values (1))",
        "create table t as table users",
        "alter table users attach partition t for values from (1) to (2)",
        "alter table users detach partition t",
        "create index i on users (created_at)",
        "create unique index i on users (created_at)",
        "create sequence s",
        "create extension pgcrypto",
        "create trigger t before insert on users execute function f()",
        "create function f() returns int language plpgsql as 'begin return 1; end'",
        "create database d",
        "create type t as enum ('a')",
        "create materialized view v as select 1",
        "do 'begin end'",
        "begin; savepoint s",
        "lock table users",
        "listen c",
        "notify c",
        "select pg_advisory_lock(1)",
        "select pg_try_advisory_xact_lock(1)",
        "select * from users for share",
        "begin isolation level serializable",
        "set statement_timeout = 1000",
        "set local lock_timeout = 1000",
        "vacuum users",
        "copy users from stdin",
        "begin; create table t1 (id bigint); create table t2 (id bigint); commit",
        "create table t1 (id bigint); create table t2 (id bigint)",
        "create table t1 (id bigint); insert into t1 (id) values (1)",
        "select 1; grant select on users to login",
    ] {
        let error = admin.execute(sql).await.unwrap_err();
        let code = error.as_database_error().and_then(DatabaseError::code).unwrap();
        assert_eq!(code, "0A000", "{sql}: {error}");
        assert_eq!(world.dsql().take_refused().len(), 1, "{sql}");
    }
    // In one transaction, but not in one query.
    let mut transaction = admin.begin().await.unwrap();
    transaction.execute("create table t1 (id bigint)").await.unwrap();
    transaction.execute("insert into t1 (id) values (1)").await.unwrap_err();
    transaction.rollback().await.unwrap();
    for sql in [
        "set search_path = chat",
        "create table t (id bigint primary key, parent bigint references t (id))",
        "-- a comment; truncate\ninsert into t (id) values (1)",
        "select 'truncate; lock table'",
        "create sequence s cache 65536",
        "drop table t",
    ] {
        admin.execute(sql).await.unwrap();
    }
}

async fn whoever_may_not_connect_is_turned_away(world: World) {
    let dsql = world.dsql();
    let plain = dsql.options("admin").ssl_mode(sqlx::postgres::PgSslMode::Disable);
    let other_role = dsql.options("login").username("admin");
    let forged = dsql.options("admin").password(
        "localhost/?Action=DbConnectAdmin&X-Amz-Date=20261123T101500Z&X-Amz-Signature=00",
    );
    let mut owner = PgConnection::connect(world.database_url()).await.unwrap();
    owner
        .execute("delete from sys.iam_pg_role_mappings where pg_role_name = 'logout'")
        .await
        .unwrap();
    for (options, why) in [
        (plain, "SSL is required"),
        (other_role, "its Action is wrong"),
        (forged, "its X-Amz-Algorithm is wrong"),
        (dsql.options("admin").password("hunter2"), "it is for another host"),
        (dsql.options("logout"), "no IAM role may take on this one"),
        (dsql.options("admin").database("other"), "there is no such database"),
        (dsql.options("admin").options([("statement_timeout", "1")]), "not supported"),
        (dsql.options("admin").host("127.0.0.2"), ""),
    ] {
        let error = PgConnection::connect_with(&options).await.err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
    // Who trusts nobody but the world's authorities doesn't trust this one.
    let url = dsql.url("admin");
    let (url, _) = url.split_once("&sslrootcert=").unwrap();
    let store = world.store_at(url);
    assert!(store.migration_status().await.is_err());
}

async fn the_chat_says_nothing_that_is_refused(world: World) {
    talk(&world, 3, 5).await;
    assert_eq!(world.dsql().take_refused(), Vec::<String>::new());
    assert_eq!(world.dsql().take_denied(), 0);
}

/// Several say something at once; then all of it is there once, and numbered without gaps.
async fn talk(world: &World, users: usize, sends: usize) {
    let before = match world.dsql().opened() {
        0 => 0,
        _ => said(world).await.len(),
    };
    let talking = (0..users).map(async |number| {
        let user = world.user(&format!("user{before}-{number}")).await;
        let mut socket = world.connect(&user).await;
        for send in 0..sends {
            let key = format!("{number}-{send}");
            socket.say(&key, &key).await;
            // Others are heard, too; a conversation that is too busy says to send again.
            loop {
                let frame = socket.next_frame().await;
                if frame["type"] == "message"
                    && frame["username"] == user.username.as_str()
                    && frame["client_id"] == key.as_str()
                {
                    break;
                }
                if frame["type"] == "error" {
                    assert_eq!(frame["code"], "unavailable", "{frame}");
                    socket.say(&key, &key).await;
                }
            }
        }
        let answer =
            world.http.post("/auth/refresh", &json!({"refresh_token": user.refresh})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    });
    futures_util::future::join_all(talking).await;
    let said = said(world).await;
    assert_eq!(said.len(), before + users * sends);
    let ids: Vec<i64> = said.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, (1..).take(said.len()).collect::<Vec<i64>>());
    let mut keys: Vec<_> = said.iter().map(|(_, user, key)| (user, key)).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), said.len(), "something was stored twice");
}

async fn said(world: &World) -> Vec<(i64, String, String)> {
    let mut owner = PgConnection::connect(world.database_url()).await.unwrap();
    let sql = "select id, username, client_id from messages order by id";
    sqlx::query_as(sql).fetch_all(&mut owner).await.unwrap()
}

/// A number from 0 up to `below`, by Marsaglia's xorshift.
fn random(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

async fn conflicts_lose_and_double_nothing(world: World) {
    for (seed, one_in) in [(1, 2), (2, 3), (3, 5), (4, 10)] {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed);
        let conflicted = world.dsql().conflicted();
        world.dsql().conflict(move || random(&mut state, one_in) == 0);
        talk(&world, 3, 5).await;
        assert!(world.dsql().conflicted() > conflicted, "seed {seed}: nothing has conflicted");
    }
}

/// Two at once, as when a deployment is begun again.
async fn migrations_survive_conflicts(world: World) {
    let url = world.empty_database().await;
    let dsql = Dsql::before(&url).await;
    let mut state = 0x9E37_79B9_7F4A_7C15;
    dsql.conflict(move || random(&mut state, 3) == 0);
    let migrations = (0..2).map(async |_| {
        let store = world.store_at(&dsql.url("admin"));
        store.migrate(&Clock::system()).await.unwrap();
        store.keep_roles(&role_arns("chat"), None).await.unwrap();
        store.close().await;
    });
    futures_util::future::join_all(migrations).await;
    assert!(dsql.conflicted() > 0, "nothing has conflicted");
    assert_eq!(dsql.take_refused(), Vec::<String>::new());
    dsql.conflict(|| false);
    let status = world.store_at(&dsql.url("admin")).migration_status().await.unwrap();
    assert_eq!(status.steps_pending, 0);
    let mut mappings = dsql.mappings().await;
    mappings.values_mut().for_each(Vec::dedup);
    let due = role_arns_by_name("chat").into_iter().map(|(role, arn)| (role, vec![arn])).collect();
    assert_eq!(mappings, due);
    world.drop_database(&url).await;
}

async fn a_conflict_at_commit_undoes_the_transaction(world: World) {
    let mut admin = PgConnection::connect_with(&world.dsql().options("admin")).await.unwrap();
    admin.execute("set search_path = chat").await.unwrap();
    let insert = "insert into login_failures (username, source, failures, window_started_at) values ('a', 'b', 1, 1)";
    for conflicts in [true, false] {
        world.dsql().conflict(move || conflicts);
        let mut transaction = admin.begin().await.unwrap();
        transaction.execute(AssertSqlSafe(insert)).await.unwrap();
        let committed = transaction.commit().await;
        let code =
            committed.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
        assert_eq!(code.as_deref(), conflicts.then_some("40001"));
        world.dsql().conflict(|| false);
        let count: i64 = sqlx::query_scalar("select count(*) from login_failures")
            .fetch_one(&mut admin)
            .await
            .unwrap();
        assert_eq!(count, i64::from(!conflicts));
    }
}

async fn sessions_that_end_cost_nobody_an_error(world: World) {
    let opened = world.dsql().opened();
    world.dsql().end_sessions_of(Duration::from_millis(150));
    talk(&world, 3, 10).await;
    assert!(world.dsql().opened() > opened + 10, "few sessions have ended");
}

/// In a thread whose time flies, while that of the server doesn't.
async fn connections_are_given_up_after_50_minutes(world: World) {
    let store = world.store_at(&world.dsql().url("messages"));
    let opened = world.dsql().opened_from_afar();
    let asking = tokio::task::spawn_blocking(move || {
        runtime("dsql::connections_are_given_up_after_50_minutes").block_on(async {
            let (newest, nobodys) =
                (PageRequest { page: Page::Newest, limit: 1 }, SessionId::random());
            let ask = async || {
                store.messages(newest, &nobodys, UnixMillis(0)).await.unwrap();
                opened()
            };
            let first = ask().await;
            for (minutes, more) in [(30, 0), (19, 0), (2, 1), (40, 1), (15, 2)] {
                tokio::time::pause();
                tokio::time::advance(Duration::from_mins(minutes)).await;
                tokio::time::resume();
                assert_eq!(ask().await, first + more, "{minutes} minutes later");
            }
        });
    });
    asking.await.unwrap();
}
