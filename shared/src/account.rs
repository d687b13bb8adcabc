//! Usernames and passwords: parsed once, valid ever after.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// A user's name: 3–32 of `a–z 0–9 _ . -`, starting with a letter or digit, not `system`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Username(String);

impl Username {
    /// The name that messages of the system itself carry in the plain protocol.
    pub const SYSTEM: &str = "system";

    /// Reads a username; upper case is folded.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.to_ascii_lowercase();
        if !name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-'))
        {
            return Err(
                "username may hold only the letters a–z, digits, and the characters _ . and -.",
            );
        }
        if !(3..=32).contains(&name.len()) {
            return Err("username must be 3 to 32 characters long.");
        }
        if !name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return Err("username must start with a letter or a digit.");
        }
        if name == Self::SYSTEM {
            return Err("username must not be system, which is reserved.");
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password that is good enough to be set: 8–72 bytes of UTF-8 without NUL.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// The most that bcrypt reads, in bytes. Longer passwords are refused, never cut.
    /// Source: Provos and Mazières, "A Future-Adaptable Password Scheme", section 4.
    pub const BYTES_MAX: usize = 72;

    /// Reads a password.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !(8..=Self::BYTES_MAX).contains(&text.len()) {
            return Err("password must be 8 to 72 bytes long in UTF-8.");
        }
        // bcrypt repeats the NUL-terminated password as its key, so "a\0a" would open what "a" had locked.
        if text.contains('\0') {
            return Err("password must not hold the character NUL.");
        }
        Ok(Self(text.into()))
    }

    /// The secret itself.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_follow_the_rules() {
        for (text, expected) in [
            ("alice", Some("alice")),
            ("Alice.B-2_x", Some("alice.b-2_x")),
            ("0ab", Some("0ab")),
            (&"a".repeat(32), Some("a".repeat(32).as_str())),
            (&"a".repeat(33), None),
            ("ab", None),
            ("", None),
            ("_ab", None),
            (".ab", None),
            ("-ab", None),
            ("al ice", None),
            ("alice\0", None),
            ("älice", None),
            ("\u{212A}elvin", None), // the Kelvin sign, which Unicode folds to k
            ("system", None),
            ("SYSTEM", None),
            ("systems", Some("systems")),
        ] {
            assert_eq!(
                Username::parse(text).ok().as_ref().map(Username::as_str),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn passwords_are_counted_in_bytes() {
        for (text, good) in [
            ("1234567".to_owned(), false),
            ("12345678".to_owned(), true),
            ("x".repeat(72), true),
            ("x".repeat(73), false),
            ("ä".repeat(36), true),
            ("ä".repeat(37), false),
            ("1234567\0".to_owned(), false),
        ] {
            assert_eq!(Password::parse(&text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_password_does_not_print() {
        let password = Password::parse("correct horse").unwrap();
        assert!(!format!("{password:?}").contains("horse"));
    }
}
