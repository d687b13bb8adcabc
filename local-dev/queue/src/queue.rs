//! One queue: what is ready, hidden, given up. It has no clock and waits for nothing; whoever calls says what time it is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    clock::{Millis, millis},
    error::{Error, Kind},
    message::{Draft, Message, Received},
    receipt::Receipt,
    settings::{DeduplicationScope, Settings},
};

/// How long a FIFO queue remembers deduplication ids. Source: developer guide of SQS, "Exactly-once processing".
const DEDUPLICATION_MILLIS: Millis = 5 * 60 * 1000;

/// How many messages may be in flight. Source: developer guide of SQS, "Message quotas".
const IN_FLIGHT_MAX: usize = 120_000;

/// How often a queue may be purged. Source: API reference of SQS, `PurgeQueue`.
const PURGE_MILLIS: Millis = 60 * 1000;

/// The longest that a message may be hidden since it was received. Source: API reference, `ChangeMessageVisibility`.
const HIDDEN_MILLIS_MAX: Millis = 12 * 60 * 60 * 1000;

/// A queue and what is in it.
pub(crate) struct Queue {
    pub(crate) settings: Settings,
    pub(crate) created_at: Millis,
    /// Wakes those who wait for messages.
    pub(crate) changed: Arc<Notify>,
    /// By number, so in the order in which they were sent.
    entries: BTreeMap<u64, Entry>,
    /// Those that can be received, but for their group.
    ready: BTreeSet<u64>,
    /// Those that are in flight or delayed, by when that ends.
    hidden: BTreeSet<(Millis, u64)>,
    /// All, by when they are forgotten.
    expiries: BTreeSet<(Millis, u64)>,
    /// Of a FIFO queue.
    groups: HashMap<String, Group>,
    in_flight: usize,
    sent: HashMap<DeduplicationKey, Sent>,
    /// The keys of `sent`, by when they are forgotten.
    sent_until: VecDeque<(Millis, DeduplicationKey)>,
    purged_at: Option<Millis>,
}

struct Entry {
    message: Message,
    expires_at: Millis,
    receive_count: u32,
    first_received_at: Millis,
    received_at: Millis,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Ready,
    Delayed { until: Millis },
    InFlight { until: Millis },
}

#[derive(Default)]
struct Group {
    numbers: BTreeSet<u64>,
    in_flight: usize,
}

/// The group, if only its messages count, and the id.
type DeduplicationKey = (Option<String>, String);

/// What somebody who sends is told.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) sequence_number: Option<String>,
}

/// A message that was received too often, with how often.
pub(crate) struct DeadLetter {
    pub(crate) message: Message,
    pub(crate) receive_count: u32,
}

impl Queue {
    pub(crate) fn new(settings: Settings, now: Millis) -> Self {
        Self {
            settings,
            created_at: now,
            changed: Arc::default(),
            entries: BTreeMap::new(),
            ready: BTreeSet::new(),
            hidden: BTreeSet::new(),
            expiries: BTreeSet::new(),
            groups: HashMap::new(),
            in_flight: 0,
            sent: HashMap::new(),
            sent_until: VecDeque::new(),
            purged_at: None,
        }
    }

    /// Brings the queue to the present: hidden messages show again, old ones are forgotten.
    pub(crate) fn advance(&mut self, now: Millis) {
        while let Some((until, number)) = self.hidden.first().copied()
            && until <= now
        {
            self.place(number, Place::Ready);
        }
        while let Some((at, number)) = self.expiries.first().copied()
            && at <= now
        {
            self.remove(number);
        }
        while let Some((until, _)) = self.sent_until.front()
            && *until <= now
            && let Some((_, key)) = self.sent_until.pop_front()
        {
            self.sent.remove(&key);
        }
    }

    /// When the next message shows, unless something happens before.
    pub(crate) fn next_change(&self) -> Option<Millis> {
        self.hidden.first().map(|(until, _)| *until)
    }

    /// Takes a message as number `number`, unless it is a repetition of another.
    pub(crate) fn send(&mut self, draft: Draft, number: u64, now: Millis) -> Sent {
        let key = self.deduplication_key(&draft);
        if let Some(sent) = key.as_ref().and_then(|key| self.sent.get(key)) {
            return sent.clone();
        }
        let sent = Sent {
            id: Uuid::new_v4().to_string(),
            sequence_number: self.settings.fifo.map(|_| sequence_number(number)),
        };
        if let Some(key) = key {
            self.sent_until.push_back((now + DEDUPLICATION_MILLIS, key.clone()));
            self.sent.insert(key, sent.clone());
        }
        let delay = draft.delay_millis.unwrap_or(millis(self.settings.delay));
        let message = Message {
            id: sent.id.clone(),
            body: draft.body,
            attributes: draft.attributes,
            sent_at: now,
            group_id: draft.group_id,
            deduplication_id: draft.deduplication_id,
            sequence_number: sent.sequence_number.clone(),
            trace_header: draft.trace_header,
            given_up_by: None,
        };
        self.put(message, 0, number, now, now + delay);
        sent
    }

    /// Takes what another queue gave up. A standard queue counts its age from when it was sent, a FIFO queue from now.
    /// Source: developer guide of SQS, "Using dead-letter queues".
    pub(crate) fn bury(&mut self, dead: DeadLetter, number: u64, now: Millis) {
        let DeadLetter { mut message, receive_count } = dead;
        let mut kept_from = message.sent_at;
        if self.settings.fifo.is_some() {
            message.sequence_number = Some(sequence_number(number));
            kept_from = now;
        }
        self.put(message, receive_count, number, kept_from, now);
    }

    /// Takes back what it gave up: as a new message. Source: developer guide of SQS, "Dead-letter queue redrive".
    pub(crate) fn take_back(&mut self, mut message: Message, number: u64, now: Millis) {
        message.id = Uuid::new_v4().to_string();
        message.sent_at = now;
        message.given_up_by = None;
        message.sequence_number = self.settings.fifo.map(|_| sequence_number(number));
        self.put(message, 0, number, now, now);
    }

    /// Gives out up to `most` messages and hides them for `visibility` milliseconds. What was received too often comes
    /// back as a dead letter, if there is a queue for them.
    pub(crate) fn receive(
        &mut self,
        most: usize,
        visibility: Millis,
        now: Millis,
    ) -> (Vec<Received>, Vec<DeadLetter>) {
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        let receives_max = self.settings.redrive.as_ref().map(|redrive| redrive.receives_max);
        while received.len() < most && self.in_flight < IN_FLIGHT_MAX {
            // Of a group that has been begun, more may be taken in the same call.
            let begun: BTreeSet<String> = received
                .iter()
                .filter_map(|received: &Received| received.message.group_id.clone())
                .collect();
            let Some(number) = self.next(&begun) else { break };
            let entry = self.entries.get_mut(&number).expect("what is ready is there");
            if receives_max.is_some_and(|most| entry.receive_count >= most) {
                let entry = self.remove(number).expect("it is there");
                let mut message = entry.message;
                message.given_up_by = Some(self.settings.name.clone());
                dead.push(DeadLetter { message, receive_count: entry.receive_count });
                continue;
            }
            entry.receive_count += 1;
            entry.received_at = now;
            if entry.receive_count == 1 {
                entry.first_received_at = now;
            }
            let receipt = Receipt { number, receive_count: entry.receive_count };
            received.push(Received {
                message: entry.message.clone(),
                receipt_handle: receipt.handle(&self.settings.name),
                receive_count: entry.receive_count,
                first_received_at: entry.first_received_at,
                hidden_until: now + visibility,
            });
            self.place(number, Place::InFlight { until: now + visibility });
        }
        // With no timeout they are there for the next call, not for this one.
        if visibility == 0 {
            self.advance(now);
        }
        (received, dead)
    }

    /// The next message that can be received. A FIFO queue gives as many as it can of one group, then of the next, and
    /// none of a group that has messages in flight. Source: developer guide of SQS, "FIFO delivery logic".
    fn next(&self, begun: &BTreeSet<String>) -> Option<u64> {
        if self.settings.fifo.is_none() {
            return self.ready.first().copied();
        }
        // What this call has taken of a group is at its beginning, in flight.
        let first_left = |group: &Group| {
            group.numbers.iter().copied().find(|number| !self.is_in_flight(*number))
        };
        let is_ready = |number: &u64| self.ready.contains(number);
        let more = begun.iter().rev().filter_map(|id| self.groups.get(id)).filter_map(first_left);
        let more = more.filter(is_ready).min();
        more.or_else(|| {
            let open = self.groups.values().filter(|group| group.in_flight == 0);
            open.filter_map(first_left).filter(is_ready).min()
        })
    }

    fn is_in_flight(&self, number: u64) -> bool {
        let entry = self.entries.get(&number);
        entry.is_some_and(|entry| matches!(entry.place, Place::InFlight { .. }))
    }

    /// Whether no more may be in flight.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.in_flight >= IN_FLIGHT_MAX
    }

    /// Deletes a message by a receipt. One that is gone already is no error. Source: API reference of SQS,
    /// `DeleteMessage`.
    pub(crate) fn delete(&mut self, handle: &str) -> Result<(), Error> {
        let receipt = self.receipt(handle)?;
        let Some(entry) = self.entries.get(&receipt.number) else { return Ok(()) };
        let is_latest = entry.receive_count == receipt.receive_count;
        if self.settings.fifo.is_some() && !(is_latest && self.is_in_flight(receipt.number)) {
            return Err(expired(handle));
        }
        // A standard queue says yes to an older receipt, and may keep the message: it was given to somebody else.
        if is_latest {
            self.remove(receipt.number);
            self.changed.notify_waiters();
        }
        Ok(())
    }

    /// Hides a message in flight for `visibility` milliseconds from now.
    pub(crate) fn change_visibility(
        &mut self,
        handle: &str,
        visibility: Millis,
        now: Millis,
    ) -> Result<(), Error> {
        let receipt = self.receipt(handle)?;
        let Some(entry) = self.entries.get(&receipt.number) else {
            let reason =
                "Message does not exist or is not available for visibility timeout change.";
            return Err(Error::value(handle, "ReceiptHandle", reason));
        };
        if entry.receive_count != receipt.receive_count {
            return Err(expired(handle));
        }
        if !self.is_in_flight(receipt.number) {
            let message = "The message referred to isn't in flight.";
            return Err(Error::new(Kind::MessageNotInflight, message));
        }
        let until = now + visibility;
        if until > entry.received_at + HIDDEN_MILLIS_MAX {
            let reason =
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].";
            return Err(Error::value(visibility / 1000, "VisibilityTimeout", reason));
        }
        self.place(receipt.number, Place::InFlight { until });
        self.advance(now);
        self.changed.notify_waiters();
        Ok(())
    }

    fn receipt(&self, handle: &str) -> Result<Receipt, Error> {
        Receipt::read(handle, &self.settings.name).ok_or_else(|| {
            let message =
                format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
            Error::new(Kind::ReceiptHandleIsInvalid, message)
        })
    }

    /// Deletes all messages, for a client, which may do so once a minute.
    pub(crate) fn purge(&mut self, now: Millis) -> Result<(), Error> {
        if self.purged_at.is_some_and(|at| now < at + PURGE_MILLIS) {
            let message = format!(
                "Only one PurgeQueue operation on {} is allowed every 60 seconds.",
                self.settings.name
            );
            return Err(Error::new(Kind::PurgeQueueInProgress, message));
        }
        self.purged_at = Some(now);
        self.clear();
        Ok(())
    }

    /// Deletes all messages, and says how many there were.
    pub(crate) fn clear(&mut self) -> usize {
        let numbers: Vec<u64> = self.entries.keys().copied().collect();
        for number in &numbers {
            self.remove(*number);
        }
        numbers.len()
    }

    /// Takes out what can be received and was given up by one of these queues, with that queue's name, in order.
    pub(crate) fn take_given_up(&mut self, queues: &[String]) -> Vec<(String, Message)> {
        let source = |number: &u64| {
            let by = self.entries.get(number)?.message.given_up_by.clone();
            Some((*number, by.filter(|by| queues.contains(by))?))
        };
        let found: Vec<(u64, String)> = self.ready.iter().filter_map(source).collect();
        let taken = found
            .into_iter()
            .filter_map(|(number, source)| Some((source, self.remove(number)?.message)));
        taken.collect()
    }

    /// How many can be received, but for their group.
    pub(crate) fn visible(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn delayed(&self) -> usize {
        self.hidden.len() - self.in_flight
    }

    fn put(
        &mut self,
        message: Message,
        receive_count: u32,
        number: u64,
        kept_from: Millis,
        visible_at: Millis,
    ) {
        let expires_at = kept_from + millis(self.settings.retention);
        if let Some(group) = self.group_of(&message) {
            self.groups.entry(group).or_default().numbers.insert(number);
        }
        self.expiries.insert((expires_at, number));
        self.ready.insert(number);
        let entry = Entry {
            message,
            expires_at,
            receive_count,
            first_received_at: 0,
            received_at: 0,
            place: Place::Ready,
        };
        self.entries.insert(number, entry);
        self.place(number, Place::Delayed { until: visible_at });
        self.changed.notify_waiters();
    }

    /// The group whose order matters. In a standard queue, a group id is only passed on.
    fn group_of(&self, message: &Message) -> Option<String> {
        self.settings.fifo.and(message.group_id.clone())
    }

    /// Moves a message to another place.
    fn place(&mut self, number: u64, place: Place) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let before = std::mem::replace(&mut entry.place, place);
        let group = entry.message.group_id.as_ref().and_then(|id| self.groups.get_mut(id));
        let was_in_flight = matches!(before, Place::InFlight { .. });
        let is_in_flight = matches!(place, Place::InFlight { .. });
        self.in_flight = self.in_flight + usize::from(is_in_flight) - usize::from(was_in_flight);
        if let Some(group) = group {
            group.in_flight =
                group.in_flight + usize::from(is_in_flight) - usize::from(was_in_flight);
        }
        match before {
            Place::Ready => self.ready.remove(&number),
            Place::Delayed { until } | Place::InFlight { until } => {
                self.hidden.remove(&(until, number))
            }
        };
        match place {
            Place::Ready => self.ready.insert(number),
            Place::Delayed { until } | Place::InFlight { until } => {
                self.hidden.insert((until, number))
            }
        };
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        self.place(number, Place::Ready);
        self.ready.remove(&number);
        let entry = self.entries.remove(&number)?;
        self.expiries.remove(&(entry.expires_at, number));
        if let Some(id) = self.group_of(&entry.message)
            && let Some(group) = self.groups.get_mut(&id)
        {
            group.numbers.remove(&number);
            if group.numbers.is_empty() {
                self.groups.remove(&id);
            }
        }
        Some(entry)
    }

    fn deduplication_key(&self, draft: &Draft) -> Option<DeduplicationKey> {
        let fifo = self.settings.fifo?;
        let group = match fifo.deduplication_scope {
            DeduplicationScope::Queue => None,
            DeduplicationScope::MessageGroup => draft.group_id.clone(),
        };
        Some((group, draft.deduplication_id.clone()?))
    }
}

/// Twenty digits that grow, as SQS's do.
fn sequence_number(number: u64) -> String {
    (18_870_000_000_000_000_000_u128 + u128::from(number) * 256).to_string()
}

fn expired(handle: &str) -> Error {
    Error::value(handle, "ReceiptHandle", "The receipt handle has expired.")
}
