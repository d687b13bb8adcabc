//! Connections as the rest of the gateway sees them: something that frames can be queued for, and that can be closed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    identifier::Identifier, lock::lock, request::Caller, timestamp::Timestamp,
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
    cut: CancellationToken,
    last_active_at: Mutex<Timestamp>,
    messages: AtomicU16,
    queue: mpsc::UnboundedSender<OutboundFrame>,
    /// What the queue has room for, in bytes.
    room: Arc<Semaphore>,
}

/// A text frame that waits for the socket.
pub(crate) struct OutboundFrame {
    pub(crate) text: String,
    /// Its share of the queue's room, given back when the frame leaves the queue.
    _room: OwnedSemaphorePermit,
}

/// The frames that wait for one socket, in order.
pub(crate) type OutboundFrames = mpsc::UnboundedReceiver<OutboundFrame>;

/// The client reads more slowly than it is sent to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl Connection {
    /// A connection, and the end of its queue that belongs to the socket.
    pub(crate) fn new(
        api: Arc<WebSocketApi>,
        caller: Caller,
        connected_at: Timestamp,
        outbound_bytes_max: usize,
    ) -> (Self, OutboundFrames) {
        let (queue, frames) = mpsc::unbounded_channel();
        let connection = Self {
            api,
            id: Identifier::mint(connected_at),
            caller,
            connected_at,
            authorizer: OnceLock::new(),
            deleted: CancellationToken::new(),
            cut: CancellationToken::new(),
            last_active_at: Mutex::new(connected_at),
            messages: AtomicU16::new(0),
            queue,
            room: Arc::new(Semaphore::new(outbound_bytes_max)),
        };
        (connection, frames)
    }

    /// Queues a text frame for the client. Never waits: a client that does not read must hold up nobody.
    pub(crate) fn send(&self, text: String) -> Result<(), QueueFull> {
        /// What a frame takes beside its text, so that empty ones cannot pile up.
        const OVERHEAD_BYTES: usize = size_of::<OutboundFrame>();

        let bytes = u32::try_from(text.len() + OVERHEAD_BYTES).map_err(|_error| QueueFull)?;
        let room =
            Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_error| QueueFull)?;
        // Frames for a socket that has just closed are lost, as they would be on their way to it.
        self.queue.send(OutboundFrame { text, _room: room }).ok();
        Ok(())
    }

    /// Breaks the TCP connection, without a close frame.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Waits until the TCP connection is to be broken.
    pub(crate) async fn is_cut(&self) {
        self.cut.cancelled().await;
    }

    /// What the queue has room for now, in bytes.
    pub(crate) fn room_bytes(&self) -> usize {
        self.room.available_permits()
    }

    /// The id of the client's next message.
    pub(crate) fn mint_message_id(&self, now: Timestamp) -> Identifier {
        self.id.message(now, self.messages.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes that a message went one way or the other.
    pub(crate) fn touch(&self) {
        *lock(&self.last_active_at) = Timestamp::now();
    }

    /// When a message last went one way or the other.
    pub(crate) fn last_active_at(&self) -> Timestamp {
        *lock(&self.last_active_at)
    }
}

/// The open connections by id, each with the moment from which the management API finds it.
#[derive(Default)]
pub(crate) struct Connections(Mutex<HashMap<String, (Arc<Connection>, Instant)>>);

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
        let connections = lock(&self.0);
        let (connection, visible_at) = connections.get(id)?;
        let found = connection.api.stage == api.stage && *visible_at <= Instant::now();
        found.then(|| Arc::clone(connection))
    }

    /// The same, no longer to be found.
    pub(crate) fn remove(&self, api: &WebSocketApi, id: &str) -> Option<Arc<Connection>> {
        let connection = self.get(api, id)?;
        lock(&self.0).remove(id)?;
        Some(connection)
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

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Uri, header::HOST};

    use super::*;
    use crate::request::Peer;

    #[test]
    fn a_full_queue_takes_nothing_until_it_is_read() {
        const OUTBOUND_BYTES_MAX: usize = 1024 * 1024;

        let api = WebSocketApi { stage: "ws".to_owned(), ..WebSocketApi::default() };
        let host = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
        let caller = Caller::parse(&host, &Uri::default(), Peer::plain("127.0.0.1:5000")).unwrap();
        let (connection, mut frames) =
            Connection::new(Arc::new(api), caller, Timestamp::now(), OUTBOUND_BYTES_MAX);

        let large = "x".repeat(OUTBOUND_BYTES_MAX / 2);
        assert_eq!(connection.send(large.clone()), Ok(()));
        assert_eq!(connection.send(large.clone()), Err(QueueFull));
        let mut small = 0;
        while connection.send(String::new()) == Ok(()) {
            small += 1;
        }
        assert!(small < OUTBOUND_BYTES_MAX / 8, "{small}");

        drop(frames.try_recv().unwrap());
        assert_eq!(connection.send("after".to_owned()), Ok(()));
        assert_eq!(connection.send(large), Err(QueueFull));
    }
}
