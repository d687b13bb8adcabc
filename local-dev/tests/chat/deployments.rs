//! `migrate` as a deployment asks for it: a custom resource of CloudFormation.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use migrate::Migrate;
use serde_json::{Value, json};
use shared::{Error, clock::Clock};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    Needs,
    storage::STEPS,
    support::{World, callbacks::Callbacks, dsql::Dsql, role_arns_by_name},
};

crate::stories! {
    Needs::Dsql;
    a_deployment_makes_schema_and_roles,
    a_deployment_fails_in_time_when_the_database_is_away,
    a_deployment_fails_by_bad_properties;
    Needs::Nothing;
    a_deployment_without_roles_makes_the_schema,
    a_person_migrates_and_asks_how_far_it_is
}

/// A request, as CloudFormation sends it.
pub fn request(
    kind: &str,
    callbacks: &Callbacks,
    roles: Option<&BTreeMap<String, String>>,
) -> Value {
    let mut event: Value =
        serde_json::from_str(include_str!("../../../functions/migrate/events/create.json"))
            .unwrap();
    event["RequestType"] = json!(kind);
    event["ResponseURL"] = json!(callbacks.url);
    if kind != "Create" {
        event["PhysicalResourceId"] = json!("schema");
    }
    if let Some(roles) = roles {
        event["ResourceProperties"]["Roles"] = json!(roles);
    }
    event
}

/// The instant at which Lambda ends an invocation that has this time.
fn deadline_in(time: Duration) -> u64 {
    u64::try_from(Clock::system().now().plus(time).0).unwrap()
}

/// What CloudFormation is told when all went well.
pub fn success(data: &Value) -> Value {
    let mut answer = json!({
        "Status": "SUCCESS",
        "PhysicalResourceId": "schema",
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/chat/c0ffee00-0000-4000-8000-000000000001",
        "RequestId": "0f7c1a2e-5a3b-4c6d-8e9f-112233445566",
        "LogicalResourceId": "Schema",
    });
    if !data.is_null() {
        answer["Data"] = data.clone();
    }
    answer
}

async fn a_deployment_makes_schema_and_roles(world: World) {
    let mut callbacks = Callbacks::listen().await;
    let url = world.empty_database().await;
    let dsql = Dsql::before(&url).await;
    let migrate = Migrate::new(&world.settings_at(&dsql.url("admin")));
    let run = async |event: Value| {
        migrate.handle(event, deadline_in(Duration::from_mins(2))).await.unwrap()
    };

    // A cluster that is new turns everybody away for a while.
    dsql.close(true);
    callbacks.fail(2);
    let opened = async {
        world.until("it has been tried twice", async || dsql.opened() >= 2).await;
        dsql.close(false);
    };
    let create = request("Create", &callbacks, Some(&role_arns_by_name("old")));
    tokio::join!(run(create.clone()), opened);
    assert_eq!(callbacks.take(), success(&json!({"steps_applied": STEPS})));
    let mappings = |stacks: &[&str]| -> BTreeMap<String, Vec<String>> {
        let mut mappings = BTreeMap::<String, Vec<String>>::new();
        for (role, arn) in stacks.iter().flat_map(|stack| role_arns_by_name(stack)) {
            mappings.entry(role).or_default().push(arn);
        }
        mappings
    };
    assert_eq!(dsql.mappings().await, mappings(&["old"]));

    // Again it changes nothing.
    run(create.clone()).await;
    assert_eq!(callbacks.take(), success(&json!({"steps_applied": 0})));
    assert_eq!(dsql.mappings().await, mappings(&["old"]));

    // Functions get other roles: those that still run keep theirs until the next deployment.
    let mut update = request("Update", &callbacks, Some(&role_arns_by_name("new")));
    update["OldResourceProperties"] = create["ResourceProperties"].clone();
    run(update.clone()).await;
    assert_eq!(callbacks.take()["Status"], "SUCCESS");
    assert_eq!(dsql.mappings().await, mappings(&["new", "old"]));
    update["OldResourceProperties"] = update["ResourceProperties"].clone();
    run(update).await;
    assert_eq!(callbacks.take()["Status"], "SUCCESS");
    assert_eq!(dsql.mappings().await, mappings(&["new"]));

    // In the end what roles may no longer do is taken from them.
    let mut owner = PgConnection::connect(&url).await.unwrap();
    owner.execute("grant delete on chat.users to messages").await.unwrap();
    let mut tidy = request("Update", &callbacks, None);
    tidy["ResourceProperties"] = json!({"Revision": "2", "Tidy": "true"});
    run(tidy).await;
    assert_eq!(callbacks.take(), success(&json!({"steps_applied": 0})));
    let sql = "select has_table_privilege('messages', 'chat.users', 'delete')";
    assert!(!sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut owner).await.unwrap());
    owner.close().await.unwrap();

    run(request("Delete", &callbacks, None)).await;
    assert_eq!(callbacks.take(), success(&json!(null)));
    let status = run(json!({"action": "status"})).await;
    assert_eq!((&status["steps_pending"], &status["database"]), (&json!(0), &json!("dsql")));
    assert_eq!(dsql.take_refused(), Vec::<String>::new());
    world.drop_database(&url).await;
}

async fn a_deployment_fails_in_time_when_the_database_is_away(world: World) {
    let mut callbacks = Callbacks::listen().await;
    world.dsql().close(true);
    let migrate = Migrate::new(&world.settings_at(&world.dsql().url("admin")));
    let event = request("Create", &callbacks, Some(&role_arns_by_name("chat")));
    let began = Instant::now();
    migrate.handle(event.clone(), deadline_in(Duration::from_secs(17))).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let taken = callbacks.take();
    let reason = taken["Reason"].as_str().unwrap();
    assert_eq!(taken["Status"], "FAILED");
    assert!(reason.starts_with("The database was not ready within "), "{reason}");
    assert!(reason.contains("the cluster is not ready"), "{reason}");
    assert!(!reason.contains("X-Amz"), "{reason}");

    // Whom it can't tell it doesn't forget: the invocation fails, and Lambda tries again.
    callbacks.fail(u32::MAX);
    let error = migrate.handle(event, deadline_in(Duration::ZERO)).await.unwrap_err();
    assert!(matches!(error, Error::Internal(_)), "{error}");
}

async fn a_deployment_fails_by_bad_properties(world: World) {
    let mut callbacks = Callbacks::listen().await;
    let migrate = Migrate::new(&world.settings_at(&world.dsql().url("admin")));
    let roles = role_arns_by_name("chat");
    let with = |role: &str, arn: &str| {
        let mut roles = roles.clone();
        roles.insert(role.to_owned(), arn.to_owned());
        json!({"Revision": "1", "Roles": roles})
    };
    let mut lacking = roles.clone();
    lacking.remove("login");
    for (properties, reason) in [
        (json!({"Revision": "1"}), "The property Roles is missing"),
        (json!({"Roles": lacking}), "The property Roles lacks login."),
        (with("admin", "arn:aws:iam::123456789012:role/x"), "The property Roles names \"admin\""),
        (with("login", "*"), "The property Roles has for login what is not the ARN"),
        (with("login", &"\"".repeat(5000)), "The property Roles has for login"),
        (with(&"\"".repeat(5000), "*"), "The property Roles names"),
        (json!({"Roles": "all"}), "The properties cannot be read"),
        (json!({"Role": roles}), "The properties cannot be read"),
        (json!({"Tidy": "yes"}), "The property Tidy is something else than true."),
        (json!("none"), "The properties cannot be read"),
    ] {
        let mut event = request("Update", &callbacks, None);
        event["ResourceProperties"] = properties;
        migrate.handle(event, deadline_in(Duration::from_mins(1))).await.unwrap();
        let taken = callbacks.take();
        assert_eq!(taken["Status"], "FAILED");
        let said = taken["Reason"].as_str().unwrap();
        assert!(said.starts_with(reason), "{said}");
    }
    // To delete what could not be made is fine, whatever the properties.
    let mut event = request("Delete", &callbacks, None);
    event["ResourceProperties"] = json!("none");
    migrate.handle(event, deadline_in(Duration::from_mins(1))).await.unwrap();
    assert_eq!(callbacks.take()["Status"], "SUCCESS");
}

async fn a_deployment_without_roles_makes_the_schema(world: World) {
    let mut callbacks = Callbacks::listen().await;
    let url = world.empty_database().await;
    let migrate = Migrate::new(&world.settings_at(&url));
    let deadline = deadline_in(Duration::from_mins(1));
    migrate.handle(request("Create", &callbacks, None), deadline).await.unwrap();
    assert_eq!(callbacks.take(), success(&json!({"steps_applied": STEPS})));
    let roles = Some(&role_arns_by_name("chat"));
    migrate.handle(request("Update", &callbacks, roles), deadline).await.unwrap();
    let taken = callbacks.take();
    assert_eq!(taken["Status"], "FAILED");
    let reason = taken["Reason"].as_str().unwrap();
    assert!(reason.starts_with("The property Roles is of use on Aurora DSQL only"), "{reason}");
    migrate.close().await;
    world.drop_database(&url).await;
}

async fn a_person_migrates_and_asks_how_far_it_is(world: World) {
    let url = world.empty_database().await;
    let migrate = Migrate::new(&world.settings_at(&url));
    let ask = async |event: Value| migrate.handle(event, deadline_in(Duration::from_mins(1))).await;
    for (event, steps_pending) in
        [(json!({"action": "status"}), STEPS), (json!({"action": "status"}), STEPS), (json!({}), 0)]
    {
        let answer = ask(event.clone()).await.unwrap();
        if event == json!({}) {
            assert_eq!(answer, json!({"steps_applied": STEPS}));
        }
        let status = ask(json!({"action": "status"})).await.unwrap();
        let database = if url.starts_with("sqlite") { "sqlite" } else { "postgres" };
        let now = status["now"].as_i64().unwrap();
        assert_eq!(
            status,
            json!({"steps": STEPS, "steps_pending": steps_pending, "database": database, "now": now})
        );
    }
    for event in [json!({"action": "undo"}), json!({"Action": "status"}), json!([]), json!(7)] {
        let error = ask(event).await.unwrap_err().to_string();
        assert!(error.contains("{\"action\":\"status\"} tells"), "{error}");
    }
    let error = ask(json!({"RequestType": "Create"})).await.unwrap_err().to_string();
    assert!(error.contains("ResponseURL"), "{error}");
    migrate.close().await;
    world.drop_database(&url).await;
}
