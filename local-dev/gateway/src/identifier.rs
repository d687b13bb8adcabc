//! Ids in API Gateway's form: 11 bytes in URL-safe base64, 15 characters and one `=`, for example `QkT3rfHsDoECHlw=`.
//!
//! The bytes are five of time, two that tell apart what was minted at the same time, and four of the host. So ids
//! minted within the same 1,024 ms share their first five characters, and a connection's id and those of its messages share
//! their last five and the `=`.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE};

use super::timestamp::Timestamp;

/// The id of a connection, a message, or a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identifier([u8; 11]);

impl Identifier {
    /// A fresh id, minted at `now`.
    pub(crate) fn mint(now: Timestamp) -> Self {
        Self::assemble(now, rand::random(), rand::random())
    }

    /// The id of a connection's message number `number`, minted at `now`. `self` is the connection's.
    pub(crate) fn message(self, now: Timestamp, number: u16) -> Self {
        let [.., a, b, c, d] = self.0;
        Self::assemble(now, number.to_be_bytes(), [a, b, c, d])
    }

    fn assemble(now: Timestamp, distinction: [u8; 2], host: [u8; 4]) -> Self {
        // The lowest 40 bits of the milliseconds start again every 34 years.
        let [_, _, _, t0, t1, t2, t3, t4] = now.epoch_millis().to_be_bytes();
        let [d0, d1] = distinction;
        let [h0, h1, h2, h3] = host;
        Self([t0, t1, t2, t3, t4, d0, d1, h0, h1, h2, h3])
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&URL_SAFE.encode(self.0))
    }
}

/// Whether `text` has the form of an id.
pub(crate) fn is_well_formed(text: &str) -> bool {
    text.len() == 16
        && text.strip_suffix('=').is_some_and(|characters| {
            characters.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
        })
}

/// An X-Ray trace header that starts a trace: `Root=1-6b041242-0123456789abcdef01234567`.
pub(crate) fn mint_trace(now: Timestamp) -> String {
    let unique = rand::random::<u128>() >> 32;
    format!("Root=1-{:08x}-{unique:024x}", now.epoch_millis() / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_api_gateways() {
        for _ in 0..1000 {
            let id = Identifier::mint(Timestamp::now()).to_string();
            assert!(is_well_formed(&id), "{id}");
        }
        assert!(is_well_formed("QkT3rfHsDoECHlw="));
        assert!(is_well_formed("QkT3rE1tDoEF-_w="));
        for bad in [
            "",
            "=",
            "QkT3rfHsDoECHlw",
            "QkT3rfHsDoECHlw==",
            "QkT3rfHsDoECHlwA",
            "QkT3rfHsDoECHlw=junk",
            "QkT3rfHs+oECHlw=",
            "QkT3rfHsDoECé=",
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    #[test]
    fn ids_minted_close_in_time_share_their_head() {
        let millis = 1_795_428_929_536; // A multiple of 1,024.
        let [one, other, later] = [0, 700, 60_000].map(|after| {
            Identifier::mint(Timestamp::from_epoch_millis(millis + after)).to_string()
        });
        assert_eq!(one[..5], other[..5]);
        assert_ne!(one[..5], later[..5]);
    }

    #[test]
    fn a_connection_and_its_messages_share_their_tail() {
        let now = Timestamp::now();
        let connection = Identifier::mint(now);
        let messages = [0, 1, u16::MAX].map(|number| connection.message(now, number).to_string());
        for message in &messages {
            assert_eq!(message[10..], connection.to_string()[10..]);
        }
        assert_ne!(messages[0], messages[1]);
        assert_ne!(messages[1], messages[2]);
    }

    #[test]
    fn traces_carry_their_time_in_seconds() {
        let trace = mint_trace(Timestamp::from_epoch_millis(1_795_428_930_101));
        assert!(trace.starts_with("Root=1-6b041242-"), "{trace}");
        assert_eq!(trace.len(), "Root=1-6b041242-0123456789abcdef01234567".len());
    }
}
