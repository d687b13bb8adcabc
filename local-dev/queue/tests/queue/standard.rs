//! Standard queues: what shows when, and to whom.

use std::time::Duration;

use aws_sdk_sqs::{primitives::Blob, types::MessageAttributeValue};
use queue::Settings;
use tokio::time::{Instant, timeout};

use crate::support::{PATIENCE, World, attributes, bodies, giving_up, impatient, refusal};

fn jobs() -> Vec<Settings> {
    vec![Settings::new("jobs")]
}

#[tokio::test]
async fn a_message_arrives_with_what_was_sent_along() {
    let world = World::with(jobs()).await;
    let attribute = |kind: &str| MessageAttributeValue::builder().data_type(kind);
    let send =
        world.client.send_message().queue_url(world.url("jobs")).message_body("héllo \u{1F980}");
    let send = send
        .message_attributes("Number", attribute("Number.int").string_value("7").build().unwrap())
        .message_attributes(
            "a",
            attribute("Binary").binary_value(Blob::new([0, 255])).build().unwrap(),
        )
        .message_attributes("word", attribute("String").string_value("x").build().unwrap());
    // The SDK compares the digests of bodies; those of attributes are compared by boto3's test.
    let answer = send.send().await.unwrap();
    assert_eq!(answer.sequence_number(), None);

    let received = world.receive("jobs", 10).await;
    assert_eq!(bodies(&received), ["héllo \u{1F980}"]);
    assert_eq!(received[0].message_id(), answer.message_id());
    assert_eq!(received[0].md5_of_body(), answer.md5_of_message_body());
    assert_eq!(received[0].md5_of_message_attributes(), answer.md5_of_message_attributes());
    let own = received[0].message_attributes().unwrap();
    assert_eq!(own["Number"].string_value(), Some("7"));
    assert_eq!(own["a"].binary_value().unwrap().as_ref(), [0, 255]);
    let system = attributes(&received[0]);
    assert_eq!(system["ApproximateReceiveCount"], "1");
    let [sent_at, received_at] = ["SentTimestamp", "ApproximateFirstReceiveTimestamp"]
        .map(|name| system[name].parse::<u64>().unwrap());
    assert!(sent_at > 1_700_000_000_000 && sent_at <= received_at, "{sent_at}, {received_at}");
    assert!(!system.contains_key("SequenceNumber") && !system.contains_key("MessageGroupId"));
}

#[tokio::test]
async fn what_was_received_is_hidden_until_its_time_is_over_and_comes_again_unless_deleted() {
    let world = World::with(vec![impatient(Settings::new("jobs"), 300)]).await;
    world.send("jobs", "a").await;
    world.send("jobs", "b").await;
    let first = world.receive("jobs", 10).await;
    assert_eq!(bodies(&first), ["a", "b"]);
    assert_eq!(world.counts("jobs"), (0, 2, 0));
    assert_eq!(world.receive("jobs", 10).await, []);
    world.delete("jobs", &first[1]).await;

    let again = timeout(PATIENCE, world.receive_all("jobs", 1)).await.unwrap();
    assert_eq!(bodies(&again), ["a"]);
    // The older receipt deletes nothing, the newer one does, and a third time is no error.
    world.delete("jobs", &first[0]).await;
    assert_eq!(world.counts("jobs"), (0, 1, 0));
    world.delete("jobs", &again[0]).await;
    world.delete("jobs", &again[0]).await;
    assert_eq!(world.counts("jobs"), (0, 0, 0));
}

#[tokio::test]
async fn a_receipt_hides_its_message_for_longer_or_shows_it_at_once() {
    let world = World::with(jobs()).await;
    world.send("jobs", "a").await;
    let received = world.receive("jobs", 1).await;
    let change = async |seconds| {
        let change = world.client.change_message_visibility().queue_url(world.url("jobs"));
        let handle = received[0].receipt_handle().unwrap();
        change.receipt_handle(handle).visibility_timeout(seconds).send().await
    };
    change(60).await.unwrap();
    assert_eq!(world.counts("jobs"), (0, 1, 0));
    let (code, message, _) = refusal(&change(43_200 + 1).await.unwrap_err());
    assert_eq!(code, "InvalidParameterValue");
    assert!(message.contains("VisibilityTimeout"), "{message}");
    change(0).await.unwrap();
    assert_eq!(world.counts("jobs"), (1, 0, 0));
    let (code, ..) = refusal(&change(1).await.unwrap_err());
    assert_eq!(code, "AWS.SimpleQueueService.MessageNotInflight");
    let again = world.receive("jobs", 1).await;
    assert_eq!(attributes(&again[0])["ApproximateReceiveCount"], "2");
}

#[tokio::test]
async fn who_waits_is_woken_by_a_message() {
    let world = World::with(jobs()).await;
    let waiting = world.receive_all("jobs", 1);
    let sending = async {
        // Whichever of the two comes first.
        tokio::task::yield_now().await;
        world.send("jobs", "a").await;
    };
    let began = Instant::now();
    let (received, ()) = tokio::join!(waiting, sending);
    assert_eq!(bodies(&received), ["a"]);
    assert!(began.elapsed() < Duration::from_secs(10), "it was polled for, not waited for");
}

#[tokio::test]
async fn a_delayed_message_shows_later() {
    let delayed = Settings { delay: Duration::from_millis(300), ..Settings::new("jobs") };
    let world = World::with(vec![delayed]).await;
    let send = world.client.send_message().queue_url(world.url("jobs")).message_body("much later");
    send.delay_seconds(900).send().await.unwrap();
    world.send("jobs", "later").await;
    assert_eq!(world.counts("jobs"), (0, 0, 2));
    assert_eq!(bodies(&world.receive_all("jobs", 1).await), ["later"]);
}

#[tokio::test]
async fn an_old_message_is_forgotten() {
    let short = Settings { retention: Duration::from_millis(200), ..Settings::new("jobs") };
    let world = World::with(vec![short]).await;
    world.send("jobs", "a").await;
    let deadline = Instant::now() + PATIENCE;
    while world.counts("jobs") != (0, 0, 0) {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    assert_eq!(world.receive("jobs", 1).await, []);
}

#[tokio::test]
async fn what_is_received_too_often_is_given_up_and_can_be_moved_back() {
    let jobs = giving_up(impatient(Settings::new("jobs"), 100), "dead", 2);
    let world = World::with(vec![jobs, Settings::new("dead")]).await;
    world.send("jobs", "poison").await;
    let first = world.receive_all("jobs", 1).await;
    world.receive_all("jobs", 1).await;
    // The third receive gives it up, and gets nothing for it.
    let receive = world.client.receive_message().queue_url(world.url("jobs"));
    let nothing = receive.wait_time_seconds(1).send().await.unwrap();
    assert_eq!(nothing.messages(), []);
    assert_eq!((world.counts("jobs"), world.counts("dead")), ((0, 0, 0), (1, 0, 0)));

    let dead = world.receive("dead", 1).await;
    assert_eq!(bodies(&dead), ["poison"]);
    assert_eq!(dead[0].message_id(), first[0].message_id());
    let system = attributes(&dead[0]);
    assert_eq!(system["DeadLetterQueueSourceArn"], "arn:aws:sqs:eu-west-1:123456789012:jobs");
    // Its receives are counted on.
    assert_eq!(system["ApproximateReceiveCount"], "3");
    // What somebody is looking at stays.
    assert_eq!(world.sqs.redrive("dead"), Some(0));
    let show = world.client.change_message_visibility().queue_url(world.url("dead"));
    let show = show.receipt_handle(dead[0].receipt_handle().unwrap()).visibility_timeout(0);
    show.send().await.unwrap();
    assert_eq!(world.sqs.redrive("dead"), Some(1));
    let again = world.receive("jobs", 1).await;
    assert_ne!(again[0].message_id(), first[0].message_id());
    let system = attributes(&again[0]);
    assert_eq!(system["ApproximateReceiveCount"], "1");
    assert!(!system.contains_key("DeadLetterQueueSourceArn"));
    assert_eq!(world.sqs.redrive("nowhere"), None);
}
