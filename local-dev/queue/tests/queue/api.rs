//! The calls: what they answer, and what they refuse, in which words.

use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, QueueAttributeName, SendMessageBatchRequestEntry,
};
use queue::{Settings, Sqs};

use crate::support::{World, bodies, fifo, giving_up, refusal};

fn sqs() -> Sqs {
    Sqs::new("eu-west-1", "123456789012", "http://sqs", vec![Settings::new("jobs"), fifo("f.fifo")])
}

/// The status, the type, the query protocol's code and the message of a refusal.
async fn refused(sqs: &Sqs, operation: &str, body: &str) -> (u16, String, String, String) {
    let answer = sqs.answer(&format!("AmazonSQS.{operation}"), body.as_bytes()).await;
    assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.0");
    let code = answer.headers().get("x-amzn-query-error");
    let code = code.map_or("", |code| code.to_str().unwrap()).to_owned();
    let document: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    (answer.status().as_u16(), text("__type"), code, text("message"))
}

const URL: &str = "http://sqs/123456789012/jobs";
const FIFO: &str = "http://sqs/123456789012/f.fifo";

#[tokio::test]
async fn refusals_are_those_of_sqs() {
    let sqs = sqs();
    let send = |rest: &str| format!(r#"{{"QueueUrl":"{URL}","MessageBody":"x"{rest}}}"#);
    let to_fifo = |rest: &str| format!(r#"{{"QueueUrl":"{FIFO}","MessageBody":"x"{rest}}}"#);
    let of_queue = |rest: &str| format!(r#"{{"QueueUrl":"{URL}"{rest}}}"#);
    let long = format!(r#"{{"QueueUrl":"{URL}","MessageBody":"{}"}}"#, "x".repeat((1 << 20) + 1));
    let entries = |entries: &str| of_queue(&format!(r#","Entries":[{entries}]"#));
    let eleven: Vec<String> =
        (0..11).map(|id| format!(r#"{{"Id":"{id}","MessageBody":"x"}}"#)).collect();
    let half = "x".repeat((1 << 19) + 1);
    let two_halves = ["a", "b"].map(|id| format!(r#"{{"Id":"{id}","MessageBody":"{half}"}}"#));
    let invalid = "InvalidParameterValueException";
    let cases = [
        ("SendMessage", "{".to_owned(), "SerializationException", "MalformedInput"),
        ("SendMessage", "[]".to_owned(), "SerializationException", "MalformedInput"),
        ("SendMessage", of_queue(""), "MissingRequiredParameterException", "MissingParameter"),
        (
            "SendMessage",
            r#"{"MessageBody":"x"}"#.to_owned(),
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (
            "SendMessage",
            r#"{"QueueUrl":"http://sqs/123456789012/no","MessageBody":"x"}"#.to_owned(),
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (
            "SendMessage",
            r#"{"QueueUrl":"http://sqs/999999999999/jobs","MessageBody":"x"}"#.to_owned(),
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (
            "SendMessage",
            of_queue(r#","MessageBody":"\u0007""#),
            "InvalidMessageContents",
            "InvalidMessageContents",
        ),
        (
            "SendMessage",
            of_queue(r#","MessageBody":"\uFFFF""#),
            "InvalidMessageContents",
            "InvalidMessageContents",
        ),
        ("SendMessage", long, invalid, "InvalidParameterValue"),
        ("SendMessage", send(r#","DelaySeconds":901"#), invalid, "InvalidParameterValue"),
        ("SendMessage", send(r#","MessageDeduplicationId":"x""#), invalid, "InvalidParameterValue"),
        (
            "SendMessage",
            send(r#","MessageAttributes":{"a..b":{"DataType":"String","StringValue":"x"}}"#),
            invalid,
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            send(r#","MessageAttributes":{"a":{"DataType":"Text","StringValue":"x"}}"#),
            invalid,
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            send(r#","MessageAttributes":{"a":{"DataType":"String","StringValue":""}}"#),
            invalid,
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            to_fifo(r#","MessageDeduplicationId":"x""#),
            "MissingRequiredParameterException",
            "MissingParameter",
        ),
        ("SendMessage", to_fifo(r#","MessageGroupId":"x""#), invalid, "InvalidParameterValue"),
        (
            "SendMessage",
            to_fifo(r#","MessageGroupId":"a b","MessageDeduplicationId":"x""#),
            invalid,
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            to_fifo(r#","MessageGroupId":"x","MessageDeduplicationId":"x","DelaySeconds":1"#),
            invalid,
            "InvalidParameterValue",
        ),
        (
            "SendMessageBatch",
            entries(""),
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
        ),
        (
            "SendMessageBatch",
            entries(&eleven.join(",")),
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        ),
        (
            "SendMessageBatch",
            entries(r#"{"Id":"a b","MessageBody":"x"}"#),
            "InvalidBatchEntryId",
            "AWS.SimpleQueueService.InvalidBatchEntryId",
        ),
        (
            "SendMessageBatch",
            entries(r#"{"Id":"a","MessageBody":"x"},{"Id":"a","MessageBody":"x"}"#),
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        ),
        (
            "SendMessageBatch",
            entries(&two_halves.join(",")),
            "BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
        (
            "ReceiveMessage",
            of_queue(r#","MaxNumberOfMessages":11"#),
            invalid,
            "InvalidParameterValue",
        ),
        ("ReceiveMessage", of_queue(r#","WaitTimeSeconds":21"#), invalid, "InvalidParameterValue"),
        (
            "ReceiveMessage",
            of_queue(r#","VisibilityTimeout":43201"#),
            invalid,
            "InvalidParameterValue",
        ),
        (
            "DeleteMessage",
            of_queue(r#","ReceiptHandle":"x""#),
            "ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
        ),
        ("DeleteMessage", of_queue(""), "MissingRequiredParameterException", "MissingParameter"),
        (
            "GetQueueAttributes",
            of_queue(r#","AttributeNames":["Colour"]"#),
            "InvalidAttributeName",
            "InvalidAttributeName",
        ),
        (
            "GetQueueUrl",
            r#"{"QueueName":"no"}"#.to_owned(),
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (
            "CreateQueue",
            r#"{"QueueName":"no"}"#.to_owned(),
            "UnsupportedOperation",
            "AWS.SimpleQueueService.UnsupportedOperation",
        ),
        ("DoWhatILike", "{}".to_owned(), "UnknownOperationException", "InvalidAction"),
    ];
    for (operation, body, shape, code) in cases {
        let (status, refused_as, query_code, message) = refused(&sqs, operation, &body).await;
        let shown = &body[..body.len().min(200)];
        let expected_status = if shape == "ReceiptHandleIsInvalid" { 404 } else { 400 };
        assert_eq!(status, expected_status, "{operation} {shown}");
        assert_eq!(refused_as.rsplit('#').next(), Some(shape), "{operation} {shown}: {message}");
        assert_eq!(query_code, format!("{code};Sender"), "{operation} {shown}");
        assert!(!message.is_empty());
    }
    assert_eq!(sqs.counts().iter().map(|counts| counts.visible).sum::<usize>(), 0);
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
    let sent = send.entries(entry("good-too", "b")).send().await.unwrap();
    let ids: Vec<&str> = sent.successful().iter().map(|entry| entry.id()).collect();
    assert_eq!(ids, ["good", "good-too"]);
    let failed = &sent.failed()[0];
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
