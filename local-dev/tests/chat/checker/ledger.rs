//! What was sent and what was seen, by everybody; and what must be true of it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;
use tokio::sync::Notify;

/// A message as a reader sees it.
pub(super) type Seen = Value;

/// The common record. Every text is sent once, so it says which send it comes from.
#[derive(Default)]
pub(super) struct Ledger {
    records: Mutex<Records>,
    /// Operations done.
    operations: AtomicUsize,
    pub progress: Notify,
}

#[derive(Default)]
struct Records {
    sends: HashMap<String, Sent>,
    /// What anybody has seen of an id.
    seen: BTreeMap<i64, Seen>,
    /// Author and text that plain clients have seen: no id comes with them.
    seen_plain: HashSet<(String, String)>,
    violations: Vec<String>,
}

struct Sent {
    username: String,
    client_id: Option<String>,
    /// Whether its sender has seen it, so may count on it.
    is_acknowledged: bool,
}

impl Ledger {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn operation_done(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
        self.progress.notify_waiters();
    }

    pub(super) fn operations(&self) -> usize {
        self.operations.load(Ordering::Relaxed)
    }

    pub(super) fn violation(&self, what: String) {
        self.records().violations.push(what);
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.records().violations.clone()
    }

    pub(super) fn sent(&self, username: &str, text: &str, client_id: Option<&str>) {
        let sent = Sent {
            username: username.to_owned(),
            client_id: client_id.map(str::to_owned),
            is_acknowledged: false,
        };
        self.records().sends.entry(text.to_owned()).or_insert(sent);
    }

    /// A message was seen in the history or in a `chat.v1` frame. Two readers never disagree about an id.
    pub(super) fn saw(&self, reader: &str, message: &Seen) {
        let id = message["id"].as_i64().unwrap_or_default();
        let mut records = self.records();
        let first = records.seen.entry(id).or_insert_with(|| message.clone());
        if first != message {
            let violation = format!("{reader} saw {message}, somebody else {first}");
            records.violations.push(violation);
        }
    }

    /// A plain client has seen a message.
    pub(super) fn saw_plain(&self, username: &str, text: &str) {
        self.records().seen_plain.insert((username.to_owned(), text.to_owned()));
    }

    /// A sender has seen its own message.
    pub(super) fn acknowledged(&self, text: &str) {
        if let Some(sent) = self.records().sends.get_mut(text) {
            sent.is_acknowledged = true;
        }
        self.progress.notify_waiters();
    }

    pub(super) fn is_acknowledged(&self, text: &str) -> bool {
        self.records().sends.get(text).is_some_and(|sent| sent.is_acknowledged)
    }

    /// Holds all records against what is stored in the end.
    pub(super) fn check(&self, stored: &[Seen]) {
        let mut records = self.records();
        let Records { sends, seen, seen_plain, violations } = &mut *records;

        for (place, message) in (1_i64..).zip(stored) {
            if message["id"] != place {
                violations.push(format!("ids have a gap: {} at place {place}", message["id"]));
                break;
            }
        }
        let mut times: HashMap<&str, usize> = HashMap::new();
        let mut keys: HashMap<(&str, &str), usize> = HashMap::new();
        for message in stored {
            let (author, text) = (text_of(message, "username"), text_of(message, "text"));
            *times.entry(text).or_default() += 1;
            if let Some(key) = message["client_id"].as_str() {
                *keys.entry((author, key)).or_default() += 1;
            }
            match sends.get(text) {
                None => violations.push(format!("nobody sent {message}")),
                Some(sent) if sent.username != author => {
                    violations.push(format!("{} sent {message}", sent.username));
                }
                Some(sent) if sent.client_id.as_deref() != message["client_id"].as_str() => {
                    violations.push(format!("{message} was sent as {:?}", sent.client_id));
                }
                Some(_) => {}
            }
        }
        let doubled = times.iter().filter(|(_, times)| **times > 1);
        violations.extend(doubled.map(|(text, times)| format!("{text:?} is stored {times} times")));
        let doubled = keys.iter().filter(|(_, times)| **times > 1);
        violations.extend(doubled.map(|(key, times)| format!("{key:?} is stored {times} times")));
        for (text, _) in sends.iter().filter(|(_, sent)| sent.is_acknowledged) {
            if !times.contains_key(text.as_str()) {
                violations.push(format!("{text:?} was acknowledged and is not stored"));
            }
        }
        for (id, message) in seen {
            let place = usize::try_from(*id - 1).unwrap_or(usize::MAX);
            if stored.get(place) != Some(message) {
                violations.push(format!("{message} was seen, stored is {:?}", stored.get(place)));
            }
        }
        for (author, text) in seen_plain.iter() {
            let is_stored =
                |message: &&Seen| message["username"] == **author && message["text"] == **text;
            if !stored.iter().any(|message| is_stored(&message)) {
                violations.push(format!("\"{author}: {text}\" was seen and is not stored"));
            }
        }
    }
}

fn text_of<'a>(message: &'a Seen, field: &str) -> &'a str {
    message[field].as_str().unwrap_or_default()
}
