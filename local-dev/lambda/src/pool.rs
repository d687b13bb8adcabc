//! Which instances of a function there are, and which of them are free.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::instance::Event;

/// The instances of a function.
#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Instances>>);

#[derive(Default)]
struct Instances {
    /// All of them, free or not.
    count: usize,
    /// Those that have answered, but have not asked for the next event yet: that is a matter of microseconds.
    finishing: usize,
    /// Those that wait for an event; the one that was used last is the last.
    free: Vec<Slot>,
    /// Who waits for one that is finishing. They are never more than these, unless they have given up.
    waiting: VecDeque<oneshot::Sender<Slot>>,
    /// Names slots.
    slots: u64,
}

/// A free instance: give it an event.
pub(crate) struct Slot {
    name: u64,
    pub(crate) event: oneshot::Sender<Event>,
}

/// What there is for an event.
pub(crate) enum Claim {
    /// A free instance.
    Free(Slot),
    /// One that is about to be free.
    Soon(oneshot::Receiver<Slot>),
    /// The place of an instance that has to be started.
    New(Place),
    /// Nothing: the limit is reached.
    Full,
}

impl Pool {
    /// Looks for an instance. There will be at most `count_max`; one that is about to be free is only offered to somebody
    /// who `can_wait`.
    pub(crate) fn claim(&self, count_max: usize, can_wait: bool) -> Claim {
        let mut instances = self.lock();
        if let Some(slot) = instances.free.pop() {
            return Claim::Free(slot);
        }
        instances.waiting.retain(|waiting| !waiting.is_closed());
        if can_wait && instances.waiting.len() < instances.finishing {
            let (sender, slot) = oneshot::channel();
            instances.waiting.push_back(sender);
            return Claim::Soon(slot);
        }
        if instances.count < count_max {
            instances.count += 1;
            return Claim::New(Place { pool: self.clone(), is_finishing: false, slot: None });
        }
        Claim::Full
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of an instance in the pool. Dropping it makes room for another one.
pub(crate) struct Place {
    pool: Pool,
    is_finishing: bool,
    /// The slot that was offered last, and may still be free.
    slot: Option<u64>,
}

impl Place {
    /// The instance has answered and will soon be free.
    pub(crate) fn finish(&mut self) {
        if !self.is_finishing {
            self.pool.lock().finishing += 1;
            self.is_finishing = true;
        }
    }

    /// The instance is free. What comes is its event, or nothing if somebody took the slot and left.
    pub(crate) fn offer(&mut self) -> oneshot::Receiver<Event> {
        let mut instances = self.pool.lock();
        if self.is_finishing {
            instances.finishing -= 1;
            self.is_finishing = false;
        }
        instances.slots += 1;
        let name = instances.slots;
        self.slot = Some(name);
        let (sender, event) = oneshot::channel();
        let mut slot = Slot { name, event: sender };
        while let Some(waiting) = instances.waiting.pop_front() {
            match waiting.send(slot) {
                Ok(()) => return event,
                Err(back) => slot = back,
            }
        }
        instances.free.push(slot);
        event
    }

    /// Takes back the offer; false if somebody has taken it before, who will send an event.
    pub(crate) fn withdraw(&mut self) -> bool {
        let mut instances = self.pool.lock();
        let before = instances.free.len();
        instances.free.retain(|slot| Some(slot.name) != self.slot);
        instances.free.len() < before
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.withdraw();
        let mut instances = self.pool.lock();
        instances.count -= 1;
        if self.is_finishing {
            instances.finishing -= 1;
            // One of those who wait waits in vain.
            instances.waiting.pop_front();
        }
    }
}
