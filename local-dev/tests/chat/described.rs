//! The other half of holding the program against its descriptions: whatever they describe has been seen at work.

use serde_json::Value;

use crate::support::descriptions::Descriptions;

/// Answers that only a fault brings about: the stories have none.
const ONLY_BY_FAULTS: [&str; 2] = ["500", "503"];

/// Fails when an answer or a frame is described that no story met.
pub fn everything_described_has_been_seen() {
    let descriptions = Descriptions::get();
    let mut unseen = Vec::new();
    for (path, operations) in descriptions.openapi["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                let what = format!("{} {path} {status}", method.to_uppercase());
                if !ONLY_BY_FAULTS.contains(&status.as_str()) && !descriptions.has_seen(&what) {
                    unseen.push(what);
                }
            }
        }
    }
    let messages = descriptions.asyncapi["channels"]["room"]["messages"].as_object().unwrap();
    // What clients send comes in other tests' own words too; the gateway's error takes a fault.
    for name in messages
        .keys()
        .filter(|name| !["ping", "plainText", "gatewayError"].contains(&name.as_str()))
    {
        let what = format!("frame {name}");
        if !descriptions.has_seen(&what) {
            unseen.push(what);
        }
    }
    let code = &descriptions.asyncapi["components"]["schemas"]["Error"]["properties"]["code"];
    for code in code["enum"].as_array().unwrap().iter().filter_map(Value::as_str) {
        let what = format!("code {code}");
        if !["unavailable", "internal"].contains(&code) && !descriptions.has_seen(&what) {
            unseen.push(what);
        }
    }
    assert!(unseen.is_empty(), "described, but never seen: {unseen:?}");
}
