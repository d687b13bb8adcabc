//! `$connect`: decides a handshake and remembers the connection.
//!
//! The access token comes as an offered subprotocol `bearer.<token>` beside `chat.v1`, so that it stands in no URL and
//! no log, or as `?token=`, the seed's way. Answers 200, 401 for a bad token or an ended session, 403 for a page that
//! may not connect. The others in a small room are told who has come.

use shared::{
    Error, Result,
    clock::Clock,
    frame::Protocol,
    lambda::WebSocketFunction,
    management::Management,
    presence::Presence,
    settings::{SettingError, Settings},
    store::{NewConnection, Store},
    token::{Kind, Tokens},
    websocket::{AllowedOrigins, Answer, Event, connection_id, offered_protocols},
};

/// The function and what it needs.
pub struct Connect {
    store: Store,
    tokens: Tokens,
    allowed_origins: AllowedOrigins,
    management: Management,
    presence_limit: Option<usize>,
    clock: Clock,
}

impl WebSocketFunction for Connect {
    const NAME: &str = "connect";

    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            store: settings.store(),
            tokens: settings.tokens()?,
            allowed_origins: settings.allowed_origins()?,
            management: settings.management()?,
            presence_limit: settings.presence_limit()?,
            clock: settings.clock(),
        })
    }

    async fn handle(&self, event: Event) -> Result<Answer> {
        match self.connect(&event).await {
            Ok(Protocol::ChatV1) => Ok(Answer::ok_with_protocol(Protocol::CHAT_V1)),
            Ok(Protocol::Plain) => Ok(Answer::ok()),
            Err(error) => Ok(Answer::refused(error)),
        }
    }
}

impl Connect {
    async fn connect(&self, event: &Event) -> Result<Protocol> {
        let now = self.clock.now();
        self.allowed_origins.check(event)?;
        let offer = Offer::read(event)?;
        let claims = self.tokens.verify(Kind::Access, offer.token, now)?;
        let connections = &self.management.client_for(event)?;
        let Self { store, clock, presence_limit: limit, .. } = self;
        let presence = Presence { connections, store, clock, limit: *limit };
        let connection = NewConnection {
            id: connection_id(event)?,
            username: &claims.sub,
            session: &claims.sid,
            protocol: offer.protocol,
            now,
        };
        let added = store.insert_connection(&connection, *limit).await?;
        let added = added.ok_or(Error::Unauthorized("The session has ended. Log in again."))?;
        // Who is alone is noted, too, or another window of theirs would be news to those who come next.
        if added.has_listeners {
            presence.joined(connection.username).await;
        }
        Ok(offer.protocol)
    }
}

/// What a handshake brings.
struct Offer<'a> {
    protocol: Protocol,
    token: &'a str,
}

impl<'a> Offer<'a> {
    fn read(event: &'a Event) -> Result<Self> {
        let offers = offered_protocols(event);
        let speaks_chat_v1 = offers.contains(&Protocol::CHAT_V1);
        let protocol = if speaks_chat_v1 { Protocol::ChatV1 } else { Protocol::Plain };
        let bearer = offers.iter().find_map(|offer| offer.strip_prefix("bearer."));
        if bearer.is_some() && !speaks_chat_v1 {
            // A browser ends a handshake that selects none of its offers, and the token itself must not be sent back.
            return Err(Error::Malformed(
                "Offer the subprotocol chat.v1 beside bearer.<token>.".to_owned(),
            ));
        }
        let token = bearer
            .or_else(|| event.query_string_parameters.first("token"))
            .ok_or(Error::TokenMissing(
                "An access token is needed: offer the subprotocol bearer.<token> beside chat.v1, or append ?token=.",
            ))?;
        Ok(Self { protocol, token })
    }
}
