//! `cargo xtask screenshot`: the browser test takes the README's picture, so it shows what really runs.

use std::fs;

use crate::{cargo, root, run};

pub(crate) fn take() -> Result<(), String> {
    let docs = root().join("docs");
    fs::create_dir_all(&docs).map_err(|error| format!("cannot make docs/: {error}"))?;
    let mut command = cargo(&["test", "--package", "local-dev", "--test", "chat"]);
    command.args(["--", "--exact", "sqlite::browser::two_windows_chat"]);
    run(command.env("SCREENSHOT", docs.join("chat.png")))
}
