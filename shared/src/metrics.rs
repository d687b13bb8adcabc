//! What is measured, and how it is told: one line of JSON in CloudWatch's embedded metric format for each invocation
//! that measured something. CloudWatch makes metrics of what functions write, so nothing has to be called.
//!
//! Source: Amazon CloudWatch user guide, "Specification: Embedded metric format".

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock::UnixMillis;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// The first event of an instance.
    ColdStarts,
    /// Frames of messages that API Gateway took.
    Deliveries,
    /// Frames that could not be delivered this time, and connections that could not be closed.
    Failed,
    /// Connections that turned out to be no more.
    Gone,
    /// Logins refused for a wrong name or password.
    LoginFailures,
    /// Logins refused because too many had failed before.
    LoginsThrottled,
    /// Shards of connections that were left to the queue.
    Queued,
}

impl Count {
    /// Its name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Self::ColdStarts => "ColdStarts",
            Self::Deliveries => "Deliveries",
            Self::Failed => "Failed",
            Self::Gone => "Gone",
            Self::LoginFailures => "LoginFailures",
            Self::LoginsThrottled => "LoginsThrottled",
            Self::Queued => "Queued",
        }
    }
}

/// What is timed; within one invocation, times of the same kind add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Time {
    /// From a stored message to its last post or its place in the queue.
    FanOut,
    /// Hashing passwords, waiting for a processor included.
    Hash,
    /// Waiting for the database, further tries included.
    Store,
}

impl Time {
    /// Its name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Self::FanOut => "FanOutTime",
            Self::Hash => "HashTime",
            Self::Store => "StoreTime",
        }
    }
}

/// A CloudWatch namespace that is not one of AWS's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Namespace(String);

impl Namespace {
    /// Takes up to 255 of `A–Z a–z 0–9 . - _ / # :`.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
        if !(1..=255).contains(&text.len()) || !text.bytes().all(is_allowed) {
            return Err("it takes 1 to 255 of the characters A-Z a-z 0-9 . - _ / # :");
        }
        if text.starts_with("AWS/") {
            return Err("it must not begin with AWS/, which is Amazon's");
        }
        Ok(Self(text.to_owned()))
    }
}

/// What one invocation has measured.
#[derive(Debug, Default)]
pub struct Measurements {
    counts: BTreeMap<Count, u64>,
    times: BTreeMap<Time, Duration>,
}

impl Measurements {
    /// Counts `number` more.
    pub fn count(&mut self, count: Count, number: u64) {
        *self.counts.entry(count).or_default() += number;
    }

    /// Adds a time.
    pub fn time(&mut self, time: Time, duration: Duration) {
        *self.times.entry(time).or_default() += duration;
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.times.is_empty()
    }

    /// The line. `function` is the one dimension; `properties` can be searched for, and are no metrics.
    pub fn line(
        &self,
        namespace: &Namespace,
        function: &str,
        now: UnixMillis,
        mut properties: Map<String, Value>,
    ) -> String {
        let counts =
            self.counts.iter().map(|(count, number)| (count.name(), "Count", json!(number)));
        let times = self.times.iter().map(|(time, duration)| {
            // Microseconds are fine enough.
            let millis = (duration.as_secs_f64() * 1e6).round() / 1e3;
            (time.name(), "Milliseconds", json!(millis))
        });
        let mut metrics = Vec::new();
        for (name, unit, value) in counts.chain(times) {
            metrics.push(json!({"Name": name, "Unit": unit}));
            properties.insert(name.to_owned(), value);
        }
        properties.insert("Function".to_owned(), function.into());
        let directive =
            json!({"Namespace": namespace, "Dimensions": [["Function"]], "Metrics": metrics});
        let header = json!({"Timestamp": now.0, "CloudWatchMetrics": [directive]});
        properties.insert("_aws".to_owned(), header);
        Value::Object(properties).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_one_of_cloudwatchs_and_not_of_amazons() {
        for good in ["chat", "lambda-chat/prod", "a.b_c#d:9", &"x".repeat(255)] {
            assert!(Namespace::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a chat", "chät", "AWS/Lambda", "chat\n", &"x".repeat(256)] {
            assert!(Namespace::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_has_the_sums_of_what_was_measured_and_nothing_else() {
        let mut measurements = Measurements::default();
        assert!(measurements.is_empty());
        measurements.count(Count::Gone, 2);
        measurements.count(Count::Gone, 1);
        measurements.time(Time::Store, Duration::from_micros(1_250));
        measurements.time(Time::Store, Duration::from_micros(500));
        let namespace = Namespace::parse("chat").unwrap();
        let properties = Map::from_iter([("request_id".to_owned(), json!("1"))]);
        let line = measurements.line(&namespace, "message", UnixMillis(7), properties);
        let expected = json!({
            "_aws": {"Timestamp": 7, "CloudWatchMetrics": [{
                "Namespace": "chat", "Dimensions": [["Function"]], "Metrics": [
                    {"Name": "Gone", "Unit": "Count"},
                    {"Name": "StoreTime", "Unit": "Milliseconds"},
                ],
            }]},
            "Function": "message", "Gone": 3, "StoreTime": 1.75, "request_id": "1",
        });
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
        assert!(!line.contains('\n'));
    }
}
