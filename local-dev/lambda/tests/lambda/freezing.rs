//! Between events, instances stand still.

use std::time::Duration;

use serde_json::json;
use tempfile::tempdir;
use tokio::time::sleep;

use crate::support::{Tested, config, eventually, fixture, frozen, number_in, pid, state};

#[tokio::test]
async fn what_a_function_leaves_running_stands_still_between_events() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("count");
    let fixture = fixture();
    let counting = fixture.response(json!({ "do": "count", "file": file })).await;
    let pid = pid(&counting);
    frozen(pid).await;

    // A thread that could run would count to a hundred; it may not have begun before.
    let before = number_in(&file);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(number_in(&file), before);
    assert_eq!(state(pid), Some('T'));

    // With an event, it goes on where it was.
    let busy = fixture.clone();
    let event =
        tokio::spawn(async move { busy.response(json!({ "do": "sleep", "millis": 500 })).await });
    eventually("it counts", || number_in(&file) > before).await;
    assert_eq!(event.await.unwrap()["pid"], pid);

    frozen(pid).await;
    let before = number_in(&file);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(number_in(&file), before);
}

#[tokio::test]
async fn what_a_function_has_started_is_frozen_with_it() {
    let fixture = fixture();
    let response = fixture.response(json!({ "do": "start-another" })).await;
    frozen(pid(&response)).await;
    frozen(response["other"].as_u64().unwrap()).await;
}

#[tokio::test]
async fn a_function_that_is_not_to_be_frozen_goes_on() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("count");
    let mut config = config();
    config.freeze = false;
    let fixture = Tested::new(config);
    fixture.response(json!({ "do": "count", "file": file })).await;
    eventually("it counts", || number_in(&file) > Some(10)).await;
}
