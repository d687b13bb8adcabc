//! What a socket carries. Two protocols share one room:
//!
//! - **plain** (no subprotocol): a text frame in is a message, a frame out is `username: text`;
//! - **`chat.v1`** (JSON):
//!
//! ```text
//! → {"action":"send","text":"Hello!","client_id":"7f1c…"}
//! → {"action":"typing"}
//! → {"action":"ping"}
//! ← {"type":"message","id":17,"username":"alice","text":"Hello!","sent_at":"2026-11-23T10:15:43.377Z","client_id":"7f1c…"}
//! ← {"type":"messages","messages":[{"id":18,…},{"id":19,…}]}
//! ← {"type":"error","code":"text_too_long","detail":"…","client_id":"7f1c…"}
//! ← {"type":"error","code":"rate_limited","detail":"…","client_id":"7f1c…","retry_after":7}
//! ← {"type":"presence","event":"joined","username":"bob"}
//! ← {"type":"typing","username":"bob"}
//! ← {"type":"pong"}
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    account::Username,
    chat::{ClientId, Draft, Message, Text},
    error::{Error, RETRY_UNAVAILABLE_SECS},
    json::kind,
};

/// What a connection speaks, settled at its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Protocol {
    /// The seed's: bare text.
    Plain,
    /// JSON frames.
    ChatV1,
}

impl Protocol {
    /// The most bytes of a frame with several messages: what API Gateway bills and throttles as one. Source: API Gateway
    /// pricing, "WebSocket APIs": metered in increments of 32 KB.
    pub const FRAME_BYTES_MAX: usize = 32 * 1024;

    /// The WebSocket subprotocol that selects [`Protocol::ChatV1`].
    pub const CHAT_V1: &str = "chat.v1";

    /// Its name in the table of connections.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::ChatV1 => Self::CHAT_V1,
        }
    }

    /// What a frame asks for, as this protocol reads it.
    ///
    /// # Errors
    /// When the frame breaks the protocol's rules.
    pub fn read(self, frame: &str) -> Result<Action, Refusal> {
        match self {
            Self::Plain => read_plain(frame),
            Self::ChatV1 => read_chat_v1(frame),
        }
    }

    /// The frame that shows `message`.
    pub fn message(self, message: &Message) -> String {
        match self {
            Self::Plain => format!("{}: {}", message.username.as_str(), message.text.as_str()),
            Self::ChatV1 => json(&Outgoing::Message(message)),
        }
    }

    /// The frames that show `messages`, in their order: as few as there can be.
    pub fn messages(self, messages: &[&Message]) -> Vec<String> {
        match self {
            Self::Plain => messages.iter().map(|message| self.message(message)).collect(),
            Self::ChatV1 => cut_by_size(messages)
                .into_iter()
                .map(|messages| match messages {
                    [message] => self.message(message),
                    messages => json(&Outgoing::Messages { messages }),
                })
                .collect(),
        }
    }

    /// The frame that tells a sender why nothing came of a frame.
    pub fn refusal(self, refusal: &Refusal) -> String {
        match self {
            Self::Plain => format!("{}: {}", Username::SYSTEM, refusal.detail),
            Self::ChatV1 => json(&Outgoing::Error(refusal)),
        }
    }

    /// The frame that answers a ping.
    pub fn pong(self) -> String {
        match self {
            Self::Plain => format!("{}: pong", Username::SYSTEM),
            Self::ChatV1 => json(&Outgoing::Pong),
        }
    }
}

impl TryFrom<String> for Protocol {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        [Self::Plain, Self::ChatV1]
            .into_iter()
            .find(|protocol| protocol.as_str() == name)
            .ok_or_else(|| format!("{name:?} is no protocol of ours"))
    }
}

/// What a frame asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Store this and show it to everyone.
    Send(Draft),
    /// Tell the others that something is being written.
    Typing,
    /// Answer, so that the client knows the connection lives.
    Ping,
}

/// What people are told of each other, beside what they say: in `chat.v1` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Somebody's first connection has been opened.
    Joined(Username),
    /// Somebody's last connection is gone.
    Left(Username),
    /// Somebody is writing something.
    Typing(Username),
}

impl News {
    /// Whom it is about.
    pub fn username(&self) -> &Username {
        match self {
            Self::Joined(username) | Self::Left(username) | Self::Typing(username) => username,
        }
    }

    /// The frame that tells it.
    pub fn frame(&self) -> String {
        json(&match self {
            Self::Joined(username) => Outgoing::Presence { event: "joined", username },
            Self::Left(username) => Outgoing::Presence { event: "left", username },
            Self::Typing(username) => Outgoing::Typing { username },
        })
    }
}

/// Why nothing came of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// A word for programs.
    pub code: &'static str,
    /// What was wrong and what is allowed.
    pub detail: String,
    /// The key of the send that was refused, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// Whole seconds after which the same send may succeed, if it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Refusal {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), client_id: None, retry_after: None }
    }

    /// The refusal of a send because its author has said too much and must wait.
    pub fn rate_limited(wait: Duration, client_id: Option<ClientId>) -> Self {
        // Rounded up: after that time it is good.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let detail = match seconds {
            1 => "Too many messages. Try again in 1 second.".to_owned(),
            _ => format!("Too many messages. Try again in {seconds} seconds."),
        };
        let retry_after = u64::try_from(seconds).ok();
        Self { code: "rate_limited", detail, client_id, retry_after }
    }

    /// The refusal of a send that failed for `error`, not for its own fault.
    pub fn from_error(error: &Error, client_id: Option<ClientId>) -> Self {
        let (code, retry_after) = match error {
            Error::Unavailable(_) => ("unavailable", Some(RETRY_UNAVAILABLE_SECS)),
            _ => ("internal", None),
        };
        Self { code, detail: error.to_string(), client_id, retry_after }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outgoing<'a> {
    Message(&'a Message),
    Messages { messages: &'a [&'a Message] },
    Error(&'a Refusal),
    Presence { event: &'static str, username: &'a Username },
    Typing { username: &'a Username },
    Pong,
}

fn json(frame: &Outgoing<'_>) -> String {
    serde_json::to_string(frame).expect("frames are plain data")
}

/// Cuts messages into parts that are small enough for a frame. A message alone is: its text has 4,096 characters of at most six
/// bytes.
fn cut_by_size<'a, 'm>(messages: &'a [&'m Message]) -> Vec<&'a [&'m Message]> {
    let empty = json(&Outgoing::Messages { messages: &[] }).len();
    let (mut parts, mut begin, mut bytes) = (Vec::new(), 0, empty);
    for (end, message) in messages.iter().enumerate() {
        // With a comma.
        let more = serde_json::to_string(message).expect("messages are plain data").len() + 1;
        // The first one has no comma before it.
        if end > begin && bytes + more - 1 > Protocol::FRAME_BYTES_MAX {
            parts.push(&messages[begin..end]);
            (begin, bytes) = (end, empty);
        }
        bytes += more;
    }
    if begin < messages.len() {
        parts.push(&messages[begin..]);
    }
    parts
}

fn read_plain(frame: &str) -> Result<Action, Refusal> {
    let text = Text::parse(frame).map_err(|(code, detail)| Refusal::new(code, detail))?;
    Ok(Action::Send(Draft { text, client_id: None }))
}

fn read_chat_v1(frame: &str) -> Result<Action, Refusal> {
    let fields = match serde_json::from_str(frame) {
        Ok(Value::Object(fields)) => fields,
        Ok(other) => {
            let detail = format!("A frame must be a JSON object, it is {}.", kind(&other));
            return Err(Refusal::new("invalid_frame", detail));
        }
        Err(_) => {
            return Err(Refusal::new(
                "invalid_frame",
                "A frame must be a JSON object, this is not JSON.",
            ));
        }
    };
    match fields.get("action") {
        Some(Value::String(action)) if action == "ping" => Ok(Action::Ping),
        Some(Value::String(action)) if action == "typing" => Ok(Action::Typing),
        Some(Value::String(action)) if action == "send" => {
            read_send(fields.get("text"), fields.get("client_id")).map(Action::Send)
        }
        Some(Value::String(_)) => {
            Err(Refusal::new("unknown_action", "action must be send, typing or ping."))
        }
        Some(other) => {
            let detail = format!("action must be a string, it is {}.", kind(other));
            Err(Refusal::new("unknown_action", detail))
        }
        None => Err(Refusal::new(
            "unknown_action",
            "action is missing, it must be send, typing or ping.",
        )),
    }
}

fn read_send(text: Option<&Value>, client_id: Option<&Value>) -> Result<Draft, Refusal> {
    let client_id = match client_id {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => {
            let key = ClientId::parse(key);
            Some(key.map_err(|detail| Refusal::new("invalid_client_id", detail))?)
        }
        Some(other) => {
            let detail = format!("client_id must be a string, it is {}.", kind(other));
            return Err(Refusal::new("invalid_client_id", detail));
        }
    };
    let text = match text {
        Some(Value::String(text)) => {
            Text::parse(text).map_err(|(code, detail)| (code, detail.to_owned()))
        }
        Some(other) => {
            Err(("invalid_text", format!("text must be a string, it is {}.", kind(other))))
        }
        None => Err(("invalid_text", "text is missing.".to_owned())),
    };
    match text {
        Ok(text) => Ok(Draft { text, client_id }),
        Err((code, detail)) => Err(Refusal { client_id, ..Refusal::new(code, detail) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMillis;

    fn draft(text: &str, client_id: Option<&str>) -> Action {
        Action::Send(Draft {
            text: Text::parse(text).unwrap(),
            client_id: client_id.map(|key| ClientId::parse(key).unwrap()),
        })
    }

    #[test]
    fn a_plain_frame_is_a_text_whatever_it_looks_like() {
        let frame = "{\"action\":\"ping\"}";
        assert_eq!(Protocol::Plain.read(frame), Ok(draft(frame, None)));
        assert_eq!(Protocol::Plain.read("  ").unwrap_err().code, "text_blank");
    }

    #[test]
    fn chat_v1_frames_are_read_or_refused_with_a_code() {
        let read = |frame: &str| Protocol::ChatV1.read(frame);
        assert_eq!(read(r#"{"action":"ping"}"#), Ok(Action::Ping));
        assert_eq!(read(r#"{"action":"typing"}"#), Ok(Action::Typing));
        assert_eq!(read(r#"{"action":"send","text":" hi "}"#), Ok(draft(" hi ", None)));
        assert_eq!(
            read(r#"{"action":"send","text":"hi","client_id":null}"#),
            Ok(draft("hi", None))
        );
        assert_eq!(
            read(r#"{"text":"h\u0069","client_id":"k","action":"send","x":1}"#),
            Ok(draft("hi", Some("k")))
        );
        for (frame, code) in [
            ("hello", "invalid_frame"),
            ("", "invalid_frame"),
            ("{", "invalid_frame"),
            ("[]", "invalid_frame"),
            ("null", "invalid_frame"),
            ("\"send\"", "invalid_frame"),
            (r#"{"action":"send","text":"\ud800"}"#, "invalid_frame"),
            (&"[".repeat(30_000), "invalid_frame"),
            ("{}", "unknown_action"),
            (r#"{"action":1}"#, "unknown_action"),
            (r#"{"action":"Send","text":"x"}"#, "unknown_action"),
            (r#"{"action":"$connect"}"#, "unknown_action"),
            (r#"{"action":"send"}"#, "invalid_text"),
            (r#"{"action":"send","text":["x"]}"#, "invalid_text"),
            (r#"{"action":"send","text":""}"#, "text_empty"),
            (r#"{"action":"send","text":"\u0000"}"#, "text_has_nul"),
            (r#"{"action":"send","text":"x","client_id":7}"#, "invalid_client_id"),
            (r#"{"action":"send","text":"x","client_id":""}"#, "invalid_client_id"),
        ] {
            assert_eq!(read(frame).unwrap_err().code, code, "{frame}");
        }
    }

    #[test]
    fn a_refusal_carries_the_key_of_the_send_it_refuses() {
        let refusal =
            Protocol::ChatV1.read(r#"{"action":"send","text":" ","client_id":"k"}"#).unwrap_err();
        assert_eq!(
            Protocol::ChatV1.refusal(&refusal),
            r#"{"type":"error","code":"text_blank","detail":"text must not be only white space.","client_id":"k"}"#
        );
        assert_eq!(Protocol::Plain.refusal(&refusal), "system: text must not be only white space.");
    }

    #[test]
    fn a_refusal_for_now_says_when_to_try_again() {
        for (millis, seconds, in_words) in [
            (0, 1, "1 second."),
            (1, 1, "1 second."),
            (1000, 1, "1 second."),
            (6001, 7, "7 seconds."),
        ] {
            let refusal = Refusal::rate_limited(Duration::from_millis(millis), None);
            let detail = format!("Too many messages. Try again in {in_words}");
            assert_eq!(
                Protocol::ChatV1.refusal(&refusal),
                format!(
                    r#"{{"type":"error","code":"rate_limited","detail":"{detail}","retry_after":{seconds}}}"#
                )
            );
            assert_eq!(Protocol::Plain.refusal(&refusal), format!("system: {detail}"));
        }
    }

    #[test]
    fn frames_look_as_the_contract_shows_them() {
        let message = Message {
            id: 17,
            username: Username::parse("alice").unwrap(),
            text: Text::parse("Hello!").unwrap(),
            sent_at: UnixMillis(1_795_428_943_377),
            client_id: Some(ClientId::parse("7f1c").unwrap()),
        };
        assert_eq!(Protocol::Plain.message(&message), "alice: Hello!");
        assert_eq!(
            Protocol::ChatV1.message(&message),
            r#"{"type":"message","id":17,"username":"alice","text":"Hello!","sent_at":"2026-11-23T10:15:43.377Z","client_id":"7f1c"}"#
        );
        assert_eq!(
            Protocol::ChatV1
                .messages(&[&message, &Message { id: 18, client_id: None, ..message.clone() }]),
            [concat!(
                r#"{"type":"messages","messages":[{"id":17,"username":"alice","text":"Hello!","#,
                r#""sent_at":"2026-11-23T10:15:43.377Z","client_id":"7f1c"},{"id":18,"username":"alice","#,
                r#""text":"Hello!","sent_at":"2026-11-23T10:15:43.377Z"}]}"#
            )]
        );
        assert_eq!(Protocol::ChatV1.pong(), r#"{"type":"pong"}"#);
        let bob = || Username::parse("bob").unwrap();
        for (news, frame) in [
            (News::Joined(bob()), r#"{"type":"presence","event":"joined","username":"bob"}"#),
            (News::Left(bob()), r#"{"type":"presence","event":"left","username":"bob"}"#),
            (News::Typing(bob()), r#"{"type":"typing","username":"bob"}"#),
        ] {
            assert_eq!(news.frame(), frame);
        }
    }

    fn message(id: i64, text: &str) -> Message {
        Message {
            id,
            username: Username::parse(&"u".repeat(32)).unwrap(),
            text: Text::parse(text).unwrap(),
            sent_at: UnixMillis(1_795_428_943_377),
            client_id: Some(ClientId::parse(&"\u{1}".repeat(64)).unwrap()),
        }
    }

    /// The ids in frames of `chat.v1`.
    fn ids(frames: &[String]) -> Vec<Vec<i64>> {
        let id = |message: &Value| message["id"].as_i64().unwrap();
        let ids = |frame: &String| {
            let frame: Value = serde_json::from_str(frame).unwrap();
            match frame["type"].as_str() {
                Some("message") => vec![id(&frame)],
                Some("messages") => frame["messages"].as_array().unwrap().iter().map(id).collect(),
                other => panic!("no frame with messages: {other:?}"),
            }
        };
        frames.iter().map(ids).collect()
    }

    #[test]
    fn several_messages_come_in_as_few_frames_as_their_size_allows() {
        // An "x" is a byte, "\u{1}" six; the other bytes of a message are counted here.
        let bytes = |message: &Message| serde_json::to_string(message).unwrap().len();
        let rest = bytes(&message(100, "x")) - 1;
        let empty = r#"{"type":"messages","messages":[]}"#.len();
        // So long that eight and their commas fill a frame.
        let eighth = (Protocol::FRAME_BYTES_MAX - empty - 7) / 8 - rest;
        let spare = (Protocol::FRAME_BYTES_MAX - empty - 7) % 8;
        let longest = "\u{1}".repeat(Text::CHARS_MAX);
        for (lens, expected) in [
            (vec![], vec![]),
            (vec![1], vec![1]),
            (vec![1; 3], vec![3]),
            (vec![eighth; 8], vec![8]),
            (vec![eighth; 9], vec![8, 1]),
            (vec![eighth; 17], vec![8, 8, 1]),
            ([vec![eighth; 7], vec![eighth + spare]].concat(), vec![8]),
            ([vec![eighth; 7], vec![eighth + spare + 1]].concat(), vec![7, 1]),
            ([vec![eighth; 7], vec![eighth + spare + 1], vec![1]].concat(), vec![7, 2]),
        ] {
            let messages: Vec<Message> =
                (100..).zip(&lens).map(|(id, len)| message(id, &"x".repeat(*len))).collect();
            let frames = Protocol::ChatV1.messages(&messages.iter().collect::<Vec<_>>());
            let numbers: Vec<usize> = ids(&frames).iter().map(Vec::len).collect();
            assert_eq!(numbers, expected, "{lens:?}");
        }
        let longest = message(i64::MAX, &longest);
        let frames = Protocol::ChatV1.messages(&[&longest, &longest]);
        assert_eq!(frames.len(), 2);
        assert!(frames.iter().all(|frame| frame.len() <= Protocol::FRAME_BYTES_MAX));
    }

    #[test]
    fn whatever_their_sizes_all_messages_come_in_order_and_no_frame_could_take_more() {
        let random = || usize::try_from(uuid::Uuid::new_v4().as_fields().0).unwrap();
        for _ in 0..200 {
            let (number, longest) = (random() % 40, 1 + random() % Text::CHARS_MAX);
            let unit = ["x", "\"", "\u{1}", "ä", "🦀"][random() % 5];
            let messages: Vec<Message> = (1..)
                .map(|id| message(id, &unit.repeat(1 + random() % longest)))
                .take(number)
                .collect();
            let messages: Vec<&Message> = messages.iter().collect();
            let frames = Protocol::ChatV1.messages(&messages);
            let ids = ids(&frames);
            assert!(ids.concat().into_iter().eq(messages.iter().map(|message| message.id)));
            assert!(frames.iter().all(|frame| frame.len() <= Protocol::FRAME_BYTES_MAX));
            for (here, next) in ids.iter().zip(ids.iter().skip(1)) {
                let with_next = [&here[..], &next[..1]].concat();
                let with_next: Vec<&Message> =
                    messages.iter().copied().filter(|m| with_next.contains(&m.id)).collect();
                let frame = json(&Outgoing::Messages { messages: &with_next });
                assert!(frame.len() > Protocol::FRAME_BYTES_MAX, "there was room for one more");
            }
            let plain = Protocol::Plain.messages(&messages);
            assert!(plain.into_iter().eq(messages.iter().map(|m| Protocol::Plain.message(m))));
        }
    }
}
