//! Queues: `AWS::SQS::Queue`.

use crate::{
    model::{Fifo, Queue, Redrive},
    names,
    node::{Kind, Node},
    problem::Problem,
    property::{Fates, Property},
    report::Report,
    resolver::Resolver,
    resource::{QUEUE, Resource, Stack},
};

/// What the name of every FIFO queue ends with, and of no other.
const FIFO_SUFFIX: &str = ".fifo";

/// The longest name, in characters, with the suffix. Source: developer guide of SQS, "Message quotas"; likewise the ranges
/// of all numbers here.
const NAME_CHARS_MAX: usize = 80;

const FATES: Fates = Fates {
    of: QUEUE,
    read: &[
        "ContentBasedDeduplication",
        "DeduplicationScope",
        "DelaySeconds",
        "FifoQueue",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "QueueName",
        "ReceiveMessageWaitTimeSeconds",
        "RedrivePolicy",
        "VisibilityTimeout",
    ],
    passed_over: &[
        "FifoThroughputLimit",
        "KmsDataKeyReusePeriodSeconds",
        "KmsMasterKeyId",
        "RedriveAllowPolicy",
        "SqsManagedSseEnabled",
        "Tags",
    ],
    others: &[],
};

/// Gives every queue its name, which its URL and its ARN end with: `QueueName`, else the logical id.
pub(crate) fn name_all(
    resources: &[Resource<'_>],
    resolver: &mut Resolver<'_>,
    report: &mut Report,
) {
    let mut names = Vec::new();
    for resource in resources.iter().filter(|resource| resource.kind == QUEUE) {
        let read = name(resource, resolver);
        let Some(name) = report.keep(read.map_err(|problem| problem.within(resource.id))) else {
            continue;
        };
        if names.contains(&name) {
            let message = format!("another queue is called {name:?} as well");
            report.errors.push(resource.problem(message));
        }
        names.push(name.clone());
        resolver.set_queue_name(resource.id, name);
    }
}

fn name(resource: &Resource<'_>, resolver: &Resolver<'_>) -> Result<String, Problem> {
    let value = |key: &str| -> Result<Option<Node>, Problem> {
        let node = resource.property(key).map(|node| resolver.resolve(node));
        let node = node.transpose()?.flatten();
        Ok(node.filter(|node| !matches!(node.kind, Kind::Null)))
    };
    let is_fifo = match value("FifoQueue")? {
        Some(node) => Property::new("FifoQueue", &node).boolean()?,
        None => false,
    };
    let Some(node) = value("QueueName")? else {
        return Ok(format!("{}{}", resource.id, if is_fifo { FIFO_SUFFIX } else { "" }));
    };
    let name = Property::new("QueueName", &node);
    let text = name.text()?;
    let stem = if is_fifo { text.strip_suffix(FIFO_SUFFIX) } else { Some(text) };
    let Some(stem) = stem else {
        return Err(
            name.problem(format!("{text:?} is the name of a FIFO queue, it ends with .fifo"))
        );
    };
    let is_word = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if stem.is_empty() || text.len() > NAME_CHARS_MAX || !stem.chars().all(is_word) {
        return Err(name.problem(format!(
            "{text:?} is not the name of a queue, it takes up to {NAME_CHARS_MAX} letters, digits, hyphens and \
             underscores, and .fifo at the end of a FIFO queue's"
        )));
    }
    Ok(text.to_owned())
}

/// Reads all queues.
pub(crate) fn read_all(stack: &Stack<'_>, report: &mut Report) -> Vec<Queue> {
    let mut queues: Vec<Queue> = Vec::new();
    for resource in stack.of_kind(QUEUE) {
        let node = stack.properties(resource, &FATES, report);
        let queue = read(stack, resource, &Property::new(resource.id, &node), report);
        queues.extend(report.keep(queue));
    }
    check_dead_letters(&queues, report);
    queues
}

fn read(
    stack: &Stack<'_>,
    resource: &Resource<'_>,
    properties: &Property<'_>,
    report: &mut Report,
) -> Result<Queue, Problem> {
    let name = stack.resolver.queue_name(resource.id).unwrap_or(resource.id).to_owned();
    let number = |key, range, unit, default| {
        properties.get(key).map_or(Ok(default), |value| value.number(&range, unit))
    };
    let redrive = properties.get("RedrivePolicy").map(|policy| redrive(stack, policy, report));
    Ok(Queue {
        logical_id: resource.id.to_owned(),
        arn: names::queue_arn(&name, stack.resolver.options),
        fifo: fifo(properties)?,
        visibility_timeout_secs: number("VisibilityTimeout", 0..=43_200, "seconds", 30)?,
        delay_secs: number("DelaySeconds", 0..=900, "seconds", 0)?,
        retention_secs: number("MessageRetentionPeriod", 60..=1_209_600, "seconds", 345_600)?,
        message_bytes_max: number("MaximumMessageSize", 1_024..=1_048_576, "bytes", 1_048_576)?,
        receive_wait_secs: number("ReceiveMessageWaitTimeSeconds", 0..=20, "seconds", 0)?,
        redrive: redrive.transpose()?.flatten(),
        name,
        line: resource.line,
    })
}

fn fifo(properties: &Property<'_>) -> Result<Option<Fifo>, Problem> {
    let boolean = |key| properties.get(key).map_or(Ok(false), |value| value.boolean());
    let is_fifo = boolean("FifoQueue")?;
    let content_based_deduplication = boolean("ContentBasedDeduplication")?;
    let scope = properties.get("DeduplicationScope");
    let deduplicates_by_group = match scope.as_ref().map(Property::text).transpose()? {
        None | Some("queue") => false,
        Some("messageGroup") => true,
        Some(other) => {
            let message = format!("{other:?} is not allowed, it takes queue or messageGroup");
            return Err(scope.as_ref().unwrap_or(properties).problem(message));
        }
    };
    if is_fifo {
        return Ok(Some(Fifo { content_based_deduplication, deduplicates_by_group }));
    }
    if content_based_deduplication || scope.is_some() {
        return Err(
            properties.problem("only a FIFO queue deduplicates; FifoQueue: true is missing")
        );
    }
    Ok(None)
}

/// `{ deadLetterTargetArn: …, maxReceiveCount: … }`.
fn redrive(
    stack: &Stack<'_>,
    policy: Property<'_>,
    report: &mut Report,
) -> Result<Option<Redrive>, Problem> {
    let policy = policy.map()?;
    let receives_max = policy.required("maxReceiveCount")?.number(&(1..=1_000), "receives")?;
    let target = policy.required("deadLetterTargetArn")?;
    let arn = match &target.node.kind {
        Kind::Unknown(unknown) => unknown.expression.as_str(),
        _ => target.text()?,
    };
    if let Some(logical_id) = stack.resolver.queue_of_arn(arn) {
        return Ok(Some(Redrive { queue: logical_id.to_owned(), receives_max }));
    }
    let message = format!(
        "{arn} is no queue of this template, so what is received {receives_max} times stays where it is"
    );
    report.warn(&target.path, target.line(), message);
    Ok(None)
}

/// The dead letters of a FIFO queue go to a FIFO queue, those of another to another. Source: developer guide of SQS, "Using
/// dead-letter queues".
fn check_dead_letters(queues: &[Queue], report: &mut Report) {
    for queue in queues {
        let Some(redrive) = &queue.redrive else { continue };
        let target = queues.iter().find(|other| other.logical_id == redrive.queue);
        if target.is_some_and(|target| target.fifo.is_some() != queue.fifo.is_some()) {
            let message = format!(
                "{} and {} must both be FIFO queues, or neither; SQS makes no such queue",
                queue.logical_id, redrive.queue
            );
            let path = format!("{}.RedrivePolicy", queue.logical_id);
            report.errors.push(Problem::new(path, queue.line, message));
        }
    }
}
