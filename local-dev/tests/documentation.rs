//! What docs/local-dev.md says is what the program has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use gateway::{Credentials, Fault, assumptions::ASSUMPTIONS};
use local_dev::demo::{PASSWORD, USERNAMES};

fn documentation() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/local-dev.md");
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn every_assumption_is_listed() {
    let rows = ASSUMPTIONS.iter().map(|row| {
        let default = if row.default.is_empty() { "" } else { &format!("`{}`", row.default) };
        format!("| `{}` | {default} | {} |\n", row.name, row.meaning)
    });
    let table: String = ["| name | default | what it decides |\n| --- | --- | --- |\n".to_owned()]
        .into_iter()
        .chain(rows)
        .collect();
    let documentation = documentation();
    let listed = documentation.split("<!-- assumptions -->\n").nth(1).unwrap();
    assert_eq!(listed.split("<!-- /assumptions -->").next().unwrap(), table);
}

#[test]
fn every_fault_and_the_credentials_are_named() {
    let documentation = documentation();
    for fault in Fault::ALL {
        assert!(documentation.contains(&format!("`{}`", fault.name())), "{fault}");
    }
    for text in [Credentials::LOCAL_ACCESS_KEY_ID, Credentials::LOCAL_SECRET_ACCESS_KEY] {
        assert!(documentation.contains(text), "{text}");
    }
}

#[test]
fn the_demo_is_described() {
    let documentation = documentation();
    for text in USERNAMES.into_iter().chain([PASSWORD]) {
        assert!(documentation.contains(&format!("`{text}`")), "{text}");
    }
}
