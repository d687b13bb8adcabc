//! The calls: what they answer, and what they refuse, in which words.

use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, QueueAttributeName, SendMessageBatchRequestEntry,
    SendMessageBatchResultEntry,
};
use queue::{Settings, Sqs};

use crate::support::{World, bodies, fifo, giving_up, refusal};

const URL: &str = "http://sqs/123456789012/jobs";
const FIFO: &str = "http://sqs/123456789012/f.fifo";

fn sqs() -> Sqs {
    Sqs::new("eu-west-1", "123456789012", "http://sqs", vec![Settings::new("jobs"), fifo("f.fifo")])
}

/// The code that the older query protocol has for a type of error.
fn query_code(shape: &str) -> String {
    match shape {
        "InvalidParameterValueException" => "InvalidParameterValue".to_owned(),
        "MissingRequiredParameterException" => "MissingParameter".to_owned(),
        "SerializationException" => "MalformedInput".to_owned(),
        "UnknownOperationException" => "InvalidAction".to_owned(),
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "InvalidMessageContents" | "InvalidAttributeName" | "ReceiptHandleIsInvalid" => {
            shape.to_owned()
        }
        _ => format!("AWS.SimpleQueueService.{shape}"),
    }
}

/// Asserts that a call is refused with that type, in all the ways in which clients look for it.
async fn assert_refused(sqs: &Sqs, operation: &str, body: &str, shape: &str) {
    let answer = sqs.answer(&format!("AmazonSQS.{operation}"), body.as_bytes()).await;
    let shown = &body[..body.len().min(200)];
    let document: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let text = |name: &str| document[name].as_str().unwrap_or_default();
    let refused_as = text("__type").rsplit('#').next().unwrap();
    assert_eq!(refused_as, shape, "{operation} {shown}: {document}");
    assert!(!text("message").is_empty());
    let status = if shape == "ReceiptHandleIsInvalid" { 404 } else { 400 };
    assert_eq!(answer.status(), status, "{operation} {shown}");
    assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.0");
    let code = answer.headers()["x-amzn-query-error"].to_str().unwrap();
    assert_eq!(code, format!("{};Sender", query_code(shape)), "{operation} {shown}");
}

#[tokio::test]
async fn messages_are_refused_as_sqs_does() {
    let sqs = sqs();
    let to = |url: &str, rest: &str| format!(r#"{{"QueueUrl":"{url}","MessageBody":"x"{rest}}}"#);
    let body = |body: &str| format!(r#"{{"QueueUrl":"{URL}","MessageBody":"{body}"}}"#);
    let attribute = |name: &str, kind: &str, value: &str| {
        let attribute = format!(r#"{{"DataType":"{kind}","StringValue":"{value}"}}"#);
        to(URL, &format!(r#","MessageAttributes":{{"{name}":{attribute}}}"#))
    };
    let (invalid, missing) =
        ("InvalidParameterValueException", "MissingRequiredParameterException");
    for (call, shape) in [
        ("{".to_owned(), "SerializationException"),
        (r#"{"QueueUrl":7}"#.to_owned(), "SerializationException"),
        (r#"{"MessageBody":"x"}"#.to_owned(), "QueueDoesNotExist"),
        (to("http://sqs/123456789012/no", ""), "QueueDoesNotExist"),
        (to("http://sqs/999999999999/jobs", ""), "QueueDoesNotExist"),
        (format!(r#"{{"QueueUrl":"{URL}"}}"#), missing),
        (body(""), missing),
        (body(r"\u0007"), "InvalidMessageContents"),
        (body(r"\uFFFF"), "InvalidMessageContents"),
        (body(&"x".repeat((1 << 20) + 1)), invalid),
        (to(URL, r#","DelaySeconds":901"#), invalid),
        (to(URL, r#","MessageDeduplicationId":"x""#), invalid),
        (attribute("a..b", "String", "x"), invalid),
        (attribute("aws.a", "String", "x"), invalid),
        (attribute("a", "Text", "x"), invalid),
        (attribute("a", "String", ""), invalid),
        (attribute("a", "Number", "x"), invalid),
        (to(FIFO, r#","MessageDeduplicationId":"x""#), missing),
        (to(FIFO, r#","MessageGroupId":"x""#), invalid),
        (to(FIFO, r#","MessageGroupId":"a b","MessageDeduplicationId":"x""#), invalid),
        (
            to(FIFO, r#","MessageGroupId":"x","MessageDeduplicationId":"x","DelaySeconds":1"#),
            invalid,
        ),
    ] {
        assert_refused(&sqs, "SendMessage", &call, shape).await;
    }
    assert_eq!(sqs.counts().iter().map(|counts| counts.visible).sum::<usize>(), 0);
}

#[tokio::test]
async fn batches_are_refused_as_sqs_does() {
    let sqs = sqs();
    let entry = |id: &str, body: &str| format!(r#"{{"Id":"{id}","MessageBody":"{body}"}}"#);
    let batch =
        |entries: &[String]| format!(r#"{{"QueueUrl":"{URL}","Entries":[{}]}}"#, entries.join(","));
    let eleven: Vec<String> = (0..11).map(|id| entry(&id.to_string(), "x")).collect();
    let half = "x".repeat((1 << 19) + 1);
    for (call, shape) in [
        (batch(&[]), "EmptyBatchRequest"),
        (batch(&eleven), "TooManyEntriesInBatchRequest"),
        (batch(&[entry("a b", "x")]), "InvalidBatchEntryId"),
        (batch(&[entry(&"a".repeat(81), "x")]), "InvalidBatchEntryId"),
        (batch(&[entry("a", "x"), entry("a", "x")]), "BatchEntryIdsNotDistinct"),
        (batch(&[entry("a", &half), entry("b", &half)]), "BatchRequestTooLong"),
    ] {
        assert_refused(&sqs, "SendMessageBatch", &call, shape).await;
    }
    assert_eq!(sqs.counts()[0].visible, 0);
}

#[tokio::test]
async fn other_calls_are_refused_as_sqs_does() {
    let sqs = sqs();
    let of = |rest: &str| format!(r#"{{"QueueUrl":"{URL}"{rest}}}"#);
    let (invalid, missing) =
        ("InvalidParameterValueException", "MissingRequiredParameterException");
    for (operation, call, shape) in [
        ("ReceiveMessage", of(r#","MaxNumberOfMessages":11"#), invalid),
        ("ReceiveMessage", of(r#","MaxNumberOfMessages":0"#), invalid),
        ("ReceiveMessage", of(r#","WaitTimeSeconds":21"#), invalid),
        ("ReceiveMessage", of(r#","VisibilityTimeout":43201"#), invalid),
        ("DeleteMessage", of(r#","ReceiptHandle":"x""#), "ReceiptHandleIsInvalid"),
        ("DeleteMessage", of(""), missing),
        ("ChangeMessageVisibility", of(r#","ReceiptHandle":"x""#), missing),
        ("GetQueueAttributes", of(r#","AttributeNames":["Colour"]"#), "InvalidAttributeName"),
        ("GetQueueUrl", r#"{"QueueName":"no"}"#.to_owned(), "QueueDoesNotExist"),
        ("CreateQueue", r#"{"QueueName":"no"}"#.to_owned(), "UnsupportedOperation"),
        ("DoWhatILike", "{}".to_owned(), "UnknownOperationException"),
    ] {
        assert_refused(&sqs, operation, &call, shape).await;
    }
}

#[tokio::test]
async fn the_largest_message_is_taken() {
    let world = World::with(vec![Settings::new("jobs")]).await;
    world.send("jobs", &"x".repeat(1 << 20)).await;
    assert_eq!(world.receive("jobs", 1).await[0].body().unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn each_entry_of_a_batch_is_done_by_itself() {
    let world = World::with(vec![Settings::new("jobs")]).await;
    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
    };
    let send = world.client.send_message_batch().queue_url(world.url("jobs"));
    let send = send.entries(entry("good", "a")).entries(entry("bad", "\u{7}"));
    let answer = send.entries(entry("good-too", "b")).send().await.unwrap();
    let ids: Vec<&str> = answer.successful().iter().map(SendMessageBatchResultEntry::id).collect();
    assert_eq!(ids, ["good", "good-too"]);
    let failed = &answer.failed()[0];
    assert_eq!((failed.id(), failed.code()), ("bad", "InvalidMessageContents"));
    assert!(failed.sender_fault());

    let received = world.receive("jobs", 10).await;
    assert_eq!(bodies(&received), ["a", "b"]);
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let delete = world.client.delete_message_batch().queue_url(world.url("jobs"));
    let delete = delete.entries(entry("a", received[0].receipt_handle().unwrap()));
    let deleted = delete.entries(entry("b", "nonsense")).send().await.unwrap();
    assert_eq!(deleted.successful()[0].id(), "a");
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert_eq!(world.counts("jobs"), (0, 1, 0));
}

#[tokio::test]
async fn queues_tell_of_themselves() {
    let jobs = giving_up(fifo("jobs.fifo"), "dead.fifo", 3);
    let world = World::with(vec![jobs, fifo("dead.fifo"), Settings::new("others")]).await;
    let url = world.client.get_queue_url().queue_name("others").send().await.unwrap();
    assert_eq!(url.queue_url(), Some(world.url("others").as_str()));
    let listed = world.client.list_queues().max_results(2).send().await.unwrap();
    assert_eq!(listed.queue_urls(), ["jobs.fifo", "dead.fifo"].map(|name| world.url(name)));
    let next = world.client.list_queues().max_results(2).next_token(listed.next_token().unwrap());
    let next = next.send().await.unwrap();
    assert_eq!((next.queue_urls(), next.next_token()), (&[world.url("others")][..], None));

    world.send_to_groups("jobs.fifo", &["A1", "A2", "B1"]).await;
    world.receive("jobs.fifo", 1).await;
    let attributes = world.client.get_queue_attributes().queue_url(world.url("jobs.fifo"));
    let attributes = attributes.attribute_names(QueueAttributeName::All).send().await.unwrap();
    let attributes = attributes.attributes().unwrap();
    for (name, value) in [
        (QueueAttributeName::ApproximateNumberOfMessages, "2"),
        (QueueAttributeName::ApproximateNumberOfMessagesNotVisible, "1"),
        (QueueAttributeName::FifoQueue, "true"),
        (QueueAttributeName::DeduplicationScope, "messageGroup"),
        (QueueAttributeName::QueueArn, "arn:aws:sqs:eu-west-1:123456789012:jobs.fifo"),
        (QueueAttributeName::VisibilityTimeout, "30"),
        (
            QueueAttributeName::RedrivePolicy,
            r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:dead.fifo","maxReceiveCount":3}"#,
        ),
    ] {
        assert_eq!(attributes[&name], value, "{name}");
    }

    let purge = async || world.client.purge_queue().queue_url(world.url("jobs.fifo")).send().await;
    purge().await.unwrap();
    assert_eq!(world.counts("jobs.fifo"), (0, 0, 0));
    let (code, _, status) = refusal(&purge().await.unwrap_err());
    assert_eq!((code.as_str(), status), ("AWS.SimpleQueueService.PurgeQueueInProgress", 403));
}
