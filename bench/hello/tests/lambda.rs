//! It is a function: without Lambda it says so, and ends.

use std::process::Command;

#[test]
fn hello_wants_lambda() {
    let output = Command::new(env!("CARGO_BIN_EXE_hello")).env_clear().output();
    let output = output.expect("it was built for this test");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("AWS_LAMBDA_"), "{said}");
}
