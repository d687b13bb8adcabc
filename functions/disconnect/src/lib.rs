//! `$disconnect`: forgets a connection. API Gateway calls it as best it can; rows it misses are found gone by the next
//! message.

use shared::{
    Result,
    lambda::WebSocketFunction,
    settings::{SettingError, Settings},
    store::Store,
    websocket::{Answer, Event, connection_id},
};

/// The function and what it needs.
pub struct Disconnect {
    store: Store,
}

impl WebSocketFunction for Disconnect {
    const NAME: &str = "disconnect";

    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self { store: settings.store() })
    }

    async fn handle(&self, event: Event) -> Result<Answer> {
        self.store.delete_connection(connection_id(&event)?).await?;
        Ok(Answer::ok())
    }
}
