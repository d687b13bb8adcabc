//! The other half of holding the program against its descriptions: whatever they describe has been seen at work.

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
    for frame in ["Message", "Error", "Pong"] {
        let what = format!("frame {frame}");
        if !descriptions.has_seen(&what) {
            unseen.push(what);
        }
    }
    assert!(unseen.is_empty(), "described, but never seen: {unseen:?}");
}
