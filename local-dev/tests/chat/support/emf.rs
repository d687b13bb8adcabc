//! CloudWatch's embedded metric format, as its specification has it: what a line must be to become metrics.
//!
//! Source: Amazon CloudWatch user guide, "Specification: Embedded metric format", and "Using dimensions": a namespace's
//! characters.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::Validator;
use serde_json::{Value, json};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let units = [
        "Seconds",
        "Microseconds",
        "Milliseconds",
        "Bytes",
        "Kilobytes",
        "Megabytes",
        "Gigabytes",
        "Terabytes",
        "Bits",
        "Kilobits",
        "Megabits",
        "Gigabits",
        "Terabits",
        "Percent",
        "Count",
        "Bytes/Second",
        "Kilobytes/Second",
        "Megabytes/Second",
        "Gigabytes/Second",
        "Terabytes/Second",
        "Bits/Second",
        "Kilobits/Second",
        "Megabits/Second",
        "Gigabits/Second",
        "Terabits/Second",
        "Count/Second",
        "None",
    ];
    let name = json!({"type": "string", "minLength": 1, "maxLength": 1024, "pattern": "\\S"});
    let metric = json!({
        "type": "object",
        "required": ["Name"],
        "properties": {"Name": name, "Unit": {"enum": units}, "StorageResolution": {"enum": [1, 60]}},
        "additionalProperties": false,
    });
    let dimensions =
        json!({"type": "array", "items": {"type": "array", "items": name, "maxItems": 30}});
    let directive = json!({
        "type": "object",
        "required": ["Namespace", "Dimensions", "Metrics"],
        "properties": {
            "Namespace": {"type": "string", "pattern": "^(?!AWS/)[0-9A-Za-z._/#:-]{1,255}$"},
            "Dimensions": dimensions,
            "Metrics": {"type": "array", "items": metric, "minItems": 1, "maxItems": 100},
        },
        "additionalProperties": false,
    });
    let header = json!({
        "type": "object",
        "required": ["Timestamp", "CloudWatchMetrics"],
        "properties": {
            // Milliseconds since the Unix epoch: not seconds.
            "Timestamp": {"type": "integer", "minimum": 1_000_000_000_000_i64},
            "CloudWatchMetrics": {"type": "array", "items": directive, "minItems": 1},
        },
    });
    let line = json!({"type": "object", "required": ["_aws"], "properties": {"_aws": header}});
    jsonschema::validator_for(&line).unwrap()
});

/// What a line told.
#[derive(Debug)]
pub struct Told {
    pub namespace: String,
    /// Name and value of the dimensions.
    pub dimensions: BTreeMap<String, String>,
    pub counts: BTreeMap<String, u64>,
    /// In milliseconds.
    pub times: BTreeMap<String, f64>,
    /// All that stands in it.
    pub line: Value,
}

impl Told {
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

/// Reads a line; it must be as the specification says.
pub fn read(line: &str) -> Told {
    assert!(line.len() <= 1024 * 1024, "it is too long");
    let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    let problems: Vec<String> = SCHEMA
        .iter_errors(&line)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{line}: {problems:?}");
    let [directive] = &line["_aws"]["CloudWatchMetrics"].as_array().unwrap()[..] else {
        panic!("one directive was due: {line}");
    };
    let [set] = &directive["Dimensions"].as_array().unwrap()[..] else {
        panic!("one set of dimensions was due: {line}");
    };
    let dimensions = set.as_array().unwrap().iter().map(|name| {
        let name = name.as_str().unwrap();
        // A reference must lead to a text.
        let value = line[name].as_str().unwrap_or_else(|| panic!("no {name}: {line}"));
        assert!((1..=1024).contains(&value.len()), "{line}");
        (name.to_owned(), value.to_owned())
    });
    let (mut counts, mut times) = (BTreeMap::new(), BTreeMap::new());
    for metric in directive["Metrics"].as_array().unwrap() {
        let name = metric["Name"].as_str().unwrap();
        let value = &line[name];
        let is_new = match metric["Unit"].as_str().unwrap() {
            "Count" => counts.insert(name.to_owned(), value.as_u64().unwrap()).is_none(),
            "Milliseconds" => times.insert(name.to_owned(), value.as_f64().unwrap()).is_none(),
            unit => panic!("{unit}: {line}"),
        };
        assert!(is_new, "twice {name}: {line}");
    }
    let namespace = directive["Namespace"].as_str().unwrap().to_owned();
    Told { namespace, dimensions: dimensions.collect(), counts, times, line }
}
