//! Several events at once.

use lambda::{Account, InvokeError};
use serde_json::{Value, json};
use tokio::join;

use crate::support::{Tested, config, eventually, fixture, frozen, pid};

/// Keeps an instance busy for as long as these tests could need it.
fn long() -> Value {
    json!({ "do": "sleep", "millis": 60_000 })
}

/// Has an instance begin with an event that takes long.
async fn occupy(tested: &Tested) {
    let starts =
        |tested: &Tested| tested.log().iter().filter(|logged| logged.text == "START").count();
    let before = starts(tested);
    let busy = tested.clone();
    tokio::spawn(async move { busy.invoke("long", long()).await });
    eventually("it has begun", || starts(tested) > before).await;
}

#[tokio::test]
async fn two_events_at_once_have_two_instances() {
    let fixture = fixture();
    let event = json!({ "do": "sleep", "millis": 300 });
    let (one, other) = join!(fixture.response(event.clone()), fixture.response(event));
    assert_ne!(pid(&one), pid(&other));
}

#[tokio::test]
async fn the_instance_that_was_used_last_is_preferred() {
    let fixture = fixture();
    let short = json!({ "do": "sleep", "millis": 300 });
    let longer = json!({ "do": "sleep", "millis": 600 });
    let (one, other) = join!(fixture.response(short), fixture.response(longer));
    frozen(pid(&one)).await;
    frozen(pid(&other)).await;
    let again = fixture.response(json!({ "do": "echo" })).await;
    assert_eq!(pid(&again), pid(&other));
}

#[tokio::test]
async fn a_function_has_a_largest_number_of_instances() {
    let mut config = config();
    config.concurrency_max = 2;
    let fixture = Tested::new(config);
    occupy(&fixture).await;
    let free = fixture.response(json!({ "do": "echo" })).await;
    frozen(pid(&free)).await;
    occupy(&fixture).await;
    let refused = fixture.invoke("request", json!({ "do": "echo" })).await;
    assert_eq!(refused.result, Err(InvokeError::Throttled));
    assert!(!refused.cold);
}

#[tokio::test]
async fn an_account_has_a_largest_number_of_events() {
    let account = Account::new(2);
    let one = Tested::sharing(config(), &account);
    let other = Tested::sharing(config(), &account);
    occupy(&one).await;
    // Instances without an event don't count.
    one.response(json!({ "do": "echo" })).await;
    other.response(json!({ "do": "echo" })).await;
    occupy(&one).await;
    let refused = other.invoke("request", json!({ "do": "echo" })).await;
    assert_eq!(refused.result, Err(InvokeError::Throttled));

    // Nor do those that have ended.
    one.function.shutdown().await;
    other.response(json!({ "do": "echo" })).await;
}

#[tokio::test]
async fn many_events_at_once_are_all_answered() {
    let fixture = fixture();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..10 {
        let fixture = fixture.clone();
        tasks.spawn(async move {
            for _ in 0..20 {
                let event = json!({ "do": "echo", "number": number });
                assert_eq!(fixture.response(event.clone()).await["event"], event);
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
}
