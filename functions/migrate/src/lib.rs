//! Brings the schema up to date. No route leads here: the deployment invokes it, with any event.
//!
//! ```text
//! → {}
//! ← {"steps_applied":8}
//! ```

use serde::Serialize;
use shared::{Result, clock::Clock, settings::Settings, store::Store};

/// The function and what it needs.
pub struct Migrate {
    store: Store,
    clock: Clock,
}

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// Steps that were not applied before.
    pub steps_applied: usize,
}

impl Migrate {
    /// Takes what the function needs.
    pub fn new(settings: &Settings) -> Self {
        Self { store: settings.store(), clock: settings.clock() }
    }

    /// Applies the steps that are missing. Again, or twice at once, is fine.
    ///
    /// # Errors
    /// When the database is away or refuses a step.
    pub async fn handle(&self) -> Result<Migrated> {
        Ok(Migrated { steps_applied: self.store.migrate(&self.clock).await? })
    }
}
