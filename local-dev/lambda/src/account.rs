//! What the functions of an account have in common.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::guard::Guard;

/// What the functions of an account have in common. Clones are the same account.
#[derive(Clone)]
pub struct Account {
    concurrency: Arc<Semaphore>,
    pub(crate) guard: Guard,
}

impl Account {
    /// An account whose functions have at most `concurrency_max` events at once. AWS gives an account 1000 in a region,
    /// and a new one often 10.
    pub fn new(concurrency_max: usize) -> Self {
        let concurrency_max = concurrency_max.min(Semaphore::MAX_PERMITS);
        Self { concurrency: Arc::new(Semaphore::new(concurrency_max)), guard: Guard::default() }
    }

    /// Leave to handle an event, unless the limit is reached.
    pub(crate) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        self.concurrency.clone().try_acquire_owned().ok()
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new(1000)
    }
}
