//! How instances end.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lambda::InvokeError;
use serde_json::{Value, json};

use crate::support::{Tested, config, eventually, fixture, frozen, gone, pid, state};

#[tokio::test]
async fn an_instance_that_nobody_needs_is_ended() {
    let mut config = config();
    config.idle_time_max = Duration::from_millis(300);
    let fixture = Tested::new(config);
    let before = fixture.response(json!({ "do": "start-another" })).await;
    gone(pid(&before)).await;
    gone(before["other"].as_u64().unwrap()).await;
    fixture.logged("ENDED idle").await;
    let after = fixture.invoke("1", json!({ "do": "echo" })).await;
    assert!(after.cold && after.result.is_ok());
}

#[tokio::test]
async fn events_that_come_when_an_instance_is_about_to_end_are_answered() {
    let mut config = config();
    config.idle_time_max = Duration::from_millis(1);
    let fixture = Tested::new(config);
    for _ in 0..50 {
        fixture.response(json!({ "do": "echo" })).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn after_a_shutdown_nothing_runs() {
    let fixture = fixture();
    let frozen_one = fixture.response(json!({ "do": "start-another" })).await;
    frozen(pid(&frozen_one)).await;
    let staying = fixture.response(json!({ "do": "answer-and-stay", "millis": 60_000 })).await;
    let other = fixture.response(json!({ "do": "echo" })).await;
    let busy = {
        let fixture = fixture.clone();
        tokio::spawn(async move {
            fixture.invoke("busy", json!({ "do": "sleep", "millis": 60_000 })).await.result
        })
    };
    let begun = || fixture.log().iter().any(|logged| logged.request_id.as_deref() == Some("busy"));
    eventually("it has begun", begun).await;

    let asked = Instant::now();
    fixture.function.shutdown().await;
    // At most a second, says the documentation; this machine may be busy.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    for response in [&frozen_one, &staying, &other] {
        assert_eq!(state(pid(response)), None);
    }
    gone(frozen_one["other"].as_u64().unwrap()).await;
    assert_eq!(busy.await.unwrap(), Err(InvokeError::ShutDown));
    let late = fixture.invoke("late", json!({ "do": "echo" })).await;
    assert_eq!(late.result, Err(InvokeError::ShutDown));
    fixture.function.shutdown().await;
}

#[test]
fn instances_end_with_the_tokio_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pid = runtime.block_on(async {
        let response = fixture().response(json!({ "do": "echo" })).await;
        frozen(pid(&response)).await;
        pid(&response)
    });
    drop(runtime);
    let deadline = Instant::now() + crate::support::PATIENCE;
    while state(pid).is_some() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn instances_die_with_a_host_that_is_killed() {
    // Instances inherit from it that they ignore SIGHUP, of which frozen ones would otherwise die without the guard.
    let mut host = Command::new("/bin/sh")
        .args(["-c", r#"trap "" HUP; exec "$0" "$1""#])
        .arg(env!("CARGO_BIN_EXE_lambda-test-host"))
        .arg(env!("CARGO_BIN_EXE_lambda-test-bootstrap"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let mut instance = || {
        let line = lines.next().unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let (busy, idle) = (pid(&instance()), instance());
    // It goes on whether there is a Runtime API or not.
    let other = idle["other"].as_u64().unwrap();
    let idle = pid(&idle);
    frozen(idle).await;
    frozen(other).await;
    assert!(state(busy).is_some());
    host.kill().unwrap();
    host.wait().unwrap();
    gone(idle).await;
    gone(other).await;
    gone(busy).await;
}

#[tokio::test]
async fn a_function_runs_to_its_end_whether_somebody_waits_or_not() {
    let fixture = fixture();
    let event = json!({ "do": "sleep", "millis": 300 });
    let impatient =
        tokio::time::timeout(Duration::from_millis(1), fixture.invoke("impatient", event));
    assert!(impatient.await.is_err());
    assert_eq!(fixture.logged("REPORT ok").await.request_id.as_deref(), Some("impatient"));
    assert_eq!(fixture.ended(), 0);
}
