//! What somebody sees who has started this program in a terminal. All of it goes to standard error; the log has the rest.
//!
//! Colour is left out where standard error isn't a terminal, and where `NO_COLOR` is set: that is `anstream`'s business.

mod invocations;
mod screen;

use std::io::{IsTerminal, stderr};

use shared::settings::Lookup;

pub use self::{invocations::Invocations, screen::Screen};

/// Whether standard error is read by people, as it comes: not by a program, and not as JSON.
pub fn is_read_by_people(environment: &Lookup) -> bool {
    stderr().is_terminal() && environment.get("LOG_FORMAT").as_deref() != Some("json")
}

/// How many, with thousands set apart: `1,234`.
fn set_apart(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(set_apart(number), text);
        }
    }
}
