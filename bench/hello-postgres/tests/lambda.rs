//! It is a function: without Lambda it says so, and ends.

use std::process::Command;

#[test]
fn hello_postgres_wants_lambda() {
    let mut hello = Command::new(env!("CARGO_BIN_EXE_hello-postgres"));
    let output = hello.env_clear().env("DATABASE_URL", "postgres://localhost/chat").output();
    let output = output.expect("it was built for this test");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("AWS_LAMBDA_"), "{said}");
}
