//! The AWS CLI, for hundreds of commands: loading it takes longer than most of them, so it is loaded once, and each command
//! is a fork (`serve_aws.py`). One that is no Python of its own, as version 2 may be, is called as it is.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::site::{Running, program};

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Where `aws` is.
pub fn folder() -> &'static Path {
    FOLDER.get().expect("it is served")
}

/// Serves it until this is dropped.
pub struct Served {
    _server: Running,
    _folder: TempDir,
}

/// Loads the CLI. `None` if it has to be called as it is.
pub fn serve() -> Option<Served> {
    let own = program("aws", "ci-venv").unwrap();
    let python = own.with_file_name("python3");
    let imports = Command::new(&python).args(["-c", "import awscli.botocore"]).output();
    if !imports.is_ok_and(|output| output.status.success()) {
        FOLDER.set(own.parent().unwrap().to_owned()).unwrap();
        return None;
    }
    let folder = tempfile::Builder::new().prefix("lambda-chat-aws-").tempdir().unwrap();
    let aws = folder.path().join("aws");
    let client = format!("#!{} -IS\n{}", python.display(), include_str!("call_aws.py"));
    fs::write(&aws, client).unwrap();
    fs::set_permissions(&aws, PermissionsExt::from_mode(0o755)).unwrap();
    let mut server = Command::new(&python);
    server.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cloud/serve_aws.py"));
    server.arg(folder.path().join("socket")).env_clear();
    let (server, _ready) =
        Running::start(&mut server, |line| (line == "ready").then(|| line.to_owned()));
    FOLDER.set(folder.path().to_owned()).unwrap();
    Some(Served { _server: server, _folder: folder })
}
