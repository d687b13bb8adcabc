//! Each function's role in the database may do what it does, and no more.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use shared::{
    chat::{Draft, Text},
    store::{Privilege, ROLES},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    Needs,
    broadcasts::Broadcast,
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
    world.register("bob").await;
    let old_hash = world.password_hash("alice").await;
    let world = {
        let mut world = world;
        // A login renews the hash.
        world.restart_with("BCRYPT_COST", "11").await;
        world
    };
    let mut number = 0;
    for role in ROLES {
        use_function(&world, &mut owner, role.name, &old_hash, number).await;
    }
    assert_eq!(world.dsql().take_denied(), 0, "something is denied that is needed");
    for role in ROLES {
        for (table, privileges) in role.tables {
            for privilege in *privileges {
                number += 1;
                let name = role.name;
                let revoke = format!("revoke {privilege} on {table} from \"{name}\"");
                owner.execute(AssertSqlSafe(revoke)).await.unwrap();
                use_function(&world, &mut owner, name, &old_hash, number).await;
                assert_ne!(world.dsql().take_denied(), 0, "{name} needs no {privilege} on {table}");
                let grant = format!("grant {privilege} on {table} to \"{name}\"");
                owner.execute(AssertSqlSafe(grant)).await.unwrap();
            }
        }
    }
}

/// Has a function run all of its statements, until it is denied one.
async fn use_function(
    world: &World,
    owner: &mut PgConnection,
    name: &str,
    old_hash: &str,
    number: u32,
) {
    let http = &world.http;
    if name == "register" {
        let account = json!({"username": format!("user{number}"), "password": World::PASSWORD});
        http.post("/auth/register", &account).await;
        return;
    }
    if name == "login" {
        let sql = "update users set password_hash = $1 where username = 'alice'";
        sqlx::query(sql).bind(old_hash).execute(&mut *owner).await.unwrap();
    }
    let login = json!({"username": "alice", "password": World::PASSWORD});
    let Some((access, refresh)) = tokens(&http.post("/auth/login", &login).await.body) else {
        return;
    };
    let is_over = async || {
        let what = "nobody is left, or somebody is denied something";
        let is_so = async || world.dsql().denied() > 0 || world.connection_ids().await.is_empty();
        world.until(what, is_so).await;
    };
    // Where nobody listens, nobody is told who has left.
    let listener = match name {
        "refresh" | "logout" | "broadcast" => {
            let bob = world.log_in("bob").await;
            world.handshake(&bob.access).open().await.ok()
        }
        _ => None,
    };
    // Who is to be told, found gone and forgotten.
    let id = BASE64_STANDARD.encode(format!("{number:011}"));
    let die_silently = async |access: &str, username: &str| {
        world.insert_connection_of(access, username, &id).await;
        world.clock.advance(Duration::from_mins(1));
    };
    match name {
        "refresh" | "logout" | "presence" | "message" | "broadcast" => {
            die_silently(&access, "alice").await;
        }
        // Only others are told who has come.
        "connect" => die_silently(&world.log_in("bob").await.access, "bob").await,
        _ => {}
    }
    match name {
        "messages" => drop(http.get("/auth/messages", &access).await),
        "presence" => drop(http.get("/auth/presence", &access).await),
        "refresh" => replay(world, &refresh).await,
        "logout" => drop(http.post("/auth/logout", &json!({"refresh_token": refresh})).await),
        "connect" | "message" | "disconnect" => {
            use_socket(world, name, &access, number, die_silently).await;
        }
        "broadcast" => {
            let draft = Draft { text: Text::parse("hello").unwrap(), client_id: None };
            world.append(&id, &draft, None, world.clock.clock().now()).await;
            let shard = json!({"message_id": 1, "after": null, "through": null, "told": "nobody"});
            let record = json!({"messageId": "1", "body": shard.to_string()});
            let broadcast = Broadcast::on(world, &world.dsql().url("broadcast"));
            broadcast.handle(&json!({"Records": [record]})).await;
        }
        "login" => {}
        name => panic!("nobody uses {name}"),
    }
    if let Some(listener) = listener {
        listener.close().await;
    }
    is_over().await;
    world.delete_connections().await;
}

/// Opens a socket and closes it, and says something in between if that is to be tried.
async fn use_socket(
    world: &World,
    name: &str,
    access: &str,
    number: u32,
    die_silently: impl AsyncFn(&str, &str),
) {
    let Ok(mut socket) = world.handshake(access).open().await else { return };
    if name == "message" {
        socket.say("hello", &number.to_string()).await;
        socket.next_frame().await;
        let is_alone =
            async || world.dsql().denied() > 0 || world.connection_ids().await.len() == 1;
        world.until("the other is forgotten, or that is denied", is_alone).await;
    }
    if name == "disconnect" {
        // Only others are told who has left.
        die_silently(&world.log_in("bob").await.access, "bob").await;
    }
    socket.close().await;
}

/// Presents a refresh token until it is too old, which ends its session.
async fn replay(world: &World, refresh: &str) {
    let mut presented = refresh.to_owned();
    for _ in 0..2 {
        let answer = world.http.post("/auth/refresh", &json!({"refresh_token": presented})).await;
        answer.body["refresh_token"].as_str().unwrap_or_default().clone_into(&mut presented);
    }
    world.http.post("/auth/refresh", &json!({"refresh_token": refresh})).await;
}

/// The access token and the refresh token of an answer.
fn tokens(body: &serde_json::Value) -> Option<(String, String)> {
    let token = |name: &str| body[name].as_str().map(str::to_owned);
    Some((token("access_token")?, token("refresh_token")?))
}

/// Whatever was granted before: what is missing is granted, and in the end what is too much is taken.
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
    admin.keep_roles(&role_arns("chat"), None).await.unwrap();
    let with_stray: Vec<(String, String, String)> =
        sqlx::query_as(sql).fetch_all(&mut owner).await.unwrap();
    assert!(with_stray.len() > due.len(), "nothing is taken while old functions may run");
    admin.take_stray_privileges().await.unwrap();
    let is: Vec<(String, String, String)> =
        sqlx::query_as(sql).fetch_all(&mut owner).await.unwrap();
    assert_eq!(is, due);
    assert_eq!(world.dsql().take_refused(), Vec::<String>::new());
}
