//! Connections as the rest of the gateway sees them: something that frames can be queued for, and that can be closed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    RunningGateway,
    faults::Fault,
    identifier::Identifier,
    lock::lock,
    outbox::{Outbox, QueueFull},
    outgoing,
    request::Caller,
    timestamp::Timestamp,
    websocket_api::WebSocketApi,
};

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) api: Arc<WebSocketApi>,
    pub(crate) id: Identifier,
    pub(crate) caller: Caller,
    pub(crate) connected_at: Timestamp,
    /// What the authorizer said of the client.
    pub(crate) authorizer: OnceLock<Map<String, Value>>,
    /// Cancelled when the management API deletes the connection.
    pub(crate) deleted: CancellationToken,
    /// What waits for the client.
    pub(crate) outbox: Outbox,
    cut: CancellationToken,
    /// When a message last went one way or the other, in milliseconds since the Unix epoch.
    last_active_at: AtomicI64,
    began: Instant,
    /// Since when it is idle, in milliseconds after it began.
    idle_since: AtomicU64,
    messages: AtomicU16,
}

/// Now, read once for all that happens at a time.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    at: Instant,
    timestamp: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { at: Instant::now(), timestamp: Timestamp::now() }
    }
}

impl Connection {
    /// A connection for which `outbound_bytes_max` may wait.
    pub(crate) fn new(
        api: Arc<WebSocketApi>,
        caller: Caller,
        connected_at: Timestamp,
        outbound_bytes_max: usize,
    ) -> Self {
        Self {
            api,
            id: Identifier::mint(connected_at),
            caller,
            connected_at,
            authorizer: OnceLock::new(),
            deleted: CancellationToken::new(),
            outbox: Outbox::new(outbound_bytes_max),
            cut: CancellationToken::new(),
            last_active_at: AtomicI64::new(connected_at.epoch_millis()),
            began: Instant::now(),
            idle_since: AtomicU64::new(0),
            messages: AtomicU16::new(0),
        }
    }

    /// Breaks the TCP connection, without a close frame.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Waits until the TCP connection is to be broken.
    pub(crate) async fn is_cut(&self) {
        self.cut.cancelled().await;
    }

    /// When it began.
    pub(crate) const fn began(&self) -> Instant {
        self.began
    }

    /// The id of the client's next message.
    pub(crate) fn mint_message_id(&self, now: Timestamp) -> Identifier {
        self.id.message(now, self.messages.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes that a message goes one way or the other.
    pub(crate) fn touch(&self, now: Moment) {
        self.note_activity(now.timestamp);
        self.end_idleness(now.at);
    }

    /// Notes activity, as the management API tells of it.
    pub(crate) fn note_activity(&self, now: Timestamp) {
        self.last_active_at.store(now.epoch_millis(), Ordering::Relaxed);
    }

    /// From now on, it is idle anew.
    pub(crate) fn end_idleness(&self, now: Instant) {
        let since = now.saturating_duration_since(self.began).as_millis();
        self.idle_since.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Since when no message went one way or the other.
    pub(crate) fn idle_since(&self) -> Instant {
        self.began + Duration::from_millis(self.idle_since.load(Ordering::Relaxed))
    }

    /// When a message last went one way or the other.
    pub(crate) fn last_active_at(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.last_active_at.load(Ordering::Relaxed))
    }
}

impl RunningGateway {
    /// Sends a text to a client, that is, leaves it in its outbox.
    pub(crate) fn send(&self, connection: &Arc<Connection>, text: &Bytes) -> Result<(), QueueFull> {
        let frame = outgoing::encode(text, self.assumptions.outbound_frame_bytes);
        let is_news = self.leave(connection, frame, Moment::now())?;
        self.courier.tell(is_news.then(|| Arc::clone(connection)));
        Ok(())
    }

    /// Leaves a text message's frames in a client's outbox. `Ok` says whether the courier must be told.
    pub(crate) fn leave(
        &self,
        connection: &Connection,
        frames: Bytes,
        now: Moment,
    ) -> Result<bool, QueueFull> {
        if self.faults.strikes(Fault::Cut, None) {
            connection.cut();
            return Ok(false);
        }
        let is_news = connection.outbox.leave(frames)?;
        connection.touch(now);
        Ok(is_news)
    }
}

/// The open connections by id, each with the moment from which the management API finds it.
#[derive(Default)]
pub(crate) struct Connections(Mutex<ById>);

type ById = HashMap<String, (Arc<Connection>, Instant)>;

/// The open connections at one moment.
pub(crate) struct Known<'a>(MutexGuard<'a, ById>);

impl Known<'_> {
    /// The connection of `api` with this id, as the management API finds it.
    pub(crate) fn get(
        &self,
        api: &WebSocketApi,
        id: &str,
        now: Moment,
    ) -> Option<&Arc<Connection>> {
        let (connection, visible_at) = self.0.get(id)?;
        let is_found = connection.api.stage == api.stage && *visible_at <= now.at;
        is_found.then_some(connection)
    }
}

impl Connections {
    /// Makes `connection` known to the management API, `delay` from now.
    pub(crate) fn insert(&self, connection: &Arc<Connection>, delay: Duration) {
        let known = (Arc::clone(connection), Instant::now() + delay);
        lock(&self.0).insert(connection.id.to_string(), known);
    }

    /// Forgets `connection`.
    pub(crate) fn forget(&self, connection: &Connection) {
        lock(&self.0).remove(&connection.id.to_string());
    }

    /// The connection of `api` with this id, as the management API finds it.
    pub(crate) fn get(&self, api: &WebSocketApi, id: &str) -> Option<Arc<Connection>> {
        self.lock().get(api, id, Moment::now()).map(Arc::clone)
    }

    /// The same, no longer to be found.
    pub(crate) fn remove(&self, api: &WebSocketApi, id: &str) -> Option<Arc<Connection>> {
        let connection = self.get(api, id)?;
        lock(&self.0).remove(id)?;
        Some(connection)
    }

    /// All of them as they are now. They stay so, and nobody else finds any, until this is dropped.
    pub(crate) fn lock(&self) -> Known<'_> {
        Known(lock(&self.0))
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        let mut connections: Vec<_> = lock(&self.0)
            .values()
            .map(|(connection, _visible_at)| Arc::clone(connection))
            .collect();
        connections.sort_unstable_by_key(|connection| connection.connected_at.epoch_millis());
        connections
    }
}
