//! Each function's role in the database may do what it does, and no more.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use shared::store::{Privilege, ROLES};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    Needs,
    support::{World, role_arns},
};

crate::stories! {
    Needs::Dsql;
    no_privilege_can_be_spared,
    privileges_are_what_the_table_says,
}

/// Takes each privilege away in turn: somebody is denied something then.
async fn no_privilege_can_be_spared(world: World) {
    let mut owner = PgConnection::connect(world.database_url()).await.unwrap();
    world.register("alice").await;
    let old_hash = world.password_hash("alice").await;
    let world = {
        let mut world = world;
        // A login renews the hash.
        world.restart_with("BCRYPT_COST", "11").await;
        world
    };
    let mut number = 0;
    use_everything(&world, &mut owner, &old_hash, number).await;
    assert_eq!(world.dsql().take_denied(), 0, "something is denied that is needed");
    // `broadcast` has stories of its own.
    for role in ROLES.iter().filter(|role| role.name != "broadcast") {
        for (table, privileges) in role.tables {
            for privilege in *privileges {
                number += 1;
                let name = role.name;
                let revoke = format!("revoke {privilege} on {table} from \"{name}\"");
                owner.execute(AssertSqlSafe(revoke)).await.unwrap();
                use_everything(&world, &mut owner, &old_hash, number).await;
                assert_ne!(world.dsql().take_denied(), 0, "{name} needs no {privilege} on {table}");
                let grant = format!("grant {privilege} on {table} to \"{name}\"");
                owner.execute(AssertSqlSafe(grant)).await.unwrap();
            }
        }
    }
}

/// Has every function run all of its statements, unless it is denied one.
async fn use_everything(world: &World, owner: &mut PgConnection, old_hash: &str, number: u32) {
    let http = &world.http;
    sqlx::query("update users set password_hash = $1 where username = 'alice'")
        .bind(old_hash)
        .execute(&mut *owner)
        .await
        .unwrap();
    let account = json!({"username": format!("user{number}"), "password": World::PASSWORD});
    http.post("/auth/register", &account).await;
    let login = json!({"username": "alice", "password": World::PASSWORD});
    let (Some(first), Some(second)) = (
        tokens(&http.post("/auth/login", &login).await.body),
        tokens(&http.post("/auth/login", &login).await.body),
    ) else {
        return;
    };
    let mut socket = world.handshake(&second.0).open().await.ok();
    for (access, which) in [(&first.0, 1), (&second.0, 2)] {
        world.insert_connection_of(access, "alice", &gone(which, number)).await;
    }
    world.clock.advance(Duration::from_mins(1));
    if let Some(socket) = &mut socket {
        // The rows are of nothing that is there: the broadcast forgets them.
        socket.say("hello", &number.to_string()).await;
        socket.next_frame().await;
    }
    http.get("/auth/messages", &second.0).await;
    for (access, which) in [(&first.0, 3), (&second.0, 4)] {
        world.insert_connection_of(access, "alice", &gone(which, number)).await;
    }
    world.clock.advance(Duration::from_mins(1));
    // The third presents a token that is too old, which ends the session.
    let mut presented = first.1.clone();
    for _ in 0..2 {
        let answer = http.post("/auth/refresh", &json!({"refresh_token": presented})).await;
        presented = answer.body["refresh_token"].as_str().unwrap_or_default().to_owned();
    }
    http.post("/auth/refresh", &json!({"refresh_token": first.1})).await;
    http.post("/auth/logout", &json!({"refresh_token": second.1})).await;
    drop(socket);
    let is_denied = async || world.dsql().denied() > 0;
    world
        .until("everybody is gone, or somebody is denied something", async || {
            is_denied().await || world.connection_ids().await.is_empty()
        })
        .await;
    world.delete_connections().await;
}

/// The id of a connection that isn't there; the API takes nothing for an id that can be none.
fn gone(which: u32, number: u32) -> String {
    BASE64_STANDARD.encode(format!("{which}{number:010}"))
}

/// The access token and the refresh token of an answer.
fn tokens(body: &serde_json::Value) -> Option<(String, String)> {
    let token = |name: &str| body[name].as_str().map(str::to_owned);
    Some((token("access_token")?, token("refresh_token")?))
}

/// Whatever was granted before: keeping the roles grants what is missing and takes what is too much.
async fn privileges_are_what_the_table_says(world: World) {
    let mut owner = PgConnection::connect(world.database_url()).await.unwrap();
    let sql = "select grantee::text, table_name::text, lower(privilege_type::text)
               from information_schema.table_privileges
               where table_schema = 'chat' and grantee <> grantor order by 1, 2, 3";
    let mut due: Vec<(String, String, String)> = ROLES
        .iter()
        .flat_map(|role| {
            role.tables.iter().map(|(table, privileges)| (role.name, table, privileges))
        })
        .flat_map(|(name, table, privileges)| {
            let name = |privilege: &Privilege| {
                (name.to_owned(), (*table).to_owned(), privilege.to_string())
            };
            privileges.iter().map(name).collect::<Vec<_>>()
        })
        .collect();
    due.sort_unstable();
    let is: Vec<(String, String, String)> =
        sqlx::query_as(sql).fetch_all(&mut owner).await.unwrap();
    assert_eq!(is, due);
    owner.execute("grant all on users, messages to messages").await.unwrap();
    owner.execute("revoke select on messages from messages").await.unwrap();
    owner.execute("revoke insert, update on send_rates from message").await.unwrap();
    let admin = world.store_at(&world.dsql().url("admin"));
    admin.keep_roles(Some(&role_arns("chat")), None).await.unwrap();
    let is: Vec<(String, String, String)> =
        sqlx::query_as(sql).fetch_all(&mut owner).await.unwrap();
    assert_eq!(is, due);
    assert_eq!(world.dsql().take_refused(), Vec::<String>::new());
}
