//! `$disconnect`: forgets a connection. API Gateway calls it as best it can; rows it misses are found gone by the next
//! message. The others in a small room are told who has left.

use shared::{
    Result,
    clock::Clock,
    lambda::WebSocketFunction,
    management::Management,
    presence::Presence,
    settings::{SettingError, Settings},
    store::Store,
    websocket::{Answer, Event, connection_id},
};

/// The function and what it needs.
pub struct Disconnect {
    store: Store,
    management: Management,
    presence_limit: Option<usize>,
    clock: Clock,
}

impl WebSocketFunction for Disconnect {
    const NAME: &str = "disconnect";

    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            store: settings.store(),
            management: settings.management()?,
            presence_limit: settings.presence_limit()?,
            clock: settings.clock(),
        })
    }

    async fn handle(&self, event: Event) -> Result<Answer> {
        let connections = &self.management.client_for(&event)?;
        let Self { store, clock, presence_limit: limit, .. } = self;
        let presence = Presence { connections, store, clock, limit: *limit };
        presence.disconnected(connection_id(&event)?).await?;
        Ok(Answer::ok())
    }
}
