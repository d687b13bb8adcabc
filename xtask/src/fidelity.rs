//! `cargo xtask fidelity`: the conformance suite writes what comes of it into the README, so it says what is so.

use crate::{cargo, run};

pub(crate) fn write() -> Result<(), String> {
    run(&mut cargo(&["build", "--package", "local-dev"]))?;
    let mut command = cargo(&["test", "--package", "conformance", "--test", "program"]);
    run(command.env("WRITE_DOC", "1"))
}
