//! `cargo xtask screenshot`: a browser test takes the README's pictures, so they show what really runs.

use crate::{cargo, root, run};

pub(crate) fn take() -> Result<(), String> {
    let mut command = cargo(&["test", "--package", "local-dev", "--test", "chat"]);
    command.args(["--", "--exact", "sqlite::pictures::the_demo_looks_as_the_readme_shows"]);
    run(command.env("PICTURES", root().join("docs")))
}
