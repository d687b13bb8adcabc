//! The one who takes frames to sockets.
//!
//! Frames are left in outboxes by whoever has some; one task for all sockets writes them. A task of each socket would have to
//! be woken for each frame, which costs as much as the write itself; and what comes while the courier is on its round goes out
//! together on the next, so the more there is to do, the less each frame costs.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use tokio::{sync::Notify, task::yield_now};

use crate::{connection::Connection, lock::lock};

/// After so many sockets, others get their turn.
const STRETCH: usize = 64;

/// Writes what waits in outboxes.
#[derive(Default)]
pub(crate) struct Courier {
    /// Where something waits, each once.
    next: Mutex<Vec<Arc<Connection>>>,
    told: Notify,
}

impl Courier {
    /// Tells of connections in whose outboxes something waits.
    pub(crate) fn tell(&self, connections: impl IntoIterator<Item = Arc<Connection>>) {
        let mut next = lock(&self.next);
        next.extend(connections);
        let is_news = !next.is_empty();
        drop(next);
        if is_news {
            self.told.notify_one();
        }
    }

    /// Delivers, for ever.
    pub(crate) async fn work(&self) {
        loop {
            self.told.notified().await;
            let mut round = mem::take(&mut *lock(&self.next));
            for (number, connection) in round.drain(..).enumerate() {
                connection.outbox.deliver();
                if number % STRETCH == STRETCH - 1 {
                    yield_now().await;
                }
            }
        }
    }
}
