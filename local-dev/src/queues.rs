//! The queues of a template, put together with the functions that their messages invoke.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::Response;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use gateway::{Function, Invoker};
use queue::{
    Counts, DeduplicationScope, EventSource, EventSourceMapping, Fifo, InvokeError, Redrive,
    Settings, Sqs,
};
use shared::settings::Lookup;
use template::{Template, Variable};

use crate::{apis::Functions, settings::reachable};

/// Where AWS's SDKs look for SQS, if it isn't Amazon's.
pub(crate) const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_SQS";

/// What a function may take for its start, beside its own timeout. Source: developer guide of Lambda, "Init phase".
const INIT_TIME_MAX: Duration = Duration::from_secs(10);

/// The queues of a template, and which functions they lead to.
pub struct Queues {
    sqs: Arc<Sqs>,
    sources: Vec<Source>,
}

#[derive(Clone)]
struct Source {
    mapped: EventSource,
    function: Function,
    /// How long an invocation may take.
    time_max: Duration,
}

/// Queues whose messages are being taken.
pub struct Polling {
    sqs: Arc<Sqs>,
    mappings: Vec<EventSourceMapping>,
}

impl Queues {
    /// The queues of `template`, at `address`; none if it has none. With `visibility_timeout`, all have that in place of
    /// their own.
    pub fn new(
        template: &Template,
        functions: &Functions,
        address: SocketAddr,
        visibility_timeout: Option<Duration>,
    ) -> Option<Self> {
        // `arn:aws:sqs:REGION:ACCOUNT:NAME`.
        let mut arn = template.queues.first()?.arn.split(':').skip(3);
        let (region, account) = (arn.next()?, arn.next()?);
        let settings = template.queues.iter().map(|queue| Settings {
            visibility_timeout: visibility_timeout
                .unwrap_or(seconds(queue.visibility_timeout_secs)),
            ..settings(template, queue)
        });
        let sqs = Sqs::new(region, account, endpoint(address), settings.collect());
        let sources = template.event_sources.iter().filter_map(|source| {
            let timeout = template.function(&source.function)?.timeout_secs;
            Some(Source {
                mapped: event_source(template, source)?,
                function: functions.get(&source.function)?.clone(),
                time_max: seconds(timeout) + INIT_TIME_MAX,
            })
        });
        Some(Self { sqs: Arc::new(sqs), sources: sources.collect() })
    }

    /// What the gateway serves.
    pub fn served(&self) -> Arc<dyn gateway::Queues> {
        Arc::new(Served(Arc::clone(&self.sqs)))
    }

    /// Has functions invoked from now on, by the gateway's `invoker`.
    pub fn start(&self, invoker: &Invoker) -> Polling {
        let mappings = self.sources.iter().cloned().map(|source| {
            let Source { mapped, function, time_max } = source;
            let (invoker, cause) = (invoker.clone(), format!("SQS {}", mapped.queue));
            EventSourceMapping::start(Arc::clone(&self.sqs), mapped, move |event| {
                let (invoker, function, cause) = (invoker.clone(), function.clone(), cause.clone());
                async move {
                    let answer = invoker.invoke_by(&cause, &function, event, time_max).await;
                    answer.map_err(|error| match error {
                        gateway::InvokeError::Throttled => InvokeError::Throttled,
                        _ => InvokeError::Failed,
                    })
                }
            })
        });
        Polling { sqs: Arc::clone(&self.sqs), mappings: mappings.collect() }
    }
}

impl Polling {
    /// Takes no more messages. What is being handled goes on.
    pub fn stop(&self) {
        self.mappings.iter().for_each(EventSourceMapping::stop);
    }

    /// Waits until what is being handled has ended; it must have been stopped.
    pub async fn ended(&self) {
        join_all(self.mappings.iter().map(EventSourceMapping::ended)).await;
    }

    /// Says what is lost when the program ends: the queues are in memory.
    pub fn warn_of_loss(&self) {
        for Counts { queue, visible, in_flight, delayed, .. } in self.sqs.counts() {
            let messages = visible + in_flight + delayed;
            if messages > 0 {
                tracing::warn!(queue, messages, "what is in the queue is lost");
            }
        }
    }
}

/// `settings` with the URLs of the template's queues, which are at `address`, where they say nothing of them. For functions
/// that are part of this program; others find them in their environment.
pub fn with_urls(settings: Lookup, template: &Template, address: SocketAddr) -> Lookup {
    let endpoint = endpoint(address);
    let variables = template.functions.iter().flat_map(|function| &function.environment);
    let mut known: Vec<(String, String)> = variables
        .filter_map(|(name, variable)| match variable {
            Variable::QueueUrl { path, .. } if settings.get(name).is_none() => {
                Some((name.clone(), format!("{endpoint}{path}")))
            }
            _ => None,
        })
        .collect();
    // Who names a queue that is somewhere else also says where.
    if !known.is_empty() {
        known.push((ENDPOINT_VARIABLE.to_owned(), endpoint));
    }
    Lookup::from_fn(move |name| {
        let known = known.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.clone()).or_else(|| settings.get(name))
    })
}

fn endpoint(address: SocketAddr) -> String {
    format!("http://{}", reachable(address))
}

fn settings(template: &Template, queue: &template::Queue) -> Settings {
    let redrive = queue.redrive.as_ref().and_then(|redrive| {
        let target = template.queue(&redrive.queue)?;
        let dead_letter_queue = target.name.clone();
        Some(Redrive { dead_letter_queue, receives_max: redrive.receives_max })
    });
    Settings {
        name: queue.name.clone(),
        fifo: queue.fifo.map(|fifo| Fifo {
            content_based_deduplication: fifo.content_based_deduplication,
            deduplication_scope: if fifo.deduplicates_by_group {
                DeduplicationScope::MessageGroup
            } else {
                DeduplicationScope::Queue
            },
        }),
        visibility_timeout: seconds(queue.visibility_timeout_secs),
        delay: seconds(queue.delay_secs),
        retention: seconds(queue.retention_secs),
        message_bytes_max: queue.message_bytes_max as usize,
        receive_wait_time: seconds(queue.receive_wait_secs),
        redrive,
    }
}

fn event_source(template: &Template, source: &template::EventSource) -> Option<EventSource> {
    Some(EventSource {
        queue: template.queue(&source.queue)?.name.clone(),
        batch_size: source.batch_size as usize,
        batching_window: seconds(source.batching_window_secs),
        concurrency_max: source.concurrency_max.map(|most| most as usize),
        reports_failures: source.reports_failures,
    })
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// The queues as the gateway knows them.
struct Served(Arc<Sqs>);

impl gateway::Queues for Served {
    fn is_target(&self, target: &str) -> bool {
        Sqs::is_target(target)
    }

    fn answer(&self, target: String, body: Bytes) -> BoxFuture<'_, Response<Bytes>> {
        Box::pin(async move { self.0.answer(&target, &body).await })
    }

    fn list(&self) -> Vec<gateway::Queue> {
        let counts = self.0.counts().into_iter();
        let queues = counts.map(|counts| gateway::Queue {
            name: counts.queue,
            waiting: counts.visible,
            in_flight: counts.in_flight,
            delayed: counts.delayed,
            dead_letter_queue: counts.dead_letter_queue,
            is_dead_letter_queue: counts.is_dead_letter_queue,
        });
        queues.collect()
    }

    fn purge(&self, queue: &str) -> Option<usize> {
        self.0.clear(queue)
    }

    fn redrive(&self, queue: &str) -> Option<usize> {
        self.0.redrive(queue)
    }
}
