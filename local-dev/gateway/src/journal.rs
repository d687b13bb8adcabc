//! What the gateway remembers of its last invocations, for the inspector.
//!
//! The journal is in the path of every message, so it only keeps what is there anyway: events and responses are shared,
//! not copied, and nothing is parsed or redacted until somebody looks. What it keeps is bounded, by number and by bytes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, time::Instant};

use crate::{function::Function, identifier::Identifier, lock::lock, timestamp::Timestamp};

/// How many invocations are remembered.
pub(crate) const INVOCATIONS_MAX: usize = 200;

/// How many bytes of events, responses and lines are remembered together. The oldest invocations go first.
pub(crate) const BYTES_MAX: usize = 32 * 1024 * 1024;

/// How many lines of its log are remembered of one invocation, and how many bytes of them.
const LINES_MAX: usize = 200;
const LINES_BYTES_MAX: usize = 256 * 1024;

/// What an invocation takes beside its event, response and lines, about.
const OVERHEAD_BYTES: usize = 512;

/// The last invocations.
pub(crate) struct Journal {
    memory: Mutex<Memory>,
    /// Wakes those who follow.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Memory {
    held: VecDeque<Held>,
    /// Which invocation, counted from the gateway's start, is the first in `held`.
    first: u64,
    /// The sum of what is held.
    bytes: usize,
    /// How many changes there have been.
    changes: u64,
}

struct Held {
    record: Arc<Record>,
    bytes: usize,
    /// The latest change to this invocation.
    change: u64,
}

/// How much of the journal somebody has seen. By default, nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    changes: u64,
    next: u64,
}

/// What somebody has not seen yet.
pub(crate) struct News {
    /// The invocations that began or changed, oldest first.
    pub(crate) entries: Vec<Entry>,
    /// Whether others have been forgotten meanwhile.
    pub(crate) has_gap: bool,
}

/// One invocation, which may still be running.
#[derive(Clone)]
pub struct Entry {
    record: Arc<Record>,
    number: u64,
    journal: Arc<Journal>,
}

/// An [`Entry`] that does not keep the invocation's event in memory.
#[derive(Clone)]
pub struct WeakEntry {
    record: Weak<Record>,
    number: u64,
    journal: Arc<Journal>,
}

impl WeakEntry {
    /// The entry, unless it has been forgotten.
    pub fn upgrade(&self) -> Option<Entry> {
        let Self { record, number, journal } = self;
        Some(Entry { record: record.upgrade()?, number: *number, journal: Arc::clone(journal) })
    }
}

/// What is known of an invocation.
pub(crate) struct Record {
    pub(crate) call: Call,
    pub(crate) started_at: Timestamp,
    began: Instant,
    progress: Mutex<Progress>,
}

/// What is invoked and why: all that it takes to do it again.
#[derive(Clone)]
pub(crate) struct Call {
    /// The invocation's own id, as Lambda gives one: a UUID.
    pub(crate) id: String,
    /// The id of the request that caused it, as the gateway gives one.
    pub(crate) request_id: Identifier,
    pub(crate) function: Function,
    pub(crate) route_key: String,
    pub(crate) event: Bytes,
    /// How long the caller waits.
    pub(crate) time_max: Duration,
    /// The id of the invocation whose event this one has.
    pub(crate) replay_of: Option<String>,
}

/// How far an invocation has come.
#[derive(Clone)]
pub(crate) struct Progress {
    pub(crate) start: Start,
    pub(crate) outcome: Option<Outcome>,
    /// What the function logged, and what the gateway has to say about it.
    pub(crate) lines: Vec<String>,
    /// How many more lines there were.
    pub(crate) lines_dropped: usize,
    lines_bytes: usize,
}

/// How an execution environment was found for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The function runs inside of this program.
    InProcess,
    /// An instance was there.
    Warm,
    /// An instance was started.
    Cold,
}

/// How an invocation ended.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub(crate) duration: Duration,
    /// The response, or what went wrong.
    pub(crate) result: Result<Bytes, String>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { memory: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Begins an invocation.
    pub(crate) fn begin(self: &Arc<Self>, call: Call) -> Entry {
        let bytes = call.event.len() + OVERHEAD_BYTES;
        let record = Arc::new(Record {
            call,
            started_at: Timestamp::now(),
            began: Instant::now(),
            progress: Mutex::new(Progress {
                start: Start::InProcess,
                outcome: None,
                lines: Vec::new(),
                lines_dropped: 0,
                lines_bytes: 0,
            }),
        });
        let mut memory = lock(&self.memory);
        let number = memory.next();
        memory.held.push_back(Held { record: Arc::clone(&record), bytes: 0, change: 0 });
        let forgotten = memory.change(number, bytes);
        drop(memory);
        drop(forgotten);
        self.wake();
        Entry { record, number, journal: Arc::clone(self) }
    }

    /// What is remembered and has begun or changed since `mark`, which is moved to now.
    pub(crate) fn news(self: &Arc<Self>, mark: &mut Mark) -> News {
        let memory = lock(&self.memory);
        let seen = mark.changes;
        let has_gap = memory.first > mark.next;
        *mark = Mark { changes: memory.changes, next: memory.next() };
        let held = (memory.first..).zip(&memory.held).filter(|(_, held)| held.change > seen);
        let entries = held.map(|(number, held)| self.entry(number, &held.record)).collect();
        News { entries, has_gap }
    }

    /// The invocations that are remembered, oldest first.
    pub(crate) fn entries(self: &Arc<Self>) -> Vec<Entry> {
        self.news(&mut Mark::default()).entries
    }

    /// The invocation with an id.
    pub(crate) fn find(self: &Arc<Self>, id: &str) -> Option<Entry> {
        let memory = lock(&self.memory);
        let mut held = (memory.first..).zip(&memory.held);
        let (number, held) = held.find(|(_, held)| held.record.call.id == id)?;
        Some(self.entry(number, &held.record))
    }

    /// Something to wait for the next change with.
    pub(crate) fn follow(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn entry(self: &Arc<Self>, number: u64, record: &Arc<Record>) -> Entry {
        Entry { record: Arc::clone(record), number, journal: Arc::clone(self) }
    }

    fn wake(&self) {
        // Whoever begins to follow after this looks at what is there first.
        if self.changed.receiver_count() > 0 {
            self.changed.send_replace(());
        }
    }
}

impl Memory {
    /// Which invocation will be the next.
    fn next(&self) -> u64 {
        self.first + self.held.len() as u64
    }

    /// Notes a change by which an invocation takes so many bytes more. What is forgotten for that is handed out, to be
    /// freed when nobody waits for it.
    fn change(&mut self, number: u64, bytes: usize) -> Vec<Held> {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let Some(held) = index.and_then(|index| self.held.get_mut(index)) else {
            return Vec::new();
        };
        self.changes += 1;
        held.change = self.changes;
        held.bytes += bytes;
        self.bytes += bytes;
        let mut forgotten = Vec::new();
        while self.bytes > BYTES_MAX || self.held.len() > INVOCATIONS_MAX {
            let Some(oldest) = self.held.pop_front() else { break };
            self.first += 1;
            self.bytes -= oldest.bytes;
            forgotten.push(oldest);
        }
        forgotten
    }
}

impl Entry {
    /// What finds this entry as long as it is remembered.
    pub fn downgrade(&self) -> WeakEntry {
        let Self { record, number, journal } = self;
        WeakEntry { record: Arc::downgrade(record), number: *number, journal: Arc::clone(journal) }
    }

    /// The name of the function.
    pub fn function(&self) -> String {
        self.record().call.function.name().to_owned()
    }

    /// Adds a line to what is shown of the invocation: of the function's log, or about the function.
    pub fn say(&self, line: impl Into<String>) {
        let mut line = line.into();
        let mut progress = self.record.progress();
        let room = LINES_BYTES_MAX - progress.lines_bytes;
        if progress.lines.len() == LINES_MAX || room == 0 {
            progress.lines_dropped += 1;
            return;
        }
        if line.len() > room {
            line.truncate(line.floor_char_boundary(room));
            // There is no room for another one.
            progress.lines_bytes = LINES_BYTES_MAX;
        } else {
            progress.lines_bytes += line.len();
        }
        let bytes = line.len() + size_of::<String>();
        progress.lines.push(line);
        drop(progress);
        self.announce(bytes);
    }

    /// Notes how an execution environment was found.
    pub fn started(&self, start: Start) {
        self.record.progress().start = start;
        self.announce(0);
    }

    pub(crate) fn end(&self, result: Result<Bytes, String>) {
        let bytes = result.as_ref().map_or_else(String::len, Bytes::len);
        let duration = self.record.began.elapsed();
        self.record.progress().outcome = Some(Outcome { duration, result });
        self.announce(bytes);
    }

    /// What is known of the invocation.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    fn announce(&self, bytes: usize) {
        let forgotten = lock(&self.journal.memory).change(self.number, bytes);
        drop(forgotten);
        self.journal.wake();
    }
}

impl Record {
    /// How far the invocation has come.
    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, event_bytes: usize) -> Call {
        Call {
            id: id.to_owned(),
            request_id: Identifier::mint(Timestamp::now()),
            function: Function::new("test", async |_invocation| Ok(Bytes::new())),
            route_key: "$default".to_owned(),
            event: vec![b' '; event_bytes].into(),
            time_max: Duration::from_secs(1),
            replay_of: None,
        }
    }

    fn ids(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| &*entry.record().call.id).collect()
    }

    fn bytes_held(journal: &Journal) -> usize {
        lock(&journal.memory).bytes
    }

    #[test]
    fn the_last_invocations_are_remembered() {
        let journal = Arc::new(Journal::new());
        for number in 0..INVOCATIONS_MAX + 50 {
            journal.begin(call(&number.to_string(), 0)).end(Ok(Bytes::new()));
        }
        let entries = journal.entries();
        assert_eq!(entries.len(), INVOCATIONS_MAX);
        assert_eq!(entries[0].record().call.id, "50");
        assert!(journal.find("49").is_none());
        assert!(journal.find("50").is_some());
    }

    #[test]
    fn no_more_bytes_are_held_than_may_be() {
        const EVENT_BYTES: usize = 6 * 1024 * 1024;

        let journal = Arc::new(Journal::new());
        let entries: Vec<_> =
            ["a", "b", "c", "d"].map(|id| journal.begin(call(id, EVENT_BYTES))).into();
        assert_eq!(ids(&journal.entries()), ["a", "b", "c", "d"]);
        let fits = BYTES_MAX - bytes_held(&journal);
        entries[3].end(Ok(vec![0; fits].into()));
        assert_eq!(bytes_held(&journal), BYTES_MAX);
        entries[2].say("x");
        assert_eq!(ids(&journal.entries()), ["b", "c", "d"]);
        // What is forgotten is not held, however much it grows.
        let before = bytes_held(&journal);
        entries[0].say("x");
        entries[0].end(Ok(vec![0; EVENT_BYTES].into()));
        assert_eq!(bytes_held(&journal), before);
        // What does not fit at all is not remembered.
        let huge = journal.begin(call("huge", BYTES_MAX));
        assert!(journal.entries().is_empty());
        assert_eq!(bytes_held(&journal), 0);
        huge.end(Ok(Bytes::new()));
        assert_eq!(bytes_held(&journal), 0);
    }

    #[test]
    fn lines_are_bounded_by_number_and_by_bytes() {
        let journal = Arc::new(Journal::new());
        let entry = journal.begin(call("many", 0));
        for number in 0..LINES_MAX + 7 {
            entry.say(number.to_string());
        }
        let progress = entry.record().progress().clone();
        assert_eq!((progress.lines.len(), progress.lines_dropped), (LINES_MAX, 7));

        let entry = journal.begin(call("long", 0));
        entry.say("x");
        entry.say("é".repeat(LINES_BYTES_MAX));
        entry.say("y");
        let progress = entry.record().progress().clone();
        let bytes: usize = progress.lines.iter().map(String::len).sum();
        assert_eq!((progress.lines.len(), progress.lines_dropped), (2, 1));
        assert!((LINES_BYTES_MAX - 1..=LINES_BYTES_MAX).contains(&bytes), "{bytes}");
    }

    #[test]
    fn news_are_what_has_begun_or_changed() {
        let journal = Arc::new(Journal::new());
        let mut mark = Mark::default();
        let first = journal.begin(call("first", 0));
        let second = journal.begin(call("second", 0));
        assert_eq!(ids(&journal.news(&mut mark).entries), ["first", "second"]);
        assert!(journal.news(&mut mark).entries.is_empty());
        first.say("still here");
        assert_eq!(ids(&journal.news(&mut mark).entries), ["first"]);
        second.end(Ok(Bytes::new()));
        second.started(Start::Cold);
        let third = journal.begin(call("third", 0));
        assert_eq!(ids(&journal.news(&mut mark).entries), ["second", "third"]);
        drop(third);
    }

    #[test]
    fn who_misses_an_invocation_hears_of_a_gap() {
        let journal = Arc::new(Journal::new());
        let mut mark = Mark::default();
        journal.begin(call("seen", 0));
        journal.news(&mut mark);
        for _ in 0..INVOCATIONS_MAX {
            journal.begin(call("", 0));
        }
        // Only the one that was seen has been forgotten.
        let news = journal.news(&mut mark);
        assert!(!news.has_gap);
        assert_eq!(news.entries.len(), INVOCATIONS_MAX);
        for _ in 0..=INVOCATIONS_MAX {
            journal.begin(call("", 0));
        }
        assert!(journal.news(&mut mark).has_gap);
        assert!(!journal.news(&mut mark).has_gap);
    }
}
