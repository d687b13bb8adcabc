//! What events have in common.

use serde_json::Value;
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem,
    macros::format_description,
};

use crate::{
    probe::{Stop, check, same},
    target::text_of,
};

/// A value's keys, in their order, which must be these.
pub(super) fn has_keys(what: &str, value: &Value, expected: &[&str]) -> Result<(), Stop> {
    let keys: Option<Vec<_>> =
        value.as_object().map(|map| map.keys().map(String::as_str).collect());
    same(&format!("the keys of {what}"), keys.unwrap_or_default(), expected)
}

/// `QkT3rfHsDoECHlw=`: 15 characters of URL-safe base64 and one `=`.
pub(super) fn is_id(value: &Value) -> Result<(), Stop> {
    let is_it = value.as_str().and_then(|text| text.strip_suffix('=')).is_some_and(|text| {
        text.len() == 15
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    });
    check(is_it, || format!("{value} is no id"))
}

/// The times of an event: milliseconds, and the same in the common log format.
pub(super) fn has_times(text: &Value, millis: &Value) -> Result<(), Stop> {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");

    let text = text_of(text)?;
    let time = PrimitiveDateTime::parse(&text, FORMAT);
    let time = time.map_err(|error| Stop::differs(format!("{text:?} is no time: {error}")))?;
    let millis = millis.as_i64().ok_or_else(|| Stop::differs(format!("{millis} is no integer")))?;
    same("the time in seconds", time.assume_utc().unix_timestamp(), millis / 1000)?;
    let age = OffsetDateTime::now_utc().unix_timestamp() - millis / 1000;
    // A day, for clocks that are not set well.
    check(age.abs() < 86_400, || format!("{millis} is {age} s ago"))
}

/// Nothing in a value may be null.
pub(super) fn has_no_null(value: &Value) -> Result<(), Stop> {
    fn holds_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(values) => values.iter().any(holds_null),
            Value::Object(map) => map.values().any(holds_null),
            _ => false,
        }
    }

    check(!holds_null(value), || format!("there is a null in {value}"))
}
