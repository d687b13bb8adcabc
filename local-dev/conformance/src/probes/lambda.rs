//! How functions live. Most of it takes functions that are processes.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    probe::{Stop, check, is, probes, same},
    target::{self, Session, Target, scripted},
    wire::Request,
};

probes! {
    "lambda.instance.reused" Documented LAMBDA_LIFECYCLE
        "an instance handles one event after the other and keeps its memory" => instance_is_reused;
    "lambda.instance.one-event-at-a-time" Documented LAMBDA_LIFECYCLE
        "events at the same time are handled by several instances" => one_event_at_a_time;
    "lambda.instance.exit" Documented LAMBDA_LIFECYCLE
        "after an instance's end the next event has a fresh one" => fresh_after_exit;
    "lambda.instance.timeout" Documented LAMBDA_LIFECYCLE
        "after a timeout the next event has a fresh instance" => fresh_after_timeout;
    "lambda.instance.panic" Documented RUST_RUNTIME
        "an instance whose handler panics lives on" => lives_on_after_panic;
    "lambda.freeze.unawaited-post" Documented LAMBDA_LIFECYCLE
        "between events an instance is frozen: what it left behind goes on with the next event" => is_frozen;
    "lambda.concurrency.http-503" Captured SST_2232
        "a function that Lambda throttles is answered 503 Service Unavailable" => throttled_function;
    "lambda.environment.own" Documented LAMBDA_VARIABLES
        "a function has its own variables and not another's" => own_environment;
    "lambda.environment.reserved" Documented LAMBDA_VARIABLES
        "Lambda sets the name, version and memory of the function, its region and its credentials" => reserved;
    "lambda.environment.clean" Documented LAMBDA_VARIABLES
        "the environment of whoever runs the functions is not theirs" => clean_environment;
    "lambda.context.request-id" Documented LAMBDA_RUNTIME_API
        "each invocation has a UUID of its own, which is not the gateway's request id" => request_id;
    "lambda.context.deadline" Documented LAMBDA_RUNTIME_API
        "the deadline is in milliseconds since 1970 and the function's timeout away" => deadline;
    "lambda.context.arn" Documented LAMBDA_RUNTIME_API
        "the invocation names the function's ARN" => arn;
}

fn needs_processes(target: &Target) -> Result<(), Stop> {
    if target.has_processes {
        return Ok(());
    }
    Err(Stop::skipped("the target runs functions in its own process"))
}

/// Has `LifecycleFunction` follow a script; its report.
async fn lifecycle(target: &Target, script: &Value) -> Result<Value, Stop> {
    target.report(Request::new("GET", scripted("/lifecycle", script))).await
}

/// The instance that handles the next event, and which of its events that is.
async fn instance(target: &Target) -> Result<(String, u64), Stop> {
    let report = lifecycle(target, &json!({})).await?;
    Ok((target::text_of(&report["instance"])?, report["number"].as_u64().unwrap_or_default()))
}

async fn instance_is_reused(target: &Target) -> Result<(), Stop> {
    let _alone = target.lifecycle.lock().await;
    // There may be several by now, and any of them may be next.
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let (instance, number) = instance(target).await?;
        if number > 1 && !seen.insert(instance) {
            return Ok(());
        }
    }
    Err(Stop::differs("20 events in a row had 20 instances"))
}

async fn one_event_at_a_time(target: &Target) -> Result<(), Stop> {
    needs_processes(target)?;
    let _alone = target.lifecycle.lock().await;
    let script = json!({ "sleep_ms": 1000 });
    let reports = join_all([(); 3].map(|()| lifecycle(target, &script))).await;
    let mut instances = BTreeSet::new();
    for report in reports {
        instances.insert(target::text_of(&report?["instance"])?);
    }
    same("the count of instances", instances.len(), 3)
}

/// Ends an instance with `script`. The next event's instance must be a fresh one. The function behind `path` is this
/// probe's alone.
async fn fresh_after(target: &Target, path: &str, script: &Value) -> Result<(), Stop> {
    needs_processes(target)?;
    let report = async || target.report(Request::new("GET", path)).await;
    let before = report().await?;
    same("the status", target.script(path, script).await?.status, 500)?;
    let after = report().await?;
    is("the number of the event", &after["number"], 1)?;
    let [before, after] = [before, after].map(|report| target::text_of(&report["instance"]));
    let (before, after) = (before?, after?);
    check(before != after, || format!("both are {before}"))
}

async fn fresh_after_exit(target: &Target) -> Result<(), Stop> {
    fresh_after(target, "/exit", &json!({ "end": "exit" })).await
}

async fn fresh_after_timeout(target: &Target) -> Result<(), Stop> {
    fresh_after(target, "/timeout", &json!({ "sleep_ms": 5000 })).await
}

async fn lives_on_after_panic(target: &Target) -> Result<(), Stop> {
    needs_processes(target)?;
    let report = async || target.report(Request::new("GET", "/panic")).await;
    let before = report().await?;
    same("the status", target.script("/panic", &json!({ "end": "panic" })).await?.status, 500)?;
    let after = report().await?;
    is("the instance", &after["instance"], before["instance"].clone())
}

async fn is_frozen(target: &Target) -> Result<(), Stop> {
    needs_processes(target)?;
    let Session { mut socket, id } = target.session().await?;
    let late = json!({ "spawned": [{ "to": id, "data": "late", "after_ms": 200 }] });
    target.report(Request::new("GET", scripted("/freeze", &late))).await?;
    // Another function's post is sent long after that was due, and comes first.
    let barrier = json!({ "sleep_ms": 1000, "posts": [{ "to": id, "data": "barrier" }] });
    target.report(Request::new("GET", scripted("/script", &barrier))).await?;
    same("the first message", socket.message().await?, "barrier")?;
    // The next event thaws the instance, and it has time for what it left behind.
    let thaw = json!({ "sleep_ms": 1500 });
    target.report(Request::new("GET", scripted("/freeze", &thaw))).await?;
    same("the second message", socket.message().await?, "late")
}

async fn throttled_function(target: &Target) -> Result<(), Stop> {
    let response = target.http(Request::new("GET", "/reserved")).await?;
    same("the status", response.status, 503)?;
    same("the body", response.text(), r#"{"message":"Service Unavailable"}"#)
}

async fn environment(target: &Target, path: &str, names: &[&str]) -> Result<Value, Stop> {
    needs_processes(target)?;
    let script = json!({ "variables": names });
    Ok(target.report(Request::new("GET", scripted(path, &script))).await?["environment"].take())
}

async fn own_environment(target: &Target) -> Result<(), Stop> {
    let names = ["FIXTURE_COLOUR", "FIXTURE_SHAPE"];
    let one = environment(target, "/script", &names).await?;
    is(
        "HttpFunction's environment",
        &one,
        json!({ "FIXTURE_COLOUR": "blue", "FIXTURE_SHAPE": null }),
    )?;
    let other = environment(target, "/other", &names).await?;
    is(
        "OtherFunction's environment",
        &other,
        json!({ "FIXTURE_COLOUR": "red", "FIXTURE_SHAPE": "round" }),
    )
}

async fn reserved(target: &Target) -> Result<(), Stop> {
    let names = [
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "LAMBDA_TASK_ROOT",
    ];
    let environment = environment(target, "/script", &names).await?;
    for name in names {
        let is_set = environment[name].as_str().is_some_and(|value| !value.is_empty());
        check(is_set, || format!("{name} is not set"))?;
    }
    is("the memory", &environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256")
}

async fn clean_environment(target: &Target) -> Result<(), Stop> {
    // What every developer has, and no function.
    let names = ["USER", "LOGNAME", "PWD", "CARGO", "CARGO_MANIFEST_DIR"];
    let environment = environment(target, "/script", &names).await?;
    for name in names {
        same(name, environment[name].as_str(), None)?;
    }
    Ok(())
}

async fn request_id(target: &Target) -> Result<(), Stop> {
    needs_processes(target)?;
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let report = target.report(Request::new("GET", "/script")).await?;
        let id = target::text_of(&report["context"]["request_id"])?;
        check(Uuid::try_parse(&id).is_ok(), || format!("{id:?} is no UUID"))?;
        ids.insert(id);
    }
    same("the count of ids", ids.len(), 2)
}

async fn deadline(target: &Target) -> Result<(), Stop> {
    /// `LifecycleFunction`'s Timeout.
    const TIMEOUT_SECS: i64 = 10;

    needs_processes(target)?;
    let _alone = target.lifecycle.lock().await;
    let report = lifecycle(target, &json!({})).await?;
    let deadline_ms = report["context"]["deadline_ms"].as_i64().unwrap_or_default();
    let left_secs = deadline_ms / 1000 - OffsetDateTime::now_utc().unix_timestamp();
    check((TIMEOUT_SECS - 5..=TIMEOUT_SECS + 1).contains(&left_secs), || {
        format!("the deadline is {left_secs} s away")
    })
}

async fn arn(target: &Target) -> Result<(), Stop> {
    needs_processes(target)?;
    let report = target.report(Request::new("GET", "/script")).await?;
    let arn = target::text_of(&report["context"]["arn"])?;
    check(arn.starts_with("arn:aws:lambda:") && arn.contains(":function:"), || {
        format!("the ARN is {arn:?}")
    })
}
