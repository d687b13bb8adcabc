//! What a socket of `chat.v1` carries; infra/asyncapi.yaml describes it.

use serde::Deserialize;
use serde_json::{Value, json};

/// A message, as history and live frames show it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Message {
    /// Counts 1, 2, 3 … without gaps.
    pub(super) id: u64,
    pub(super) username: String,
    pub(super) text: String,
    /// RFC 3339 in UTC.
    pub(super) sent_at: String,
    /// Its author's own key for it.
    pub(super) client_id: Option<String>,
}

/// What the server sends.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Frame {
    /// Somebody has said something. May come more than once.
    Message(Message),
    /// The same of several messages, oldest first.
    Messages { messages: Vec<Message> },
    /// Nothing came of a frame.
    Error(Refusal),
    /// The answer to a ping.
    Pong,
    /// Somebody has come or gone.
    Presence { event: Presence, username: String },
    /// Somebody is writing.
    Typing { username: String },
    /// API Gateway's own: a function has failed or took too long. It doesn't say on which frame.
    #[serde(skip)]
    GatewayError,
    /// What a newer server may have to say.
    #[serde(other)]
    Unknown,
}

/// Why nothing came of a frame.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Refusal {
    /// In words.
    pub(super) detail: String,
    /// Which send it was.
    pub(super) client_id: Option<String>,
    /// Seconds after which the same send may succeed. Without it, it never will.
    pub(super) retry_after: Option<u64>,
    pub(super) code: String,
}

/// What somebody did.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Presence {
    Joined,
    Left,
    #[serde(other)]
    Unknown,
}

impl Frame {
    /// Reads a frame. One that makes no sense is passed over, as one that is unknown.
    pub(super) fn read(text: &str) -> Self {
        if let Ok(frame) = serde_json::from_str(text) {
            return frame;
        }
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let is_gateways = document["connectionId"].is_string() && document["message"].is_string();
        if is_gateways { Self::GatewayError } else { Self::Unknown }
    }
}

/// Says something. Repeated with the same `client_id` it is the same message, however often it arrives.
pub(super) fn send(text: &str, client_id: &str) -> Value {
    json!({"action": "send", "text": text, "client_id": client_id})
}

/// Asks whether the connection lives. API Gateway closes one after ten minutes without a frame.
pub(super) fn ping() -> Value {
    json!({"action": "ping"})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            id: 17,
            username: "alice".to_owned(),
            text: "Hi".to_owned(),
            sent_at: "2026-11-23T10:15:43.377Z".to_owned(),
            client_id: None,
        }
    }

    #[test]
    fn frames_are_read() {
        let document = r#"{"type":"message","id":17,"username":"alice","text":"Hi","sent_at":"2026-11-23T10:15:43.377Z"}"#;
        for (text, frame) in [
            (document.to_owned(), Frame::Message(message())),
            (
                format!(r#"{{"type":"messages","messages":[{document}]}}"#),
                Frame::Messages { messages: vec![message()] },
            ),
            (r#"{"type":"pong"}"#.to_owned(), Frame::Pong),
            (
                r#"{"type":"presence","event":"joined","username":"bob"}"#.to_owned(),
                Frame::Presence { event: Presence::Joined, username: "bob".to_owned() },
            ),
            (
                r#"{"type":"typing","username":"bob"}"#.to_owned(),
                Frame::Typing { username: "bob".to_owned() },
            ),
            (
                r#"{"type":"error","code":"rate_limited","detail":"Wait.","client_id":"a","retry_after":7}"#.to_owned(),
                Frame::Error(Refusal {
                    detail: "Wait.".to_owned(),
                    client_id: Some("a".to_owned()),
                    retry_after: Some(7),
                    code: "rate_limited".to_owned(),
                }),
            ),
            (
                r#"{"message":"Internal server error","connectionId":"a","requestId":"b"}"#.to_owned(),
                Frame::GatewayError,
            ),
            (r#"{"type":"weather","is":"fine"}"#.to_owned(), Frame::Unknown),
            (r#"{"type":"message"}"#.to_owned(), Frame::Unknown),
            ("alice: Hi".to_owned(), Frame::Unknown),
        ] {
            assert_eq!(Frame::read(&text), frame, "{text}");
        }
    }
}
