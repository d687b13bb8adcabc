//! Events of functions of the type `SQS`: queues whose messages invoke them.

use crate::{
    model::{EventSource, Function, Queue},
    node::Kind,
    problem::Problem,
    property::{
        Fate::{Refused, Warned},
        Fates, Property,
    },
    report::Report,
};

const FATES: Fates = Fates {
    of: "SQS event",
    read: &[
        "BatchSize",
        "Enabled",
        "FunctionResponseTypes",
        "MaximumBatchingWindowInSeconds",
        "Queue",
        "ScalingConfig",
    ],
    passed_over: &["KmsKeyArn", "MetricsConfig"],
    others: &[
        (
            "FilterCriteria",
            Refused(
                "local-dev doesn't filter messages, so the function would be invoked with others, too",
            ),
        ),
        (
            "ProvisionedPollerConfig",
            Warned(
                "local-dev has no provisioned pollers; ScalingConfig says how many invocations run at once",
            ),
        ),
    ],
};

/// The largest batch of a FIFO queue, and of any without a window.
const BATCH_MAX: u32 = 10;

/// Reads an event; none if it is switched off, or its queue isn't here.
pub(crate) fn read(
    function: &Function,
    queues: &[Queue],
    event: &Property<'_>,
    line: usize,
    report: &mut Report,
) -> Result<Option<EventSource>, Problem> {
    let properties = event.required("Properties")?.map()?;
    FATES.announce(&properties, report);
    let arn = properties.required("Queue")?;
    let is_enabled = properties.get("Enabled").map_or(Ok(true), |enabled| enabled.boolean())?;
    let arn_text = match &arn.node.kind {
        Kind::Unknown(unknown) => unknown.expression.as_str(),
        _ => arn.text()?,
    };
    let Some(queue) = queues.iter().find(|queue| queue.arn == arn_text) else {
        let id = &function.logical_id;
        let message = format!("{arn_text} is no queue of this template; {id} is not invoked by it");
        report.warn(&arn.path, arn.line(), message);
        return Ok(None);
    };
    if queue.visibility_timeout_secs < function.timeout_secs {
        return Err(arn.problem(format!(
            "the visibility timeout of {}, {} seconds, is shorter than the function's Timeout of {}; Lambda refuses that",
            queue.logical_id, queue.visibility_timeout_secs, function.timeout_secs
        )));
    }
    let source = EventSource {
        function: function.logical_id.clone(),
        queue: queue.logical_id.clone(),
        batch_size: batch_size(&properties)?,
        batching_window_secs: window(&properties)?,
        concurrency_max: concurrency(&properties)?,
        reports_failures: reports_failures(&properties)?,
        line,
    };
    let has_window = source.batching_window_secs > 0;
    if queue.fifo.is_some() && has_window {
        return Err(properties.problem("there is no batching window of a FIFO queue"));
    }
    if source.batch_size > BATCH_MAX && (queue.fifo.is_some() || !has_window) {
        return Err(properties.problem(format!(
            "a batch of more than {BATCH_MAX} messages needs a standard queue and a batching window of a second or more"
        )));
    }
    Ok(is_enabled.then_some(source))
}

fn batch_size(properties: &Property<'_>) -> Result<u32, Problem> {
    let size = properties.get("BatchSize");
    size.map_or(Ok(BATCH_MAX), |size| size.number(&(1..=10_000), "messages"))
}

fn window(properties: &Property<'_>) -> Result<u32, Problem> {
    let window = properties.get("MaximumBatchingWindowInSeconds");
    window.map_or(Ok(0), |window| window.number(&(0..=300), "seconds"))
}

fn concurrency(properties: &Property<'_>) -> Result<Option<u32>, Problem> {
    let Some(scaling) = properties.get("ScalingConfig") else { return Ok(None) };
    let most = scaling.map()?.get("MaximumConcurrency");
    most.map(|most| most.number(&(2..=1_000), "at once")).transpose()
}

fn reports_failures(properties: &Property<'_>) -> Result<bool, Problem> {
    let Some(types) = properties.get("FunctionResponseTypes") else { return Ok(false) };
    let texts = types.texts()?;
    match texts.iter().find(|text| *text != "ReportBatchItemFailures") {
        Some(other) => {
            Err(types
                .problem(format!("{other:?} is not allowed, it takes ReportBatchItemFailures")))
        }
        None => Ok(!texts.is_empty()),
    }
}
