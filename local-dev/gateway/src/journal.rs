//! What the gateway remembers of its last invocations, for the inspector.
//!
//! The journal is in the path of every message, so it only keeps what is there anyway: events and responses are shared,
//! not copied, and nothing is parsed or redacted until somebody looks. What it keeps is bounded, by number and by bytes.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, Weak},
    time::Duration,
};

use bytes::Bytes;
use serde::Deserialize;
use tokio::{sync::watch, time::Instant};

use crate::{
    function::Function,
    identifier::{Identifier, mint_trace},
    limits::Rate,
    lock::lock,
    refusal::{Refusal, Refusals},
    throttle::Throttle,
    timestamp::Timestamp,
};

tokio::task_local! {
    static CURRENT: Entry;
}

/// How many invocations are remembered.
pub(crate) const INVOCATIONS_MAX: usize = 200;

/// How many bytes of events, responses and steps are remembered together. The oldest invocations go first.
pub(crate) const BYTES_MAX: usize = 32 * 1024 * 1024;

/// How many steps are remembered of one invocation, and how many bytes of their texts.
const STEPS_MAX: usize = 200;
const STEPS_BYTES_MAX: usize = 256 * 1024;

/// How many refusals are remembered of one invocation: nobody refuses it for more reasons.
const REFUSALS_MAX: usize = 8;

/// What an invocation takes beside its event, response and steps, about.
const OVERHEAD_BYTES: usize = 512;

/// Of how many invocations the steps are recorded while nobody follows. It is more than a person causes, and too few for a
/// load test to notice.
const RECORDED: Rate = Rate { per_second: 50.0, burst: 200 };

/// The kind of step that is a line of the log.
pub(crate) const LOG: &str = "log";

/// The last invocations.
pub(crate) struct Journal {
    memory: Mutex<Memory>,
    /// Wakes those who follow.
    changed: watch::Sender<()>,
    recorded: Throttle,
    refusals: Refusals,
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
    /// The trace that the invocation has for itself, once somebody was told: `Root=1-…`.
    trace: OnceLock<String>,
    /// Whether whoever knows of its steps is to tell of them.
    pub(crate) has_steps: bool,
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

impl Call {
    /// Whether it is a WebSocket API's.
    pub(crate) fn is_socket(&self) -> bool {
        connection_id(&self.event).is_some()
    }
}

/// The connection that an event is of, if it is a WebSocket API's.
pub(crate) fn connection_id(event: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Event {
        request_context: Context,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Context {
        connection_id: String,
    }

    serde_json::from_slice::<Event>(event).ok().map(|event| event.request_context.connection_id)
}

/// How far an invocation has come.
#[derive(Clone)]
pub(crate) struct Progress {
    pub(crate) start: Start,
    pub(crate) outcome: Option<Outcome>,
    /// What happened, in the order in which it ended: what the function logged and what the gateway has to say about it,
    /// among others.
    pub(crate) steps: Vec<Step>,
    /// How many more steps there were.
    pub(crate) steps_dropped: usize,
    steps_bytes: usize,
    /// What the gateway refused on account of it.
    pub(crate) refusals: Vec<Refusal>,
}

/// A part of an invocation.
#[derive(Clone)]
pub(crate) struct Step {
    /// What sort of step it is, in a word.
    pub(crate) kind: &'static str,
    pub(crate) label: String,
    /// When it began, after the invocation did.
    pub(crate) offset: Duration,
    pub(crate) duration: Duration,
    /// What came of it; may be empty.
    pub(crate) outcome: String,
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
        Self {
            memory: Mutex::default(),
            changed: watch::Sender::new(()),
            recorded: Throttle::new(Some(RECORDED)),
            refusals: Refusals::default(),
        }
    }

    /// Begins an invocation.
    pub(crate) fn begin(self: &Arc<Self>, call: Call) -> Entry {
        let bytes = call.event.len() + OVERHEAD_BYTES;
        let record = Arc::new(Record {
            call,
            started_at: Timestamp::now(),
            trace: OnceLock::new(),
            has_steps: self.is_followed() || self.recorded.admit(),
            began: Instant::now(),
            progress: Mutex::new(Progress {
                start: Start::InProcess,
                outcome: None,
                steps: Vec::new(),
                steps_dropped: 0,
                steps_bytes: 0,
                refusals: Vec::new(),
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

    /// The invocation that has made a request with this `X-Amzn-Trace-Id`.
    pub(crate) fn traced(self: &Arc<Self>, header: &str) -> Option<Entry> {
        let root = header.split(';').map(str::trim).find(|field| field.starts_with("Root="))?;
        self.newest(|record| record.trace.get().is_some_and(|trace| trace == root))
    }

    /// The newest invocation that is so.
    fn newest(self: &Arc<Self>, is_so: impl Fn(&Record) -> bool) -> Option<Entry> {
        let memory = lock(&self.memory);
        let index = memory.held.iter().rposition(|held| is_so(&held.record))?;
        Some(self.entry(memory.first + index as u64, &memory.held[index].record))
    }

    /// Notes that something was refused. If that was on account of an invocation, `request_id` is the id of the request that
    /// caused it.
    pub(crate) fn refuse(
        self: &Arc<Self>,
        refusal: Refusal,
        subject: impl fmt::Display,
        request_id: Option<Identifier>,
    ) {
        self.refusals.note(refusal, &subject);
        let Some(request_id) = request_id else { return };
        if let Some(entry) = self.newest(|record| record.call.request_id == request_id) {
            entry.refuse(refusal);
        }
    }

    /// What has been refused since the gateway's start.
    pub(crate) const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Something to wait for the next change with.
    pub(crate) fn follow(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn entry(self: &Arc<Self>, number: u64, record: &Arc<Record>) -> Entry {
        Entry { record: Arc::clone(record), number, journal: Arc::clone(self) }
    }

    /// Whether anybody looks.
    fn is_followed(&self) -> bool {
        self.changed.receiver_count() > 0
    }

    fn wake(&self) {
        // Whoever begins to follow after this looks at what is there first.
        if self.is_followed() {
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

    /// The `X-Amzn-Trace-Id` that Lambda gives a function with its event. SDKs send it along, so that a request to the
    /// gateway says which invocation has made it. Nothing is sampled.
    pub fn trace_header(&self) -> String {
        let trace = self.record.trace.get_or_init(|| mint_trace(self.record.started_at));
        format!("{trace};Parent={:016x};Sampled=0", rand::random::<u64>())
    }

    /// Runs `work` as a part of the invocation: what it asks of the gateway is shown as its steps.
    pub(crate) async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// The invocation that runs in this task, if its steps are to be told of.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(|entry| entry.has_steps().then(|| entry.clone())).ok().flatten()
    }

    /// Whether steps are worth the telling: when many invocations come and nobody looks, they are not. Lines of the log
    /// always are.
    pub fn has_steps(&self) -> bool {
        self.record.has_steps
    }

    /// Adds a line to what is shown of the invocation: of the function's log, or about the function.
    pub fn say(&self, line: impl Into<String>) {
        self.step(LOG, line.into(), Duration::ZERO, String::new());
    }

    /// Adds a step that ends now, or with the invocation if that has ended, and took so long. `kind` is what sort of step it is,
    /// in a word; `label` what was done, and `outcome` what came of it.
    pub fn step(&self, kind: &'static str, mut label: String, duration: Duration, outcome: String) {
        // What is told after the end was done before it.
        let offset = self.record.age().saturating_sub(duration);
        let mut progress = self.record.progress();
        let room = STEPS_BYTES_MAX - progress.steps_bytes;
        if progress.steps.len() == STEPS_MAX || room <= outcome.len() {
            progress.steps_dropped += 1;
            return;
        }
        let room = room - outcome.len();
        if label.len() > room {
            label.truncate(label.floor_char_boundary(room));
            // There is no room for another one.
            progress.steps_bytes = STEPS_BYTES_MAX;
        } else {
            progress.steps_bytes += label.len() + outcome.len();
        }
        let bytes = label.len() + outcome.len() + size_of::<Step>();
        progress.steps.push(Step { kind, label, offset, duration, outcome });
        drop(progress);
        self.announce(bytes);
    }

    fn refuse(&self, refusal: Refusal) {
        let mut progress = self.record.progress();
        if progress.refusals.len() == REFUSALS_MAX || progress.refusals.contains(&refusal) {
            return;
        }
        progress.refusals.push(refusal);
        drop(progress);
        self.announce(size_of::<Refusal>());
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
    /// How long it took, or has taken until now.
    pub(crate) fn age(&self) -> Duration {
        let ended = self.progress().outcome.as_ref().map(|outcome| outcome.duration);
        ended.unwrap_or_else(|| self.began.elapsed())
    }

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
    fn steps_are_bounded_by_number_and_by_bytes() {
        let journal = Arc::new(Journal::new());
        let entry = journal.begin(call("many", 0));
        for number in 0..STEPS_MAX + 7 {
            entry.say(number.to_string());
        }
        let progress = entry.record().progress().clone();
        assert_eq!((progress.steps.len(), progress.steps_dropped), (STEPS_MAX, 7));

        let entry = journal.begin(call("long", 0));
        entry.step("post", "x".to_owned(), Duration::ZERO, "sent".to_owned());
        entry.say("é".repeat(STEPS_BYTES_MAX));
        entry.say("y");
        let progress = entry.record().progress().clone();
        let bytes = |step: &Step| step.label.len() + step.outcome.len();
        let bytes: usize = progress.steps.iter().map(bytes).sum();
        assert_eq!((progress.steps.len(), progress.steps_dropped), (2, 1));
        assert!((STEPS_BYTES_MAX - 1..=STEPS_BYTES_MAX).contains(&bytes), "{bytes}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_began_before_it_is_told_of() {
        let journal = Arc::new(Journal::new());
        let entry = journal.begin(call("stepping", 0));
        tokio::time::advance(Duration::from_millis(30)).await;
        entry.step("sql", "select 1".to_owned(), Duration::from_millis(20), "1 row".to_owned());
        // A clock that differs does not put it before the invocation.
        entry.step("sql", "select 2".to_owned(), Duration::from_millis(40), String::new());
        let steps = entry.record().progress().steps.clone();
        assert_eq!(steps.iter().map(|step| step.offset.as_millis()).collect::<Vec<_>>(), [10, 0]);
        assert_eq!((steps[0].kind, &*steps[0].outcome), ("sql", "1 row"));
        // What is heard of late was done in time.
        entry.end(Ok(Bytes::new()));
        tokio::time::advance(Duration::from_millis(30)).await;
        entry.step("sql", "select 3".to_owned(), Duration::from_millis(5), String::new());
        assert_eq!(entry.record().progress().steps[2].offset.as_millis(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn steps_are_recorded_of_few_invocations_unless_somebody_follows() {
        let journal = Arc::new(Journal::new());
        let recorded = |number: u32| {
            let begun = (0..number).map(|_| journal.begin(call("", 0)));
            begun.filter(Entry::has_steps).count()
        };
        assert_eq!(recorded(1000), RECORDED.burst as usize);
        let follower = journal.follow();
        assert_eq!(recorded(1000), 1000);
        drop(follower);
        assert_eq!(recorded(1000), 0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(recorded(1000), 50);
    }

    #[test]
    fn an_invocation_hears_of_what_was_refused_on_its_account() {
        let journal = Arc::new(Journal::new());
        let [first, second] = ["first", "second"].map(|id| journal.begin(call(id, 0)));
        let request_id = first.record().call.request_id;
        for _ in 0..2 {
            journal.refuse(Refusal::MessageTimedOut, "QkT3", Some(request_id));
        }
        journal.refuse(Refusal::MessageThrottled, "QkT3", None);
        assert_eq!(first.record().progress().refusals, [Refusal::MessageTimedOut]);
        assert_eq!(second.record().progress().refusals, []);
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
