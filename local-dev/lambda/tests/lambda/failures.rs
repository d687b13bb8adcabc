//! Functions that don't answer.

use std::time::Duration;

use lambda::{Config, InvokeError, Outcome};
use serde_json::json;
use tempfile::tempdir;

use crate::support::{Tested, config, fixture, frozen, gone, pid, starting, state};

/// The type and the message of the function's error.
fn error(outcome: Outcome) -> (String, String) {
    match outcome.result.unwrap_err() {
        InvokeError::Function(error) => (error.error_type, error.message),
        other => panic!("{other}"),
    }
}

fn pair(error_type: &str, message: &str) -> (String, String) {
    (error_type.to_owned(), message.to_owned())
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_killed() {
    let mut config = config();
    config.timeout = Duration::from_millis(1500);
    config.concurrency_max = 1;
    let fixture = Tested::new(config);
    let before = fixture.response(json!({ "do": "echo" })).await;
    frozen(pid(&before)).await;
    let outcome = fixture.invoke("1", json!({ "do": "sleep", "millis": 60_000 })).await;
    assert!(outcome.duration >= Duration::from_millis(1500));
    assert_eq!(error(outcome), pair("Sandbox.Timeout", "Task timed out after 1.50 seconds"));
    gone(pid(&before)).await;
    // There is room for another one at once.
    let after = fixture.invoke("2", json!({ "do": "echo" })).await;
    assert!(after.cold && after.result.is_ok());
    fixture.logged("ENDED timed out").await;
}

#[tokio::test]
async fn a_function_that_ends_in_the_middle_of_an_event_has_failed() {
    let fixture = fixture();
    let cases = [
        (json!({ "do": "exit", "code": 101 }), "with error: exit status 101"),
        (json!({ "do": "exit", "code": 0 }), "without providing a reason"),
        (json!({ "do": "abort" }), "with error: signal: aborted"),
    ];
    for (event, how) in cases {
        let outcome = fixture.invoke("1-2-3", event).await;
        let message = format!("RequestId: 1-2-3 Error: Runtime exited {how}");
        assert_eq!(error(outcome), pair("Runtime.ExitError", &message));
        let next = fixture.invoke("4", json!({ "do": "echo" })).await;
        assert!(next.cold);
        frozen(pid(&serde_json::from_slice(&next.result.unwrap()).unwrap())).await;
    }
}

#[tokio::test]
async fn a_function_that_ends_during_its_start_has_failed() {
    for (start, how) in [("exit 7", "exit status 7"), ("abort", "signal: aborted")] {
        let fixture = Tested::new(starting(start));
        let outcome = fixture.invoke("1", json!({ "do": "echo" })).await;
        assert!(outcome.cold);
        let message = format!("RequestId: 1 Error: Runtime exited with error: {how}");
        assert_eq!(error(outcome), pair("Runtime.ExitError", &message));
        fixture.logged(&format!("INIT failed: Runtime.ExitError: {message}")).await;
        fixture.logged("ENDED init failed").await;
    }
}

#[tokio::test]
async fn a_function_says_why_it_cannot_start() {
    let fixture = Tested::new(starting("report"));
    let outcome = fixture.invoke("1", json!({ "do": "echo" })).await;
    assert_eq!(error(outcome), pair("Bad.Setting", "no such setting"));
    fixture.logged("INIT failed: Bad.Setting: no such setting").await;
}

#[tokio::test]
async fn a_file_that_is_no_program_is_an_invalid_entry_point() {
    let folder = tempdir().unwrap();
    let bootstrap = folder.path().join("bootstrap");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), &bootstrap).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&bootstrap, mode).unwrap();
    let mut config = Config::new("test", &bootstrap);
    config.concurrency_max = 1;
    let fixture = Tested::new(config);
    for _ in 0..2 {
        let (error_type, message) = error(fixture.invoke("1", json!(null)).await);
        assert_eq!(error_type, "Runtime.InvalidEntrypoint");
        assert!(message.starts_with("RequestId: 1 Error: fork/exec /"), "{message}");
    }
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_tried_again() {
    let folder = tempdir().unwrap();
    let marker = folder.path().join("started");
    let mut config = starting(&format!("hang-once {}", marker.display()));
    config.init_timeout = Duration::from_millis(500);
    let fixture = Tested::new(config);
    let outcome = fixture.invoke("1", json!({ "do": "echo" })).await;
    outcome.result.unwrap();
    assert!(outcome.cold);
    // The second start was part of the event.
    assert_eq!(outcome.init_duration, None);
    fixture.logged("INIT took too long").await;
    assert_eq!(fixture.ended(), 0);
}

#[tokio::test]
async fn a_function_that_never_starts_times_out() {
    let mut config = starting("hang");
    config.init_timeout = Duration::from_millis(100);
    config.timeout = Duration::from_millis(200);
    let fixture = Tested::new(config);
    let outcome = fixture.invoke("1", json!({ "do": "echo" })).await;
    assert!(outcome.cold);
    assert_eq!(error(outcome), pair("Sandbox.Timeout", "Task timed out after 0.20 seconds"));
    fixture.logged("ENDED init failed").await;
}

#[tokio::test]
async fn an_instance_that_ends_after_an_answer_is_replaced() {
    let fixture = fixture();
    let before = fixture.response(json!({ "do": "answer-and-exit" })).await;
    gone(pid(&before)).await;
    fixture.logged("ENDED exited after an answer").await;
    let after = fixture.response(json!({ "do": "echo" })).await;
    assert_ne!(pid(&before), pid(&after));
}

#[tokio::test]
async fn an_instance_that_goes_on_after_an_answer_is_not_free() {
    let mut config = config();
    config.timeout = Duration::from_secs(2);
    let fixture = Tested::new(config);
    let busy = fixture.response(json!({ "do": "answer-and-stay", "millis": 60_000 })).await;
    let other = fixture.response(json!({ "do": "echo" })).await;
    assert_ne!(pid(&busy), pid(&other));
    // Nor does it go on for longer than a function may.
    gone(pid(&busy)).await;
    fixture.logged("ENDED timed out after an answer").await;
}

#[tokio::test]
async fn an_instance_that_is_killed_between_events_is_replaced() {
    let fixture = fixture();
    let before = fixture.response(json!({ "do": "start-another" })).await;
    frozen(pid(&before)).await;
    kill(pid(&before));
    fixture.logged("ENDED exited between events").await;
    // And it takes with it what it has started.
    gone(before["other"].as_u64().unwrap()).await;
    let after = fixture.response(json!({ "do": "echo" })).await;
    assert_ne!(pid(&before), pid(&after));
}

#[tokio::test]
async fn an_event_for_an_instance_that_has_just_ended_is_for_another_one() {
    let mut config = config();
    config.concurrency_max = 1;
    let fixture = Tested::new(config);
    let before = fixture.response(json!({ "do": "echo" })).await;
    frozen(pid(&before)).await;
    kill(pid(&before));
    // Nobody is told of it in the meantime: this thread is the only one.
    while state(pid(&before)).is_some() {
        std::thread::yield_now();
    }
    let outcome = fixture.invoke("1", json!({ "do": "echo" })).await;
    assert!(outcome.cold && outcome.result.is_ok());
    let log = fixture.log();
    let about = |text: &str| log.iter().filter(|logged| logged.text == text).count();
    assert_eq!([about("START"), about("ENDED exited between events")], [2, 1]);
}

fn kill(pid: u64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_function_without_output_is_served() {
    let fixture = fixture();
    assert!(fixture.response(json!({ "do": "close-output" })).await.is_null());
    fixture.response(json!({ "do": "echo" })).await;
    assert_eq!(fixture.ended(), 0);
}
