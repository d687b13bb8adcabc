//! What people say to each other: texts and the messages they become.

use serde::{Deserialize, Serialize};

use crate::{account::Username, clock::UnixMillis};

/// The text of a message: 1–4,096 characters, not only white space, without NUL, kept exactly as sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct Text(String);

impl Text {
    /// The longest text, in Unicode characters (scalar values).
    pub const CHARS_MAX: usize = 4096;

    /// Takes a text as it is.
    ///
    /// # Errors
    /// A code for programs and the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, (&'static str, &'static str)> {
        if text.is_empty() {
            return Err(("text_empty", "text must not be empty."));
        }
        if text.chars().count() > Self::CHARS_MAX {
            return Err(("text_too_long", "text must not be longer than 4096 characters."));
        }
        if text.chars().all(char::is_whitespace) {
            return Err(("text_blank", "text must not be only white space."));
        }
        // PostgreSQL cannot store it.
        if text.contains('\0') {
            return Err(("text_has_nul", "text must not hold the character NUL."));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::parse(&text).map_err(|(_code, rule)| rule)
    }
}

/// The sender's own key for a message, by which a repeated send is recognised: 1–64 characters, without NUL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// Takes a key as it is.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !(1..=64).contains(&text.chars().count()) {
            return Err("client_id must be 1 to 64 characters long.");
        }
        if text.contains('\0') {
            return Err("client_id must not hold the character NUL.");
        }
        Ok(Self(text.to_owned()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::parse(&text)
    }
}

/// What somebody wants to say, before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The text.
    pub text: Text,
    /// The sender's key, if the sender gave one.
    pub client_id: Option<ClientId>,
}

/// A message's number: 1, 2, 3 … in commit order, without gaps.
pub type MessageId = i64;

/// A stored message, in the shape that history and live frames share. It is read in the database's shape, where a time is a
/// number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// Who sent it.
    pub username: Username,
    /// What was sent.
    pub text: Text,
    /// When it was stored.
    pub sent_at: UnixMillis,
    /// The sender's own key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_as_sent_or_refused_with_a_code() {
        for text in
            ["x", " x ", "a\nb", "<script>alert(1)</script>", "\u{202E}evil", &"🦀".repeat(4096)]
        {
            assert_eq!(Text::parse(text).unwrap().as_str(), text);
        }
        for (text, code) in [
            ("", "text_empty"),
            (" \t\n\u{3000}", "text_blank"),
            ("a\0b", "text_has_nul"),
            (&"🦀".repeat(4097), "text_too_long"),
        ] {
            assert_eq!(Text::parse(text).unwrap_err().0, code, "{text:?}");
        }
    }

    #[test]
    fn client_ids_are_1_to_64_characters() {
        for (text, good) in [
            ("", false),
            ("a", true),
            (&"ä".repeat(64), true),
            (&"ä".repeat(65), false),
            ("\0", false),
        ] {
            assert_eq!(ClientId::parse(text).is_ok(), good, "{text:?}");
        }
    }
}
