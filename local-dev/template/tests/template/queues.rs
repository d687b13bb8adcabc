//! Queues, and what leads from them to functions.

use template::{EventSource, Fifo, Options, Queue, Redrive, Template, read};

use crate::with;

/// A function with an event of these properties, and these resources.
fn template(event: &str, resources: &str) -> Result<Template, String> {
    let event = format!("      Events:\n        One: {{ Type: SQS, Properties: {{ {event} }} }}");
    read(&with(&event, resources), &Options::default()).map_err(|error| error.to_string())
}

#[test]
fn a_queue_has_what_its_properties_say_or_sqss_defaults() {
    let template = template(
        "Queue: !GetAtt Jobs.Arn, BatchSize: 5, FunctionResponseTypes: [ReportBatchItemFailures], ScalingConfig: { MaximumConcurrency: 3 }",
        "  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub ${AWS::StackName}-jobs.fifo
      FifoQueue: true
      ContentBasedDeduplication: true
      DeduplicationScope: messageGroup
      FifoThroughputLimit: perMessageGroupId
      VisibilityTimeout: 60
      DelaySeconds: 1
      MessageRetentionPeriod: 3600
      MaximumMessageSize: 2048
      ReceiveMessageWaitTimeSeconds: 2
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 4 }
  Dead: { Type: AWS::SQS::Queue, Properties: { FifoQueue: true } }
  Plain: { Type: AWS::SQS::Queue }
  Policy: { Type: AWS::SQS::QueuePolicy, Properties: { Queues: [!Ref Jobs], PolicyDocument: {} } }",
    )
    .unwrap();
    assert_eq!(template.warnings, []);
    let fifo = Fifo { content_based_deduplication: true, deduplicates_by_group: true };
    let jobs = Queue {
        logical_id: "Jobs".to_owned(),
        name: "local-dev-jobs.fifo".to_owned(),
        arn: "arn:aws:sqs:us-east-1:123456789012:local-dev-jobs.fifo".to_owned(),
        fifo: Some(fifo),
        visibility_timeout_secs: 60,
        delay_secs: 1,
        retention_secs: 3600,
        message_bytes_max: 2048,
        receive_wait_secs: 2,
        redrive: Some(Redrive { queue: "Dead".to_owned(), receives_max: 4 }),
        line: template.queues[0].line,
    };
    let dead = Queue {
        logical_id: "Dead".to_owned(),
        name: "Dead.fifo".to_owned(),
        arn: "arn:aws:sqs:us-east-1:123456789012:Dead.fifo".to_owned(),
        fifo: Some(Fifo { content_based_deduplication: false, deduplicates_by_group: false }),
        visibility_timeout_secs: 30,
        delay_secs: 0,
        retention_secs: 345_600,
        message_bytes_max: 1_048_576,
        receive_wait_secs: 0,
        redrive: None,
        line: template.queues[1].line,
    };
    let plain = Queue {
        logical_id: "Plain".to_owned(),
        name: "Plain".to_owned(),
        arn: "arn:aws:sqs:us-east-1:123456789012:Plain".to_owned(),
        fifo: None,
        line: template.queues[2].line,
        ..dead.clone()
    };
    assert_eq!(template.queues, [jobs, dead, plain]);
    let source = EventSource {
        function: "Hello".to_owned(),
        queue: "Jobs".to_owned(),
        batch_size: 5,
        batching_window_secs: 0,
        concurrency_max: Some(3),
        reports_failures: true,
        line: template.event_sources[0].line,
    };
    assert_eq!(template.event_sources, [source]);
}

#[test]
fn an_event_that_is_off_or_whose_queue_is_elsewhere_leads_nowhere() {
    let jobs = "  Jobs: { Type: AWS::SQS::Queue }";
    let off = template("Queue: !GetAtt Jobs.Arn, Enabled: false", jobs).unwrap();
    assert_eq!((off.event_sources, off.warnings), (vec![], vec![]));
    let elsewhere = template("Queue: 'arn:aws:sqs:us-east-1:1:jobs'", jobs).unwrap();
    assert_eq!(elsewhere.event_sources, []);
    let warning = elsewhere.warnings[0].to_string();
    assert!(
        warning.ends_with(
            "arn:aws:sqs:us-east-1:1:jobs is no queue of this template; Hello is not invoked by it"
        ),
        "{warning}"
    );
}

#[test]
fn what_aws_would_not_make_is_refused() {
    let of = "Queue: !GetAtt Jobs.Arn";
    let jobs = "  Jobs: { Type: AWS::SQS::Queue, Properties: {PROPERTIES} }";
    let queue = |properties: &str| jobs.replace("PROPERTIES", properties);
    for (event, resources, problem) in [
        (
            "Queue: !GetAtt Jobs.Arn, FilterCriteria: {}",
            queue(""),
            "local-dev doesn't filter messages",
        ),
        ("BatchSize: 1", queue(""), "Queue is missing"),
        (
            "Queue: !GetAtt Jobs.Arn, BatchSize: 11",
            queue(""),
            "needs a standard queue and a batching window",
        ),
        (
            "Queue: !GetAtt Jobs.Arn, MaximumBatchingWindowInSeconds: 1",
            queue(" FifoQueue: true "),
            "no batching window of a FIFO queue",
        ),
        (
            "Queue: !GetAtt Jobs.Arn, ScalingConfig: { MaximumConcurrency: 1 }",
            queue(""),
            "it takes 2 to 1000 at once",
        ),
        (
            "Queue: !GetAtt Jobs.Arn, FunctionResponseTypes: [Everything]",
            queue(""),
            "it takes ReportBatchItemFailures",
        ),
        (of, queue(" VisibilityTimeout: 1 "), "is shorter than the function's Timeout"),
        (of, queue(" VisibilityTimeout: 43201 "), "it takes 0 to 43200 seconds"),
        (of, queue(" QueueName: jobs, FifoQueue: true "), "it ends with .fifo"),
        (of, queue(" QueueName: 'a b' "), "is not the name of a queue"),
        (of, queue(" DeduplicationScope: queue "), "FifoQueue: true is missing"),
        (of, queue(" DeduplicationScope: all, FifoQueue: true "), "it takes queue or messageGroup"),
        (of, queue(" RedrivePolicy: { maxReceiveCount: 1 } "), "deadLetterTargetArn is missing"),
        (
            of,
            format!(
                "{}\n  Dead: {{ Type: AWS::SQS::Queue, Properties: {{ FifoQueue: true }} }}",
                queue(
                    " RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 1 } "
                )
            ),
            "must both be FIFO queues, or neither",
        ),
        (
            of,
            format!(
                "{}\n  Other: {{ Type: AWS::SQS::Queue, Properties: {{ QueueName: Jobs }} }}",
                queue("")
            ),
            "another queue is called \"Jobs\" as well",
        ),
    ] {
        let error = template(event, &resources).expect_err(problem);
        assert!(error.contains(problem), "{event}, {resources}: {error}");
    }
}
