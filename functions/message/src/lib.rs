//! `$default`: stores what a client says, then shows it to everyone; or tells the others that it is writing something.
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
    management::{Connections, Management},
    presence::Presence,
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
    presence_limit: Option<usize>,
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
            presence_limit: settings.presence_limit()?,
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

        if readings.chat_v1 == Ok(Action::Typing) && self.tell_typing(sender, &connections).await {
            return Ok(Answer::ok());
        }

        let drafts = Drafts { plain: draft(&readings.plain), chat_v1: draft(&readings.chat_v1) };
        match self.store.append_message(sender, drafts, self.rate, self.clock.now()).await {
            Ok(Some(Appended { outcome: Outcome::Stored(message), protocol })) => {
                let Self { store, clock, presence_limit, .. } = self;
                let presence_limit = *presence_limit;
                let broadcast =
                    Broadcast { connections: &connections, store, clock, presence_limit };
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
                if let Some(answer) = readings.answer(protocol) {
                    connections.post(sender, answer).await;
                }
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

impl Message {
    /// Tells the others that a sender is writing, and says whether that is all there was to do. It isn't, above all, if the
    /// sender speaks plain text: then it has said what looks like such a frame. When it can't be known, nobody misses it.
    async fn tell_typing(&self, sender: &str, connections: &Connections) -> bool {
        let Self { store, clock, presence_limit: limit, .. } = self;
        let presence = Presence { connections, store, clock, limit: *limit };
        presence.typing(sender).await.unwrap_or_else(|error| {
            error.log();
            true
        })
    }
}

fn draft(reading: &Result<Action, Refusal>) -> Option<&Draft> {
    match reading {
        Ok(Action::Send(draft)) => Some(draft),
        _ => None,
    }
}

impl Readings {
    /// The frame that answers a sender of `protocol` who sent nothing to store, if it expects one.
    fn answer(&self, protocol: Protocol) -> Option<String> {
        let reading = match protocol {
            Protocol::Plain => &self.plain,
            Protocol::ChatV1 => &self.chat_v1,
        };
        match reading {
            Ok(Action::Typing) => None,
            Ok(_) => Some(protocol.pong()),
            Err(refusal) => Some(protocol.refusal(refusal)),
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
