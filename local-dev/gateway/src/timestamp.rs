//! Moments, as API Gateway writes them.

use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// A moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// The present moment. The gateway stands for a machine of its own, so it has the machine's clock.
    pub(crate) fn now() -> Self {
        Self(OffsetDateTime::now_utc())
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn epoch_millis(self) -> i64 {
        self.0.unix_timestamp() * 1000 + i64::from(self.0.millisecond())
    }

    /// The moment so many milliseconds after the Unix epoch.
    pub(crate) fn from_epoch_millis(millis: i64) -> Self {
        let nanos = i128::from(millis) * 1_000_000;
        let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos);
        Self(moment.expect("clocks are within ten thousand years of the epoch"))
    }

    /// Common log format: `23/Nov/2026:10:15:43 +0000`.
    pub(crate) fn clf(self) -> String {
        const CLF: &[BorrowedFormatItem<'_>] =
            format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
        self.format(CLF)
    }

    /// ISO 8601 with milliseconds: `2026-11-23T10:15:43.377Z`.
    pub(crate) fn iso_8601(self) -> String {
        const ISO_8601: &[BorrowedFormatItem<'_>] = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        self.format(ISO_8601)
    }

    /// As the header `date` has it: `Mon, 23 Nov 2026 10:15:43 GMT`.
    pub(crate) fn http_date(self) -> String {
        const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        self.format(HTTP_DATE)
    }

    fn format(self, format: &[BorrowedFormatItem<'_>]) -> String {
        self.0.format(&format).expect("a date and a time have all that these formats name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_api_gateway_writes_them() {
        let moment = Timestamp::from_epoch_millis(1_795_428_943_077);
        assert_eq!(moment.epoch_millis(), 1_795_428_943_077);
        assert_eq!(moment.clf(), "23/Nov/2026:10:15:43 +0000");
        assert_eq!(moment.iso_8601(), "2026-11-23T10:15:43.077Z");
        assert_eq!(moment.http_date(), "Mon, 23 Nov 2026 10:15:43 GMT");

        let single_digits = Timestamp::from_epoch_millis(1_767_600_306_000);
        assert_eq!(single_digits.clf(), "05/Jan/2026:08:05:06 +0000");
        assert_eq!(single_digits.iso_8601(), "2026-01-05T08:05:06.000Z");
    }
}
