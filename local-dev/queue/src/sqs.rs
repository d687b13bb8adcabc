//! All queues, and the waiting for messages.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    select,
    time::{sleep, sleep_until},
};

use crate::{
    clock::{Clock, Millis, millis},
    error::{Error, Kind},
    message::{Draft, Received},
    queue::{Queue, Sent},
    settings::Settings,
};

/// The queues of one account in one region.
pub struct Sqs {
    pub(crate) region: String,
    pub(crate) account_id: String,
    /// Where clients reach it: `http://127.0.0.1:3000`.
    base_url: String,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    queues: Vec<Queue>,
    /// The number of the next message, over all queues.
    next_number: u64,
}

/// How many messages a queue holds. Nothing here is approximate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// The queue's name.
    pub queue: String,
    /// Can be received, but for their group.
    pub visible: usize,
    /// Were received, and are neither deleted nor given up.
    pub in_flight: usize,
    /// Show later.
    pub delayed: usize,
    /// The name of the queue that gets what is given up.
    pub dead_letter_queue: Option<String>,
    /// Whether other queues put here what they give up.
    pub is_dead_letter_queue: bool,
}

/// What somebody wants to receive.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) messages_max: usize,
    /// In place of the queue's.
    pub(crate) visibility: Option<Millis>,
    /// In place of the queue's.
    pub(crate) wait: Option<Duration>,
}

impl Sqs {
    /// Queues without messages. Clients reach them by `base_url`, which has no slash at its end.
    pub fn new(
        region: impl Into<String>,
        account_id: impl Into<String>,
        base_url: impl Into<String>,
        queues: Vec<Settings>,
    ) -> Self {
        let clock = Clock::start();
        let now = clock.now();
        let queues = queues.into_iter().map(|settings| Queue::new(settings, now)).collect();
        Self {
            region: region.into(),
            account_id: account_id.into(),
            base_url: base_url.into(),
            clock,
            state: Mutex::new(State { queues, next_number: 1 }),
        }
    }

    /// The URL of the queue of that name, whether it exists or not.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.base_url, self.account_id)
    }

    /// How many messages each queue holds.
    pub fn counts(&self) -> Vec<Counts> {
        let mut state = self.state();
        let now = self.clock.now();
        state.queues.iter_mut().for_each(|queue| queue.advance(now));
        let dead_letter_queue = |queue: &Queue| {
            queue.settings.redrive.as_ref().map(|redrive| redrive.dead_letter_queue.clone())
        };
        let buried_in: Vec<String> = state.queues.iter().filter_map(dead_letter_queue).collect();
        let counts = state.queues.iter().map(|queue| Counts {
            queue: queue.settings.name.clone(),
            visible: queue.visible(),
            in_flight: queue.in_flight(),
            delayed: queue.delayed(),
            dead_letter_queue: dead_letter_queue(queue),
            is_dead_letter_queue: buried_in.contains(&queue.settings.name),
        });
        counts.collect()
    }

    /// Deletes all messages of a queue, and says how many; `None` if there is no such queue.
    pub fn clear(&self, queue: &str) -> Option<usize> {
        self.state().queue(queue).ok().map(Queue::clear)
    }

    /// Moves the messages of a dead-letter queue that can be received back to the queues that gave them up, and says how
    /// many; what was sent to it by others stays. `None` if there is no such queue.
    pub fn redrive(&self, queue: &str) -> Option<usize> {
        let now = self.clock.now();
        let mut state = self.state();
        let names: Vec<String> = state.names();
        let buried = state.queue(queue).ok()?;
        buried.advance(now);
        let messages = buried.take_given_up(&names);
        let moved = messages.len();
        for (source, message) in messages {
            let number = state.number();
            if let Ok(queue) = state.queue(&source) {
                queue.take_back(message, number, now);
            }
        }
        Some(moved)
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    pub(crate) fn arn(&self, queue: &str) -> String {
        let Self { region, account_id, .. } = self;
        let partition = match region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        format!("arn:{partition}:sqs:{region}:{account_id}:{queue}")
    }

    /// The names of all queues.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state().names()
    }

    /// Does something with a queue, brought to the present.
    pub(crate) fn with<T>(
        &self,
        queue: &str,
        what: impl FnOnce(&mut Queue, Millis) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut state = self.state();
        let queue = state.queue(queue)?;
        let now = self.clock.now();
        queue.advance(now);
        what(queue, now)
    }

    pub(crate) fn send(&self, queue: &str, draft: Draft) -> Result<Sent, Error> {
        let mut state = self.state();
        let number = state.number();
        let queue = state.queue(queue)?;
        let now = self.clock.now();
        queue.advance(now);
        Ok(queue.send(draft, number, now))
    }

    /// Receives messages, and waits until there is one, or as long as is wanted.
    pub(crate) async fn receive(
        &self,
        queue: &str,
        wanted: Wanted,
    ) -> Result<Vec<Received>, Error> {
        let (changed, wait) = self.with(queue, |queue, _| {
            let wait = wanted.wait.unwrap_or(queue.settings.receive_wait_time);
            Ok((queue.changed.clone(), wait))
        })?;
        let mut over = Box::pin(sleep(wait));
        loop {
            let mut change = Box::pin(changed.notified());
            // Changes count from here on.
            change.as_mut().enable();
            let (received, next_change) = self.receive_now(queue, wanted, wait.is_zero())?;
            if !received.is_empty() || wait.is_zero() {
                return Ok(received);
            }
            let next_change = async {
                match next_change {
                    Some(at) => sleep_until(self.clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            select! {
                () = &mut over => return Ok(Vec::new()),
                () = change => {}
                () = next_change => {}
            }
        }
    }

    /// Messages, and when the next one shows.
    fn receive_now(
        &self,
        queue: &str,
        wanted: Wanted,
        is_short_poll: bool,
    ) -> Result<(Vec<Received>, Option<Millis>), Error> {
        let now = self.clock.now();
        let mut state = self.state();
        let queue = state.queue(queue)?;
        queue.advance(now);
        if is_short_poll && queue.settings.fifo.is_none() && queue.is_over_limit() {
            return Err(Error::new(Kind::OverLimit, "Too many messages in flight."));
        }
        let visibility = wanted.visibility.unwrap_or(millis(queue.settings.visibility_timeout));
        let (received, dead) = queue.receive(wanted.messages_max, visibility, now);
        let next_change = queue.next_change();
        let buried_in =
            queue.settings.redrive.as_ref().map(|redrive| redrive.dead_letter_queue.clone());
        for letter in dead {
            let number = state.number();
            tracing::warn!(
                message_id = letter.message.id,
                receives = letter.receive_count,
                dead_letter_queue = buried_in,
                "a message was received too often and is given up"
            );
            // If there is no such queue, it is gone.
            if let Some(Ok(queue)) = buried_in.as_deref().map(|name| state.queue(name)) {
                queue.bury(letter, number, now);
            }
        }
        Ok((received, next_change))
    }

    /// What it guards is whole between any two statements, so a panic elsewhere doesn't spoil it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn names(&self) -> Vec<String> {
        self.queues.iter().map(|queue| queue.settings.name.clone()).collect()
    }

    fn queue(&mut self, name: &str) -> Result<&mut Queue, Error> {
        let found = self.queues.iter_mut().find(|queue| queue.settings.name == name);
        found.ok_or_else(Error::no_queue)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }
}
