//! How much one user may say.

use std::time::Duration;

/// At most `messages` within any `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRate {
    messages: u16,
    period: Duration,
}

impl MessageRate {
    /// 30 messages in any 10 seconds.
    pub const DEFAULT: Self = Self { messages: 30, period: Duration::from_secs(10) };

    /// Reads `messages/seconds`, from 1/1 to 1000/3600.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let number = |text: &str| {
            let text = text.trim();
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        };
        let numbers = text
            .split_once('/')
            .and_then(|(messages, seconds)| Some((number(messages)?, number(seconds)?)));
        match numbers {
            Some((messages @ 1..=1000, seconds @ 1..=3600)) => {
                let messages = u16::try_from(messages).expect("it is in range");
                Ok(Self { messages, period: Duration::from_secs(seconds) })
            }
            _ => Err(
                "it takes MESSAGES/SECONDS, up to 1000 messages and 3600 seconds, or the word off",
            ),
        }
    }

    /// How many messages.
    pub fn messages(self) -> u16 {
        self.messages
    }

    /// In which time.
    pub fn period(self) -> Duration {
        self.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_messages_per_seconds() {
        assert_eq!(MessageRate::parse("30/10"), Ok(MessageRate::DEFAULT));
        let slow = MessageRate::parse(" 1 / 3600 ").unwrap();
        assert_eq!((slow.messages(), slow.period()), (1, Duration::from_hours(1)));
        for bad in [
            "", "30", "30/", "/10", "0/10", "30/0", "1001/1", "1/3601", "-1/1", "+1/1", "1.5/1",
            "30/10/1",
        ] {
            assert!(MessageRate::parse(bad).is_err(), "{bad}");
        }
    }
}
