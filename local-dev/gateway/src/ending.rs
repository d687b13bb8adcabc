//! The ends of a connection: what the client sees of them, and what `$disconnect` hears.

use tokio_tungstenite::tungstenite::{
    self, Utf8Bytes,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{assumptions::Assumptions, refusal::Refusal};

/// How a connection ended, as its `$disconnect` event tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Closed {
    /// The TCP connection broke.
    pub(crate) fn dropped(assumptions: &Assumptions) -> Self {
        Self { code: CloseCode::Abnormal.into(), reason: assumptions.dropped_reason.clone() }
    }
}

/// Why frames no longer flow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client sent a close frame.
    ByClient(Option<CloseFrame>),
    /// The gateway closes the socket with this frame.
    ByGateway(CloseFrame),
    /// The TCP connection broke.
    Dropped,
    /// The gateway breaks the TCP connection.
    Cut,
}

impl Ending {
    const fn by_gateway(code: CloseCode, reason: &'static str) -> Self {
        Self::ByGateway(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
    }

    // The reasons of these two have been captured, with "the idle timeout" and "DELETE @connections".
    pub(crate) const GOING_AWAY: Self = Self::by_gateway(CloseCode::Away, "Going away");
    pub(crate) const DELETED: Self =
        Self::by_gateway(CloseCode::Normal, "Connection Closed Normally");
    // The codes of these are in the developer guide, "Overview of WebSocket APIs". API Gateway's reasons are not known;
    // the code's registered name says it.
    pub(crate) const BINARY: Self = Self::by_gateway(CloseCode::Unsupported, "Unsupported data");
    pub(crate) const TOO_MANY: Self = Self::by_gateway(CloseCode::Policy, "Policy violation");
    const TOO_BIG: Self = Self::by_gateway(CloseCode::Size, "Message too big");
    // RFC 6455, 7.4.1.
    const PROTOCOL_ERROR: Self = Self::by_gateway(CloseCode::Protocol, "Protocol error");
    const NOT_UTF8: Self = Self::by_gateway(CloseCode::Invalid, "Invalid frame payload data");

    /// What the client did against the rules, if it did.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let Self::ByGateway(frame) = self else { return None };
        match frame.code {
            CloseCode::Unsupported => Some(Refusal::BinaryMessage),
            CloseCode::Size => Some(Refusal::MessageTooBig),
            CloseCode::Policy => Some(Refusal::TooManyMessages),
            CloseCode::Protocol => Some(Refusal::ProtocolError),
            CloseCode::Invalid => Some(Refusal::NotUtf8),
            _ => None,
        }
    }

    /// What `$disconnect` hears of it.
    pub(crate) fn closed(self, assumptions: &Assumptions) -> Closed {
        match self {
            // Captured.
            Self::ByClient(None) => Closed {
                code: CloseCode::Status.into(),
                reason: "Client-side close frame status not set".to_owned(),
            },
            Self::ByClient(Some(frame)) | Self::ByGateway(frame) => {
                Closed { code: frame.code.into(), reason: frame.reason.to_string() }
            }
            Self::Dropped | Self::Cut => Closed::dropped(assumptions),
        }
    }
}

impl From<tungstenite::Error> for Ending {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Capacity(_) => Self::TOO_BIG,
            tungstenite::Error::Utf8(_) => Self::NOT_UTF8,
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Self::Dropped
            }
            tungstenite::Error::Protocol(_) => Self::PROTOCOL_ERROR,
            _ => Self::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio_tungstenite::tungstenite::error::CapacityError;

    use super::*;

    #[test]
    fn disconnect_hears_the_code_and_the_reason() {
        let client = |code, reason: &'static str| {
            Ending::ByClient(Some(CloseFrame { code, reason: reason.into() }))
        };
        for (ending, code, reason) in [
            (Ending::ByClient(None), 1005, "Client-side close frame status not set"),
            (client(CloseCode::Away, ""), 1001, ""),
            (client(CloseCode::Library(4001), "bye"), 4001, "bye"),
            (Ending::GOING_AWAY, 1001, "Going away"),
            (Ending::DELETED, 1000, "Connection Closed Normally"),
            (Ending::BINARY, 1003, "Unsupported data"),
            (Ending::TOO_MANY, 1008, "Policy violation"),
            (Ending::TOO_BIG, 1009, "Message too big"),
            (Ending::Dropped, 1006, "gone"),
            (Ending::Cut, 1006, "gone"),
        ] {
            let assumptions =
                Assumptions { dropped_reason: "gone".to_owned(), ..Assumptions::default() };
            let expected = Closed { code, reason: reason.to_owned() };
            assert_eq!(ending.closed(&assumptions), expected);
        }
    }

    #[test]
    fn errors_of_the_client_have_their_close_codes() {
        let too_long = CapacityError::MessageTooLong { size: 2, max_size: 1 };
        for (error, code) in [
            (too_long.into(), 1009),
            (tungstenite::Error::Utf8(String::new()), 1007),
            (ProtocolError::UnmaskedFrameFromClient.into(), 1002),
            (ProtocolError::NonZeroReservedBits.into(), 1002),
            (ProtocolError::ResetWithoutClosingHandshake.into(), 1006),
            (tungstenite::Error::ConnectionClosed, 1006),
            (io::Error::from(io::ErrorKind::ConnectionReset).into(), 1006),
        ] {
            let text = error.to_string();
            assert_eq!(Ending::from(error).closed(&Assumptions::default()).code, code, "{text}");
        }
    }
}
