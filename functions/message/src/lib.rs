//! `$default`: stores what a client says, then shows it to everyone.
//!
//! The route is one-way: what the function answers goes nowhere. Whatever the sender has to know is posted to its
//! connection as a frame.

use shared::{
    Error, Result,
    broadcast::{Broadcast, Sender},
    chat::{ClientId, Draft},
    clock::Clock,
    frame::{Action, Protocol, Refusal},
    lambda::WebSocketFunction,
    management::Management,
    queue::Queue,
    rate::MessageRate,
    settings::{SettingError, Settings},
    store::{Appended, Drafts, Outcome, Store},
    websocket::{Answer, Event, connection_id},
};

/// The function and what it needs.
pub struct Message {
    store: Store,
    management: Management,
    queue: Option<Queue>,
    rate: Option<MessageRate>,
    clock: Clock,
}

/// A frame as each protocol reads it. Which one its sender speaks is only known once the store has been asked.
struct Readings {
    plain: Result<Action, Refusal>,
    chat_v1: Result<Action, Refusal>,
    is_json_like: bool,
}

impl WebSocketFunction for Message {
    const NAME: &str = "message";

    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            store: settings.store(),
            management: settings.management()?,
            queue: settings.queue()?,
            rate: settings.message_rate()?,
            clock: settings.clock(),
        })
    }

    async fn handle(&self, event: Event) -> Result<Answer> {
        let sender = connection_id(&event)?;
        let connections = self.management.client_for(&event)?;
        let frame = event.body.as_deref().unwrap_or_default();
        let readings = Readings {
            plain: Protocol::Plain.read(frame),
            chat_v1: Protocol::ChatV1.read(frame),
            is_json_like: frame.trim_start().starts_with('{'),
        };

        let drafts = Drafts { plain: draft(&readings.plain), chat_v1: draft(&readings.chat_v1) };
        match self.store.append_message(sender, drafts, self.rate, self.clock.now()).await {
            Ok(Some(Appended { outcome: Outcome::Stored(message), protocol })) => {
                let broadcast =
                    Broadcast { connections: &connections, store: &self.store, clock: &self.clock };
                let said_by = Sender { connection_id: sender, protocol };
                let shown = broadcast.to_everyone(&message, said_by, self.queue.as_ref()).await;
                if let Err(error) = shown {
                    // It is stored, so the send has succeeded: its sender at least must know.
                    error.log();
                    connections.post(sender, protocol.message(&message)).await;
                }
            }
            Ok(Some(Appended { outcome: Outcome::Repeated(message), protocol })) => {
                connections.post(sender, protocol.message(&message)).await;
            }
            Ok(Some(Appended { outcome: Outcome::TooMany(wait), protocol })) => {
                let refusal = Refusal::rate_limited(wait, readings.client_id());
                connections.post(sender, protocol.refusal(&refusal)).await;
            }
            Ok(Some(Appended { outcome: Outcome::NoDraft, protocol })) => {
                connections.post(sender, readings.answer(protocol)).await;
            }
            // The connection has no row any more, or its session has ended: nothing can come of it.
            Ok(None) => {
                connections.close(sender).await;
            }
            Err(error) => {
                error.log();
                connections.post(sender, readings.failure(&error)).await;
            }
        }
        Ok(Answer::ok())
    }
}

fn draft(reading: &Result<Action, Refusal>) -> Option<&Draft> {
    match reading {
        Ok(Action::Send(draft)) => Some(draft),
        _ => None,
    }
}

impl Readings {
    /// The frame that answers a sender of `protocol` who sent nothing to store.
    fn answer(&self, protocol: Protocol) -> String {
        let reading = match protocol {
            Protocol::Plain => &self.plain,
            Protocol::ChatV1 => &self.chat_v1,
        };
        match reading {
            Ok(_) => protocol.pong(),
            Err(refusal) => protocol.refusal(refusal),
        }
    }

    /// The sender's own key for this message, if it gave one.
    fn client_id(&self) -> Option<ClientId> {
        draft(&self.chat_v1).and_then(|draft| draft.client_id.clone())
    }

    /// The frame that tells a sender of unknown protocol that the store failed. A frame that looks like `chat.v1` came
    /// from a client that speaks it, most likely.
    fn failure(&self, error: &Error) -> String {
        let refusal = Refusal::from_error(error, self.client_id());
        if self.chat_v1.is_ok() || self.is_json_like {
            Protocol::ChatV1.refusal(&refusal)
        } else {
            Protocol::Plain.refusal(&refusal)
        }
    }
}
